"""Differences between conditions that share a seed."""

from collections.abc import Sequence

import pandas as pd

from vaebook.experiments._recorded import summarise


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
    table[values] = frame[values].to_numpy() - base.loc[frame["seed"], values].to_numpy()
    return summarise(table, [by], values)
