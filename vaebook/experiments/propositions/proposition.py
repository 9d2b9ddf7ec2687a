"""What a proposition is: a sentence that is true or false, and all that decides which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from vaebook.experiments.record.inference import Interval

Answer = Literal["holds", "does not hold", "depends", "undecided"]
ANSWERS: tuple[Answer, ...] = ("holds", "does not hold", "depends", "undecided")
WRONG = 0.05  # chance of a definite answer that is not the right one


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
    """A way to make up the record, in which it is known what the rule ought to say.

    It must give ``answer`` at least so often, and another definite answer (all but "undecided") in
    at most one of twenty cases.
    """

    name: str
    draw: Callable[[np.random.Generator], pd.DataFrame]
    answer: Answer
    at_least: float


def as_it_is(record: pd.DataFrame) -> pd.DataFrame:
    """The record is the table."""
    return record


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
        values: the columns that it reads there.
        rule: from such a table to a decision; it reads nothing else.
        worlds: controls.
        seen: what had been seen before the rule was fixed.
        core_minutes: of one unit, as last measured beside another process.
        levels: the columns that name a row, with all their values; the table has each combination
            once for each unit.
        read: makes the rule's table of the record, which may hold more; nothing is measured here.
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
    values: tuple[str, ...]
    rule: Callable[[pd.DataFrame], Decision]
    worlds: tuple[World, ...]
    seen: str
    core_minutes: float
    levels: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    read: Callable[[pd.DataFrame], pd.DataFrame] = as_it_is

    @property
    def columns(self) -> tuple[str, ...]:
        """All that it reads of its table."""
        return (self.unit, *self.levels, *self.values)

    @property
    def core_hours(self) -> float:
        """What its record costs; 0 where another proposition pays for it."""
        return self.num_units * self.core_minutes / 60

    def table_of(self, record: pd.DataFrame) -> pd.DataFrame:
        """The rows and columns of a record that the rule reads.

        Raises:
            ValueError: if the record lacks a column.
        """
        try:
            table = self.read(record)
            asked = [table[name].isin(values) for name, values in self.levels.items()]
        except KeyError as error:
            raise ValueError(
                f"{self.name} reads the record {self.table}, which lacks the column {error}. Make "
                f"it again: python -m vaebook.experiments {self.table} --seeds {self.num_units}"
            ) from None
        return table[np.logical_and.reduce(asked)] if asked else table

    def decide(self, table: pd.DataFrame) -> Decision:
        """The rule's answer to a table that is complete: as registered, and nothing beside it.

        Raises:
            ValueError: if a column, a unit or a combination of levels is missing, doubled or not
                registered, or a value is missing. A training that failed is no missing value: it
                counts as the worst that can be, such as no dogs.
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
        cells = product(table[self.unit].unique(), *self.levels.values())
        expected = pd.MultiIndex.from_tuples(list(cells))
        given = pd.MultiIndex.from_frame(table[[self.unit, *self.levels]])
        if not self.levels:
            given = pd.MultiIndex.from_arrays([table[self.unit]])
        if given.has_duplicates or set(given) != set(expected):
            wrong = sorted(map(str, set(given) ^ set(expected)))[:3] or ["some rows twice"]
            raise ValueError(
                f"{self.name} reads one row for each {self.unit} and {', '.join(self.levels)}; "
                f"missing, doubled or not registered: {', '.join(wrong)}."
            )
        if table[list(self.values)].isna().any(axis=None):
            raise ValueError(
                f"{self.name} reads {self.values}, and some are missing. A training that failed "
                "counts as the worst that can be."
            )
        if "num_pictures" in self.values and (table["num_pictures"] != self.num_pictures).any():
            raise ValueError(f"{self.name} was planned for {self.num_pictures} pictures a row.")
        return self.rule(table)
