"""The sliders of chapter 6 in a browser: PyTorch's pictures, and hands on them."""

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from tests.explorers import (
    ROOT,
    assert_quick,
    change,
    handle,
    pages_of,
    pixels_of,
    settle,
    state,
)
from vaebook.explorer import LatentSliders
from vaebook.explorer.latent_sliders import LATENT_DIM

pytestmark = pytest.mark.browser
MOST_WRONG = 1e-2  # per pixel
NAME = "latent-sliders"
CODES = torch.randn(20, LATENT_DIM, generator=torch.Generator().manual_seed(15))
folder, sheet, page = pages_of(NAME)


@pytest.fixture(scope="module")
def widget() -> LatentSliders:
    return LatentSliders()


def drawn(page: Page, number: int = 0) -> np.ndarray:
    """The pixels of a picture, as they stand on the canvas."""
    return pixels_of(page.locator("canvas.explorer-image").nth(number))[..., 0].flatten() / 255


def numbers(code: torch.Tensor) -> dict[str, float]:
    return {f"z{at}": value for at, value in enumerate(code.tolist())}


def shown_code(page: Page) -> torch.Tensor:
    return torch.tensor([state(page)[f"z{at}"] for at in range(LATENT_DIM)])


def worst_pixel(page: Page, widget: LatentSliders) -> float:
    worst = 0.0
    for code in CODES:
        change(page, **numbers(code))
        worst = max(worst, float(np.abs(drawn(page) - widget.decode(code[None])[0].numpy()).max()))
    return worst


def test_the_canvas_shows_what_pytorch_decodes(page: Page, widget: LatentSliders) -> None:
    assert worst_pixel(page, widget) < MOST_WRONG


def test_perturbed_weights_are_noticed(page: Page, widget: LatentSliders) -> None:
    wrong = LatentSliders()
    wrong.trained["decoder.1.weight"] = wrong.trained["decoder.1.weight"] * 1.1
    assert worst_pixel(page, wrong) > MOST_WRONG


def test_active_latents_have_sliders_and_the_others_share_one(
    page: Page, widget: LatentSliders
) -> None:
    rates = widget.trained["rates"]
    active = widget.active()
    assert 4 <= len(active) <= 12
    for latent in range(LATENT_DIM):
        slider = page.get_by_role("slider", name=f"z{latent + 1}, ")
        assert slider.count() == (latent in active)
        if latent in active:
            before = drawn(page)
            label = page.locator(f"label[for={slider.get_attribute('id')}]").inner_text()
            assert f"{float(rates[latent]):.2f} nats" in label
            slider.fill("2")
            settle(page)
            assert state(page)[f"z{latent}"] == 2
            assert np.abs(drawn(page) - before).max() > 0.1
    before = drawn(page)
    handle(page, "The 9 inactive latents together, 0.001 nats each at most").fill("3")
    settle(page)
    assert all(state(page)[f"z{at}"] == 3 for at in range(LATENT_DIM) if at not in active)
    assert np.abs(drawn(page) - before).max() < 0.1, "nobody would see it"


def test_from_one_dog_to_another_the_code_goes_straight(page: Page, widget: LatentSliders) -> None:
    codes = widget.trained["codes"]
    way = page.get_by_role("slider", name="From one dog to the other")
    told = page.locator(".ls-way output")
    assert told.inner_text() == "–", "the code 0 is neither dog, nor between them"
    for share in (0.0, 0.5, 1.0):
        way.fill("0.3")  # a slider that stays tells nothing
        way.fill(str(share))
        settle(page)
        expected = (1 - share) * codes[0] + share * codes[1]
        torch.testing.assert_close(shown_code(page), expected, atol=1e-3, rtol=0)
    assert (drawn(page) == drawn(page, 2)).all()
    way.press("ArrowLeft")
    settle(page)
    assert state(page)["share"] == pytest.approx(0.99)
    page.get_by_role("button", name="Two other dogs").tap()
    settle(page)
    found = state(page)
    assert found["from"] != found["to"]
    torch.testing.assert_close(shown_code(page), codes[found["from"]], atol=1e-3, rtol=0)
    assert (drawn(page) == drawn(page, 1)).all()
    assert told.inner_text() == "0 %"
    page.get_by_role("button", name="Random sample").tap()
    settle(page)
    assert told.inner_text() == "–"


def test_a_random_sample_is_normal_and_can_be_taken_back(page: Page) -> None:
    button = page.get_by_role("button", name="Random sample")
    button.tap()
    settle(page)
    assert shown_code(page).abs().min() > 0
    samples = page.evaluate(
        f"""() => Array.from({{ length: 100 }}, () => {{
            for (const button of document.querySelectorAll("button"))
                if (button.textContent === "Random sample") button.click();
            return Array.from({{ length: {LATENT_DIM} }}, (_, at) => {ROOT}.state[`z${{at}}`]);
        }})"""
    )
    found = torch.tensor(samples)
    assert abs(float(found.mean())) < 0.1
    assert abs(float(found.std()) - 1) < 0.1
    page.get_by_role("button", name="All at 0").press("Enter")
    settle(page)
    assert not shown_code(page).any()


def test_what_is_seen_is_said(page: Page) -> None:
    page.get_by_role("slider", name="z13, ").press("ArrowRight")
    change(page)
    page.wait_for_function("document.querySelector('.explorer-spoken').textContent !== ''")
    assert "z13 0." in page.locator(".explorer-spoken").inner_text()


def test_why_the_dog_in_the_middle_is_blurred_is_said(page: Page) -> None:
    assert "With all numbers at 0 it is blurred" in page.locator(".explorer-note").inner_text()


def test_a_redraw_fits_into_a_frame(page: Page) -> None:
    assert_quick(page, [numbers(code) for code in CODES])
