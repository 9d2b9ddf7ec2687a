"""The pages of the built book, for the tests that open them."""

from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from lxml import html
from lxml.html import HtmlElement
from playwright.sync_api import Page

from tests.conftest import ROOT, Book
from tools.execute import chapters

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [path.relative_to(ROOT).with_suffix("").as_posix() for path in chapters()]


def listed(entries: list[dict]) -> list[str]:
    """The pages of a part of the contents, with those below them, in the reader's order."""
    return [
        name for entry in entries for name in (entry["file"], *listed(entry.get("sections", [])))
    ]


PAGES = [TOC["root"], *(name for part in TOC["parts"] for name in listed(part["chapters"]))]
MADE = ["genindex", "search", "py-modindex", "prf-prf", "404"]  # by the build, in no contents
TABLET = {"width": 768, "height": 1024}
DESKTOP = {"width": 1280, "height": 900}

every_page = pytest.mark.parametrize("page_name", PAGES)
every_chapter = pytest.mark.parametrize("page_name", CHAPTERS)


@cache
def parse(path: Path) -> BeautifulSoup:
    """A built page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def elements(path: Path) -> HtmlElement:
    """A built page for questions that are asked of all its elements: a twentieth of the seconds."""
    return html.document_fromstring(path.read_text(encoding="utf-8"))


def visit(page: Page, book: Book, name: str, query: str = "") -> None:
    """Open a page from disk and wait for its formulas."""
    page.goto((book.html / f"{name}.html").as_uri() + query)
    page.wait_for_selector("html[data-measured]", state="attached")  # by book.js
