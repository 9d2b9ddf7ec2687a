"""The pages of the built book as one document, in the reader's order."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import yaml
from lxml import etree

from tools.pdf.front import ROOT, config, contents, running_heads, title_page, words_of
from tools.pdf.leaf import HEADINGS, INDEX, Leaf, read_leaf

OTHER = {"unknownFamily": "Book Serif"}  # characters that no font of MathJax has
SETTINGS = re.compile(r"<script>window\.MathJax = (\{.*?\})</script>")


@dataclass
class Document:
    """The text of the one document, the ids that links lead to, its headings, and its faults."""

    text: str
    targets: set[str]
    headings: list[str]
    problems: list[str] = field(default_factory=list)


def leaves(root: Path = ROOT) -> list[Leaf]:
    """The pages of ``_toc.yml`` in the reader's order, and the index."""

    def below(entries: list[dict], depth: int = 0) -> Iterator[Leaf]:
        for entry in entries:
            yield Leaf(str(entry["file"]), depth=depth)
            yield from below(entry.get("sections", []), depth + 1)

    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found = [Leaf(toc["root"])]
    for part in toc["parts"]:
        first, *rest = below(part["chapters"])
        found += [Leaf(first.name, part["caption"]), *rest]
    return [*found, Leaf(INDEX)]


def join(folder: Path, head: str = "", mathjax: Path = Path("mathjax.js")) -> Document:
    """All pages as one document.

    Args:
        folder: the built book.
        head: what else stands in the head of the document: its styles.
        mathjax: the script that sets the formulas, beside its folder ``output``.
    """
    pages = leaves()
    names = {leaf.name for leaf in pages}
    articles = [read_leaf(folder, leaf, names) for leaf in pages]
    parts = [title_page(folder), contents(articles, pages), *articles]
    ids = Counter(element.get("id") for part in parts for element in part.xpath(".//*[@id]"))
    links = {
        link.get("href")[1:]: link.text_content().strip()
        for part in parts
        for link in part.xpath(".//a[starts-with(@href, '#')]")
    }
    problems = [f"the id {name} stands {times} times" for name, times in ids.items() if times > 1]
    problems += [f"dead link {text!r} to {name}" for name, text in links.items() if name not in ids]
    found = SETTINGS.search((folder / f"{pages[0].name}.html").read_text(encoding="utf-8"))
    if found is None:
        problems.append("no settings of MathJax in the first page")
    fonts = (mathjax.parent / "output" / "chtml" / "fonts" / "woff-v2").resolve().as_uri()
    settings = {**json.loads(found[1] if found else "{}"), "chtml": {"fontURL": fonts, **OTHER}}
    text = (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light"><head><meta charset="utf-8">\n'
        f"<title>{escape(config()['title'])}</title>\n{head}\n"
        f"<style>\n{running_heads(articles)}\n</style>\n"
        f"<script>window.MathJax = {json.dumps(settings)}</script>\n"
        f'<script defer src="{mathjax.resolve().as_uri()}"></script>\n'
        "</head>\n<body>\n"
        + "\n".join(etree.tostring(part, encoding="unicode", method="html") for part in parts)
        + "\n</body></html>\n"
    )
    headings = [words_of(heading) for part in parts for heading in part.xpath(HEADINGS)]
    return Document(text, set(links), headings, problems)
