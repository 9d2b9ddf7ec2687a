"""What a VAE is good for, over classes and tables: each use beside the best plain method.

One VAE and one measure are named for each use before the record is made. The plain method is the
one with the best mean on validation data; only then is it compared, unit by unit, on test data. The
VAE is of use if it is better with 95 % confidence over the units, the plain method is if that is,
and otherwise the question is open.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vaebook.experiments.record.inference import Interval, mean_interval, pairs
from vaebook.experiments.record.load import load_recorded


class UnitUse(NamedTuple):
    """One use of a VAE, and how it is judged."""

    name: str
    record: str
    unit: str  # of replication: the column that names it
    vae: str  # of the column ``method``
    plain: tuple[str, ...]
    measure: str  # ``validation_`` before it is the column that chooses
    higher_is_better: bool
    resolution: float  # the step in which the measure is measured


USES = (
    UnitUse(
        "finding a class held out",
        "anomalies_by_class",
        "class",
        "VAE: NLL",
        (
            *("PCA: reconstruction error", "PCA: Mahalanobis distance", "PCA: NLL"),
            "nearest neighbours",
        ),
        "auroc",
        True,
        1e-4,
    ),
    UnitUse(
        "filling gaps of tables",
        "imputation_by_table",
        "table",
        "VAE, 5 samples",
        ("mean", "10 nearest rows", "chained regressions", "Gaussian", "probabilistic PCA"),
        "rmse",
        False,
        1e-4,
    ),
    UnitUse(
        "inpainting",
        "inpainting_by_class",
        "class",
        "conditional VAE, 8 samples",
        (
            *("mean picture", "1 nearest", "10 nearest", "regression network"),
            *(f"Gaussian of {rank} components" for rank in (16, 64, 128, 256)),
        ),
        "rmse",
        False,
        1e-4,
    ),
    UnitUse(
        "new pictures",
        "generation_by_class",
        "class",
        "VAE",
        (
            *("Gaussian of 16 components", "Gaussian of 64 components"),
            "mixture over 16 components",
        ),
        "frechet",
        False,
        1e-4,
    ),
)


class UnitComparison(NamedTuple):
    """A use with its numbers."""

    use: str
    plain: str  # the method that validation chose
    gain: Interval  # of the VAE over it, by unit: positive where the VAE is better

    @property
    def winner(self) -> str:
        """``"VAE"``, ``"plain"``, or ``"open"``."""
        if self.gain.low > 0:
            return "VAE"
        return "plain" if self.gain.high < 0 else "open"


def compare(use: UnitUse, record: pd.DataFrame) -> UnitComparison:
    """Choose the plain method on validation data, and compare on test data.

    Seeds, shares of gaps and whatever else the record repeats within a unit are averaged first.

    Raises:
        ValueError: if a method or one of its values is missing.
    """
    sign = 1 if use.higher_is_better else -1
    choosing = f"validation_{use.measure}"
    rows = record[record["method"].isin((use.vae, *use.plain))]
    missing = {use.vae, *use.plain} - set(rows["method"])
    if missing:
        raise ValueError(f"the record {use.record} has no rows of {sorted(missing)}.")
    means = rows.groupby([use.unit, "method"], as_index=False)[[use.measure, choosing]].mean()
    of_plain = means[means["method"] != use.vae].groupby("method")[choosing].mean()
    best = str((sign * of_plain).idxmax())
    gain = sign * pairs(means, "method", use.vae, best, use.measure, unit=use.unit)
    return UnitComparison(
        use.name, best, mean_interval(gain, unit=use.unit, resolution=use.resolution)
    )


def compare_all(folder: Path | None = None) -> list[UnitComparison]:
    """Every use, from its record."""
    return [compare(use, load_recorded(use.record, folder)) for use in USES]
