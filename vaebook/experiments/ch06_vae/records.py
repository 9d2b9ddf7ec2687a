"""The record ``sampling`` as the tables that the propositions of claim C4 read."""

from collections.abc import Mapping

import pandas as pd

THRESHOLDS = {"validity_at_0.75": 0.03, "validity": 0.04, "validity_at_1.5": 0.06}  # RMSE of a dog


def registered(record: pd.DataFrame, levels: Mapping[str, tuple[object, ...]]) -> pd.DataFrame:
    """The rows of a record that a proposition asks for, by the columns and values of its levels.

    With a level ``threshold`` each row becomes one for each of ``THRESHOLDS``, and the share of
    dogs by it is in ``share``.
    """
    table = record
    if "threshold" in levels:
        named = [name for name in ("seed", *levels) if name != "threshold"]
        table = table.melt(named, list(THRESHOLDS), var_name="threshold", value_name="share")
        table["threshold"] = table["threshold"].map(THRESHOLDS)
    for column, values in levels.items():
        table = table[table[column].isin(values)]
    return table.reset_index(drop=True)
