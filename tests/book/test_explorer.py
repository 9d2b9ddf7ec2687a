"""What holds for all pictures to play with: on paper, saved, twice, in either theme, together.

What one of them does has a file of its own, ``test_explorer_….py``.
"""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import PHONE, Book, watched
from tests.explorers import (
    assert_accessible,
    assert_still_without_scripts,
    change,
    played,
    state,
)
from tests.pages import DESKTOP, PAGES, parse
from vaebook.explorer import WIDGETS

pytestmark = pytest.mark.browser
MOST_BYTES = 1_500_000  # of all widgets of a page
SCREENS = {"phone": PHONE, "desktop": DESKTOP}

STATES: dict[str, list[dict[str, Any]]] = {  # that look else than the first
    "latent-plane": [{"prior": "no name", "place": 4}],
    "latent-sliders": [{"share": 0.5}],
    "kl": [{"dims": "2"}, {"dims": "1", "direction": "pq"}],
    "loss": [{"kl": "lots"}, {"reconstruction": "cross-entropy", "kl": "1000"}],
    "flow": [{"noise": "uniform", "time": 1}],
}

every_widget = pytest.mark.parametrize("name", sorted(WIDGETS))


@every_widget
def test_on_paper_there_is_the_still_picture(browser: Browser, tmp_path: Path, name: str) -> None:
    with played(browser, tmp_path, name) as page:
        still, live = page.locator(".explorer-still"), page.locator(".explorer-live")
        assert (still.is_visible(), live.is_visible()) == (False, True)
        page.emulate_media(media="print")
        still.wait_for(state="visible")
        assert not live.is_visible()


@every_widget
def test_it_is_accessible(browser: Browser, tmp_path: Path, name: str) -> None:
    assert_accessible(browser, tmp_path, name, *STATES[name])


@every_widget
def test_without_scripts_the_still_picture_stands(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    assert_still_without_scripts(browser, tmp_path, name)


@every_widget
def test_to_run_twice_does_no_harm_and_leaves_one_name(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    """JupyterLab makes the scripts of an output anew, in their places."""
    with played(browser, tmp_path, name) as page:
        page.evaluate(
            """() => {
                for (const old of document.querySelectorAll(".explorer script")) {
                    const made = document.createElement("script");
                    for (const { name, value } of old.attributes) made.setAttribute(name, value);
                    made.textContent = old.textContent;
                    old.replaceWith(made);
                }
            }"""
        )
        assert page.locator(".explorer-live").count() == 1
        left = page.evaluate(
            """() => {
                const frame = document.body.appendChild(document.createElement("iframe"));
                const bare = new Set(Object.getOwnPropertyNames(frame.contentWindow));
                frame.remove();
                return Object.getOwnPropertyNames(window).filter((name) =>
                    !bare.has(name) && !/^(0|__pw|__play)/.test(name));
            }"""
        )
        assert left == ["vaebookExplorer"]


@every_widget
def test_put_into_a_page_as_jupyterlab_does_it_lives(browser: Browser, name: str) -> None:
    """As text first, in which no script runs, then with each script made anew in its place."""
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    with watched(context.new_page()) as page:
        page.set_content("<main></main>")
        page.evaluate(
            """(html) => {
                const main = document.querySelector("main");
                main.innerHTML = html;
                for (const old of main.querySelectorAll("script")) {
                    const made = document.createElement("script");
                    for (const { name, value } of old.attributes) made.setAttribute(name, value);
                    made.textContent = old.textContent;
                    old.replaceWith(made);
                }
            }""",
            WIDGETS[name]()._repr_html_(),
        )
        assert page.locator(".explorer[data-live] .explorer-live").count() == 1
        parts = page.locator(".explorer-live :is(input, select, button, .explorer-handle)")
        assert parts.count() >= 5
        for part in parts.all():  # or JupyterLab goes from cell to cell by the arrow keys
            assert part.get_attribute("data-lm-suppress-shortcuts") == "true"
    context.close()


@every_widget
def test_a_page_that_was_saved_in_use_lives_again(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    with played(browser, tmp_path, name) as page:
        html = page.content()
        file = tmp_path / "saved.html"
        file.write_text(html, encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_function("document.querySelector('.explorer').explorer !== undefined")
        assert page.locator(".explorer-live").count() == 1
        change(page, **state(page))


@every_widget
def test_the_theme_of_book_and_lab_is_followed(browser: Browser, tmp_path: Path, name: str) -> None:
    with played(browser, tmp_path, name, color_scheme="light") as page:

        def follows(scheme: str) -> None:
            page.wait_for_function(
                "(scheme) => document.querySelector('.explorer').dataset.scheme === scheme",
                arg=scheme,
            )

        follows("light")
        page.emulate_media(color_scheme="dark")
        follows("dark")
        page.evaluate("document.body.dataset.jpThemeLight = 'true'")
        follows("light")
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        follows("dark")


@every_widget
def test_it_asks_for_nothing_and_runs_no_text(name: str) -> None:
    html = WIDGETS[name]()._repr_html_()
    scripts = "".join(re.findall(r"<script>(.*?)</script>", html, re.DOTALL))
    assert "vaebookExplorer.define" in scripts
    assert not re.search(r"\beval\(|\bFunction\(|\bfetch\(|XMLHttp|import\(|https?://", scripts)


def test_every_widget_stands_on_a_page_and_no_page_carries_too_much(book: Book) -> None:
    found = set()
    for page_name in PAGES:
        roots = parse(book.html / f"{page_name}.html").select(".explorer[data-explorer]")
        assert sum(len(str(root).encode()) for root in roots) <= MOST_BYTES, page_name
        for root in roots:
            widget = WIDGETS[str(root["data-explorer"])]()
            still = root.select_one("img.explorer-still")
            assert still is not None
            png = str(still["src"]).removeprefix("data:image/png;base64,")
            assert base64.b64decode(png) == widget.still(), "store the notebook's output anew"
            found.add(widget.name)
    assert found == set(WIDGETS)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_first_page_it_lives(book: Book, page: Page, screen: str, scheme: str) -> None:
    page.set_viewport_size(SCREENS[screen])  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto((book.html / f"{PAGES[0]}.html").as_uri())
    page.wait_for_selector(f".explorer[data-live][data-scheme={scheme}]")
    box = page.locator(".explorer").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SCREENS[screen]["width"]
