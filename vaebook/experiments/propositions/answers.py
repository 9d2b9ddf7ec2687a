"""How intervals become an answer, under one condition and over several."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.proposition import Answer, Decision, Finding
from vaebook.experiments.record.inference import Interval

ALPHA = 0.025  # chance to claim what is not so, on one side, over all conditions of a proposition


def above(interval: Interval, margin: float) -> Answer:
    """Is the mean more than ``margin``?"""
    if interval.low > margin:
        return "holds"
    return "does not hold" if interval.high < margin else "undecided"


def below(interval: Interval, margin: float) -> Answer:
    """Is the mean less than ``margin``?"""
    if interval.high < margin:
        return "holds"
    return "does not hold" if interval.low > margin else "undecided"


def within(interval: Interval, margin: float) -> Answer:
    """Is the mean nearer to 0 than ``margin``?"""
    if -margin < interval.low and interval.high < margin:
        return "holds"
    outside = interval.low > margin or interval.high < -margin
    return "does not hold" if outside else "undecided"


def one_sided(num_conditions: int) -> float:
    """The level of intervals of which one end is read, under each of so many conditions.

    Each end lies on the wrong side with a chance of α over the number of conditions, so that one
    condition among many is not taken for a dependence that is none (Bonferroni).
    """
    return 1 - 2 * ALPHA / num_conditions


def by_condition(
    table: pd.DataFrame,
    conditions: Sequence[str],
    find: Callable[[pd.DataFrame, float], tuple[Interval, Answer]],
    combine: Callable[[Sequence[Finding]], Answer] | None = None,
) -> Decision:
    """Ask under each condition, and put the answers together.

    Args:
        table: the record.
        conditions: columns that name a condition; none asks once, of all rows.
        find: from the rows of one condition and the level of confidence to interval and answer.
        combine: how; by default :func:`everywhere`.
    """
    groups = list(table.groupby(list(conditions), sort=False)) if conditions else [((), table)]
    level = one_sided(len(groups))
    findings = tuple(
        Finding(", ".join(map(str, np.atleast_1d(key))) if conditions else "", *find(part, level))
        for key, part in groups
    )
    return Decision((combine or everywhere)(findings), findings)


def everywhere(findings: Sequence[Finding]) -> Answer:
    """It holds if it does under every condition; it depends where both answers were found."""
    found = {finding.answer for finding in findings}
    if found == {"holds"}:
        return "holds"
    if found == {"does not hold"}:
        return "does not hold"
    return "depends" if {"holds", "does not hold"} <= found else "undecided"


def always(findings: Sequence[Finding]) -> Answer:
    """Of a sentence that says "at every": one condition where it does not hold ends it."""
    found = [finding.answer for finding in findings]
    if "does not hold" in found:
        return "does not hold"
    return "holds" if set(found) == {"holds"} else "undecided"


def somewhere(findings: Sequence[Finding]) -> Answer:
    """Of a sentence that says "at least one": one condition where it holds is enough."""
    found = [finding.answer for finding in findings]
    if "holds" in found:
        return "holds"
    return "does not hold" if set(found) == {"does not hold"} else "undecided"
