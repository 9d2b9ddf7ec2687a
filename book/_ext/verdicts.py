"""The directive ``{verdicts}``: the claims as cards, with the outcomes that the records give.

    ```{verdicts}
    ```

The cards are :func:`vaebook.experiments.verdict_cards`, computed from ``book/results`` when the
book is built; the chapters show the same cards, so that no two can disagree. In a cell's output a
card links to notebooks, which is right in JupyterLab; on a page the links lead to pages, and "under
review" leads to the claim on the page that says how the trial works.
"""

import inspect
import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from protocol import PAGE, anchor_of
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import Claim, verdict_cards

CARDS = 'class="verdict'
NOTEBOOK_LINK = re.compile(r'href="([\w-]+)\.ipynb"')
CARD = re.compile(r'<div class="verdict [^>]*id="verdict-(?P<claim>\w+)">.*?</div>', re.DOTALL)
REVIEW = '<p class="verdict-review">'
UNDER_REVIEW = "under review"


class Verdicts(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        results = Path(self.env.srcdir) / "book" / "results"
        rules = sorted(Path(inspect.getfile(Claim)).parent.glob("*.py"))
        for judged_by in (*rules, *sorted(results.glob("*.csv"))):
            self.env.note_dependency(str(judged_by))  # a new rule or record: a new page
        return [nodes.raw("", verdict_cards(folder=results)._repr_html_(), format="html")]


class PageLinks(SphinxPostTransform):
    """Let the links of cards lead to pages instead of notebooks, and reviews to their claim."""

    default_priority = 400
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        assert self.app.builder is not None
        page = self.app.builder.get_relative_uri(self.env.docname, PAGE)

        def reviewed(card: re.Match[str]) -> str:
            link = f'<a href="{page}#{anchor_of(card["claim"])}">{UNDER_REVIEW}</a>'
            return card[0].replace(f"{REVIEW}{UNDER_REVIEW}", f"{REVIEW}{link}")

        for node in self.document.findall(nodes.raw):
            if CARDS in node.rawsource or CARDS in node.astext():
                text = NOTEBOOK_LINK.sub(r'href="\1.html"', node.astext())
                node.children = [nodes.Text(CARD.sub(reviewed, text))]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("verdicts", Verdicts)
    app.add_post_transform(PageLinks)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
