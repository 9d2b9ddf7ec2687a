"""What the tests of pictures to play with share: the page of one, and what each must do."""

import base64
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.conftest import PHONE, watched
from tests.pages import DESKTOP
from vaebook.explorer import WIDGETS

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
MOST_MILLISECONDS = 16  # a frame
TRIES = 12
ROOT = "document.querySelector('.explorer').explorer"


def write_page(folder: Path, name: str) -> Path:
    """A page that holds one widget."""
    page = folder / f"{name}.html"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    )
    style = "<style>@media (prefers-color-scheme: dark) { body { background: #121212; } }</style>"
    page.write_text(
        f'<!doctype html><html lang="en"><head>{head}<title>{name}</title>{style}</head>'
        f"<body><main><h1>.</h1>{WIDGETS[name]()._repr_html_()}</main></body></html>",
        encoding="utf-8",
    )
    return page


@contextmanager
def played(
    browser: Browser, folder: Path, name: str, *, wide: bool = False, **options: Any
) -> Iterator[Page]:
    """The page of one widget, brought to life; an error or a foreign request fails on leaving."""
    settings = {"viewport": DESKTOP if wide else PHONE, "has_touch": not wide, **options}
    context = browser.new_context(**settings)
    with watched(context.new_page()) as page:
        page.goto(write_page(folder, name).as_uri())
        if settings.get("java_script_enabled", True):
            page.wait_for_selector(".explorer[data-live]")
        yield page
    context.close()


def pages_of(name: str, *, ready: str = "[data-live]", **options: Any) -> tuple[Any, Any, Any]:
    """Fixtures of the tests of one widget: ``folder`` and ``sheet``, of a module, and ``page``.

    The page is loaded anew for each test, by the one tab that is the sheet.
    """

    @pytest.fixture(scope="module")
    def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp(name)

    @pytest.fixture(scope="module")
    def sheet(
        browser: Browser, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[tuple[Page, str]]:
        context = browser.new_context(viewport=PHONE, has_touch=True, **options)
        yield context.new_page(), write_page(tmp_path_factory.mktemp(name), name).as_uri()
        context.close()

    @pytest.fixture
    def page(sheet: tuple[Page, str]) -> Iterator[Page]:
        tab, address = sheet
        tab.goto("about:blank")
        tab.mouse.move(0, 0)
        tab.emulate_media(media="screen", color_scheme="light")
        with watched(tab):
            tab.goto(address)
            tab.wait_for_selector(f".explorer[data-live]{ready}")
            yield tab

    return folder, sheet, page


def state(page: Page) -> dict[str, Any]:
    """What the widget shows now."""
    return dict(page.evaluate(f"{ROOT}.state"))


def change(page: Page, **values: Any) -> None:
    """Set parts of the state, and draw."""
    page.evaluate(f"(values) => {ROOT}.set(values)", values)


def handle(page: Page, label: str) -> Locator:
    """What is dragged, by the name that a screen reader gives it."""
    return page.get_by_role("slider", name=label, exact=True)


def settle(page: Page) -> None:
    """Wait for the next frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def centre(place: Locator) -> tuple[float, float]:
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, place: Locator, right: float, down: float) -> None:
    """With the mouse, by so many pixels."""
    x, y = centre(place)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right / 2, y + down / 2)
    page.mouse.move(x + right, y + down)
    page.mouse.up()
    settle(page)


def swipe(page: Page, place: Locator, right: float, down: float) -> None:
    """With a finger, by so many pixels."""
    x, y = centre(place)
    session = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)):
        points = [{"x": x + share * right, "y": y + share * down}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)


def colours_of(page: Page, number: int, places: list[tuple[float, float]]) -> list[list[int]]:
    """Red, green, blue and opacity of a canvas at places, in shares of its size."""
    return list(
        page.evaluate(
            """([number, places]) => {
                const canvas = document.querySelectorAll(".explorer-live canvas")[number];
                const context = canvas.getContext("2d");
                return places.map(([x, y]) => [...context.getImageData(
                    Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data]);
            }""",
            [number, places],
        )
    )


def pixels_of(canvas: Locator) -> np.ndarray:
    """Red, green, blue and opacity of each pixel of a canvas, ``[height, width, 4]``."""
    height, width, levels = canvas.evaluate(
        f"(canvas) => [canvas.height, canvas.width, ({LEVELS})(canvas)]"
    )
    return levels_of(levels).reshape(height, width, 4)


# The red, green, blue and opacity of all pixels of a canvas as text, which is quick to hand over.
LEVELS = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let start = 0; start < data.length; start += 4096)
        text += String.fromCharCode(...data.subarray(start, start + 4096));
    return btoa(text);
}"""


def levels_of(text: str) -> np.ndarray:
    """What ``LEVELS`` gives, as numbers."""
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).astype(int)


def violations(page: Page) -> list[str]:
    """What axe finds, by all of its default rules, in what is live."""
    page.evaluate(AXE + "; true")
    found = page.evaluate(
        """() => axe.run(document, {resultTypes: ["violations"], preload: false}).then(
            (result) => result.violations.flatMap((rule) => rule.nodes.map((node) =>
                `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`)))"""
    )
    return list(found)


def assert_accessible(browser: Browser, folder: Path, name: str, *states: dict[str, Any]) -> None:
    """axe is content at both widths and in both schemes, nothing sticks out, targets are large."""
    for wide in (False, True):
        for scheme in ("light", "dark"):
            with played(browser, folder, name, wide=wide, color_scheme=scheme) as page:
                assert page.locator(".explorer").get_attribute("data-scheme") == scheme
                for values in ({}, *states):
                    change(page, **values)
                    where = f"{name} wide={wide} {scheme} {json.dumps(values)}: "
                    assert [where + text for text in violations(page)] == []
                    assert (
                        page.evaluate("document.documentElement.scrollWidth")
                        <= (page.viewport_size or PHONE)["width"]
                    ), where
                    small = page.evaluate(
                        """() => [...document.querySelectorAll(
                            ".explorer-live :is(button, .explorer-handle, input, select, label)")]
                            .filter((part) => part.checkVisibility() && part.type !== "radio")
                            .filter((part) => part.tagName !== "LABEL" || part.children.length)
                            .filter((part) => part.getBoundingClientRect().height < 43.5)
                            .map((part) => part.outerHTML.slice(0, 120))"""
                    )
                    assert small == [], where


def assert_quick(page: Page, states: list[dict[str, Any]]) -> None:
    """A redraw takes less than a frame: the median over the states.

    Of a state the least of many tries counts, which no other work of the processor interrupted;
    between two tries come all other states, so that nothing is kept from one to the next.
    """
    took = page.evaluate(
        f"""([states, tries]) => {{
            const least = states.map(() => Infinity);
            for (let round = 0; round < tries; round++) states.forEach((values, at) => {{
                {ROOT}.set(values);
                least[at] = Math.min(least[at], {ROOT}.milliseconds);
            }});
            return least;
        }}""",
        [states, TRIES],
    )
    print(f"redraw: median {statistics.median(took):.1f} ms, largest {max(took):.1f} ms")
    assert statistics.median(took) < MOST_MILLISECONDS


def assert_still_without_scripts(browser: Browser, folder: Path, name: str) -> None:
    """The still picture stands with its description, and nothing else."""
    with played(browser, folder, name, java_script_enabled=False) as page:
        still = page.locator(".explorer-still")
        assert still.is_visible()
        assert still.get_attribute("alt") == WIDGETS[name].alt
        assert page.get_by_role("slider").count() == 0
