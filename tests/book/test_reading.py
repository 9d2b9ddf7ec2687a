"""Every page can be read: no raw markup, formulas that fit or show where they go on, and axe."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import PHONE, Book, watched
from tests.pages import DESKTOP, MADE, PAGES, elements, visit

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize(
    "width", [DESKTOP["width"], PHONE["width"]], ids=["desktop", "phone"]
)
MARKUP = re.compile(
    r"\$|\\[A-Za-z]+|\\[()\[\]]|\*\*|(?<![\w*])\*\w[^*\n]*\*(?![\w*])|\{[a-z:]+\}`|\{[a-z]+:?[a-z]*\}|``"
)
IMAGES = """() => [...document.querySelectorAll("article img")]
    .filter((image) => image.checkVisibility())
    .filter((i) => !i.naturalWidth || i.getBoundingClientRect().width > innerWidth)
    .map((image) => image.src)"""
CUT = """() => {
    const wrong = [];
    for (const svg of document.querySelectorAll("article mjx-container > svg")) {
        const place = svg.getBoundingClientRect();
        if (!place.width) continue;
        const tex = svg.parentElement.parentElement.id || svg.parentElement.textContent;
        for (let box = svg.parentElement; box !== document.body; box = box.parentElement) {
            const style = getComputedStyle(box);
            if (style.overflowX === "visible" || style.display === "inline") continue;
            const edge = box.getBoundingClientRect();
            if (place.right <= edge.right + 1 && place.left >= edge.left - 1) continue;
            if (!box.dataset.cut || box.tabIndex !== 0 || style.boxShadow === "none"
                || !box.getAttribute("aria-label")) wrong.push(`no cue: ${tex}`);
            break;
        }
    }
    for (const number of document.querySelectorAll("article .eqno")) {
        const place = number.getBoundingClientRect();
        if (place.width && (place.left < 0 || place.right > innerWidth))
            wrong.push(`the number ${number.textContent} is out of sight`);
    }
    return wrong;
}"""
WIDE = """() => [...document.querySelectorAll("article mjx-container")]
    .filter((box) => box.hasAttribute("display") || "long" in box.dataset)
    .filter((box) => box.clientWidth && box.scrollWidth > box.clientWidth + 1)
    .map((box) => `${box.parentElement.id} ${box.textContent}: `
                  + `${box.scrollWidth} of ${box.clientWidth}`)"""
PARTED = """() => {
    const wrong = [];
    for (const formula of document.querySelectorAll("article span.math")) {
        const box = formula.querySelector("mjx-container")?.getBoundingClientRect();
        if (!box || !box.width) continue;
        let block = formula.parentElement;
        while (getComputedStyle(block).display.startsWith("inline"))
            block = block.parentElement;
        const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT, (node) =>
            node.parentElement.closest("mjx-container") ? NodeFilter.FILTER_REJECT
                                                        : NodeFilter.FILTER_ACCEPT);
        let before = null, after = null;
        while (walker.nextNode()) {
            const node = walker.currentNode;
            if (!node.data) continue;
            const order = formula.compareDocumentPosition(node);
            if (order & Node.DOCUMENT_POSITION_PRECEDING) before = node;
            if (order & Node.DOCUMENT_POSITION_FOLLOWING) { after = node; break; }
        }
        const touches = (node, start) => {
            // another formula may stand between the text and this one
            const range = document.createRange();
            if (start) { range.setStartAfter(formula); range.setEnd(node, 0); }
            else { range.setStart(node, node.length); range.setEndBefore(formula); }
            return !range.cloneContents().querySelector("mjx-container");
        };
        const placeOf = (node, index) => {
            const range = document.createRange();
            range.setStart(node, index);
            range.setEnd(node, index + 1);
            return range.getClientRects()[0];
        };
        if (after && /^[^\\s\\w]/.test(after.data) && touches(after, true)) {
            const place = placeOf(after, 0);
            if (place && place.left < box.right - 2)
                wrong.push(`${formula.textContent} | ${after.data.slice(0, 30)}`);
        }
        if (before && /[(\\[“‘]$/.test(before.data) && touches(before, false)) {
            const place = placeOf(before, before.length - 1);
            if (place && place.right > box.left + 2)
                wrong.push(`${before.data.slice(-30)} | ${formula.textContent}`);
        }
    }
    return wrong;
}"""
# Folds and boxes open, then closed.
COVERED = """() => {
    const folds = [...document.querySelectorAll("article details")];
    const boxes = [...document.querySelectorAll("article .toggle")];
    const open = (now) => {
        folds.forEach((fold) => { fold.open = now; });
        boxes.forEach((box) => { box.classList.toggle("toggle-hidden", !now); });
    };
    const wrong = [];
    for (const now of [true, false]) {
        open(now);
        for (const button of document.querySelectorAll("button, [role=button], summary")) {
            if (!button.checkVisibility({ visibilityProperty: true })) continue;
            if (button.closest("nav, dialog, .explorer, #pst-back-to-top")) continue;
            button.scrollIntoView({ block: "center", behavior: "instant" });
            const [box] = button.getClientRects();
            const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            const hit = document.elementFromPoint(x, y);
            if (!button.contains(hit)) wrong.push(
                `${button.outerHTML.slice(0, 99)}: ${hit?.outerHTML.slice(0, 99)} lies on it`);
        }
    }
    open(true);
    scrollTo({ top: 0, behavior: "instant" });
    return wrong;
}"""
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sheet(browser: Browser) -> Iterator[Page]:
    """Where one page after the other is opened: what all of them load is compiled once."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@contextmanager
def unfolded(book: Book, sheet: Page, name: str) -> Iterator[Page]:
    """A page on a desktop, with everything unfolded and nothing that moves."""
    sheet.goto("about:blank")  # which is quick to lay out anew
    sheet.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    sheet.emulate_media(color_scheme="light")
    with watched(sheet) as page:
        visit(page, book, name)
        page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
        page.evaluate(
            """() => {
                document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
                document.querySelectorAll(".toggle-hidden").forEach((box) => {
                    box.classList.remove("toggle-hidden");
                });
            }"""
        )
        yield page


@pytest.fixture(scope="module", params=[*PAGES, *MADE])
def page_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def opened(book: Book, sheet: Page, page_name: str) -> Iterator[Page]:
    """A page, opened once for all tests of this file."""
    with unfolded(book, sheet, page_name) as page:
        yield page


@dataclass(frozen=True)
class Layout:
    """What a page looks like on a screen."""

    width: int  # of all there is
    images: list[str]  # that did not load or do not fit
    cut: list[str]  # formulas without a cue, numbers out of sight
    wide: list[str]  # formulas that do not fit
    parted: list[str]  # formulas and their punctuation
    covered: list[str]  # buttons that cannot be pressed, on a phone


@pytest.fixture(scope="module")
def layouts(opened: Page) -> dict[int, Layout]:
    """By the width of the screen: each change of it lays out the whole page anew."""
    found = {}
    for screen in (DESKTOP, PHONE):
        resize(opened, screen)
        found[screen["width"]] = Layout(
            width=opened.evaluate("document.documentElement.scrollWidth"),
            images=opened.evaluate(IMAGES),
            cut=opened.evaluate(CUT),
            wide=opened.evaluate(WIDE),
            parted=opened.evaluate(PARTED),
            covered=opened.evaluate(COVERED) if screen is PHONE else [],
        )
    return found


def resize(page: Page, screen: dict[str, int]) -> None:
    """Change the width and wait until the page has measured its boxes again.

    What book.js watches is told to it within a frame; what it marks may change the next one.
    """
    page.set_viewport_size(screen)  # type: ignore[arg-type]
    page.wait_for_function("width => innerWidth === width", arg=screen["width"])
    page.evaluate(
        """() => new Promise((done) => {
            const wait = (frames) =>
                requestAnimationFrame(() => (frames ? wait(frames - 1) : setTimeout(done)));
            wait(5);
        })"""
    )


def test_every_formula_is_set(book: Book, opened: Page, page_name: str) -> None:
    articles = elements(book.html / f"{page_name}.html").iter("article")
    expected = sum(len(article.find_class("math")) for article in articles)
    unset = opened.evaluate(
        """() => [...document.querySelectorAll('article .math')]
            .filter(m => !m.querySelector('mjx-container')).map(m => m.textContent)"""
    )
    assert unset == []
    assert opened.evaluate("document.querySelectorAll('article mjx-container').length") >= expected
    wrong = opened.evaluate(
        """() => [...document.querySelectorAll('[data-mml-node="merror"], mjx-merror')]
            .map(m => m.getAttribute('data-mjx-error') || m.textContent)"""
    )
    assert wrong == []
    assert "Math Processing Error" not in opened.inner_text("body")


def test_no_markup_shows(opened: Page) -> None:
    """Neither TeX nor Markdown stands in the text of a page, open or folded."""
    text = opened.evaluate(
        """() => {
            const body = document.body.cloneNode(true);
            body.querySelectorAll("pre, code, kbd, script, style, mjx-container, dt.sig")
                .forEach((part) => part.remove());
            return body.textContent;
        }"""
    )
    assert [text[max(0, m.start() - 40) : m.end() + 20] for m in MARKUP.finditer(text)] == []


@WIDTHS
def test_nothing_is_wider_than_the_screen(layouts: dict[int, Layout], width: int) -> None:
    assert layouts[width].width <= width
    assert layouts[width].images == [], "images that did not load or do not fit"


@WIDTHS
def test_a_formula_fits_or_shows_that_it_goes_on(layouts: dict[int, Layout], width: int) -> None:
    """What is cut off lies in a box that takes focus, has a name, and is shaded at its edge."""
    assert layouts[width].cut == []


def test_every_formula_fits_a_desktop(layouts: dict[int, Layout]) -> None:
    assert layouts[DESKTOP["width"]].wide == []


@WIDTHS
def test_punctuation_stays_with_its_formula(layouts: dict[int, Layout], width: int) -> None:
    """No line begins with what follows a formula, or ends with the bracket before it."""
    assert layouts[width].parted == []


def test_nothing_lies_on_a_button(layouts: dict[int, Layout]) -> None:
    """Among formulas that are set, folds and boxes open or closed."""
    assert layouts[PHONE["width"]].covered == []


# What repeats on a page is looked at once, for speed: axe takes a minute for what is said twice.
# Everything is read first and changed then: a style that is asked for after a change is made anew.
LEAVE_OUT_REPETITIONS = """() => {
    const told = (part, without = []) => part.tagName + [...part.attributes]
        .filter(({ name }) => !without.includes(name))
        .map(({ name, value }) => ` ${name}=${value}`).sort().join("");
    // spoken formulas without an element, or an attribute, that an earlier one lacks
    const met = new Set();
    const repeated = [...document.querySelectorAll("mjx-assistive-mml")].filter((spoken) => {
        const kinds = [...spoken.querySelectorAll("*")].map((part) => told(part));
        const known = kinds.every((kind) => met.has(kind));
        kinds.forEach((kind) => met.add(kind));
        return known;
    });
    // formulas of a sentence that do not scroll, of which nothing is left but one like an earlier
    const shells = new Set();
    const silent = new Set(repeated);
    const bare = [...document.querySelectorAll("mjx-container:not([display], [data-long])")];
    const empty = bare.filter((box) => {
        const kind = [box, ...box.children].map((part) =>
            told(part, ["style", "width", "height", "viewBox"])).join();
        const known = shells.has(kind);
        shells.add(kind);
        return known && silent.has(box.querySelector("mjx-assistive-mml"));
    });
    // pieces of code of one colour on one ground
    const seen = new Set();
    const pieces = [...document.querySelectorAll("pre span, dt.sig :is(span, em)")];
    const alike = pieces.filter((piece) => {
        const block = piece.closest("pre, dt");
        const box = block.closest(".cell_input, .output, .highlight") || block;
        const grounds = [block, block.parentElement, box].map((part) =>
            getComputedStyle(part).backgroundColor);
        const { color } = getComputedStyle(piece);
        const kind = [piece.className, piece.parentElement.className, color, ...grounds].join();
        const known = seen.has(kind);
        seen.add(kind);
        return known;
    });
    // and the paths that draw a formula, which no one hears
    document.querySelectorAll("mjx-container svg").forEach((svg) => svg.replaceChildren());
    repeated.forEach((spoken) => spoken.remove());
    document.createElement("div").append(...empty);  // book.js looks around them still
    alike.forEach((piece) => piece.replaceWith(...piece.childNodes));
}"""
# Contrast is judged of the first text of each kind: its own looks, and the grounds that it and all
# around it have, in this scheme, but for those that paint nothing.
CHOOSE_TEXTS = """() => {
    const NOTHING = "rgba(0, 0, 0, 0),none,1,none,normal,static";
    const grounds = new Map();
    const groundOf = (part) => {
        if (!grounds.has(part)) {
            const style = getComputedStyle(part);
            const own = [style.backgroundColor, style.backgroundImage, style.opacity,
                style.filter, style.mixBlendMode, style.position].join();
            const around = part.parentElement ? groundOf(part.parentElement) : "";
            grounds.set(part, own === NOTHING ? around : `${around}|${own}`);
        }
        return grounds.get(part);
    };
    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
    const hasText = (part) =>
        part.matches("input, select, textarea") || [...part.childNodes].some(isText);
    const kinds = new Set();
    for (const part of document.querySelectorAll("body, body *")) {
        delete part.dataset.judged;
        if (!hasText(part)) continue;
        const style = getComputedStyle(part);
        const kind = [part.checkVisibility(), part.matches(":disabled, [aria-disabled]"),
            style.color, style.fontSize, style.fontWeight, style.textShadow, groundOf(part)];
        const key = kind.join("|");
        if (!kinds.has(key)) part.dataset.judged = "";
        kinds.add(key);
    }
    axe.configure({ rules: [{ id: "color-contrast", selector: "[data-judged]" }] });
}"""


def violations(page: Page, **options: object) -> list[str]:
    """What axe finds on the whole page."""
    page.evaluate(CHOOSE_TEXTS)
    found = page.evaluate(
        """(options) => axe.run(document, options).then((result) => result.violations.flatMap(
            (rule) => rule.nodes.map((node) =>
                `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`)))""",
        {"resultTypes": ["violations"], "preload": False, **options},
    )
    return list(found)


def faults(page: Page) -> list[str]:
    """All of axe's default rules at both widths, those about colour once in each scheme."""
    resize(page, PHONE)  # where most formulas scroll
    page.evaluate(AXE + "; true")
    page.evaluate(LEAVE_OUT_REPETITIONS)
    colour = ["color-contrast", "link-in-text-block"]  # the slow ones; no width changes a colour
    without = {"rules": {rule: {"enabled": False} for rule in colour}}
    wrong = []
    for screen, scheme, options in (
        (PHONE, "light", without),
        (DESKTOP, "light", {}),
        (DESKTOP, "dark", {"runOnly": colour}),
    ):
        resize(page, screen)
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        found = violations(page, **options)
        wrong += [f"{screen['width']} {scheme} {text}" for text in found]
    return wrong


def test_a_page_is_accessible(opened: Page) -> None:
    assert faults(opened) == []


# Faults at the end of a page whose other texts, formulas and code are sound.
PLANTED = """() => {
    const article = document.querySelector("article");
    const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
    last("mjx-container > svg").removeAttribute("aria-hidden");  // a formula without a name
    last("mjx-assistive-mml mi").setAttribute("role", "letter");
    last("mjx-container:not([display], [role])").setAttribute("role", "picture");
    last("pre span.c1").style.color = "light-dark(#222, #333)";
    article.insertAdjacentHTML("beforeend", `<img src="data:,">
        <p>A sound text.</p>
        <p style="color: light-dark(#111, #444)">A text that is dark in the dark.</p>
        <p>A text with <a href="#" style="color: light-dark(#222, #ddd); text-decoration: none">a
        link</a> that is not seen.</p>`);
}"""
FOUND = [
    ("1280 dark color-contrast", "A text that is dark"),
    ("1280 dark color-contrast", '<span class="c1" style='),
    ("1280 dark link-in-text-block", "light-dark(#222, #ddd)"),
    ("1280 light aria-roles", '<mi role="letter"'),
    ("1280 light aria-roles", "<mjx-container"),
    ("1280 light image-alt", "<img"),
    ("1280 light link-in-text-block", "light-dark(#222, #ddd)"),
    ("1280 light svg-img-alt", "<svg"),
    ("390 light aria-roles", '<mi role="letter"'),
    ("390 light aria-roles", "<mjx-container"),
    ("390 light image-alt", "<img"),
    ("390 light svg-img-alt", "<svg"),
]


def test_faults_are_found_beside_all_that_repeats(book: Book, sheet: Page) -> None:
    with unfolded(book, sheet, "book/12-vae-versus-gan") as page:
        page.evaluate(PLANTED)
        found = sorted(faults(page))
    assert [text.partition(":")[0] for text in found] == [rule for rule, _ in FOUND], found
    for (rule, part), text in zip(FOUND, found, strict=True):
        assert part in text, rule


def test_the_pages_here_are_all_there_are(book: Book) -> None:
    built = {
        path.relative_to(book.html).with_suffix("").as_posix() for path in book.html.rglob("*.html")
    }
    built = {name for name in built if not name.startswith("_static/")}
    assert built - {"index"} == {*PAGES, *MADE}
