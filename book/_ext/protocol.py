"""The directives ``{protocol}`` and ``{searched}``: the rules of the trial, and what was tried.

    ```{protocol}
    ```

Every proposition, its rule, and how it does where all is known.

A section for each claim, to which its card leads, and in it a fold for each proposition. Texts are
read from the package; how often a rule gives each answer, from ``book/protocol``, which
``python -m vaebook.experiments.propositions --write`` makes. A file that does not fit the code is a
warning, and warnings are fatal.

    ```{searched} reference_search
    ```

Each network that was tried on pilot seeds, with the measure that chose one.
"""

import html
import inspect
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import CLAIMS, Claim
from vaebook.experiments.propositions import PROPOSITIONS, Proposition
from vaebook.experiments.propositions.proposition import ANSWERS
from vaebook.experiments.propositions.protocol import load_protocol
from vaebook.experiments.propositions.registry import BESIDE
from vaebook.experiments.record.load import load_recorded
from vaebook.plots import Table, number_text, unbroken

logger = logging.getLogger(__name__)
PAGE = "book/how-the-trial-works"
HEADINGS = {
    "holds": "holds",
    "does not hold": "does not",
    "depends": "depends",
    "undecided": "undecided",
}

UNITS = {"nats": (1, "nats"), "points": (100, "points"), "share": (100, "%")}
SMALL = 1e-3  # a smaller margin is written with a power of ten


SEARCHES = {  # by record: the measure, and what it is called
    "reference_search": ("neg_elbo", "−ELBO in nats"),
    "gan_search": ("kernel_distance", "kernel distance"),
}
DATA = {"dogs": "dogs", "fashion": "clothes"}


def anchor_of(claim: str) -> str:
    """Where the page tells of a claim."""
    return f"trial-{claim.lower()}"


class Protocol(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / "book" / "protocol" / "chances.csv"
        for one_of_them in (Claim, Proposition):
            folder = Path(inspect.getfile(one_of_them)).parent
            for file in (path, *sorted(folder.glob("*.py"))):
                self.env.note_dependency(str(file))
        try:
            chances = load_protocol(path)
        except (FileNotFoundError, ValueError) as error:
            logger.warning("protocol: %s", error, location=self.get_location())
            return []
        cost = nodes.paragraph("", spaced(whole_cost()))
        return [cost, *(claim_section(claim, chances) for claim in CLAIMS)]


class Searched(SphinxDirective):
    """See the module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        folder = Path(self.env.srcdir) / "book" / "results" / "pilots"
        self.env.note_dependency(str(folder / f"{name}.csv"))
        try:
            record = load_recorded(name, folder)
        except (FileNotFoundError, ValueError) as error:
            logger.warning("searched: %s", error, location=self.get_location())
            return []
        return [raw(searched(record, *SEARCHES[name])._repr_html_())]


def searched(record: pd.DataFrame, measure: str, title: str) -> Table:
    """The candidates in the order in which they were tried, a column for each data set."""
    values = record.pivot_table(measure, "candidate", "data", sort=False)
    return Table(
        f"{title} of each network that was tried",
        ["network and recipe"],
        [f"{DATA[data]}: {title}" for data in values],
        [
            [name, *map(number_text, row)]
            for name, row in zip(values.index, values.values, strict=True)
        ],
    )


def claim_section(claim: Claim, chances: pd.DataFrame) -> nodes.section:
    """What was found against the verdict on a claim, and its propositions."""
    title = f"{claim.name}: {claim.text.replace('*', '')}"
    section = nodes.section("", nodes.title("", title), ids=[anchor_of(claim.name)])
    if claim.review:
        found = [nodes.emphasis("", "Under review: "), nodes.Text(spaced(claim.review))]
    else:
        found = [nodes.Text("Nothing was found against its verdict; it is judged anew like all.")]
    section += nodes.paragraph("", "", *found)
    for each in PROPOSITIONS:
        if each.name.rstrip("abcdefgh") == claim.name:
            section += fold(each, chances[chances["proposition"] == each.name])
    return section


def fold(proposition: Proposition, rows: pd.DataFrame) -> list[nodes.Node]:
    """A proposition, closed until the reader opens it."""
    name = proposition.name
    facts = {
        "Measured": proposition.measure,
        "Margin": f"{margin_of(proposition)}: {proposition.reason}",
        "Replicated": plan_of(proposition),
        "Cost": cost_of(proposition),
    }
    return [
        raw(f'<details class="protocol" id="proposition-{name.lower()}">\n<summary>'),
        nodes.strong("", name),
        nodes.Text(" "),
        nodes.inline("", spaced(proposition.text)),
        raw("</summary>\n"),
        nodes.definition_list(
            "",
            *(
                nodes.definition_list_item(
                    "",
                    nodes.term("", label),
                    nodes.definition("", nodes.paragraph("", spaced(text))),
                )
                for label, text in facts.items()
            ),
        ),
        raw(table_of(name, rows)),
        raw('<details class="protocol-seen"><summary>What had been seen before</summary>\n'),
        nodes.paragraph("", spaced(proposition.seen) + "."),
        raw("</details>\n</details>\n"),
    ]


def margin_of(proposition: Proposition) -> str:
    """The margin in the unit with which the measure begins: shares as points or per cent."""
    factor, unit = UNITS.get(proposition.measure.split()[0], (1, ""))
    value = factor * proposition.margin
    text = f"{value:g}" if value == 0 or value >= SMALL else number_text(value)
    return f"{text} {unit.removesuffix('s') if value == 1 else unit}".rstrip()


def plan_of(proposition: Proposition) -> str:
    """How many units, and pictures in each."""
    pictures = f", {proposition.num_pictures:,} pictures each" * bool(proposition.num_pictures)
    return f"{proposition.num_units} {proposition.unit}s{pictures}"


def cost_of(proposition: Proposition) -> str:
    """The hours of its record; what shares another's costs nothing more."""
    if proposition.core_hours:
        return f"{proposition.core_hours:.1f} hours of one core, for the record {proposition.table}"
    first = next(each.name for each in PROPOSITIONS if each.table == proposition.table)
    return f"none of its own: it reads the record {proposition.table}, like {first}"


def whole_cost() -> str:
    """The hours of all records of the trial."""
    judged = sum(each.core_hours for each in PROPOSITIONS)
    beside = sum(each.core_hours for each in BESIDE.values())
    return (
        f"All records together take {judged + beside:.0f} hours of one core, {beside:.0f} of them "
        "for what is only shown: longer trainings, larger pictures, changes of the GAN, and the "
        "uses of a VAE by class and by table."
    )


def table_of(name: str, rows: pd.DataFrame) -> str:
    """The share of each answer in each world, in per cent, the right one bold."""
    shown = [answer for answer in ANSWERS if (rows[answer] > 0).any() or answer != "depends"]
    head = "".join(f'<th scope="col">{HEADINGS[answer]}</th>' for answer in shown)
    body = "\n".join(
        f'<tr><th scope="row">{unbroken(row["world"])}</th>'
        + "".join(cell(row, answer) for answer in shown)
        + "</tr>"
        for row in rows.to_dict("records")
    )
    label = f"{name}: how often the rule gives each answer in each world, in per cent"
    return (
        f'<div class="table-scroll" role="region" tabindex="0" aria-label="{html.escape(label)}">\n'
        f'<table class="records"><thead><tr><th scope="col">world (answers in %)</th>{head}</tr>'
        f"</thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def cell(row: dict[str, Any], answer: str) -> str:
    """A share, with what is asked of it where the answer is the right one."""
    share = f"{100 * row[answer]:.1f}".removesuffix(".0")
    if answer == row["wanted"]:
        share = f"<strong>{share}</strong><br><small>≥&nbsp;{100 * row['at_least']:.0f}</small>"
    return f"<td>{share}</td>"


def spaced(text: str) -> str:
    """Text in which neither a number and its unit nor N(0, I) are parted."""
    return html.unescape(unbroken(text)).replace("(0, ", "(0,\N{NO-BREAK SPACE}")


def raw(text: str) -> nodes.raw:
    """A piece of the page as it is."""
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("protocol", Protocol)
    app.add_directive("searched", Searched)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
