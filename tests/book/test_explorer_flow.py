"""The flow of chapter 14 in a browser: PyTorch's paths, the clock, and hands on the noise."""

from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page

from tests.explorers import (
    ROOT,
    assert_quick,
    change,
    drag,
    handle,
    pages_of,
    pixels_of,
    played,
    settle,
    state,
    swipe,
)
from vaebook.distributions import integrate, standard_normal, unit_uniform
from vaebook.explorer.flow import NOISES, START, field_of, load_flow
from vaebook.training import seeded

pytestmark = pytest.mark.browser
NEAR = 1e-2
BASES = {"normal": standard_normal(2), "uniform": unit_uniform(2)}
folder, sheet, page = pages_of("flow", ready="[data-ready]")


def seconds_of(page: Page) -> float:
    return float(state(page)["time"])


@pytest.mark.parametrize("noise", NOISES)
def test_points_end_where_pytorch_takes_them(page: Page, noise: str) -> None:
    with seeded(4):
        starts = BASES[noise].sample((20,))
    paths = torch.tensor(
        page.evaluate(
            f"([noise, starts]) => starts.map((start) => {ROOT}.flow.path(noise, start))",
            [noise, starts.tolist()],
        )
    )
    field = field_of(load_flow(), noise)
    middle = integrate(field, starts, end=0.5, num_steps=200).points
    end = integrate(field, starts, num_steps=400).points
    assert (paths[:, paths.shape[1] // 2] - middle).norm(dim=1).max() < NEAR
    assert (paths[:, -1] - end).norm(dim=1).max() < NEAR
    assert (end - starts).norm(dim=1).max() > 0.5, "they move"


@pytest.mark.parametrize("noise", NOISES)
def test_the_field_is_that_of_pytorch(page: Page, noise: str) -> None:
    with seeded(5):
        places, times = 2 * torch.randn(20, 2), torch.rand(20)
    found = page.evaluate(
        f"""([noise, places, times]) =>
            places.map((place, at) => {ROOT}.flow.velocity(noise, place, times[at]))""",
        [noise, places.tolist(), times.tolist()],
    )
    assert torch.allclose(
        torch.tensor(found), field_of(load_flow(), noise)(places, times), atol=NEAR
    )


def test_nearly_all_arrive_from_either_noise(page: Page) -> None:
    shares = {
        (noise, time): page.evaluate(f"(change) => {ROOT}.flow.arrived(change)", given)
        for noise in NOISES
        for time in (0, 1)
        for given in [{"noise": noise, "time": time}]
    }
    for noise, expected in (("normal", 0.89), ("uniform", 0.93)):  # as the chapter says
        assert shares[noise, 0] < 0.4
        assert shares[noise, 1] == pytest.approx(expected, abs=0.01)
    page.get_by_text("uniform noise", exact=True).click()
    change(page, time=1)
    text = page.locator(".flow-share").inner_text()
    assert text.startswith(f"{round(100 * shares['uniform', 1])} % of 200 points")


def test_play_turns_the_clock_and_pause_stops_it(page: Page) -> None:
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"{ROOT}.state.time > 0.05")
    page.get_by_role("button", name="Pause").click()
    stopped = seconds_of(page)
    page.wait_for_timeout(200)
    assert 0 < seconds_of(page) == stopped < 1
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"{ROOT}.state.time === 1", timeout=20_000)
    page.get_by_role("button", name="Play").wait_for()  # in the next frame


def test_where_motion_is_not_wanted_play_is_a_jump(browser: Browser, folder: Path) -> None:
    with played(browser, folder, "flow", reduced_motion="reduce") as page:
        play = page.get_by_role("button", name="Play")
        for time in (1, 0):
            play.click()
            settle(page)
            assert seconds_of(page) == time
            assert not state(page)["playing"]


def test_mouse_finger_and_keys_move_the_noise(page: Page) -> None:
    mine = handle(page, "your draw of noise")
    assert state(page)["start"] == list(START)
    box = page.locator(".flow-row canvas").first.bounding_box()
    assert box is not None
    unit = box["width"] / 5.4
    drag(page, mine, -unit, 0)
    assert state(page)["start"] == pytest.approx([START[0] - 1, START[1]], abs=0.05)
    swipe(page, mine, 0, 2 * unit)
    assert state(page)["start"] == pytest.approx([START[0] - 1, START[1] - 2], abs=0.1)
    before = state(page)["start"][0]
    mine.press("ArrowRight")
    settle(page)
    assert state(page)["start"][0] == pytest.approx(before + 0.05)
    canvas = page.locator(".flow-row canvas").first
    canvas.tap(position={"x": box["width"] / 2, "y": box["height"] / 2})
    settle(page)
    assert state(page)["start"] == pytest.approx([0, 0], abs=0.05)
    slider = page.get_by_role("slider", name="time t")
    slider.press("End")
    settle(page)
    assert seconds_of(page) == 1


def test_the_dog_is_of_the_kind_where_the_path_ends(page: Page) -> None:
    shipped = load_flow()
    field = field_of(shipped, "normal")
    seen = set()
    for start in ([0.2, 1.6], [-1.8, 1.0], [-1.6, -1.2], [1.9, 0.0], [0.9, -1.9]):
        change(page, start=start, noise="normal")
        end = integrate(field, torch.tensor([start]), num_steps=200).points
        kind = int(shipped["kinds"][torch.cdist(end, shipped["codes"]).argmin()])
        picture = page.locator(".flow-dog canvas")
        shown = pixels_of(picture)[..., 0].flatten()
        expected = 255 * shipped["pictures"][kind].flatten()
        assert (torch.tensor(shown) - expected).abs().max() < 2.6  # of 255: a hundredth
        name = picture.get_attribute("aria-label") or ""
        assert name[: name.index(",")] in page.locator(".flow-goal").inner_text()
        seen.add(kind)
    assert len(seen) >= 4


def test_uniform_noise_ends_at_its_square(page: Page) -> None:
    change(page, start=[2.5, -2.5])
    page.get_by_text("uniform noise", exact=True).click()
    settle(page)
    assert state(page)["start"] == pytest.approx([3**0.5, -(3**0.5)])
    mine = handle(page, "your draw of noise")
    mine.press("Shift+ArrowRight")
    settle(page)
    assert state(page)["start"][0] == pytest.approx(3**0.5)


def test_what_is_seen_is_said(page: Page) -> None:
    handle(page, "your draw of noise").press("ArrowDown")
    page.wait_for_function("document.querySelector('.explorer-spoken').textContent !== ''")
    spoken = page.locator(".explorer-spoken").inner_text()
    assert spoken.startswith("Time 0.00: ")
    assert "Your draw becomes the code of a dog" in spoken


def test_all_that_is_drawn_is_named(page: Page) -> None:
    note = page.locator(".explorer-note")
    assert "black dot: where it is at this time." in note.inner_text()
    assert "frame" not in note.inner_text()
    change(page, noise="uniform")
    assert "Blue frame: the square that the noise fills" in note.inner_text()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "document.querySelector('.explorer-note').textContent.includes('white dot')"
    )


def test_a_redraw_fits_into_a_frame(page: Page) -> None:
    states: list[dict[str, Any]] = [
        {"noise": noise, "time": time / 10, "start": [time / 5 - 1, 1 - time / 5]}
        for noise in NOISES
        for time in range(11)
    ]
    assert_quick(page, states)
