"""The book on paper: complete, links, numbers and glyphs right; what is wrong is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

import pikepdf
import pypdfium2
import pytest

from tests.conftest import ROOT, Book
from tests.pages import CHAPTERS, PAGES, parse
from tools.pdf import (
    Document,
    FaultyPdfError,
    head,
    join,
    make_pdf,
    mathjax,
    print_document,
)
from tools.pdf.leaf import id_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FONTS = re.compile(r"STIXGeneral|DejaVuSans|MathJax_|MJX")  # of matplotlib and MathJax, no others
SOURCE = re.compile(r"\\\(|\\\[|\\[a-z]{2,}\{|\\(?:mathcal|frac|log|sigma|mu)\b|\$\$")
NUMBERS_OF_PAGES = range(350, 600)


@dataclass
class Printed:
    """The PDF of the book."""

    path: Path
    num_pages: int

    @cached_property
    def texts(self) -> list[str]:
        """The text of each page, its spaces made one."""
        with pypdfium2.PdfDocument(self.path) as pdf:
            return [plain(page.get_textpage().get_text_range()) for page in pdf]

    @cached_property
    def outline(self) -> list[tuple[int, str, int]]:
        """Level, title and page, counted from 1, of each entry of the outline."""
        with pypdfium2.PdfDocument(self.path) as pdf:
            return [
                (mark.level, plain(mark.get_title()), mark.get_dest().get_index() + 1)
                for mark in pdf.get_toc(max_depth=9)
            ]


def plain(text: str) -> str:
    """Text without spaces and hyphens, which lines end with."""
    return re.sub(r"[\s\N{SOFT HYPHEN}\ufffe\x02]+", "", text)


@pytest.fixture(scope="module")
def printed(book: Book, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    return Printed(path, make_pdf(book.html, path, chromium))


@pytest.fixture(scope="module")
def pdf(printed: Printed) -> Iterator[pikepdf.Pdf]:
    with pikepdf.open(printed.path) as opened:
        yield opened


def words_of(book: Book, page: str) -> str:
    """The title of a built page."""
    title = parse(book.html / f"{page}.html").find("article").find("h1")
    return plain(
        "".join(text for text in title.strings if not text.find_parent(class_="headerlink"))
    )


# ---------------------------------------------------------------- the book


def test_every_page_of_the_book_is_there_and_in_the_outline(book: Book, printed: Printed) -> None:
    assert printed.num_pages in NUMBERS_OF_PAGES
    assert printed.path.stat().st_size < 40e6
    marks = {title: page for _, title, page in printed.outline}
    pages = [marks[words_of(book, name)] for name in (*PAGES, "genindex")]
    assert pages == sorted(pages)
    assert len(set(pages)) == len(pages), "each begins on a page of its own"
    for name, page in zip(PAGES, pages, strict=False):
        assert words_of(book, name) in printed.texts[page - 1]
    assert not [number for number, text in enumerate(printed.texts, 1) if len(text) < 60], "empty"


def test_the_contents_give_the_pages_on_which_things_are(printed: Printed) -> None:
    tops = [page for level, _, page in printed.outline if level == 0]
    listed = "".join(printed.texts[tops[0] - 1 : tops[1] - 1])  # "Contents" comes first
    entries = [entry for entry in printed.outline if entry[0] < 2][1:]
    assert len(entries) > 150
    missing = [
        (title, page)
        for _, title, page in entries
        if f"{title}{page}" not in listed  # a formula is no line of text
        and not re.search(rf"{re.escape(title[:7])}.{{0,60}}?\D{page}(?=\d+\.|\D)", listed)
    ]
    assert missing == []


def test_every_link_leads_to_a_page_or_to_the_world(pdf: pikepdf.Pdf) -> None:
    pages = {page.obj.objgen for page in pdf.pages}
    inside = 0
    for page in pdf.pages:
        for note in page.obj.get("/Annots", []):
            if note.Subtype != "/Link":
                continue
            address = note.get("/A", {}).get("/URI")
            if address is not None:
                assert re.match(r"https?://|mailto:", str(address)), f"leads nowhere: {address}"
                continue
            place = note.get("/Dest") or note.A.D
            if isinstance(place, (pikepdf.Name, pikepdf.String)):
                place = pdf.Root.Dests[str(place)]
            assert place[0].objgen in pages
            inside += 1
    assert inside > 2000


def test_no_font_is_foreign(pdf: pikepdf.Pdf, printed: Printed) -> None:
    """Nor is a glyph missing: make_pdf would have refused it."""
    fonts = {
        str(font.get("/BaseFont", font.get("/FontDescriptor", {}).get("/FontName", "")))
        for page in pdf.pages
        for font in page.obj.Resources.get("/Font", {}).values()
    }
    assert [font for font in fonts if not FONTS.search(font)] == []
    assert not [page for page, text in enumerate(printed.texts, 1) if "\ufffd" in text]


def test_formulas_are_set_and_numbered(book: Book, printed: Printed) -> None:
    text = "\n".join(printed.texts)
    raw = [(page, SOURCE.search(words)) for page, words in enumerate(printed.texts, 1)]
    assert [(page, found[0]) for page, found in raw if found] == []
    for chapter in CHAPTERS:
        for number in parse(book.html / f"{chapter}.html").select("article .eqno"):
            assert plain(number.find(string=True)) in text


def test_every_figure_stands_with_its_caption(book: Book, printed: Printed) -> None:
    text = "\n".join(printed.texts)
    figures = 0
    for chapter in CHAPTERS:
        for caption in parse(book.html / f"{chapter}.html").select("article figure figcaption"):
            number = plain(caption.find(class_="caption-number").text)
            whole = caption.find(class_="caption-text")
            words = map(plain, whole.find_all(string=True, recursive=False))
            first = next(part for part in words if len(part) > 8)[:30]
            begins = plain(whole.text).startswith(first)  # with words, not with a formula
            assert (f"{number}{first}" if begins else first) in text
            assert number in text
            figures += 1
    assert figures > 90


def test_a_page_links_only_to_what_is_in_the_document(book: Book) -> None:
    document = join(book.html)
    assert document.problems == []
    assert {id_of(name) for name in PAGES} <= document.targets
    assert "<script" not in document.text.partition("<body>")[2]
    assert 'class="headerlink' not in document.text
    assert "the source</span>" not in document.text  # the words on a fold
    explorers = sum(len(parse(book.html / f"{name}.html").select("div.explorer")) for name in PAGES)
    assert document.text.count('class="explorer-still"') == explorers


# ---------------------------------------------------------------- what is wrong is refused


def document(body: str, targets: set[str] | None = None, *headings: str) -> Document:
    """A document of a few words."""
    settings = f'<script defer src="{mathjax().as_uri()}"></script>'
    style = head(ROOT / "book", ["print"])
    text = f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8>{style}{settings}</head>{body}"
    return Document(text, targets or set(), list(headings))


def test_a_right_document_is_printed(chromium: str, tmp_path: Path) -> None:
    body = '<article><h1><a id="x"></a>β ≈ 1 ✓ ◐ ✗</h1><p>\\(x^2\\)</p></article>'
    contents = '<nav><a href="#x">β <span class="number">000</span></a></nav>'
    path = tmp_path / "right.pdf"
    assert print_document(document(contents + body, {"x"}, "One"), path, chromium) == 1
    with pypdfium2.PdfDocument(path) as pdf:
        assert "β 1" in pdf[0].get_textpage().get_text_range()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<article><p>before \ue123 after</p></article>", "no font has"),
        ('<article><a href="#nowhere">there</a></article>', "nothing leads to nowhere"),
        ('<article><pre style="width: 2000px">x</pre></article>', "leaves the page"),
        ('<article><span class="math">\\(\\frac{1}\\)</span></article>', "formula"),
        (f'<article><img src="{escape("file:///none.png")}"></article>', "none.png"),
    ],
    ids=["glyph", "link", "width", "formula", "image"],
)
def test_a_fault_is_an_error_and_leaves_no_pdf(
    chromium: str, tmp_path: Path, body: str, says: str
) -> None:
    path = tmp_path / "faulty.pdf"
    with pytest.raises(FaultyPdfError, match=says):
        print_document(document(body, {"nowhere"} if "nowhere" in body else None), path, chromium)
    assert not path.exists()


def test_without_a_built_book_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make book"):
        make_pdf(tmp_path, tmp_path / "book.pdf")
