"""From the columns of a record to the table of a rule."""

from collections.abc import Mapping

import pandas as pd

# Of measure_samples: the share of dogs within an RMSE of so much, by the name of its column. At
# 0.06 empty paper is a dog (0.0598 to the nearest); at 0.02 hardly a reconstruction is one after 26
# seconds (0 to 5 % with a fixed σ, on a pilot). No threshold lies there; both are shown.
THRESHOLDS = {"validity_at_0.75": 0.03, "validity": 0.04, "validity_at_1.25": 0.05}


def by_threshold(
    record: pd.DataFrame, value: str, columns: Mapping[str, float] = THRESHOLDS
) -> pd.DataFrame:
    """A row for each threshold of what counts as a dog, where the record has a column for each.

    Args:
        record: with these columns.
        value: what their values are called in the table.
        columns: the threshold by the column's name.

    Raises:
        KeyError: if the record lacks one of them.
    """
    parts = [
        record.assign(threshold=threshold, **{value: record[name]})
        for name, threshold in columns.items()
    ]
    return pd.concat(parts, ignore_index=True)
