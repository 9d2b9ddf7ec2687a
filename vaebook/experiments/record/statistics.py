"""Records over their seeds: means and intervals, differences, a live run held against them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vaebook.experiments.record.inference import half_width, t_quantile

# Records keep six significant digits: the last may be off by half a unit.
ROUNDING = 5e-6


def summarise(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str] | None = None
) -> pd.DataFrame:
    """Mean over seeds with its spread, in long form.

    Args:
        frame: rows with a column ``seed``.
        by: columns that name a condition; every condition has one row per seed.
        values: columns to summarise; all other numeric ones by default.

    Returns:
        One row per condition and value: ``by`` columns, ``value``, ``mean``, ``sd`` over the
        seeds, ``seeds``, and the 95 % confidence interval of the mean by Student's t,
        ``low`` to ``high``.

    Raises:
        ValueError: if a condition has several rows of one seed.
    """
    by = list(by)
    if values is None:
        numeric = frame.select_dtypes("number").columns
        values = [column for column in numeric if column not in (*by, "seed")]
    if frame.duplicated([*by, "seed"]).any():
        raise ValueError(f"{by} does not single out one row per seed; add a column to `by`.")
    rows = []
    for key, group in frame.groupby(by, sort=False, dropna=False) if by else [((), frame)]:
        condition = dict(zip(by, key, strict=True))
        for value in values:
            sample = group[value].dropna().to_numpy(float)
            mean = float(sample.mean()) if len(sample) else float("nan")
            sd = float(sample.std(ddof=1)) if len(sample) > 1 else float("nan")
            half = half_width(sample)
            rows.append(
                {**condition, "value": value, "mean": mean, "sd": sd, "seeds": len(sample)}
                | {"low": mean - half, "high": mean + half}
            )
    return pd.DataFrame(rows)


def intervals(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str] | None = None
) -> pd.DataFrame:
    """:func:`summarise` as :func:`vaebook.plots.table` shows it.

    Returns:
        One row per condition, in the order of ``frame``, one column per value; a cell is
        ``(mean, low, high)``.
    """
    long = summarise(frame, by, values)
    long["cell"] = list(zip(long["mean"], long["low"], long["high"], strict=True))
    keys = long[list(by)].drop_duplicates()
    wide = long.pivot(index=list(by), columns="value", values="cell")  # noqa: PD010 (no numbers)
    order = pd.MultiIndex.from_frame(keys) if len(by) > 1 else pd.Index(keys[by[0]])
    return wide.loc[order, list(dict.fromkeys(long["value"]))].rename_axis(columns=None)


def prediction_interval(sample: Sequence[float], level: float = 0.99) -> tuple[float, float]:
    """Where one more seed should fall, if seeds are independent and normal.

    mean ± t · sd · √(1 + 1/n), the classical prediction interval.

    Raises:
        ValueError: with fewer than three values, which say too little about spread.
    """
    data = np.asarray(sample, float)
    if len(data) < 3:
        raise ValueError(f"{len(data)} seeds are too few for a prediction interval; record 5.")
    quantile = t_quantile(0.5 + level / 2, len(data) - 1)
    half = quantile * data.std(ddof=1) * (1 + 1 / len(data)) ** 0.5
    return float(data.mean() - half), float(data.mean() + half)


def assert_within_spread(
    live: pd.DataFrame,
    recorded: pd.DataFrame,
    by: Sequence[str],
    values: Sequence[str],
    *,
    resolution: float = 0.0,
) -> int:
    """Assert that each live value lies in the 99 % prediction interval of the recorded seeds.

    Args:
        live: rows of a run made now, usually of seed 0.
        recorded: the record, at least three seeds.
        by: columns that name a condition; each condition in ``live`` must be recorded.
        values: columns to compare.
        resolution: half-width added to the interval, in the values' unit, for counts so coarse
            that all recorded seeds may agree (a share of 100 images has a resolution of 0.01).

    Returns:
        How many values were compared.

    Raises:
        AssertionError: if a value lies outside; the message names it.
        ValueError: if there is nothing to compare.
    """
    by = list(by)
    compared = 0
    for _, row in live.iterrows():
        match = recorded
        for column in by:
            match = match[match[column] == row[column]]
        if match.empty:
            raise ValueError(f"the record has no row with {dict(row[by])}.")
        for value in values:
            low, high = prediction_interval(match[value].tolist())
            slack = resolution + ROUNDING * max(abs(low), abs(high))
            inside = low - slack <= row[value] <= high + slack
            assert inside, (
                f"{value} = {row[value]:.6g} at {dict(row[by])} lies outside the recorded spread "
                f"[{low:.6g}, {high:.6g}] (± {resolution:g})"
            )
            compared += 1
    if not compared:
        raise ValueError("nothing was compared: live rows or values are empty.")
    return compared


def paired_differences(
    frame: pd.DataFrame, by: str, reference: str, values: Sequence[str]
) -> pd.DataFrame:
    """What each condition has more than the reference, seed by seed, with its spread.

    Conditions of one seed share the data, their order, and the weights that they have in common,
    so the difference varies less from seed to seed than either of the two.

    Args:
        frame: rows with a column ``seed``.
        by: the column that names the condition; every condition has one row per seed.
        reference: the condition that the others are compared with.
        values: columns to compare. A value that is missing on either side is left out.

    Returns:
        As :func:`summarise`: a row per condition and value with mean, spread and the 95 %
        confidence interval of the mean difference. The reference itself has zeros.

    Raises:
        ValueError: if the reference is not there.
    """
    if not (frame[by] == reference).any():
        raise ValueError(
            f"no row has {by} = {reference!r}; expected one of {sorted(frame[by].unique())}."
        )
    values = list(values)
    base = frame[frame[by] == reference].set_index("seed")[values]
    table = frame[["seed", by]].copy()
    table[values] = frame[values].to_numpy() - base.reindex(frame["seed"]).to_numpy()
    return summarise(table, [by], values)
