"""The verdict on a claim as a card: claim, outcome, one sentence, one number, chapters."""

import html
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaebook.experiments.claims.scoreboard import scoreboard
from vaebook.experiments.record.load import results_folder
from vaebook.plots import unbroken

KINDS = {  # of outcome, for the colour; the word stands beside it
    "holds": "holds",
    "holds in part": "partly",
    "does not hold": "fails",
    "not tried yet": "open",
}


@dataclass(frozen=True)
class Card:
    """One verdict, shown by a notebook and on a page in the same style.

    Args:
        name: ``"C1"`` to ``"C8"``.
        claim: the claim as it is usually made.
        outcome: what the records say of it.
        sentence: the answer in 18 words at most.
        number: the number behind it, with its interval.
        links: number and file of each chapter that tries the claim.
        review: what shakes the verdict until its records are made anew; shown if given.
        evidence: the numbers in full; shown if given.
        rule: how they became the outcome; shown if given.
        commands: what makes the records anew; shown if given.
    """

    name: str
    claim: str
    outcome: str
    sentence: str
    number: str
    links: tuple[tuple[int, str], ...]
    review: str = ""
    evidence: str = ""
    rule: str = ""
    commands: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{self.name}  {self.outcome}: {self.claim}", self.sentence, self.number]
        if self.review:
            lines.append(f"under review: {self.review}")
        if self.evidence:
            lines += [self.evidence, self.rule, *self.commands]
        return "\n    ".join(lines)

    def _repr_html_(self) -> str:
        links = ", ".join(f'<a href="{file}">{number}</a>' for number, file in self.links)
        review, more = "", ""
        if self.review:
            review = f'<p class="verdict-review">under review: {_rich(self.review)}</p>'
        if self.evidence:
            commands = "\n".join(self.commands)
            more = (
                '<details class="verdict-more"><summary>Numbers, rule, records</summary>'
                f"<dl><dt>The numbers</dt><dd>{_rich(self.evidence)}</dd>"
                f"<dt>The rule</dt><dd>{_rich(self.rule)}</dd>"
                f"<dt>The records anew</dt><dd><pre>{html.escape(commands)}</pre></dd></dl>"
                "</details>"
            )
        return (
            f'<div class="verdict verdict-{KINDS[self.outcome]}" id="verdict-{self.name.lower()}">'
            f'<p class="verdict-claim"><strong>{self.name}</strong> {_rich(self.claim)}</p>'
            f'<p class="verdict-outcome">{self.outcome}</p>'
            f'<p class="verdict-sentence">{_rich(self.sentence)}</p>'
            f'<p class="verdict-number">{_rich(self.number)}</p>'
            f'{review}<p class="verdict-link">Chapter {links}</p>{more}</div>'
        )


@dataclass(frozen=True)
class Cards:
    """Several cards, in a grid."""

    cards: tuple[Card, ...]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.cards))

    def _repr_html_(self) -> str:
        inner = "\n".join(card._repr_html_() for card in self.cards)
        return f'<div class="verdicts">\n{inner}\n</div>'


def verdict_cards(*names: str, full: bool = False, folder: Path | None = None) -> Cards:
    """The cards of some claims, from the records. The last line of a cell.

    Args:
        names: ``"C1"`` to ``"C8"``; all eight by default.
        full: with the evidence, the rule and the commands that make the records anew.
        folder: where the records lie; ``book/results`` by default.

    Raises:
        ValueError: if there is no such claim.
    """
    folder = folder or results_folder()
    board = scoreboard(folder)
    unknown = [name for name in names if name not in board.index]
    if unknown:
        raise ValueError(f"no claim {unknown[0]!r}; expected one of {', '.join(board.index)}.")
    chosen = board.loc[list(names)] if names else board
    return Cards(tuple(_card(str(name), row, folder, full) for name, row in chosen.iterrows()))


def _card(name: str, row: pd.Series, folder: Path, full: bool) -> Card:
    links = [(number, _file_of(number, folder)) for number in row["chapters"]]
    return Card(
        name,
        claim=row["claim"],
        outcome=row["verdict"],
        sentence=row["sentence"],
        number=row["number"],
        links=tuple(links),
        review=row["review"],
        evidence=row["evidence"] if full else "",
        rule=row["rule"] if full else "",
        commands=row["commands"] if full else (),
    )


def _file_of(number: int, folder: Path) -> str:
    """The file of a chapter beside the folder of the records: a link in a notebook."""
    found = sorted(folder.parent.glob(f"{number:02d}-*.ipynb"))
    return found[0].name if found else f"#ch{number:02d}"


def _rich(text: str) -> str:
    """Text for a page, with ``*emphasis*``."""
    plain, *rest = unbroken(text).split("*")
    for place, part in enumerate(rest):
        plain += ("<em>" if place % 2 == 0 else "</em>") + part
    return plain
