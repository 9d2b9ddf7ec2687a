"""Every button of every page does what it says, at the width of a phone, a tablet and a desk."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import PHONE, Book, watched
from tests.pages import MADE, PAGES, visit

pytestmark = pytest.mark.browser

FEW = 1  # fold and box that a mouse opens on each page
KINDS = [PAGES[0], "book/05-reparameterisation", "book/glossary", "book/api/models", "genindex"]
WIDTHS = [390, 768, 900, 1280]
PATIENCE = 20_000  # milliseconds: a busy machine draws slowly
CASES = [(name, 390) for name in [*PAGES, *MADE]]
CASES += [(name, width) for name in KINDS for width in WIDTHS if (name, width) not in CASES]


@pytest.fixture(scope="module")
def sheet(browser: Browser) -> Iterator[Page]:
    """Where one page after the other is opened, none of its formulas set.

    To set them takes longer than to press all buttons. Whether one can be pressed among formulas
    that are set, test_reading.py asks.
    """
    context = browser.new_context()
    opened = context.new_page()
    opened.route("**/mathjax.js", lambda route: route.fulfill(body=""))
    yield opened
    context.close()


@pytest.fixture
def page(sheet: Page) -> Iterator[Page]:
    """A page on a phone as a reader first opens it, with nothing that an earlier one stored."""
    sheet.goto("about:blank")
    sheet.set_viewport_size(PHONE)  # type: ignore[arg-type]
    sheet.emulate_media(reduced_motion="no-preference")
    with watched(sheet):
        yield sheet
    if sheet.url.startswith("file:"):
        sheet.evaluate("localStorage.clear(), sessionStorage.clear()")


def tap(button: Locator) -> None:
    """Press a button as a reader does: it fails where something else lies on top."""
    button.click(timeout=PATIENCE)


def seen(page: Page, selector: str) -> list[Locator]:
    """What of a kind is visible."""
    visible = page.locator(selector).filter(visible=True)
    return [visible.nth(place) for place in range(visible.count())]


def check_contents(page: Page, button: Locator) -> None:
    """☰ shows the contents of the book, or hides them."""
    contents = page.locator("nav[aria-label=Main]")
    if page.viewport_size["width"] >= 992:  # type: ignore[index]
        expect(contents).to_be_visible()
        tap(button)
        expect(contents).not_to_be_in_viewport()
        tap(button)
        expect(contents).to_be_in_viewport()
        return
    expect(contents).not_to_be_in_viewport()
    tap(button)
    expect(contents).to_be_in_viewport()
    assert len(seen(page, "nav[aria-label=Main] a")) > 10
    page.mouse.click(page.viewport_size["width"] - 3, 400)  # type: ignore[index]
    expect(contents).not_to_be_in_viewport()


def check_outline(page: Page, button: Locator) -> None:
    """The outline button shows the headings of this page; one leads there, and gives way to it."""
    outline = page.locator("nav.page-toc")
    expect(outline).not_to_be_in_viewport()
    tap(button)
    expect(outline).to_be_in_viewport()
    link = outline.locator("a").first
    target = link.get_attribute("href")
    assert target
    link.click()
    expect(outline).not_to_be_in_viewport()
    assert page.url.endswith(target)
    assert page.locator(f"[id='{target[1:]}']").count() == 1


def check_search(page: Page, button: Locator) -> None:
    """Search leads to one field, which has the focus and takes what is typed."""
    own = page.locator("main input[type=search]:visible")  # of the pages that are for searching
    field = own if own.count() else page.locator("dialog input[type=search]")
    tap(button)
    expect(field).to_be_visible()
    expect(field).to_be_focused()
    assert len(seen(page, "input[type=search]")) == 1
    page.keyboard.type("nats")
    expect(field).to_have_value("nats")
    field.fill("")
    if not own.count():
        page.keyboard.press("Escape")
        expect(field).to_be_hidden()


def check_scheme(page: Page, button: Locator) -> None:
    """Three presses go through light, dark and as the browser asks."""
    modes = []
    for _ in range(3):
        tap(button)
        modes.append(page.get_attribute("html", "data-mode"))
    assert sorted(map(str, modes)) == ["auto", "dark", "light"]


def check_menu(page: Page, button: Locator) -> None:
    """A menu opens with its entries, and closes (once a pointer that rests on it is gone)."""
    entries = button.locator("xpath=following-sibling::ul")
    tap(button)
    expect(entries).to_be_visible()
    assert entries.locator("a, button").count() >= 1
    tap(button)
    page.mouse.move(0, 0)
    expect(entries).to_be_hidden()


def check_fold(page: Page, button: Locator) -> None:
    """A fold opens, and closes."""
    fold = button.locator("xpath=..")
    was = fold.get_attribute("open")
    for _ in range(2):
        now = fold.get_attribute("open")
        tap(button)
        assert (fold.get_attribute("open") is None) != (now is None)
    assert fold.get_attribute("open") == was


def check_dropdown(page: Page, button: Locator) -> None:
    """A box that is closed opens at a tap on its arrow, and closes at one on its title."""
    box = button.locator("xpath=ancestor::*[contains(concat(' ', @class, ' '), ' admonition ')][1]")
    content = box.locator(":scope > :not(.admonition-title)").first
    expect(content).to_be_hidden()
    tap(button)
    expect(content).to_be_visible()
    assert button.get_attribute("aria-expanded") == "true"
    box.locator(".admonition-title").first.click(position={"x": 8, "y": 8}, timeout=PATIENCE)
    expect(content).to_be_hidden()


# As a mouse does it, for all at once: what lies in the middle of a button gets the press. Of what
# opens and closes, ``isOpen`` says which it is, and ``second`` where the second press goes.
PRESS = """(buttons, { isOpen, second }) => {
    const press = (button, where) => {
        where.scrollIntoView({ block: "center", behavior: "instant" });
        const [box] = where.getClientRects();
        const [x, y] = where === button ? [box.width / 2, box.height / 2] : [8, 8];
        const hit = document.elementFromPoint(box.left + x, box.top + y);
        if (!where.contains(hit)) return `${hit?.outerHTML.slice(0, 99)} lies on it`;
        hit.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
        return "";
    };
    const opened = new Function("button", `return ${isOpen}`);
    const other = new Function("button", `return ${second}`);
    const wrong = [];
    for (const button of buttons) {
        if (!button.checkVisibility({ visibilityProperty: true })) continue;
        const was = opened(button);
        for (const [where, now] of [[button, !was], [other(button), was]]) {
            const fault = press(button, where) || (opened(button) === now ? "" : "nothing changes");
            if (fault) wrong.push(`${button.outerHTML.slice(0, 99)}: ${fault}`);
        }
    }
    return wrong;
}"""
FOLDS = {"isOpen": "button.parentElement.open", "second": "button"}
DROPDOWNS = {
    "isOpen": "button.closest('.admonition').querySelector(':scope > :not(.admonition-title)')"
    ".checkVisibility({ visibilityProperty: true })",
    "second": "button.closest('.admonition').querySelector('.admonition-title')",
}
AT_ONCE = {"summary:not(nav *)": FOLDS, "button.toggle-button": DROPDOWNS}


def check_all(page: Page, selector: str, check: Callable[[Page, Locator], None]) -> None:
    """With the mouse; of folds and boxes, of which a page has dozens, one so and all at once."""
    buttons = seen(page, selector)
    at_once = AT_ONCE.get(selector)
    for button in buttons[: FEW if at_once else None]:
        check(page, button)
    if at_once:
        assert page.locator(selector).evaluate_all(PRESS, at_once) == []


CHECKS = {
    ".primary-toggle": check_contents,
    ".secondary-toggle": check_outline,
    ".search-button__button": check_search,
    ".theme-switch-button": check_scheme,
    "button.dropdown-toggle": check_menu,
    "nav summary": check_fold,
    "summary:not(nav *)": check_fold,
    "button.toggle-button": check_dropdown,
}
# those of the explorers are pressed in test_explorer_….py
ELSEWHERE = ".copybtn, form button, #pst-back-to-top, .dropdown-menu *, .explorer *"


@pytest.mark.parametrize(("page_name", "width"), CASES)
def test_every_button_does_what_it_says(book: Book, page: Page, page_name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(reduced_motion="reduce")
    visit(page, book, page_name)
    known = ", ".join(CHECKS)
    unknown = [
        button.evaluate("button => button.outerHTML")
        for button in seen(page, f"button:not({known}, {ELSEWHERE}), [role=button]")
    ]
    assert unknown == [], "buttons that no test here presses"
    assert seen(page, ".primary-toggle")
    assert seen(page, ".search-button__button")
    for selector, check in CHECKS.items():
        check_all(page, selector, check)


def test_copying_a_listing_says_that_it_is_copied(book: Book, page: Page) -> None:
    visit(page, book, KINDS[1])
    listing = page.locator("div.highlight:has(> button.copybtn):visible").first
    listing.hover()
    tap(listing.locator("button.copybtn"))
    expect(listing.locator("button.copybtn")).to_have_class("copybtn o-tooltip--left success")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_contents_lead_to_a_chapter(book: Book, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    visit(page, book, PAGES[0])
    if width < 992:
        tap(page.locator(".primary-toggle"))
    tap(page.locator("nav[aria-label=Main] a[href*='01-']"))
    page.wait_for_url("**/01-*.html")


def test_a_fold_that_is_covered_or_does_nothing_is_found(page: Page) -> None:
    """Beside sound ones and one that is hidden."""
    folds = "".join(
        f"<details><summary id='{name}'>{name}</summary>Text</details>"
        for name in ("first", "covered", "sound", "dead")
    )
    page.set_content(f"<details hidden><summary>hidden</summary></details>{folds}")
    assert page.locator("summary").evaluate_all(PRESS, FOLDS) == []
    page.evaluate(
        """() => {
            covered.style.position = "relative";
            covered.parentElement.insertAdjacentHTML("afterend",
                "<div style='position: relative; height: 1em; margin-top: -1em'>On top.</div>");
            dead.addEventListener("click", (event) => event.preventDefault());
        }"""
    )
    found = page.locator("summary").evaluate_all(PRESS, FOLDS)
    lies_on_it = '<summary id="covered" style="position: relative;">covered</summary>: <div'
    expected = [lies_on_it, lies_on_it, '<summary id="dead">dead</summary>: nothing changes']
    assert len(found) == len(expected)
    for text, beginning in zip(found, expected, strict=True):
        assert text.startswith(beginning)
