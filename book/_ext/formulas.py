"""A formula of a sentence and the punctuation around it stay on one line.

A browser may break a line on either side of a formula, since MathJax makes it a picture. So
``the code $z$, drawn from ($p$)`` could begin a line with a comma. Each formula of a sentence goes
into a span, together with what follows it without a space (``,``, ``)``, ``'s``) and with an
opening bracket before it; the style sheet forbids a break in the span.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

KEPT = "formula"  # the class of the span
AFTER = re.compile(r"^(?:[^\w\s]+|\w+)")
BEFORE = re.compile(r"[(\[{“‘«/–—±\"'-]+$")
WRAPPERS = (nodes.emphasis, nodes.strong, nodes.inline, nodes.reference)


def outermost(formula: nodes.Element) -> nodes.Element:
    """The formula, or the emphasis, link or span that holds nothing else."""
    while isinstance(formula.parent, WRAPPERS) and len(formula.parent.children) == 1:
        formula = formula.parent
    return formula


class KeptTogether(SphinxPostTransform):
    """Put each formula of a sentence, and what touches it, into a span."""

    default_priority = 700
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            self.keep(outermost(formula))

    def keep(self, node: nodes.Element) -> None:
        parent = node.parent
        if KEPT in parent.get("classes", ()):
            return  # it touches the formula before it
        span = nodes.inline("", "", classes=[KEPT])
        start = parent.index(node)
        parent.replace(node, span)
        before = parent[start - 1] if start else None
        if isinstance(before, nodes.Text) and (found := BEFORE.search(str(before))):
            # by position: a text equals every other of the same words
            parent[start - 1] = nodes.Text(str(before)[: found.start()])
            span += nodes.Text(found[0])
        span += node
        while (place := parent.index(span) + 1) < len(parent.children):
            after = parent[place]
            if isinstance(after, nodes.Text):
                if not str(after):
                    del parent[place]
                    continue
                if found := AFTER.search(str(after)):
                    span += nodes.Text(found[0])
                    rest = str(after)[found.end() :]
                    parent[place] = nodes.Text(rest)
                    if not rest:
                        continue
            break


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(KeptTogether)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
