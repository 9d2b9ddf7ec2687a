"""The directive ``{scoreboard}``: the claims with the verdicts that the records give.

    ```{scoreboard}
    ```

The table is :func:`vaebook.experiments.scoreboard`, computed from ``book/results`` when the book is
built; the last chapter prints the same table, so that the two cannot disagree.
"""

import inspect
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import Claim, scoreboard


def linked(numbers: tuple[int, ...], documents: set[str]) -> str:
    """The numbers of chapters, as links to those that are written."""
    names = [Path(name).name for name in documents]
    return ", ".join(
        f"{{ref}}`{number} <ch{number:02d}>`"
        if any(name.startswith(f"{number:02d}-") for name in names)
        else str(number)
        for number in numbers
    )


class Scoreboard(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        results = Path(self.env.srcdir) / "book" / "results"
        lines = [
            "```{list-table} The claims, and what the records say.",
            ":name: tab-scoreboard",
            ":header-rows: 1",
            ":widths: 5 34 14 37 10",
            "",
        ]
        header = ["", "The claim", "Verdict", "The number", "Chapter"]
        board = scoreboard(results)
        rows = [
            [
                f"**{name}**",
                row["claim"],
                f"**{row['verdict']}**",
                row["evidence"],
                linked(row["chapters"], self.env.found_docs),
            ]
            for name, row in board.iterrows()
        ]
        for cells in (header, *rows):
            lines += [("* - " if index == 0 else "  - ") + cell for index, cell in enumerate(cells)]
        rules = Path(inspect.getfile(Claim))
        judges = sorted((rules.parent / "_judges").glob("*.py"))
        for judged_by in (rules, *judges, *sorted(results.glob("*.csv"))):
            self.env.note_dependency(str(judged_by))  # a new rule or record: a new page
        lines += ["```", "", "The rule behind each verdict:", ""]
        lines += [f"- **{name}**: {rule}" for name, rule in board["rule"].items() if rule]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("scoreboard", Scoreboard)
    return {"version": "1", "parallel_read_safe": True}
