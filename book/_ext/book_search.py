"""What the search page knows: every passage of the book, and the words that mean the same.

Sphinx's own search cannot show a line of text without a server, and finds only the words as they
are typed. This extension writes ``_static/search-data.js``, which the search page alone loads, and
``book/_static/search.js`` looks it through. Nothing is fetched: a book opened from disk can be
searched.

A passage is what a reader can be sent to: a section, a reader's question, a theorem, an exercise, a
term of the glossary, an object of the package. Its lines are the sentences of its prose. Formulas
in the text are plain text (:mod:`plain_formulas`); code and its output are left out.
"""

import html
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from plain_formulas import plain
from sphinx import addnodes
from sphinx.application import Sphinx

SYNONYMS = Path(__file__).with_name("search_synonyms.yml")
REFERENCE = "Reference"  # the part of the contents whose pages stand behind the chapters
SHORT = 40  # characters: a shorter sentence says little on its own
BOXES = ("theorem", "lemma", "proposition", "corollary", "definition", "remark", "exercise")
SKIPPED = (
    nodes.title,
    nodes.label,
    nodes.literal_block,
    nodes.math_block,
    nodes.raw,
    nodes.comment,
    nodes.system_message,
    addnodes.toctree,
    addnodes.desc_signature,
)


@dataclass
class Passage:
    """A heading, the anchor to go to, what kind of passage it is, and the lines below it."""

    title: str
    anchor: str
    kind: str
    section: str  # the anchor of the section around it
    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Append the lines of a paragraph, a short one joined to the next: "No. It is …"."""
        start = ""
        for line in text.split("\n"):
            start = " ".join(f"{start} {line}".split())
            if len(start) >= SHORT:
                self.lines.append(start)
                start = ""
        if re.search(r"[^\W\d_]{2}", start):  # the rest, if it has a word
            self.lines.append(start)


def text_of(node: nodes.Node) -> str:
    """What a reader sees of a paragraph, with a line break where its source has one."""
    if isinstance(node, nodes.math):
        return plain(node.astext())
    if isinstance(node, nodes.Text):
        return str(node.astext())
    if isinstance(node, nodes.raw):
        return html.unescape(re.sub(r"<[^>]*>", "", node.astext()))
    if isinstance(node, nodes.image):
        return ""
    return "".join(text_of(child) for child in node.children)


def heading(node: nodes.Node) -> str:
    title = " ".join(text_of(node).split())
    return re.sub(r"^[(“](.*)[)”]$", r"\1", title)  # a theorem's stands in brackets


def title_of(node: nodes.Element) -> str:
    """The title of a section or box, less the kind and number of an exercise."""
    title = node.next_node(nodes.title)
    if title is None or title.parent is not node:
        return ""
    return heading(title.next_node(nodes.subtitle) or title)


def question(node: nodes.Node) -> nodes.strong | None:
    """The bold words that begin a paragraph, if it has a label or they ask something."""
    if not isinstance(node, nodes.paragraph):
        return None
    first = next((child for child in node.children if child.astext().strip()), None)
    if isinstance(first, nodes.strong) and (node["ids"] or heading(first).endswith("?")):
        return first
    return None


def opened_by(node: nodes.Node, here: Passage) -> Passage | None:
    """The passage that begins with a node below ``here``, if one does."""
    asked = question(node)
    if asked is not None:
        anchor = (*asked.parent["ids"], here.section)[0]
        return Passage(heading(asked), anchor, "question", here.section)
    if not isinstance(node, nodes.Element) or not node.get("ids"):
        return None
    anchor = node["ids"][0]
    name = type(node).__name__.partition("_")[0]
    if isinstance(node, nodes.section) and title_of(node):
        return Passage(title_of(node), anchor, "section", anchor)
    if name in BOXES and title_of(node):
        kind = "exercise" if name == "exercise" else "theorem"
        return Passage(title_of(node), anchor, kind, here.section)
    if isinstance(node, nodes.term):
        return Passage(heading(node), anchor, "term", here.section)
    if isinstance(node, addnodes.desc_signature):
        return Passage(anchor, anchor, "object", here.section)
    return None


def walk(node: nodes.Node, here: Passage, found: list[Passage]) -> Passage:
    """Collect the text below a node.

    Returns:
        The passage to which the text after the node belongs. A question goes on below its first
        paragraph, a term in its definition, an exercise in its solution; a section ends.
    """
    opened = opened_by(node, here)
    if opened is not None:
        found.append(opened)
    inside = opened or here
    if isinstance(node, (*SKIPPED, nodes.term)):
        return inside
    if isinstance(node, nodes.TextElement):
        asked = question(node)
        inside.add("".join(text_of(child) for child in node.children if child is not asked))
        return inside
    after = inside
    for child in node.children:
        after = walk(child, after, found)
    return inside if opened is not None and opened.kind == "exercise" else here


def passages(document: nodes.document) -> list[Passage]:
    """The passages of a page; the first is the page itself, under its title."""
    found: list[Passage] = []
    walk(document, Passage("", "", "section", ""), found)
    return found


def below(app: Sphinx, page: str) -> list[str]:
    """A page and those that it lists, in the reader's order."""
    children = app.env.toctree_includes.get(page, [])
    return [page, *(name for child in children for name in below(app, child))]


def order(app: Sphinx) -> dict[str, bool]:
    """The pages in the reader's order, and whether each stands in the part for reference."""
    root = app.config.root_doc
    trees = app.env.get_doctree(root).findall(addnodes.toctree)
    listed = {
        name: tree["caption"] == REFERENCE
        for tree in trees
        for page in tree["includefiles"]
        for name in below(app, page)
    }
    others = dict.fromkeys(sorted(app.env.found_docs - {root, *listed}), False)
    return {root: False, **listed, **others}


def record(app: Sphinx, page: str) -> Path:
    """Where the passages of a page are kept between builds."""
    return Path(app.doctreedir) / f"{page}.search.json"


def remember(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Keep the passages of a page that is being written."""
    if doctree is None or app.builder.format != "html":
        return
    found = passages(doctree)
    if not found:  # a page without a heading
        return
    number = ".".join(map(str, app.env.toc_secnumbers.get(page, {}).get("", ())))
    known = {
        "title": f"{number}. {found[0].title}" if number else found[0].title,
        "url": app.builder.get_target_uri(page),
        "passages": [
            [passage.title, passage.anchor, passage.kind, "\n".join(passage.lines)]
            for passage in found
        ],
    }
    record(app, page).parent.mkdir(parents=True, exist_ok=True)
    record(app, page).write_text(json.dumps(known), encoding="utf-8")


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write what the search page loads."""
    if exception is not None or app.builder.format != "html":
        return
    pages = [
        {**json.loads(record(app, page).read_text(encoding="utf-8")), "reference": reference}
        for page, reference in order(app).items()
        if record(app, page).exists()
    ]
    data = {"pages": pages, "synonyms": yaml.safe_load(SYNONYMS.read_text(encoding="utf-8"))}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    target = Path(app.outdir) / "_static" / "search-data.js"
    target.write_text(f"window.BOOK = {text};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Remember each page as it is written, then write them all."""
    app.connect("html-page-context", remember)
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
