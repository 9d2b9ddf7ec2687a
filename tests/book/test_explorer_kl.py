"""The two Gaussians of chapter 04 in a browser: the numbers of torch, and hands on them."""

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal, kl_divergence

from tests.explorers import (
    ROOT,
    assert_quick,
    change,
    colours_of,
    drag,
    handle,
    pages_of,
    pixels_of,
    played,
    settle,
    state,
    swipe,
)
from tests.pages import DESKTOP

pytestmark = pytest.mark.browser
NATS, SLOPE = 1e-6, 1e-5
folder, sheet, page = pages_of("kl")


def computed(page: Page, **values: Any) -> dict[str, Any]:
    return dict(page.evaluate(f"(values) => {ROOT}.kl(values)", values))


def draws(number: int, low: list[float], high: list[float]) -> list[list[float]]:
    generator = torch.Generator().manual_seed(15)
    share = torch.rand(number, len(low), generator=generator, dtype=torch.float64)
    ends = torch.tensor([low, high], dtype=torch.float64)
    return (ends[0] + share * (ends[1] - ends[0])).tolist()


def in_plane(values: Tensor) -> MultivariateNormal:
    """x, y, a, b, turn."""
    cosine, sine = values[4].cos(), values[4].sin()
    turned = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
    covariance = turned @ values[2:4].square().diag() @ turned.T
    return MultivariateNormal(values[:2], covariance)


def nats(q: Distribution, p: Distribution, direction: str) -> Tensor:
    return kl_divergence(q, p) if direction == "qp" else kl_divergence(p, q)


@pytest.mark.parametrize("direction", ["qp", "pq"])
def test_on_a_line_it_is_the_kl_of_torch_with_its_gradient(page: Page, direction: str) -> None:
    for values in draws(25, [-4, 0.2, -4, 0.2], [4, 3, 4, 3]):
        mu, sigma, m, tau = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        names = dict(zip(("mu", "sigma", "m", "tau"), values, strict=True))
        found = computed(page, dims="1", direction=direction, **names)
        expected = nats(Normal(mu, sigma), Normal(m, tau), direction)
        slopes = torch.autograd.grad(expected, (mu, sigma))
        assert found["nats"] == pytest.approx(expected.item(), abs=NATS)
        for name, slope in zip(("mu", "sigma"), slopes, strict=True):
            assert found["gradient"][name] == pytest.approx(float(slope), abs=SLOPE, rel=SLOPE)
        trace, distance, dims, log_det = found["pieces"]
        assert found["nats"] == pytest.approx((trace + distance - dims - log_det) / 2)
        paid, refunded = found["areas"]["paid"], found["areas"]["refunded"]
        assert paid - refunded == pytest.approx(expected.item(), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("direction", ["qp", "pq"])
def test_in_a_plane_it_is_the_kl_of_torch_with_its_gradient(page: Page, direction: str) -> None:
    low, high = [-4.0, -3, 0.2, 0.2, -3], [4.0, 3, 2.4, 2.4, 3]
    names = ("x", "y", "a", "b", "turn")
    for values in draws(25, low * 2, high * 2):
        q, p = torch.tensor(values, dtype=torch.float64).chunk(2)
        q.requires_grad_()
        given = {
            "q": dict(zip(names, values[:5], strict=True)),
            "p": dict(zip(names, values[5:], strict=True)),
        }
        found = computed(page, dims="2", direction=direction, **given)
        expected = nats(in_plane(q), in_plane(p), direction)
        (slopes,) = torch.autograd.grad(expected, q)
        assert found["nats"] == pytest.approx(expected.item(), abs=NATS, rel=1e-9)
        for name, slope in zip(names, slopes.tolist(), strict=True):
            assert found["gradient"][name] == pytest.approx(slope, abs=SLOPE, rel=SLOPE)


def test_the_numbers_on_the_page_are_those_of_the_chapter(page: Page) -> None:
    text = page.locator(".explorer-live").inner_text()
    assert "KL(q ‖ p) = 0.818 nats" in text
    assert [piece.inner_text() for piece in page.locator(".kl-value").all()] == [
        *("0.250", "1.000", "1", "\N{MINUS SIGN}1.386"),
    ]
    assert "0.91 nats paid − 0.09 refunded" in text
    page.get_by_text("KL(p ‖ q)", exact=True).click()
    settle(page)
    assert "KL(p ‖ q) = 2.807 nats" in page.locator(".kl-total").inner_text()
    assert "τ² / σ²" in page.locator(".kl-formula").inner_text()


def test_the_answers_of_the_chapter(page: Page) -> None:
    """Where the slope by σ vanishes: at τ in one direction, wider in the other."""
    assert computed(page, direction="qp", sigma=1.0)["gradient"]["sigma"] == pytest.approx(0)
    widened = computed(page, direction="pq", mu=1.0, sigma=math.sqrt(2))["gradient"]["sigma"]
    assert widened == pytest.approx(0)


def test_mouse_finger_and_keys_move_a_gaussian(page: Page) -> None:
    mean, spread = handle(page, "μ, the mean of q").first, "σ, the standard deviation of q"
    pixels = page.locator(".explorer-plane canvas").first.bounding_box()
    assert pixels is not None
    unit = pixels["width"] / 10
    drag(page, mean, -unit, 0)
    assert state(page)["mu"] == pytest.approx(0, abs=0.05)
    assert state(page)["sigma"] == 0.5
    swipe(page, handle(page, spread).first, unit / 2, 0)
    assert state(page)["sigma"] == pytest.approx(1, abs=0.05)
    swipe(page, handle(page, "τ, the standard deviation of p").first, -unit, 0)
    assert state(page)["tau"] == pytest.approx(2, abs=0.1)
    before = state(page)["mu"]
    mean.press("ArrowRight")
    mean.press("Shift+ArrowRight")
    settle(page)
    assert state(page)["mu"] == pytest.approx(before + 0.55)
    assert mean.get_attribute("aria-valuetext") == f"{before + 0.55:.2f}"
    slider = page.locator("input[type=range]").nth(1)
    slider.fill("2.5")
    settle(page)
    assert state(page)["sigma"] == 2.5


def test_mouse_finger_and_keys_move_an_ellipse(page: Page) -> None:
    page.get_by_text("a plane", exact=True).click()
    settle(page)
    box = page.locator(".kl-plane canvas").bounding_box()
    assert box is not None
    unit = box["width"] / 10
    drag(page, handle(page, "the mean of q"), unit, -unit)
    assert state(page)["q"]["x"] == pytest.approx(2, abs=0.05)
    assert state(page)["q"]["y"] == pytest.approx(1.5, abs=0.05)
    swipe(page, handle(page, "the second axis of p, its length"), 0, unit)
    assert state(page)["p"]["b"] == pytest.approx(1.5, abs=0.05)
    axis = handle(page, "the first axis of q, its length and its turn")
    turn = state(page)["q"]["turn"]
    for _ in range(3):
        axis.press("ArrowUp")
    settle(page)
    assert state(page)["q"]["turn"] > turn
    assert "degrees" in (axis.get_attribute("aria-valuetext") or "")


def test_no_gaussian_leaves_what_is_drawn(page: Page) -> None:
    for key in ("Shift+ArrowRight",) * 20:
        handle(page, "μ, the mean of q").first.press(key)
    drag(page, handle(page, "σ, the standard deviation of q").first, -300, 0)
    assert state(page)["mu"] == 4
    assert state(page)["sigma"] == 0.2


def test_the_areas_are_drawn_where_the_price_is_paid_and_refunded(page: Page) -> None:
    dip, hill = (0.505, 0.87), (0.61, 0.5)  # z of 0, just below the line; of 1.1, above it
    orange, blue = colours_of(page, 1, [dip, hill])
    assert orange[0] > orange[2] + 40
    assert blue[2] > blue[0] + 40
    page.get_by_role("button", name="Make q equal p").click()
    settle(page)
    assert "= 0.000 nats" in page.locator(".kl-total").inner_text()
    found = colours_of(page, 1, [(x / 20, y / 20) for x in range(1, 20) for y in range(8, 20)])
    assert all(max(colour[:3]) - min(colour[:3]) < 25 or not colour[3] for colour in found)
    page.get_by_role("button", name="Start again").click()
    settle(page)
    assert state(page)["sigma"] == 0.5


def test_what_is_seen_is_said(page: Page) -> None:
    handle(page, "μ, the mean of q").first.press("ArrowLeft")
    spoken = page.locator(".explorer-spoken")
    page.wait_for_function("document.querySelector('.explorer-spoken').textContent !== ''")
    assert "KL from q to p: 0.77 nats" in spoken.inner_text()
    label = page.locator(".explorer-plane canvas").first.get_attribute("aria-label") or ""
    assert "q with mean 0.95 and standard deviation 0.50" in label


def test_on_a_phone_the_bells_stay_in_sight_and_cover_no_slider(page: Page) -> None:
    for slider in page.locator(".kl-sliders input").all():
        slider.focus()
        slider.evaluate("(slider) => slider.scrollIntoView({ block: 'center' })")
        bells = page.locator(".explorer-plane canvas").first.bounding_box()
        box = slider.bounding_box()
        assert bells is not None
        assert box is not None
        assert bells["y"] >= 0
        middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        assert slider.evaluate(
            "(slider, at) => document.elementFromPoint(...at) === slider", middle
        )
    assert page.locator(".kl-total").bounding_box() is not None
    assert page.evaluate("scrollY") > 100, "or nothing was scrolled"


def test_on_a_screen_that_is_wide_or_low_nothing_sticks(browser: Browser, folder: Path) -> None:
    for wide, size in ((True, DESKTOP), (False, {"width": 844, "height": 390})):
        with played(browser, folder, "kl", wide=wide, viewport=size) as page:
            stage = page.locator(".explorer-stage")
            assert stage.evaluate("(stage) => getComputedStyle(stage).position") == "static"


def orange(page: Page) -> np.ndarray:
    """Where the upper plane is of the arrows' colour, ``[height, width]``."""
    red, green, blue, opacity = np.moveaxis(pixels_of(page.locator("canvas").first), -1, 0)
    return (red > 180) & (green < 130) & (blue < 90) & (opacity > 200)


@pytest.mark.parametrize(("mu", "sigma"), [(4.0, 0.3), (3.0, 0.5), (4.0, 0.9), (-4.0, 0.2)])
def test_no_arrow_is_cut_at_the_edge(page: Page, mu: float, sigma: float) -> None:
    """Two heads are there, each 12 pixels high with its soft edges; a cut one is a bare shaft."""
    change(page, mu=mu, sigma=sigma)
    found = orange(page)
    assert found.any(1).sum() >= 2 * 9
    assert not found[:, [0, 1, 2, -3, -2, -1]].any()


def test_a_bell_that_reaches_the_edge_is_filled_down_to_the_line(page: Page) -> None:
    change(page, mu=4.0, sigma=3.0, m=-4.0, tau=3.0)
    pixels = pixels_of(page.locator("canvas").first)
    width = pixels.shape[1]
    for share in (0.05, 0.5, 0.95):
        assert pixels[-30, int(share * width), 3] > 0, "a straight line from end to end is no floor"


def test_the_letters_stand_apart_where_q_equals_p(page: Page) -> None:
    equal = {"x": 0.0, "y": 0.0, "a": 1.0, "b": 1.0, "turn": math.pi}
    change(page, dims="2", q=equal, p=equal)
    pixels = pixels_of(page.locator(".kl-plane canvas"))
    height, width = pixels.shape[:2]
    for left, right in ((0.20, 0.26), (0.70, 0.76)):  # beyond both ends of the ellipse
        found = pixels[
            int(0.45 * height) : int(0.56 * height), int(left * width) : int(right * width), 3
        ]
        assert (found > 128).sum() > 30


def test_the_height_of_the_integrand_can_be_read(page: Page) -> None:
    label = page.locator(".explorer-plane canvas").nth(1)
    for sigma, told in ((0.5, "0.5 nats"), (0.2, "2 nats"), (1.0, "0.2 nats")):
        change(page, sigma=sigma)
        assert f"a dashed line at {told} per unit of z" in (label.get_attribute("aria-label") or "")


def test_in_a_plane_slopes_are_told_in_plain_words(page: Page) -> None:
    change(page, dims="2")
    found = computed(page, dims="2")["gradient"]
    minus = "\N{MINUS SIGN}"
    told = page.locator(".kl-slopes").inner_text()
    for name, words in (("a", "along the axis whose handle turns it"), ("b", "along the other")):
        value = f"{found[name]:.2f}".replace("-", minus)
        assert re.search(rf"{value}( nats)? {words}", told)


def test_a_redraw_fits_into_a_frame(page: Page) -> None:
    settings = itertools.product("12", ("qp", "pq"), (-2, 0, 1), (0.3, 1.0, 2.0))
    assert_quick(
        page, [{"dims": d, "direction": w, "mu": mu, "sigma": s} for d, w, mu, s in settings]
    )


def test_a_change_of_the_scheme_is_followed(page: Page) -> None:
    change(page, dims="2")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.querySelector('.explorer').dataset.scheme === 'dark'")
