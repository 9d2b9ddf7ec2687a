"""What a proposition is: a sentence that is true or false, and all that decides which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from vaebook.experiments.record.inference import Interval

Answer = Literal["holds", "does not hold", "depends", "undecided"]
ANSWERS: tuple[Answer, ...] = ("holds", "does not hold", "depends", "undecided")


class Finding(NamedTuple):
    """What was found under one condition."""

    condition: str  # such as "dogs, × 3"; "" where there is only one
    interval: Interval
    answer: Answer  # never "depends"


class Decision(NamedTuple):
    """A rule's answer, and what it rests on."""

    answer: Answer
    findings: tuple[Finding, ...]


class World(NamedTuple):
    """A way to make up the record, in which it is known what the rule ought to say."""

    name: str
    draw: Callable[[np.random.Generator], pd.DataFrame]
    answer: Answer
    at_least: float = 0.0  # the chance that the rule gives that answer
    at_most: float = 1.0


@dataclass(frozen=True)
class Proposition:
    """A part of a claim, with the rule that will decide it, fixed before its record exists.

    Args:
        name: the claim's name and a letter: ``"C8a"``.
        text: the sentence.
        measure: what is measured, with its unit.
        margin: the smallest difference that matters, in that unit.
        reason: why that margin.
        unit: of replication.
        num_units: how many are planned.
        num_pictures: how many are judged in each; 0 where none is.
        table: the record that the rule reads.
        columns: what it reads of it.
        rule: from such a table to a decision; it reads nothing else.
        worlds: controls.
        seen: what had been seen before the rule was fixed.
        core_minutes: of one unit, measured or estimated.
    """

    name: str
    text: str
    measure: str
    margin: float
    reason: str
    unit: str
    num_units: int
    num_pictures: int
    table: str
    columns: tuple[str, ...]
    rule: Callable[[pd.DataFrame], Decision]
    worlds: tuple[World, ...]
    seen: str
    core_minutes: float

    def decide(self, table: pd.DataFrame) -> Decision:
        """The rule's answer to a table.

        Raises:
            ValueError: if a column is missing, or units other than the planned number are there:
                a rule whose chances are known for ten seeds says nothing about nine.
        """
        missing = [name for name in self.columns if name not in table]
        if missing:
            raise ValueError(f"{self.name} reads {self.columns}; the table lacks {missing}.")
        found = table[self.unit].nunique()
        if found != self.num_units:
            raise ValueError(
                f"{self.name} was planned for {self.num_units} {self.unit}s; given {found}. Make "
                "the record as it was registered."
            )
        return self.rule(table)
