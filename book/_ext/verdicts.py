"""The directive ``{verdicts}``: the claims as cards, with the outcomes that the records give.

    ```{verdicts}
    ```

The cards are :func:`vaebook.experiments.verdict_cards`, computed from ``book/results`` when the
book is built; the chapters show the same cards, so that no two can disagree. In a cell's output a
card links to notebooks, which is right in JupyterLab; on a page the links lead to pages.
"""

import inspect
import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import Claim, verdict_cards

CARDS = 'class="verdict'
NOTEBOOK_LINK = re.compile(r'href="([\w-]+)\.ipynb"')


class Verdicts(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        results = Path(self.env.srcdir) / "book" / "results"
        rules = Path(inspect.getfile(Claim))
        judges = sorted((rules.parent / "_judges").glob("*.py"))
        for judged_by in (rules, *judges, *sorted(results.glob("*.csv"))):
            self.env.note_dependency(str(judged_by))  # a new rule or record: a new page
        return [nodes.raw("", verdict_cards(folder=results)._repr_html_(), format="html")]


class PageLinks(SphinxPostTransform):
    """Let the links of cards lead to pages instead of notebooks."""

    default_priority = 400
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for node in self.document.findall(nodes.raw):
            if CARDS in node.rawsource or CARDS in node.astext():
                text = NOTEBOOK_LINK.sub(r'href="\1.html"', node.astext())
                node.children = [nodes.Text(text)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("verdicts", Verdicts)
    app.add_post_transform(PageLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
