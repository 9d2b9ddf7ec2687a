"""What counts as needed, as failed and as forgotten in the GANs of chapter 11.

Written before the five seeds were looked at.
"""

import pandas as pd

from vaebook.experiments.ch11_gan.models import REFERENCE
from vaebook.experiments.record.statistics import paired_differences

MARGIN = 0.10  # of the share of dogs, or of recall
FAILED = 0.10  # a training with a smaller share of dogs
FORGOTTEN = 0.2  # of what is due: a kind with a smaller share is forgotten
MEASURES = ("validity", "recall_pixels")


def final_pictures(record: pd.DataFrame) -> pd.DataFrame:
    """The last row of each training, with precision and recall of the pictures that are judged.

    Those are the averaged generator's, where there is an average and it is not left out on purpose.
    """
    last = record[record["last"]].copy()
    averaged = (last["recipe"] != "no averaging") & last["average_precision_pixels"].notna()
    for name in ("precision_pixels", "recall_pixels", "drift"):
        last[name] = last[name].where(~averaged, last[f"average_{name}"])
    return last.reset_index(drop=True)


def needed(record: pd.DataFrame) -> pd.DataFrame:
    """Does each departure from the reference cost anything?

    A departure costs if the share of dogs or the recall is lower by more than ``MARGIN``, with 95 %
    confidence over seeds, paired; it helps if one is higher by more; otherwise nothing is shown.

    Returns:
        A row per recipe with the mean differences from the reference in ``MEASURES``, ``outcome``
        ("costs", "helps", "both", "not shown"), and ``failed``, the number of seeds
        with a share of dogs below ``FAILED``.
    """
    last = final_pictures(record)
    last = last[last["recipe"] != "data"]  # real pictures, for comparison
    found = paired_differences(last, "recipe", REFERENCE, MEASURES)
    rows = []
    for name, group in found.groupby("recipe", sort=False):
        if name == REFERENCE:
            continue
        costs, helps = (group["high"] < -MARGIN).any(), (group["low"] > MARGIN).any()
        outcome = {(True, True): "both", (True, False): "costs", (False, True): "helps"}
        means = group.set_index("value")["mean"]
        share = last.loc[last["recipe"] == name, "validity"]
        rows.append(
            {"recipe": name, **means.to_dict()}
            | {"outcome": outcome.get((bool(costs), bool(helps)), "not shown")}
            | {"failed": int((share < FAILED).sum())}
        )
    return pd.DataFrame(rows)


def forgotten(record: pd.DataFrame, due: dict[str, float]) -> pd.DataFrame:
    """In how many seeds each kind is forgotten.

    Args:
        record: :func:`final_pictures` of ``gan_recipes``, a column for each kind.
        due: the share of each kind in the data.

    Returns:
        A row per recipe, a column per kind, and ``judged``, the seeds with ten dogs or more: in
        the others there is no telling which kinds they are of.
    """
    rows = []
    for name, group in record.groupby("recipe", sort=False):
        row: dict[str, object] = {"recipe": name}
        for kind, share in due.items():
            row[kind] = int((group[kind] < FORGOTTEN * share).sum())
        row["judged"] = int(group[next(iter(due))].notna().sum())
        rows.append(row)
    return pd.DataFrame(rows)
