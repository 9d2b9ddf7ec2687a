"""Markup that the theme and its extensions write, mended for those who hear a page.

* A parameter list of several lines is written as a list of definitions without terms: it becomes
  lines.
* A corner of a table is written as an empty heading: it becomes an empty cell.
* Entries of the bibliography bear a role that was withdrawn: they become items of their list.
* A fold is named "Toggle hidden content": it is named by its text.
* The arrow beside an entry of the contents has no name: it gets one.
"""

import re
from typing import Any

from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput, visit_HideCellInput
from sphinx.application import Sphinx

PARAMETERS = re.compile(
    r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>\s*(<span class="sig-paren">\)</span>)',
    re.DOTALL,
)
EMPTY_HEADING = re.compile(r"<th\b([^>]*)>(\s*(?:<p>\s*</p>)?\s*)</th>")
ARROW = '<summary aria-label="Pages of this part">'
SCOPE = re.compile(r'\s*scope="\w+"')


def as_lines(found: re.Match[str]) -> str:
    """A parameter list, one parameter in a line."""
    lines = found[2].strip().replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'{found[1]}<span class="sig-lines">{lines}</span>{found[3]}'


def as_cell(found: re.Match[str]) -> str:
    """An empty heading as an empty cell."""
    return f"<td{SCOPE.sub('', found[1])}></td>"


def mended(body: str) -> str:
    """The text of a page with the first three mended."""
    body = PARAMETERS.sub(as_lines, body)
    body = EMPTY_HEADING.sub(as_cell, body)
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def mend(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Mend a page, and the contents beside it, before it is written."""
    if "body" in context:
        context["body"] = mended(context["body"])
    entries = context.get("generate_toctree_html")
    if entries is not None:

        def named(*args: Any, **kwargs: Any) -> str:
            return str(entries(*args, **kwargs)).replace("<summary>", ARROW)

        context["generate_toctree_html"] = named


def visit_fold(self: Any, node: HideCodeCellNode) -> None:
    """A fold's summary, without the name that hides its text."""
    start = len(self.body)
    visit_HideCellInput(self, node)
    self.body[start:] = [
        part.replace(' aria-label="Toggle hidden content"', "") for part in self.body[start:]
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart_HideCellInput))
    app.connect("html-page-context", mend, priority=900)  # after the theme
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
