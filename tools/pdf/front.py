"""What stands around the pages: the title, the contents, the running heads."""

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from lxml import etree, html
from lxml.html import HtmlElement
from lxml.html import builder as tag

from tools.pdf.leaf import HEADINGS, UNKNOWN, Leaf

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from plain_formulas import plain  # noqa: E402

FORMULA = re.compile(r"\\\((.*?)\\\)")
TAGLINE = "Variational autoencoders, with every claim on trial"
EDITION = (
    "Proofs and solutions, which the pages fold, stand open here. The code of imports, plots and "
    "checks is in the notebooks; what can be played with on the pages is a picture."
)


def config() -> dict[str, Any]:
    """What ``_config.yml`` says."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return settings


def title_page(folder: Path) -> HtmlElement:
    """The first sheet: title, authors, licence, and how this edition differs from the pages."""
    logo = (folder / "_static" / "logo.svg").resolve().as_uri()
    return tag.DIV(
        tag.IMG(src=logo, alt=""),
        tag.P(config()["title"], tag.CLASS("book")),
        tag.P(TAGLINE, tag.CLASS("tagline")),
        tag.P(config()["author"], tag.CLASS("author")),
        tag.P(f"© {config()['copyright']}. Version {version('vaebook')}.", tag.CLASS("edition")),
        tag.P(EDITION, tag.CLASS("edition")),
        tag.CLASS("title-page"),
    )


def contents(articles: list[HtmlElement], pages: list[Leaf]) -> HtmlElement:
    """Parts, chapters and sections, each with a place for the number of its page."""
    nav = tag.E.nav(tag.H1("Contents"), tag.CLASS("contents"))
    for leaf, article in zip(pages, articles, strict=True):
        if leaf.part:
            nav.append(tag.P(leaf.part, tag.CLASS("contents-part")))
        for heading in article.xpath(".//h1 | .//h2"):
            mark = heading.find("a[@id]")
            if mark is None:  # nothing can lead to it
                continue
            words = html.fromstring(etree.tostring(heading, encoding="unicode", with_tail=False))
            for inner in words.xpath(".//a"):
                inner.drop_tag()
            words.tag = "span"
            words.attrib.pop("id", None)
            words.set("class", "words")
            href = f"#{mark.get('id')}"
            number = tag.SPAN(UNKNOWN, tag.CLASS("number"))
            nav.append(tag.A(words, number, tag.CLASS(f"line line-{heading.tag}"), href=href))
    return nav


def running_heads(articles: list[HtmlElement]) -> str:
    """A kind of sheet for each page of the book, which shows its title at the top."""
    rules = []
    for article in articles:
        name = article.get("data-leaf")
        title = words_of(article.xpath(HEADINGS)[0]).replace("\\", "").replace('"', "”")
        rules.append(f'@page leaf-{name} {{ @top-right {{ content: "{title}" }} }}')
        rules.append(f'article[data-leaf="{name}"] {{ page: leaf-{name} }}')
    return "\n".join(rules)


def words_of(heading: HtmlElement) -> str:
    """A heading in plain text."""
    text = FORMULA.sub(lambda found: plain(found[1]), heading.text_content())
    return " ".join(text.split())
