"""A page of the built book as a part of the one document.

What only a screen has is left out: navigation, buttons, scripts, the folded code of imports, plots
and checks. Folded proofs and solutions stand open; an explorer is its still picture. Every link
from page to page becomes a link within the document.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html
from lxml.html import HtmlElement
from lxml.html import builder as tag

INDEX = "genindex"
UNKNOWN = "000"  # the number of a page, until it is known


def with_class(*names: str) -> str:
    """The XPath condition for elements of one of these classes."""
    return " or ".join(f"contains(concat(' ', @class, ' '), ' {name} ')" for name in names)


SCREEN_ONLY = (
    ".//script | .//style | .//noscript | .//button"
    f" | .//*[{with_class('headerlink', 'toctree-wrapper', 'only-dark', 'genindex-jumpbox')}]"
)
FOLDED_CODE = (
    f".//details[{with_class('hide')}][not(ancestor::*[{with_class('solution')}])]"
    f" | .//div[{with_class('tag_hide-cell')}]"
)
UNCOLOURED = f".//span[{with_class('n', 'p', 'w', 'o', 'nn', 'pre', 'colon')}][not(@id)]"
HEADINGS = ".//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]"


@dataclass(frozen=True)
class Leaf:
    """A page of the book: its name, the part of the contents that it opens, how deep it lies."""

    name: str
    part: str = ""
    depth: int = 0

    @property
    def id(self) -> str:
        """Its id in the document."""
        return id_of(self.name)


def id_of(page: str, anchor: str = "") -> str:
    """The id, within the document, of an anchor of a page, or of the page."""
    name = re.sub(r"[^\w.-]+", "-", page.removeprefix("book/"))
    return f"{name}--{anchor}" if anchor else name


def read_leaf(folder: Path, leaf: Leaf, names: set[str]) -> HtmlElement:
    """A page as part of the document.

    Args:
        folder: the built book.
        leaf: which page.
        names: the pages that the document has; a link to anything else on disk is no link.
    """
    path = folder / f"{leaf.name}.html"
    article = html.document_fromstring(path.read_text(encoding="utf-8")).find(".//article")
    if article is None:
        raise ValueError(f"{path} has no article; expected a page of the built book")
    if leaf.name == INDEX:
        open_index(article)
    for explorer in article.xpath(f".//*[{with_class('explorer')}]"):
        explorer.getparent().replace(explorer, explorer.find_class("explorer-still")[0])
    for screen_only in article.xpath(f"{SCREEN_ONLY} | {FOLDED_CODE}"):
        drop(screen_only)
    for fold in article.xpath(f".//details[{with_class('hide')}]"):  # code of a solution
        fold.find("summary").drop_tree()
        fold.drop_tag()
    for span in article.xpath(UNCOLOURED):  # half of all elements, and of the time to print them
        span.drop_tag()
    for fold in article.xpath(".//details | .//summary"):
        fold.classes.add(f"was-{fold.tag}")
        fold.tag = {"details": "div", "summary": "p"}[fold.tag]
    for image in article.iter("img"):
        if not image.get("src").startswith("data:"):
            image.set("src", (path.parent / image.get("src")).resolve().as_uri())
    name_ids(article, leaf)
    lead_links(article, leaf, folder, names)
    for heading in reversed(article.xpath(HEADINGS)):
        heading.tag = f"h{min(6, int(heading.tag[1]) + leaf.depth)}"
    for section in article.xpath(".//section[not(@id)]"):  # else a heading may end a sheet
        section.drop_tag()
    article.set("data-leaf", leaf.id)
    article.classes.add("tex2jax_ignore")  # as its sections had: formulas have a class of their own
    if leaf.part:
        article.insert(0, tag.P(leaf.part, tag.CLASS("part")))
    return article


def drop(element: HtmlElement) -> None:
    """Remove an element, unless it went with one around it; the text after it stays."""
    if element.getparent() is not None:
        element.drop_tree()


def name_ids(article: HtmlElement, leaf: Leaf) -> None:
    """Name all ids after their page.

    An empty anchor cannot be seen, and a section begins where its heading is: such ids go to an
    ``<a>`` within the heading or at the start of what they stand in.
    """
    for element in article.xpath(".//*[@id]"):
        name, parent = id_of(leaf.name, element.attrib.pop("id")), element.getparent()
        empty = element.tag == "span" and len(element) == 0 and not element.text
        place = element
        if element.tag == "section":
            place = next(iter(element.xpath(HEADINGS)), element)
        elif empty and parent.tag in ("section", "div"):
            place = next(iter(element.xpath(f"following::*[{HEADINGS[5:-1]}]")), element)
        if place is element:
            element.set("id", name)
        else:
            mark = tag.A(id=name)
            mark.tail, place.text = place.text, None
            place.insert(0, mark)
    title = article.find(".//h1")
    mark = tag.A(id=leaf.id)
    mark.tail, title.text = title.text, None
    title.insert(0, mark)


def lead_links(article: HtmlElement, leaf: Leaf, folder: Path, names: set[str]) -> None:
    """Lead links to their place in the document; what lies in no document is no link."""
    for link in article.xpath(".//a[@href]"):
        target = urlsplit(link.get("href"))
        if target.scheme:
            link.classes.add("elsewhere")
            continue
        page = leaf.name
        if target.path:
            path = (folder / leaf.name).parent / unquote(target.path)
            page = path.resolve().relative_to(folder.resolve()).with_suffix("").as_posix()
        if page not in names:
            link.drop_tag()
            continue
        link.set("href", "#" + id_of(page, unquote(target.fragment)))
        link.attrib.pop("title", None)


def open_index(article: HtmlElement) -> None:
    """Give the entries of the index places for the numbers of their pages."""
    for link in article.xpath(".//li/a[@href]"):
        number = tag.A(UNKNOWN, tag.CLASS("number"), href=link.get("href"))
        number.tail, link.tail = link.tail, None
        if re.fullmatch(r"\[\d+\]", link.text_content()):  # one more place of the same entry
            link.getparent().replace(link, number)
        else:
            link.tag, link.tail = "span", ", "
            del link.attrib["href"]
            link.addnext(number)
    for cell in article.xpath(".//tr | .//td"):
        cell.drop_tag()
    for table in article.iter("table"):
        table.tag = "div"
    for letter in article.iter("h2"):
        letter.tag = "p"
        letter.set("class", "letter")
        del letter.attrib["id"]
