"""The directive ``{scoreboard}``: the claims with the verdicts that the records give.

    ```{scoreboard}
    ```

The verdicts are computed when the book is built, from ``book/results``, by the functions that the
chapters print them with, so that the two cannot disagree.
"""

import inspect
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import CLAIMS, Claim

STILL_TO_COME = "*not tried yet*"


def row(claim: Claim, results: Path, documents: set[str]) -> list[str]:
    """The cells of a claim's row, as MyST text."""
    chapters = []
    for number in claim.chapters:
        written = any(Path(name).name.startswith(f"{number:02d}-") for name in documents)
        chapters.append(f"{{ref}}`{number} <ch{number:02d}>`" if written else str(number))
    cells = [f"**{claim.name}**", claim.text]
    if claim.judge is None:
        cells += [STILL_TO_COME, ""]
    else:
        found = claim.judge(results)
        cells += [f"**{found.outcome}**", found.evidence]
    return [*cells, ", ".join(chapters)]


class Scoreboard(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        results = Path(self.env.srcdir) / "book" / "results"
        lines = [
            "```{list-table} The claims, and what the records say so far.",
            ":name: tab-scoreboard",
            ":header-rows: 1",
            ":widths: 5 34 14 37 10",
            "",
        ]
        header = ["", "The claim", "Verdict", "The number", "Chapter"]
        rows = [row(claim, results, self.env.found_docs) for claim in CLAIMS]
        for cells in (header, *rows):
            lines += [("* - " if index == 0 else "  - ") + cell for index, cell in enumerate(cells)]
        rules = Path(inspect.getfile(Claim))
        judges = sorted((rules.parent / "_judges").glob("*.py"))
        for judged_by in (rules, *judges, *sorted(results.glob("*.csv"))):
            self.env.note_dependency(str(judged_by))  # a new rule or record: a new page
        lines += ["```", "", "The rule behind each verdict:", ""]
        lines += [f"- **{claim.name}**: {claim.rule}" for claim in CLAIMS if claim.judge]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("scoreboard", Scoreboard)
    return {"version": "1", "parallel_read_safe": True}
