"""The search page: what readers type leads to the chapter that answers, with a line of its text."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from bs4 import NavigableString, Tag
from playwright.sync_api import Browser, Locator, Page

from tests.conftest import PHONE, ROOT, Book, watched
from tests.pages import DESKTOP, PAGES, TOC, listed, parse, visit

MOST_BYTES = 1_500_000
REFERENCE = listed(TOC["parts"][-1]["chapters"])

# what a reader types, and the numbers of the chapters that answer
ANSWERS = {
    "ELBO": {3},
    "KL weight": {7, 8},
    "log variance": {4, 5},
    "logvar": {4, 5},
    "posterior collapse": {8},
    "beta": {7, 8},
    "BCE": {7},
    "reparameterization": {5},
    "blurry": {10},
    "GAN": {11, 12},
    "normal": {9},
    "why is the VAE prior normal": {9},
    "0.18215": {14},
    "anomaly detection": {13},
    "batch size": {7},
    "can a VAE overfit": {3},
    "central limit theorem": {9},
    "checkerboard": {10},
    "conditional VAE": {13},
    "discriminator loss is 0": {11},
    "disentanglement": {8},
    "evidence lower bound": {3},
    "exp(0.5 * logvar)": {4, 5},
    "fid": {12},
    "free bits": {8},
    "holes in latent space": {2},
    "how many latent dimensions": {1, 8},
    "importance sampling iwae": {3, 13},
    "interpolation slerp": {2},
    "intractable": {3},
    "Jensen-Shannon": {11},
    "kl annealing": {8},
    "KL divergence formula": {4},
    "KL vanishing": {8},
    "latent diffusion": {14},
    "learned sigma": {7},
    "log_var": {4, 5},
    "logvar exp": {4, 5},
    "loss is nan": {5},
    "missing data imputation": {13},
    "mode collapse": {11},
    "mse vs bce": {7},
    "negative KL": {4},
    "negative loss": {3, 7},
    "normalizing flow": {9, 14},
    "pca": {1},
    "perceptual loss": {7, 10},
    "REINFORCE": {5},
    "reparameterisation trick": {5},
    "sigma vs variance": {4, 5},
    "student t prior": {9},
    "torch.randn_like": {5},
    "uniform prior": {9},
    "vampprior": {9},
    "VAE or GAN": {11, 12},
    "vq-vae": {9, 10},
    "warm-up": {8},
    "wasserstein autoencoder": {2, 9},
    "why are VAE samples blurry": {10},
    "preregistration": set(),
    "how were the verdicts judged": set(),
    "own data": set(),
    "custom dataset": set(),
    "early stopping": set(),
    "export to onnx": set(),
    "multi-GPU": set(),
    "resume from a checkpoint": set(),
    "β": {7, 8},
    "σ²": {4, 5, 7},
    # a letter too few, or two swapped
    "posteror collapse": {8},
    "disciminator": {11, 12},
    "reparametreization": {5},
}
# a page of its own answers these
ANSWERED_BY_PAGE = {
    "preregistration": "book/how-the-trial-works",
    "how were the verdicts judged": "book/how-the-trial-works",
    "own data": "book/use-your-own-data",
    "custom dataset": "book/use-your-own-data",
    "early stopping": "book/use-your-own-data",
    "export to onnx": "book/use-your-own-data",
    "multi-GPU": "book/use-your-own-data",
    "resume from a checkpoint": "book/use-your-own-data",
    "why is the VAE prior normal": "book/why-is-the-vae-prior-normal",
    "normal": "book/why-is-the-vae-prior-normal",
}
# what the pages that answer do not say in these words
BY_SYNONYM = ["logvar"]
# two ways to write one thing: they lead to the same pages in the same order
SAME = [
    ("reparameterization", "reparameterisation"),
    ("normalizing flow", "normalising flow"),
    ("color", "colour"),
    ("gray pixels", "grey pixels"),
    ("amortized", "amortised"),
    ("KL-divergence", "kl divergence"),
    ("β", "beta"),
    ("Frechet", "Fréchet"),
    ("sampling", "samples"),
]


def formula_to_text() -> Callable[[str], str]:
    """The function ``plain`` of the book's extension."""
    path = ROOT / "book" / "_ext" / "plain_formulas.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.plain


plain = formula_to_text()


def knowledge(book: Book) -> dict:
    """What the search page loads."""
    text = (book.html / "_static" / "search-data.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.BOOK = ").rstrip(";\n"))


def readable(tag: Tag) -> str:
    """The text of a page, formulas within lines as plain text."""
    if "math" in tag.get("class", []) and tag.name == "span":
        return plain(tag.text.strip().removeprefix("\\(").removesuffix("\\)"))
    return "".join(
        readable(child) if isinstance(child, Tag) else child
        for child in tag.children
        if isinstance(child, Tag) or type(child) is NavigableString
    )


@cache
def text_of(path: Path) -> str:
    return " ".join(readable(parse(path).find("article")).split())


@cache
def ids_of(path: Path) -> set[str]:
    """The places on a page that a link can lead to."""
    return {tag["id"] for tag in parse(path).find_all(id=True)}


def search(page: Page, book: Book, query: str) -> list[Locator]:
    """Search from disk, and wait until the summary has been said."""
    page.goto((book.html / "search.html").as_uri() + f"?q={quote(query)}")
    page.locator(".search-summary:not(:empty)").wait_for(timeout=10_000)
    return page.locator("ol.search > li").all()


@dataclass(frozen=True)
class Hit:
    """A page that was found."""

    target: str
    context: str
    num_marks: int


@dataclass(frozen=True)
class Found:
    """What the search page shows for a query."""

    hits: tuple[Hit, ...]
    more: tuple[str, ...]  # where the links to further places lead
    width: int  # of the page


SHOWN = """() => ({
    hits: [...document.querySelectorAll("ol.search > li")].map((hit) => ({
        target: hit.querySelector(":scope > a").getAttribute("href"),
        context: hit.querySelector("p.context").innerText,
        num_marks: hit.querySelectorAll("mark").length,
    })),
    more: [...document.querySelectorAll("ul.search-more a")].map((a) => a.getAttribute("href")),
    width: document.documentElement.scrollWidth,
})"""


@pytest.fixture(scope="module")
def ask(book: Book, browser: Browser) -> Iterator[Callable[..., Found]]:
    """What is found on a screen; each query is asked once there, on a page that stays open."""
    pages: dict[int, Page] = {}

    @cache
    def answered(query: str, width: int) -> Found:
        page = pages[width]
        search(page, book, query)
        shown = page.evaluate(SHOWN)
        hits = tuple(Hit(**hit) for hit in shown["hits"])
        return Found(hits, tuple(shown["more"]), shown["width"])

    with ExitStack() as stack:
        for screen in (PHONE, DESKTOP):
            context = browser.new_context(viewport=screen)  # type: ignore[arg-type]
            stack.callback(context.close)
            pages[screen["width"]] = stack.enter_context(watched(context.new_page()))
        yield lambda query, screen=PHONE: answered(query, screen["width"])


def target(hit: Locator) -> str:
    return hit.locator("> a").get_attribute("href") or ""


def number(link: str) -> int:
    """The number of the chapter that a link leads to; 0 for another page."""
    found = re.match(r"book/(\d+)-", link)
    return int(found[1]) if found else 0


# ---------------------------------------------------------------- what is shipped


def test_the_search_knows_every_page_and_every_place_on_it_exists(book: Book) -> None:
    pages = knowledge(book)["pages"]
    assert {page["url"] for page in pages} == {f"{name}.html" for name in PAGES}
    assert {page["url"] for page in pages if page["reference"]} == {
        f"{name}.html" for name in REFERENCE
    }
    for page in pages:
        assert {passage[1] for passage in page["passages"]} <= ids_of(book.html / page["url"])


def test_the_data_is_small_and_only_the_search_page_loads_it(book: Book) -> None:
    size = (book.html / "_static" / "search-data.js").stat().st_size
    print(f"search-data.js: {size / 1e6:.2f} MB")
    assert 100_000 < size < MOST_BYTES
    pages = {path.stem: path.read_text(encoding="utf-8") for path in book.html.rglob("*.html")}
    assert [name for name, page in pages.items() if "search-data.js" in page] == ["search"]
    # Sphinx's own index, which the theme would have every page wait for
    assert [name for name, page in pages.items() if "searchindex.js" in page] == []


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\log\sigma^2", "log σ²"),
        (r"q_\phi(z \mid x)", "q_φ(z | x)"),
        (r"\mathcal N(0, I)", "N(0, I)"),
        (r"\beta < 1", "β < 1"),
        (r"\tfrac12 \lVert x\rVert^2", "1/2 ‖ x‖²"),
        (r"\mathrm{KL}(q \,\|\, p)", "KL(q ‖ p)"),
        (r"\hat x = g_{10}(e^{-s_j})", "x\u0302 = g₁₀(e^(-s_j))"),
        (r"\sqrt{d + 1} \unknown{x}", "…"),
    ],
)
def test_a_formula_becomes_a_line_of_text(tex: str, text: str) -> None:
    assert plain(tex) == text


def test_every_passage_has_a_title_and_nearly_no_formula_is_lost(book: Book) -> None:
    passages = [passage for page in knowledge(book)["pages"] for passage in page["passages"]]
    assert all(title for title, *_ in passages)
    lines = [line for *_, text in passages for line in text.split("\n")]
    assert sum("…" in line for line in lines) < len(lines) / 50
    assert not [line for line in lines if "\\(" in line or "\\mathbb" in line]


# ---------------------------------------------------------------- what is found


@pytest.mark.browser
@pytest.mark.parametrize("query", ANSWERS)
def test_the_chapter_that_answers_is_among_the_first_three_with_a_line_of_its_text(
    book: Book, ask: Callable[..., Found], query: str
) -> None:
    for screen in (PHONE, DESKTOP):
        found = ask(query, screen)
        first = [hit.target for hit in found.hits[:3]]
        assert {number(link) for link in first} & ANSWERS[query] or any(
            link.startswith(f"{ANSWERED_BY_PAGE.get(query)}.html") for link in first
        ), first
        assert found.width <= screen["width"]
    for hit in found.hits:
        path, _, anchor = hit.target.partition("#")
        file = book.html / path
        assert file.exists()
        assert not anchor or unquote(anchor) in ids_of(file), hit.target
        line = hit.context.removeprefix("… ").removesuffix(" …")
        assert len(line) > (10 if number(path) else 1)
        assert " ".join(line.split()) in text_of(file), hit.target
    for link in found.more:
        path, _, anchor = link.partition("#")
        assert not anchor or unquote(anchor) in ids_of(book.html / path)
    assert found.hits[0].num_marks


@pytest.mark.browser
@pytest.mark.parametrize(("one", "other"), SAME)
def test_spelling_does_not_matter(ask: Callable[..., Found], one: str, other: str) -> None:
    first = [hit.target for hit in ask(one).hits]
    assert first
    assert first == [hit.target for hit in ask(other).hits]


@pytest.mark.browser
def test_without_the_synonyms_the_same_words_do_not_lead_there(book: Book, page: Page) -> None:
    page.add_init_script(
        """Object.defineProperty(window, "BOOK", {
            set(book) { this.known = { ...book, synonyms: [] }; },
            get() { return this.known; },
        });"""
    )
    for query in BY_SYNONYM:
        first = {number(target(hit)) for hit in search(page, book, query)[:3]}
        assert not first & ANSWERS[query], f"{query} is found without a synonym"


@pytest.mark.browser
def test_pages_of_reference_stand_behind_the_chapters(ask: Callable[..., Found]) -> None:
    for query in ANSWERS:
        if ANSWERED_BY_PAGE.get(query) in REFERENCE:
            continue
        first = [hit.target.partition(".html")[0] for hit in ask(query).hits]
        chapters = [name for name in first if name not in REFERENCE]
        assert first[0] == chapters[0], query
        assert set(chapters[:2]) <= set(first[:3]), query


# ---------------------------------------------------------------- the page


@pytest.mark.browser
def test_the_summary_is_announced_and_says_how_much_was_found(book: Book, page: Page) -> None:
    search(page, book, "nats")
    summary = page.get_by_role("status")
    assert summary.get_attribute("aria-live") == "polite"
    assert re.fullmatch(r"\d+ pages for “nats”, the best first\.", summary.inner_text())
    assert page.title().startswith("nats")
    assert page.locator(".bd-search-container input").input_value() == "nats"


@pytest.mark.browser
def test_nothing_typed_gives_examples_that_work(book: Book, page: Page) -> None:
    visit(page, book, "search")
    page.get_by_text("Type a word").wait_for()
    assert page.evaluate("document.activeElement.name") == "q"
    page.locator(".search-help a").first.click()
    page.locator("ol.search > li").first.wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("query", ["xqzzy", "the", "<i>xqzzy</i>", "???"])
def test_nothing_found_says_where_to_look_instead(book: Book, page: Page, query: str) -> None:
    assert search(page, book, query) == []
    assert f"Nothing found for “{query}”" in page.get_by_role("status").inner_text()
    for link in page.locator(".search-help a").all():
        assert (book.html / (link.get_attribute("href") or "")).exists()


@pytest.mark.browser
def test_a_typing_error_is_forgiven_and_said(book: Book, page: Page) -> None:
    search(page, book, "posteror collapse")
    assert "words like it were taken" in page.get_by_role("status").inner_text()


@pytest.mark.browser
def test_the_keyboard_leads_from_the_menu_to_the_place(book: Book, page: Page) -> None:
    page.set_viewport_size(DESKTOP)
    visit(page, book, "book/intro")
    page.keyboard.press("Control+k")
    page.keyboard.type("posterior collapse")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator(".search-summary:not(:empty)").wait_for()
    page.keyboard.press("Tab")
    first = page.locator("ol.search > li > a").first
    assert first.evaluate("link => link === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_url("**/08-what-the-kl-does.html#*")
    place = page.url.partition("#")[2]
    assert page.locator(f"[id='{place}']").evaluate(
        "place => Math.abs(place.getBoundingClientRect().top) < innerHeight"
    )
