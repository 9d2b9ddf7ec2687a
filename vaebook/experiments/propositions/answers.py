"""How intervals become an answer, under one condition and over several.

Under one condition an answer errs with a chance of α on either side. That a sentence holds under
*every* condition is claimed if it holds under each at that level; no correction is needed, since
all of them must hold. That it *depends*, or fails *somewhere*, is claimed of some conditions among
many, and then each is asked at α over their number (Bonferroni, which is right whatever they have
in common, such as seeds).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.proposition import Answer, Decision, Finding
from vaebook.experiments.record.inference import Columns, Interval

ALPHA = 0.025  # chance of a wrong definite answer on one side
Part = Mapping[str, np.ndarray]  # the rows of one condition, by column
Group = tuple[tuple[object, ...], Part]  # what the rows have in common, and they
Found = tuple[Interval, Answer]
Find = Callable[[Part, float], Found]
FindEach = Callable[[Sequence[Part], float], Sequence[Found]]
Findings = Sequence[Finding]


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


def level(num_conditions: int = 1) -> float:
    """Of the intervals under each of so many conditions: each end errs with α over their number."""
    return 1 - 2 * ALPHA / num_conditions


def grouped(table: Columns, names: Sequence[str]) -> list[Group]:
    """The rows that agree in the columns ``names``, in the order in which they first appear.

    As ``groupby`` has it, at a tenth of the cost: rules are asked about thousands of tables.
    """
    columns = {name: np.asarray(table[name]) for name in table}
    if not names:
        return [((), columns)]
    number = np.zeros(len(columns[names[0]]), int)
    for name in names:
        codes, values = pd.factorize(columns[name], use_na_sentinel=False)
        number = number * len(values) + codes
    place, _ = pd.factorize(number)
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place)).tolist()
    columns = {name: column[order] for name, column in columns.items()}
    return [
        (
            tuple(columns[name][start] for name in names),
            {name: column[start:end] for name, column in columns.items()},
        )
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def by_condition(
    table: Columns,
    conditions: Sequence[str],
    find: Find,
    combine: Callable[[Findings, Findings], Answer] | None = None,
) -> Decision:
    """Ask under each condition, and put the answers together.

    Args:
        table: the record.
        conditions: columns that name a condition; none asks once, of all rows.
        find: from the rows of one condition and the level of confidence to interval and answer.
        combine: from the findings at the plain level and at the strict one; by default
            :func:`everywhere`.
    """
    return over_groups(grouped(table, conditions), each(find), combine)


def each(find: Find) -> FindEach:
    """Ask of one condition after the other."""
    return lambda parts, level: [find(part, level) for part in parts]


def over_groups(
    groups: Sequence[Group],
    find_each: FindEach,
    combine: Callable[[Findings, Findings], Answer] | None = None,
) -> Decision:
    """:func:`by_condition` of rows that are grouped, asked all at once."""
    names = [", ".join(map(str, key)) for key, _ in groups]
    parts = [part for _, part in groups]

    def found(at: float) -> tuple[Finding, ...]:
        answers = zip(names, find_each(parts, at), strict=True)
        return tuple(Finding(name, *answer) for name, answer in answers)

    plain = found(level())
    combine = combine or everywhere
    agreed = len({finding.answer for finding in plain}) == 1
    if (combine is everywhere and agreed) or len(groups) == 1:
        return Decision(combine(plain, plain), plain)  # strict findings would change nothing
    return Decision(combine(plain, found(level(len(groups)))), plain)


def everywhere(plain: Findings, strict: Findings) -> Answer:
    """It holds if it does under every condition; it depends where both answers are certain.

    Where it certainly fails under one and certainly holds under none, it does not hold.
    """
    answers = {finding.answer for finding in plain}
    if len(answers) == 1:
        return answers.pop()
    certain = {finding.answer for finding in strict}
    if "does not hold" not in certain:
        return "undecided"
    return "depends" if "holds" in certain else "does not hold"


def always(plain: Findings, strict: Findings) -> Answer:
    """Of a sentence that says "at every": one condition where it does not hold ends it."""
    if any(finding.answer == "does not hold" for finding in strict):
        return "does not hold"
    return "holds" if all(finding.answer == "holds" for finding in plain) else "undecided"
