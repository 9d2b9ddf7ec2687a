"""A claim on trial, and what its judge gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

import pandas as pd

Outcome = Literal["holds", "holds in part", "does not hold"]


def outcome_of(*, holds: bool, fails: bool) -> Outcome:
    """What a rule says: in part, where it neither holds nor fails."""
    if holds:
        return "holds"
    return "does not hold" if fails else "holds in part"


def spread_text(row: pd.Series, form: str) -> str:
    """Mean ± half the interval of a row of ``summarise``, both in the format ``form``."""
    return f"{row['mean']:{form}} ± {row['mean'] - row['low']:{form}}"


class Effect(NamedTuple):
    """A number behind a verdict, with its spread over the seeds and where the rule draws lines."""

    label: str  # of what
    mean: float
    low: float  # of the 95 % confidence interval
    high: float
    measure: str  # what the number is, with its unit; the effects of a verdict share it
    lines: tuple[float, ...] = ()  # the rule's limits

    @classmethod
    def of(
        cls,
        label: str,
        row: pd.Series,
        measure: str,
        *,
        lines: tuple[float, ...] = (),
        factor: float = 1.0,
    ) -> Self:
        """From a row of ``summarise``, times ``factor``."""
        mean, low, high = (factor * float(row[name]) for name in ("mean", "low", "high"))
        return cls(label, mean, low, high, measure, lines)


class Verdict(NamedTuple):
    """What a record says about a claim."""

    outcome: Outcome
    evidence: str  # the numbers and their spread, in full
    effects: tuple[Effect, ...] = ()  # what the outcome rests on, for a figure
    sentence: str = ""  # the answer in 18 words at most, for a card
    number: str = ""  # the one number behind it, with its interval


@dataclass(frozen=True)
class Claim:
    """One of the claims that the book puts on trial.

    Args:
        name: ``"C1"`` to ``"C8"``.
        text: the claim as it is usually made.
        chapters: numbers of the chapters that try it.
        rule: how the numbers become an outcome, in words.
        judge: reads the records in a folder and applies the rule; ``None`` while the chapters are
            still to come.
        records: names of the experiments whose records the judge reads.
        review: what a review found that shakes the verdict until its records are made anew.
    """

    name: str
    text: str
    chapters: tuple[int, ...]
    rule: str = ""
    judge: Callable[[Path | None], Verdict] | None = None
    records: tuple[str, ...] = ()
    review: str = ""
