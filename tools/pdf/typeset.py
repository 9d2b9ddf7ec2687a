"""Print the one document with Chromium."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pikepdf
from playwright.sync_api import ConsoleMessage, Error, Page, Request, sync_playwright

from tools.pdf.document import Document, join
from tools.pdf.printed import missing_glyphs, name_outline, page_numbers, refuse

PAPER = Path(__file__).with_name("paper.js")
WIDTH, HEIGHT = 627, 945  # CSS pixels of the text on a sheet: A4 less the margins of print.css
MINUTES = 10
MATHJAX = "static/mathjax/tex-chtml-full.js"
FONTS = {  # family, weight, style: the file among those of matplotlib
    ("Book Serif", 400, "normal"): "STIXGeneral",
    ("Book Serif", 700, "normal"): "STIXGeneralBol",
    ("Book Serif", 400, "italic"): "STIXGeneralItalic",
    ("Book Serif", 700, "italic"): "STIXGeneralBolIta",
    ("Book Sans", 400, "normal"): "DejaVuSans",
    ("Book Sans", 700, "normal"): "DejaVuSans-Bold",
    ("Book Mono", 400, "normal"): "DejaVuSansMono",
    ("Book Mono", 700, "normal"): "DejaVuSansMono-Bold",
    ("Book Mono", 400, "italic"): "DejaVuSansMono-Oblique",
}


def make_pdf(html: Path, output: Path, chromium: str | None = None) -> int:
    """Typeset a built book.

    Args:
        html: the folder of the built book.
        output: the PDF to write.
        chromium: the path of a Chromium; default the first that is found.

    Returns:
        The number of pages.

    Raises:
        FileNotFoundError: if there is no built book or no Chromium.
        FaultyPdfError: if anything would be wrong on paper; nothing is written then.
    """
    if not (html / "genindex.html").is_file():
        raise FileNotFoundError(f"no built book in {html}: run `make book` first")
    return print_document(join(html, head(html), mathjax()), output, chromium or find_chromium())


def print_document(document: Document, output: Path, chromium: str) -> int:
    """Typeset one document; like :func:`make_pdf`."""
    refuse(document.problems)
    # a thread of its own: Playwright refuses one in which a notebook or another browser runs
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_print, document, output, chromium).result()


def _print(document: Document, output: Path, chromium: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        source, draft = Path(folder) / "book.html", Path(folder) / "book.pdf"
        source.write_text(document.text, encoding="utf-8")
        with opened(source, chromium) as page:
            typeset(page, document, draft)
        with pikepdf.open(draft) as pdf:
            refuse(missing_glyphs(pdf))
            name_outline(pdf, document.headings)
            output.parent.mkdir(parents=True, exist_ok=True)
            pdf.save(output, object_stream_mode=pikepdf.ObjectStreamMode.generate)
            return len(pdf.pages)


def typeset(page: Page, document: Document, draft: Path) -> None:
    """Print the document until the numbers in it are those of its pages."""
    page.add_script_tag(path=PAPER)
    page.evaluate("paper.ready()")
    page.evaluate("paper.fit", HEIGHT)
    refuse(page.evaluate("paper.faults", WIDTH))
    page.evaluate("paper.hide()")  # the places of all things, in a fifth of the time
    expected = print_out(page, draft, complete=False)
    refuse([f"nothing leads to {name}" for name in sorted(document.targets - set(expected))])
    page.evaluate("paper.fill", expected)
    printed = print_out(page, draft, complete=True)
    moved = [name for name in document.targets if printed.get(name) != expected[name]]
    refuse([f"{name} is not on page {expected[name]}" for name in sorted(moved)])


def print_out(page: Page, path: Path, complete: bool) -> dict[str, int]:
    """Print the document, on request with outline and structure; the page of each named place."""
    page.pdf(path=path, prefer_css_page_size=True, outline=complete, tagged=complete)
    with pikepdf.open(path) as pdf:
        return page_numbers(pdf)


def head(html: Path, names: Sequence[str] = ("pygments", "print")) -> str:
    """The fonts, and the style sheets of these names among those of the built book."""
    folder = files("matplotlib") / "mpl-data" / "fonts" / "ttf"
    faces = "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
        f'src: url("{Path(str(folder / f"{file}.ttf")).as_uri()}") }}'
        for (family, weight, style), file in FONTS.items()
    )
    sheets = (html.resolve() / "_static" / f"{name}.css" for name in names)
    links = "\n".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">' for sheet in sheets)
    return f"<style>\n{faces}\n</style>\n{links}"


def mathjax() -> Path:
    """The MathJax that sets formulas as text in its own fonts."""
    for file in metadata.files("sphinx-mathjax-offline") or ():
        if file.as_posix().endswith(MATHJAX):
            return Path(str(file.locate()))
    raise FileNotFoundError(f"sphinx-mathjax-offline is installed without {MATHJAX}")


def find_chromium() -> str:
    """The path of a Chromium; the one without windows opens a page in half of the time."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise FileNotFoundError("no Chromium: install chromium, or set CHROMIUM to its path")
    return found


@contextmanager
def opened(source: Path, chromium: str) -> Iterator[Page]:
    """The document in Chromium as it will be printed; trouble with it is an error on leaving."""
    trouble: list[str] = []

    def failed(request: Request) -> None:
        trouble.append(f"not loaded: {request.url}")

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            trouble.append(f"console: {message.text}")

    def stopped(error: Error) -> None:
        trouble.append(f"script error: {error}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(MINUTES * 60_000)
        page.emulate_media(media="print", color_scheme="light")
        page.on("pageerror", stopped)
        page.on("requestfailed", failed)
        page.on("console", said)
        page.goto(source.as_uri())
        yield page
        refuse(trouble)
        browser.close()
