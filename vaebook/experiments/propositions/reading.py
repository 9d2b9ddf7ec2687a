"""From the columns of a record to the table of a rule."""

from collections.abc import Mapping

import pandas as pd

# Of measure_samples: the share of dogs at 0.03, 0.04 and 0.06, by the name of its column.
THRESHOLDS = {"validity_at_0.75": 0.03, "validity": 0.04, "validity_at_1.5": 0.06}


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
