"""The first page: question, answer and picture on one screen, on a desk and on a phone."""

import pytest
from playwright.sync_api import Page

from tests.conftest import PHONE, Book
from tests.pages import DESKTOP, PAGES, visit
from vaebook.experiments import CLAIMS

pytestmark = pytest.mark.browser
# Behind the first: one for what can be played with, the others for the cards.
SCREENS_OF_CARDS = {DESKTOP["width"]: 1 + 2, PHONE["width"]: 1 + 5}
BOX = "e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }"

every_screen = pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])


@every_screen
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_question_answer_and_picture_stand_on_the_first_screen(
    book: Book, page: Page, screen: dict[str, int], scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(screen)  # type: ignore[arg-type]
    visit(page, book, PAGES[0])
    words, picture = page.locator(".door-words"), page.locator(".door-picture img:visible")
    assert "but why a normal distribution?" in words.inner_text()
    assert "It need not be normal." in words.inner_text()
    assert picture.count() == 1
    assert f"intro-{scheme}" in (picture.get_attribute("src") or "")
    for part in (page.locator("article h1"), words, picture):
        left, top, right, bottom = part.evaluate(BOX)
        assert 0 <= left < right <= screen["width"]
        assert 0 <= top < bottom <= screen["height"], f"{bottom:.0f} px of {screen['height']}"
    assert picture.evaluate("i => i.naturalWidth") > 1000  # drawn large, not a smudge blown up


@every_screen
def test_the_cards_follow_within_a_few_screens(
    book: Book, page: Page, screen: dict[str, int]
) -> None:
    page.set_viewport_size(screen)  # type: ignore[arg-type]
    visit(page, book, PAGES[0])
    cards = page.locator(".verdict")
    boxes = [cards.nth(place).evaluate(BOX) for place in range(cards.count())]
    assert len(boxes) == len(CLAIMS)
    last = max(bottom for _, _, _, bottom in boxes)
    assert last <= (1 + SCREENS_OF_CARDS[screen["width"]]) * screen["height"]
    columns = len({round(left) for left, _, _, _ in boxes})
    assert columns == 1 if screen == PHONE else columns > 1
    colours = {}
    for place in range(cards.count()):
        outcome = cards.nth(place).locator(".verdict-outcome")
        colours.setdefault(outcome.inner_text(), set()).add(
            outcome.evaluate("e => getComputedStyle(e).color")
        )
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours), "two outcomes of one colour"
