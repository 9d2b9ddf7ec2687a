"""The latent plane of the first page in a browser: PyTorch's pictures, and hands on them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch.nn.functional import grid_sample

from tests.explorers import (
    LEVELS,
    ROOT,
    assert_quick,
    change,
    drag,
    handle,
    levels_of,
    pages_of,
    pixels_of,
    played,
    settle,
    state,
    swipe,
    violations,
)
from vaebook.explorer import LatentPlane
from vaebook.explorer.latent_plane import SIDE
from vaebook.explorer.plane_models import EDGE
from vaebook.explorer.prior_maps import PRIOR_MAPS
from vaebook.explorer.training.plane import BETAS
from vaebook.explorer.weights import pack_array
from vaebook.metrics.dogs import DOG_THRESHOLD

pytestmark = pytest.mark.browser
MOST_WRONG = 1e-2  # per pixel
NAME = "latent-plane"
ON_VAE, ON_AUTOENCODER = "Code on the plane of the VAE", "Code on the plane of the autoencoder"
PICTURES = {"autoencoder": 0, "VAE": 1}
CODES = (torch.rand(20, 2, generator=torch.Generator().manual_seed(15)) * 2 - 1) * 3
folder, sheet, page = pages_of(NAME, reduced_motion="reduce")


@pytest.fixture(scope="module")
def widget() -> LatentPlane:
    return LatentPlane()


def drawn(page: Page, number: int) -> np.ndarray:
    """The grey levels of a decoded picture, as they stand on the canvas."""
    return pixels_of(page.locator("canvas.explorer-image").nth(number))[..., 0].flatten()


# The decoded pictures of several codes, as they stand on the canvases.
SHOWN = f"""([codes, place]) => codes.map((code) => {{
    {ROOT}.set({{ code, place }});
    return [...document.querySelectorAll("canvas.explorer-image")].map({LEVELS});
}})"""


def worst_pixel(page: Page, widget: LatentPlane, place: int) -> float:
    """The largest difference between the canvases and PyTorch, over 20 codes, with β's place."""
    names = {"autoencoder": "autoencoder", "VAE": f"beta {BETAS[place]:g}"}
    found = page.evaluate(SHOWN, [CODES.tolist(), place])
    worst = 0.0
    for code, canvases in zip(CODES, found, strict=True):
        for side, name in names.items():
            expected = widget.decode(name, code[None])[0].numpy()
            shown = levels_of(canvases[PICTURES[side]])[::4] / 255
            worst = max(worst, float(np.abs(shown - expected).max()))
    return worst


@pytest.mark.parametrize("place", range(len(BETAS)))
def test_the_canvas_shows_what_pytorch_decodes(page: Page, widget: LatentPlane, place: int) -> None:
    assert worst_pixel(page, widget, place) < MOST_WRONG


def test_perturbed_weights_are_noticed(
    browser: Browser, folder: Path, widget: LatentPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = LatentPlane.data

    def perturbed(self: LatentPlane) -> dict[str, Any]:
        data = honest(self)
        weight = self.plane["beta 1.1.weight"].clone()
        weight[3] *= 1.5
        data["models"][2]["layers"][1]["weight"] = pack_array(weight)
        return data

    monkeypatch.setattr(LatentPlane, "data", perturbed)
    with played(browser, folder, NAME) as page:
        assert worst_pixel(page, widget, BETAS.index(1.0)) > MOST_WRONG


def test_another_prior_leaves_the_dog_as_it_is_to_the_bit(page: Page) -> None:
    for code in CODES[:6].tolist():
        change(page, code=code, prior="normal", place=1)
        before, decoded = drawn(page, 1), page.evaluate(f"[...{ROOT}.decode({code})]")
        places = set()
        for prior in ("uniform", "laplace", "no name", "normal"):
            page.locator(f"input[value='{prior}']").check()
            settle(page)
            assert state(page)["prior"] == prior
            assert (drawn(page, 1) == before).all()
            assert page.evaluate(f"[...{ROOT}.decode({ROOT}.state.code)]") == decoded
            places.add(handle(page, ON_VAE).get_attribute("style"))
        assert len(places) == 4, "the point stands elsewhere under each prior"


@pytest.mark.parametrize("prior", PRIOR_MAPS)
def test_the_maps_of_the_page_are_those_of_the_package(page: Page, prior: str) -> None:
    codes = (torch.rand(200, 2, generator=torch.Generator().manual_seed(1)).double() * 2 - 1) * EDGE
    found = page.evaluate(
        f"""([prior, codes]) => codes.map((code) => {{
            const there = {ROOT}.maps.to(prior, code);
            return [there, {ROOT}.maps.from(prior, there)];
        }})""",
        [prior, codes.tolist()],
    )
    there, back = torch.tensor(found, dtype=torch.float64).unbind(1)
    torch.testing.assert_close(there, PRIOR_MAPS[prior].forward(codes), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(back, codes, atol=1e-6, rtol=0)


def test_mouse_finger_and_keys_move_the_code_on_both_planes(page: Page) -> None:
    for label in (ON_AUTOENCODER, ON_VAE):
        change(page, code=[0, 0], prior="normal")
        box = page.locator(".explorer-plane canvas").first.bounding_box()
        assert box is not None
        unit = box["width"] / (2 * EDGE)
        drag(page, handle(page, label), unit, -unit)
        assert state(page)["code"] == pytest.approx([1, 1], abs=0.1)
        swipe(page, handle(page, label), -2 * unit, unit)
        assert state(page)["code"] == pytest.approx([-1, 0], abs=0.1)
        handle(page, label).press("ArrowRight")
        handle(page, label).press("Shift+ArrowUp")
        settle(page)
        assert state(page)["code"] == pytest.approx([-1 + 0.03 * EDGE, 0.3 * EDGE], abs=0.1)
        text = handle(page, label).get_attribute("aria-valuetext") or ""
        assert text.startswith("code \N{MINUS SIGN}0.9")


def test_a_tap_on_the_plane_brings_the_point_there(page: Page) -> None:
    canvas = page.locator(".explorer-plane canvas").nth(1)
    box = canvas.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    settle(page)
    assert state(page)["code"] == pytest.approx([-EDGE / 2, EDGE / 2], abs=0.1)


@pytest.mark.parametrize("prior", PRIOR_MAPS)
def test_under_every_prior_the_point_follows_the_hand(page: Page, prior: str) -> None:
    change(page, code=[0.3, -0.4], prior=prior)
    before = handle(page, ON_VAE).bounding_box()
    drag(page, handle(page, ON_VAE), 12, -8)
    after = handle(page, ON_VAE).bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] - before["x"] == pytest.approx(12, abs=1.5)
    assert after["y"] - before["y"] == pytest.approx(-8, abs=1.5)


def test_the_slider_goes_through_five_models_to_the_collapse(page: Page) -> None:
    slider = page.get_by_role("slider", name="Weight of the KL term")
    slider.focus()
    nats = []
    for place in range(len(BETAS)):
        slider.press("Home") if place == 0 else slider.press("ArrowRight")
        settle(page)
        assert slider.get_attribute("aria-valuetext") == f"β = {BETAS[place]:g}"
        title = page.locator(".lp-side[data-side=VAE] .lp-title").inner_text()
        assert f"β = {BETAS[place]:g}" in title
        nats.append(float(title.split("KL ")[1].split()[0]))
    assert nats == sorted(nats, reverse=True)
    assert nats[0] > 5
    assert nats[-1] < 0.1
    change(page, code=[0, 0])
    ghost = drawn(page, 1)
    change(page, code=[1, -1])
    assert np.abs(drawn(page, 1) - ghost).max() < 20, "the code says almost nothing"


def test_the_distance_on_the_page_is_the_measured_one(page: Page, widget: LatentPlane) -> None:
    measured = widget.plane["autoencoder.distances"]
    size = len(measured)
    for row, column in ((3, 20), (size // 2, size // 2), (18, 7)):
        code = [2 * EDGE * at / (size - 1) - EDGE for at in (column, row)]
        change(page, code=code)
        said = page.locator(".lp-side[data-side=autoencoder] .lp-said").inner_text()
        far = float(measured[row, column])
        assert f"{far:.2f}"[:-1] in said
        assert ("no dog" in said) == (far > 0.04)


def test_a_draw_from_the_prior_is_normal(page: Page) -> None:
    page.evaluate("document.querySelector('button.explorer-button').id = 'draw'")
    codes = page.evaluate(
        f"""() => Array.from({{ length: 600 }}, () => {{
            document.querySelector("#draw").click();
            return [...{ROOT}.state.code];
        }})"""
    )
    found = torch.tensor(codes)
    assert found.mean(0).abs().max() < 0.17
    assert (found.std(0) - 1).abs().max() < 0.12


def test_what_is_seen_is_said(page: Page) -> None:
    handle(page, ON_VAE).press("ArrowLeft")
    page.wait_for_function("document.querySelector('.explorer-spoken').textContent !== ''")
    said = page.locator(".explorer-spoken").inner_text()
    for words in ("Autoencoder: ", "VAE with β = 1: ", "dog", "Prior: normal"):
        assert words in said
    labels = page.locator("canvas").evaluate_all("all => all.map((c) => c.ariaLabel)")
    assert all(labels)


def test_the_change_of_prior_is_shown_as_a_move_unless_motion_is_unwanted(
    browser: Browser, folder: Path, page: Page
) -> None:
    def style(of: Page) -> str:
        return handle(of, ON_VAE).get_attribute("style") or ""

    change(page, code=[1.5, -1.5])
    change(page, prior="laplace")
    still = style(page)
    settle(page)
    assert style(page) == still, "it is there at once"
    with played(browser, folder, NAME) as moving:
        change(moving, code=[1.5, -1.5])
        change(moving, prior="laplace")
        assert style(moving) != still
        moving.wait_for_function(
            "(style) => document.querySelectorAll('.explorer-handle')[1].style.cssText === style",
            arg=still,
        )


def test_a_redraw_fits_into_a_frame(page: Page) -> None:
    for place in range(len(BETAS)):
        change(page, place=place)  # worked out once
    assert_quick(page, [{"code": code, "place": at % 5} for at, code in enumerate(CODES.tolist())])


def test_a_missing_label_is_found(page: Page) -> None:
    page.evaluate("document.querySelector('.explorer-slider label').remove()")
    page.evaluate("document.querySelector('.explorer-handle').removeAttribute('aria-label')")
    found = " ".join(violations(page))
    assert "label: <input" in found
    assert "aria-input-field-name: <div" in found


def test_the_picture_has_as_many_pixels_as_the_decoder(page: Page) -> None:
    assert len(drawn(page, 0)) == SIDE * SIDE


def test_the_share_of_dogs_is_that_of_draws(page: Page, widget: LatentPlane) -> None:
    """Read between the measured codes by PyTorch, at twenty thousand draws."""
    draws = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(2)).clamp(-EDGE, EDGE)
    for name, side in (("autoencoder", "autoencoder"), ("beta 1", "VAE")):
        measured = widget.plane[f"{name}.distances"][None, None]
        places = (draws / EDGE).view(1, 1, -1, 2)
        read = grid_sample(measured, places, align_corners=True).flatten()
        expected = 100 * float((read <= DOG_THRESHOLD).float().mean())
        title = page.locator(f".lp-side[data-side={side}] .lp-title").inner_text()
        shown = float(re.search(r"(\d+) % of draws", title)[1])
        assert shown == pytest.approx(expected, abs=1.5)
