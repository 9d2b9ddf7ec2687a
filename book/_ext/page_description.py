"""A page in one or two plain sentences, for search engines and for whoever is sent a link.

A page may say them itself, as ``description`` under ``html_meta`` in its front matter. Otherwise
they are the first sentences of its box "In one minute", or of its text. A sentence that needs the
page around it (a long formula, a reference to a number, a colon before a listing) is passed over.
"""

import re
from collections.abc import Iterator

from docutils import nodes
from plain_formulas import plain
from sphinx import addnodes

SHORTEST, LONGEST = 50, 200
BOX = "in one minute"
# what stands beside a page's text: its paragraphs are not the page's own words
ASIDE = (
    nodes.Admonition,
    nodes.admonition,
    nodes.container,
    nodes.figure,
    nodes.table,
    nodes.list_item,
    nodes.definition_list,
    nodes.footnote,
    nodes.block_quote,
    addnodes.desc,
    addnodes.glossary,
)
SENTENCE_END = re.compile(r"(?<=[.!?])([\"”’)]?)\s+(?=[\"“‘(]?[A-Z0-9ÀÉ])")


def plain_text(node: nodes.Node) -> str:
    """The text of a paragraph; a null character stands for what cannot be said in plain words."""
    if isinstance(node, nodes.Text):
        return node.astext().replace("\n", " ")
    if isinstance(node, nodes.math):
        formula = plain(node.astext())
        return "\0" if re.search(r"[…_^]", formula) else formula
    if isinstance(node, addnodes.pending_xref):
        title = node.astext()
        named = node.get("refexplicit") or node.get("reftype") in {"term", "myst"}
        return title if named and title and "%s" not in title else "\0"
    if isinstance(node, nodes.raw | nodes.image | nodes.footnote_reference | nodes.target):
        return ""
    return "".join(plain_text(child) for child in node.children)


def sentences(paragraph: nodes.Node) -> Iterator[str]:
    """The sentences of a paragraph; those that do not stand alone are empty."""
    text = " ".join(plain_text(paragraph).split())
    for sentence in SENTENCE_END.sub("\\1\n", text).split("\n"):
        alone = re.fullmatch(r"[^a-z].*[.!?][\"”’)]?", sentence)
        yield sentence if alone and not re.search(r"[\0\\{}$`^]", sentence) else ""


def first_words(paragraphs: list[nodes.paragraph]) -> str:
    """As many whole sentences from the start as fit."""
    words = ""
    for paragraph in paragraphs:
        for sentence in sentences(paragraph):
            longer = f"{words} {sentence}".strip()
            if len(words) >= SHORTEST and (not sentence or len(longer) > LONGEST):
                return words
            if len(longer) > LONGEST:
                longer = longer[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:–") + "…"
                return longer
            words = longer
        if len(words) >= 2 * SHORTEST:
            return words
    return words


def is_box(node: nodes.Node) -> bool:
    """Whether this is the box that answers the page's question."""
    if not isinstance(node, nodes.Admonition | nodes.admonition):
        return False
    title = node.next_node(nodes.title)
    return title is not None and title.astext().strip().lower().startswith(BOX)


def describe(document: nodes.document) -> str:
    """The page's own description; empty for a page without sentences."""
    for meta in document.findall(nodes.meta):
        if meta.get("name") == "description":
            return str(meta["content"])
    boxes = list(document.findall(is_box))
    if boxes and (words := first_words(list(boxes[0].findall(nodes.paragraph)))):
        return words
    return first_words(
        [
            paragraph
            for paragraph in document.findall(nodes.paragraph)
            if not any(isinstance(parent, ASIDE) for parent in ancestors(paragraph))
        ]
    )


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """The nodes around a node, from the inside out."""
    while node.parent is not None:
        node = node.parent
        yield node
