"""The calculator of chapter 07 in a browser: the numbers of the package, and what is typed."""

import itertools
import re
from typing import Any, get_args

import pytest
import torch
from playwright.sync_api import Page

from tests.conftest import PHONE
from tests.explorers import (
    ROOT,
    assert_quick,
    change,
    pages_of,
    pixels_of,
    settle,
    state,
)
from vaebook.distributions import CONVENTIONS, translate_loss
from vaebook.distributions.loss_conventions import Reconstruction
from vaebook.explorer.loss import load_pictures

pytestmark = pytest.mark.browser
KL, SHAPE = "Weight on the KL", "Picture, c × h × w"
folder, sheet, page = pages_of("loss")


def computed(page: Page, **values: Any) -> dict[str, Any]:
    return dict(page.evaluate(f"(values) => {ROOT}.loss(values)", values))


def results(page: Page) -> str:
    settle(page)
    return page.locator(".loss-results").inner_text().replace("\N{NO-BREAK SPACE}", " ")


def test_the_numbers_are_those_of_translate_loss(page: Page) -> None:
    reductions = ("sum", "mean")
    grid = itertools.product(
        get_args(Reconstruction), reductions, reductions, (0.5, 500.0), (0.00025, 1.0, 4.0),
        ((1, 28, 28), (3, 64, 64)), (2, 128),
    )  # fmt: skip
    for reconstruction, pixels, latents, weight, kl, shape, code in grid:
        expected = translate_loss(
            shape, code, reconstruction=reconstruction, over_pixels=pixels, over_latents=latents,
            reconstruction_weight=weight, kl_weight=kl,
        )  # fmt: skip
        found = computed(
            page, reconstruction=reconstruction, pixels=pixels, latents=latents,
            weight=str(weight), kl=str(kl), shape=" × ".join(map(str, shape)), code=str(code),
        )  # fmt: skip
        assert found["errors"] == {}
        assert found["sigma"] == pytest.approx(expected.sigma, rel=1e-9)
        assert found["beta"] == pytest.approx(expected.beta, rel=1e-9)
        assert (found["a"], found["b"]) == pytest.approx(
            (expected.pixel_weight, expected.kl_weight), rel=1e-9
        )


def test_the_losses_in_circulation_can_be_picked(page: Page) -> None:
    page.get_by_label(SHAPE).fill("1x28x28")
    page.get_by_label("Numbers in a code").fill("16")
    for how in CONVENTIONS:
        page.get_by_label("A loss in circulation").select_option(how.name)
        settle(page)
        expected = how.translate((1, 28, 28), 16, 128, 10_000)
        found = computed(page)
        assert found["sigma"] == pytest.approx(expected.sigma)
        assert found["beta"] == pytest.approx(expected.beta)
        assert state(page)["convention"] == how.name


def test_what_stands_there_first_is_the_example_of_the_chapter(page: Page) -> None:
    text = results(page)
    assert "Pixels with σ = 1.24" in text
    assert "σ = 1 with β = 1.54, or σ = 0.1 with β = 154" in text
    assert "a = 1 × 1/12,288 = 0.0000814" in text
    page.get_by_label(KL).fill("1")
    assert "Pixels with σ = 78.4" in results(page)
    assert "β = 6,144" in results(page)
    assert state(page)["convention"] == "my own"
    page.get_by_text("BCE", exact=True).click()
    assert "Cross-entropy with β = 12,290" in results(page)


@pytest.mark.parametrize(
    ("label", "typed", "words"),
    [
        (KL, "", "This is empty. Type a number above 0"),
        (KL, "lots", "“lots” is no number. Type a number above 0"),
        (KL, "0,00025", "has a comma. Write a point: 0.00025"),
        (KL, "-1", "“-1” is not above 0"),
        (KL, "0", "“0” is not above 0"),
        (KL, "1/0", "is not above 0, or no finite number"),
        (KL, "1/2/3", "more than one stroke"),
        ("Weight on the error", "1e999", "no finite number"),
        (SHAPE, "28 × 28", "has 2 of three numbers. Type channels × height × width"),
        (SHAPE, "64 64 3", "has the channels at the end. Write 3 × 64 × 64"),
        (SHAPE, "1 × 28.5 × 28", "“28.5” is no whole number above 0"),
        ("Numbers in a code", "0", "“0” is no whole number above 0. Type how many numbers"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(
    page: Page, label: str, typed: str, words: str
) -> None:
    field = page.get_by_label(label)
    field.fill(typed)
    assert "Something typed cannot be read" in results(page)
    assert field.get_attribute("aria-invalid") == "true"
    message = page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert words in message.inner_text()
    assert "NaN" not in page.locator(".explorer-live").inner_text()
    page.wait_for_function(
        "document.querySelector('.explorer-spoken').textContent.includes('cannot be read')"
    )
    page.get_by_label("A loss in circulation").select_option(CONVENTIONS[0].name)
    page.get_by_label(SHAPE).fill("1 × 28 × 28")
    page.get_by_label("Numbers in a code").fill("16")
    assert "Pixels with σ = 1\n" in results(page)
    assert field.get_attribute("aria-invalid") == "false"


@pytest.mark.parametrize(
    ("typed", "value"), [("128/10000", 0.0128), ("1/M", 1 / 12288), ("2.5e−4", 2.5e-4), (".5", 0.5)]
)
def test_fractions_and_letters_are_understood(page: Page, typed: str, value: float) -> None:
    found = computed(page, kl=typed)
    assert found["errors"] == {}
    assert found["b"] == pytest.approx(value)


def row(page: Page, place: int) -> torch.Tensor:
    """The brightness of a row of pictures, from 0 to 1."""
    levels = pixels_of(page.locator(".loss-row canvas").nth(place))[..., 0]
    return torch.tensor(levels).view(28, 4, 28).transpose(0, 1) / 255


@pytest.mark.parametrize(
    ("kl", "reconstruction", "expected"),
    [
        ("0.001", "squared error", "squared error 0.1"),
        ("1", "squared error", "squared error 0.7"),
        ("3000", "squared error", "squared error 5.6"),
        ("1.3", "cross-entropy", "cross-entropy 1"),
    ],
)
def test_the_pictures_are_those_of_the_nearest_model(
    page: Page, kl: str, reconstruction: str, expected: str
) -> None:
    change(page, kl=kl, reconstruction=reconstruction, pixels="sum", latents="sum")
    shipped = load_pictures()
    for place, pictures in enumerate(
        (shipped["data"], shipped[expected][:4], shipped[expected][4:])
    ):
        assert (row(page, place) - pictures).abs().max() < 1e-2
    assert f"= {expected.split()[-1]}:" in page.locator(".loss-name").inner_text()


def test_the_answers_of_the_chapter(page: Page) -> None:
    page.get_by_label("A loss in circulation").select_option("squared error, mean + KL, sum")
    page.get_by_label(SHAPE).fill("1 × 28 × 28")
    assert "Pixels with σ = 19.8" in results(page)
    alike = row(page, 1)
    assert alike.std(0).max() < 0.05
    page.get_by_label(KL).fill("1/M")
    assert "Pixels with σ = 0.707" in results(page)
    assert row(page, 1).std(0).max() > 0.2


def test_the_letters_of_the_working_are_explained(page: Page) -> None:
    text = results(page)
    assert "This loss is a × squared error + b × KL, both summed." in text
    assert re.search(r"a = .*, the weight of the error\nb = .*, the weight of the KL\n", text)
    page.get_by_text("BCE", exact=True).click()
    assert "This loss is a × cross-entropy + b × KL" in results(page)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kl": "1"}, "None was trained at so large a σ as 78.4. The nearest of"),
        ({"kl": "1e-9"}, "None was trained at so small a σ as 0.00248. The nearest of"),
        ({"kl": "0.004"}, "The nearest of"),
        ({"reconstruction": "cross-entropy", "kl": "1"}, "None was trained at so large a β as"),
        ({"reconstruction": "cross-entropy", "kl": "1/M"}, "The nearest of"),
    ],
)
def test_where_no_model_is_near_it_is_said(page: Page, values: dict[str, str], told: str) -> None:
    change(page, **values)
    assert page.locator(".loss-name").inner_text().startswith(told)


def test_a_mistake_is_told_once(page: Page) -> None:
    page.get_by_label(KL).fill("lots")
    settle(page)
    shown = page.locator(".explorer-live > :not(.explorer-spoken)").all_inner_texts()
    assert " ".join(shown).count("“lots” is no number") == 1
    assert "still the pictures of what could be read before" in results(page)


def test_on_a_phone_the_pictures_stay_in_sight_of_what_is_typed(page: Page) -> None:
    samples = page.locator(".loss-row canvas").last
    for label in ("A loss in circulation", KL, "Numbers in a code"):
        field = page.get_by_label(label)
        field.scroll_into_view_if_needed()
        field.focus()
        where = samples.bounding_box()
        assert where is not None
        assert where["y"] >= 0
        assert where["y"] + where["height"] <= PHONE["height"]
        box = field.bounding_box()
        assert box is not None
        middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        assert field.evaluate("(field, at) => document.elementFromPoint(...at) === field", middle)


def test_keys_are_enough(page: Page) -> None:
    page.get_by_label("A loss in circulation").focus()
    page.keyboard.press("ArrowDown")
    settle(page)
    before = state(page)["convention"]
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert before != "my own"
    assert state(page)["convention"] == "my own"


def test_a_finger_is_enough(page: Page) -> None:
    page.get_by_text("sum", exact=True).first.tap()
    settle(page)
    assert state(page)["pixels"] == "sum"
    assert "Pixels with σ = 0.0112" in results(page)


def test_a_redraw_fits_into_a_frame(page: Page) -> None:
    assert_quick(page, [{"kl": str(10**power)} for power in range(-4, 4)])
