"""What a sample says about a margin: intervals over a named unit, equivalence, several at once.

A mean is taken over its unit of replication: what would be drawn anew if the experiment were made
again, such as seeds, classes or tables. Pictures of one seed are no replication of a training.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from scipy import special

Columns: TypeAlias = pd.DataFrame | Mapping[str, np.ndarray]  # a table, or its columns alone


class Interval(NamedTuple):
    """A mean or a share with its confidence interval."""

    mean: float
    low: float
    high: float
    unit: str  # of replication: "seed", "class", "table", "picture"
    num_units: int
    level: float  # of confidence


def mean_interval(
    sample: Sequence[float] | np.ndarray,
    *,
    unit: str,
    level: float = 0.95,
    resolution: float = 0.0,
) -> Interval:
    """A mean over units by Student's t.

    Args:
        sample: one value for each unit, at least two.
        unit: what the values were measured on.
        level: of confidence.
        resolution: the step in which the values are measured, such as 0.01 for a share of 100
            pictures. Half of it is added on both sides, so that equal values have an interval too.

    Raises:
        ValueError: if a value is missing, there are fewer than two, or all are equal and no
            resolution is given: an interval of width zero claims what nobody has measured.
    """
    values = _values("sample", sample)
    if len(values) < 2:
        raise ValueError(f"sample has {len(values)} {unit}; expected two or more.")
    half = half_width(values, level)
    if half == 0 and not resolution > 0:
        raise ValueError(
            f"all {len(values)} values are {values[0]:g}, and an interval of width zero claims "
            "too much; expected the step in which they are measured: resolution=."
        )
    half += resolution / 2
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half, unit, len(values), level)


def half_width(sample: np.ndarray, level: float = 0.95) -> float:
    """Half of the confidence interval of a mean by Student's t; NaN for fewer than two values."""
    if len(sample) < 2:
        return float("nan")
    error = float(sample.std(ddof=1)) / len(sample) ** 0.5
    return t_quantile((1 + level) / 2, len(sample) - 1) * error


def share_interval(
    successes: int, trials: int, *, unit: str = "picture", level: float = 0.95
) -> Interval:
    """A share of independent trials, by Clopper and Pearson: never of width zero.

    Raises:
        ValueError: if there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(
            f"{successes} successes in {trials} trials; expected 0 to as many as there are trials, "
            "of which there is at least one."
        )
    hits, misses, tail = int(successes), int(trials - successes), (1 - level) / 2
    # stats.binomtest gives the same at a hundred times the cost
    low = float(special.betaincinv(hits, misses + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, misses, 1 - tail)) if misses else 1.0
    return Interval(successes / trials, low, high, unit, int(trials), level)


def nested_share_interval(
    successes: Sequence[int],
    trials: Sequence[int],
    *,
    unit: str = "seed",
    level: float = 0.95,
) -> Interval:
    """A share of pictures, drawn by several seeds, as it would be over new seeds.

    Clopper and Pearson's interval for as many independent pictures as would have the spread that
    the seeds show, corrected for the few seeds from which that spread is known; never more
    pictures than there are.

    Args:
        successes: in each seed.
        trials: pictures of each seed.
        unit: what the groups are.
        level: of confidence.

    Raises:
        ValueError: if there are fewer than two seeds, or counts that cannot be.

    Source:
        Korn & Graubard (1998), "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data".
    """
    hits, counts = _values("successes", successes), _values("trials", trials)
    if len(hits) != len(counts) or len(hits) < 2:
        raise ValueError(
            f"successes and trials of {len(hits)} and {len(counts)} {unit}s; expected both of the "
            "same, two or more."
        )
    return nested_share_intervals(hits[None], counts[None], unit=unit, level=level)[0]


def nested_share_intervals(
    successes: np.ndarray, trials: np.ndarray, *, unit: str = "seed", level: float = 0.95
) -> list[Interval]:
    """:func:`nested_share_interval` of several shares at once, each over as many seeds.

    Args:
        successes: in each seed, ``[share, seed]``, of two seeds or more.
        trials: pictures of each seed, ``[share, seed]``.
        unit: what the groups are.
        level: of confidence.

    Raises:
        ValueError: if there are counts that cannot be.
    """
    hits, counts = np.asarray(successes, float), np.asarray(trials, float)
    if not ((hits >= 0) & (hits <= counts) & (counts >= 1)).all():
        raise ValueError("expected 0 to as many successes as trials, and at least one trial each.")
    total, groups = counts.sum(1), hits.shape[1]
    share = hits.sum(1) / total
    # the variance of a ratio of sums over groups
    residuals = (hits - share[:, None] * counts) / total[:, None]
    variance = groups / (groups - 1) * (residuals**2).sum(1)
    few = t_quantile((1 + level) / 2, groups - 1)
    many = np.array([t_quantile((1 + level) / 2, int(number) - 1) for number in total])
    effective = total.copy()
    spread = (share > 0) & (share < 1) & (variance > 0)
    as_many = (share * (1 - share))[spread] / variance[spread] * (many[spread] / few) ** 2
    effective[spread] = np.minimum(total[spread], as_many)
    hit, miss = effective * share, effective * (1 - share)
    tail = (1 - level) / 2
    low, high = np.zeros(len(share)), np.ones(len(share))
    some, others = hit > 0, miss > 0
    low[some] = special.betaincinv(hit[some], miss[some] + 1, tail)
    high[others] = special.betaincinv(hit[others] + 1, miss[others], 1 - tail)
    return [
        Interval(*ends, unit, groups, level)
        for ends in zip(share.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def pairs(
    frame: pd.DataFrame, by: str, first: Any, second: Any, value: str, *, unit: str = "seed"
) -> pd.Series:
    """``value`` of ``first`` less that of ``second``, unit by unit.

    Args:
        frame: one row for each unit and each ``by``.
        by: the column that tells the two apart.
        first, second: what stands there.
        value: the column that is compared.
        unit: the column that pairs them.

    Returns:
        The differences by unit, in the units' order whatever the order of the rows.

    Raises:
        ValueError: if a unit is missing on one side, has two rows, or no value.
    """
    units, difference = _differences(frame, by, first, second, value, unit)
    return pd.Series(difference, pd.Index(units, name=unit), name=value)


def differences(
    frame: Columns, by: str, first: Any, second: Any, value: str, *, unit: str = "seed"
) -> np.ndarray:
    """The values of :func:`pairs`, without their units, at a tenth of the cost."""
    return _differences(frame, by, first, second, value, unit)[1]


def _differences(
    frame: Columns, by: str, first: Any, second: Any, value: str, unit: str
) -> tuple[np.ndarray, np.ndarray]:
    """The units, and what ``first`` has more in each."""
    units, these, those = paired_rows(frame, by, first, second, unit=unit)
    values = np.asarray(frame[value], float)
    difference = values[these] - values[those]
    if np.isnan(difference).any():
        raise ValueError(f"{value} is missing in {unit} {units[np.isnan(difference)].tolist()}.")
    return units, difference


def paired_rows(
    frame: Columns, by: str, first: Any, second: Any, *, unit: str = "seed"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the rows of ``first`` and of ``second`` stand, unit by unit.

    Args:
        frame: one row for each unit and each ``by``.
        by: the column that tells the two apart.
        first, second: what stands there.
        unit: the column that pairs them.

    Returns:
        The units in their order, and the places of the rows of either.

    Raises:
        ValueError: if a unit is missing on one side, or has two rows.
    """
    units, names = np.asarray(frame[unit]), np.asarray(frame[by])
    sides = []
    for name in (first, second):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(units[rows], kind="stable")]
        if (units[rows][1:] == units[rows][:-1]).any():
            raise ValueError(f"{by} = {name!r} has two rows of one {unit}; expected one each.")
        sides.append(rows)
    these, those = (units[rows] for rows in sides)
    if len(these) == 0 or not np.array_equal(these, those):
        raise ValueError(
            f"{first!r} and {second!r} cannot be paired: {unit} "
            f"{sorted(set(these.tolist()) ^ set(those.tolist()))} stands on one side only; "
            "expected the same on both."
        )
    return these, sides[0], sides[1]


class Equivalence(NamedTuple):
    """Two one-sided tests of whether a mean difference lies within a margin."""

    p_value: float  # the larger of the two
    interval: Interval  # at 1 − 2 α: it lies within the margin exactly where both tests reject


def equivalence(
    differences: Sequence[float] | np.ndarray | pd.Series,
    margin: float,
    *,
    unit: str = "seed",
    alpha: float = 0.05,
) -> Equivalence:
    """Is the mean difference nearer to 0 than ``margin``?

    Args:
        differences: one for each unit, such as from :func:`pairs`.
        margin: the largest difference that does not matter, above 0.
        unit: of replication.
        alpha: chance to find equivalence at a difference of exactly the margin.

    Raises:
        ValueError: if the margin is not above 0, or the differences are all the same.

    Source:
        Schuirmann (1987).
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin!r}; expected more than 0.")
    values = _values("differences", differences)
    interval = mean_interval(values, unit=unit, level=1 - 2 * alpha)
    return Equivalence(max(p_value(values, -margin), p_value(-values, -margin)), interval)


def p_value(sample: Sequence[float] | np.ndarray | pd.Series, margin: float) -> float:
    """Of Student's test of whether a mean is more than ``margin``: small if it is.

    Args:
        sample: one value for each unit, at least two.
        margin: the largest mean that the hypothesis allows.

    Returns:
        The chance of a mean so large or larger where the true one is ``margin``. Of equal values,
        which have no spread to judge by: 1 if they are ``margin`` or less, 0 if they are more.

    Raises:
        ValueError: if a value is missing, or there are fewer than two.
    """
    values = _values("sample", sample)
    if len(values) < 2:
        raise ValueError(f"sample has {len(values)} values; expected two or more.")
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    if error == 0:
        return float(mean <= margin)
    # stats.ttest_1samp gives the same at a hundred times the cost
    return float(special.stdtr(len(values) - 1, (margin - mean) / error))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values of several tests under one verdict, adjusted so that one error in all is rare.

    Args:
        p_values: of each test.

    Returns:
        The adjusted ones, in the same order, at most 1: reject those below α.

    Raises:
        ValueError: if there is none, or one is no probability.

    Source:
        Holm (1979).
    """
    values = _values("p_values", p_values)
    if not len(values) or (values < 0).any() or (values > 1).any():
        raise ValueError(f"p_values are {values.tolist()}; expected one or more from 0 to 1.")
    order = np.argsort(values)
    stepped = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(stepped).clip(max=1)
    return adjusted


@lru_cache
def t_quantile(chance: float, df: int) -> float:
    """Of Student's t: ``stats.t.ppf``, without half a second of imports."""
    return float(special.stdtrit(df, chance))


def _values(name: str, sample: Any) -> np.ndarray:
    values = np.asarray(sample, float)
    if values.ndim != 1 or np.isnan(values).any():
        raise ValueError(
            f"{name} has shape {values.shape} with {int(np.isnan(values).sum())} missing values; "
            "expected one number for each unit."
        )
    return values
