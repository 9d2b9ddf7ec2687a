"""What a VAE is good for: each use beside the best plain method, by one rule (chapter 13).

One VAE and one measure are named for each use before the five seeds are run. It is compared, seed
by seed, with the plain method whose mean is best. The VAE is of use if it is better with 95 %
confidence, the plain method is if that is, and otherwise the question is open.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise


class Use(NamedTuple):
    """One use of a VAE, and how it is judged.

    The VAE was named beforehand, the best plain method is found by its mean over seeds: that is
    no advantage for the VAE.
    """

    name: str
    record: str
    column: str  # names the method
    vae: str
    plain: tuple[str, ...]
    measure: str
    higher_is_better: bool
    only: tuple[tuple[str, object], ...] = ()  # rows to keep; all others are averaged


INPAINTERS = ("regression network", "conditional Gaussian", "nearest neighbours", "mean picture")
USES = (
    Use("log p(x) of 500 dogs", "importance_bound", "model",
        "learned σ", ("PCA 16", "PCA 64", "PCA 256"),
        "log_p", True, (("proposal", "500 dogs"),)),
    Use("finding a class held out", "anomalies", "score",
        "VAE: NLL", ("PCA: reconstruction error", "PCA: Mahalanobis distance", "PCA: NLL",
                     "nearest neighbours"),
        "auroc", True),
    Use("inpainting: error of the mean", "inpainting", "method",
        "conditional VAE, learned prior", INPAINTERS, "mean", False),
    Use("inpainting: share of dogs", "inpainting", "method",
        "conditional VAE, learned prior", INPAINTERS, "dogs", True),
    Use("filling gaps of tables", "imputation", "method", "VAE, 5 samples",
        ("mean", "10 nearest rows", "chained regressions", "Gaussian", "probabilistic PCA"),
        "rmse", False),
    Use("features for 100 labels", "features", "features",
        "VAE, mean", ("PCA 16", "PCA 64", "pixels"), "accuracy", True, (("labels", 100),)),
)  # fmt: skip


class Comparison(NamedTuple):
    """A use with its numbers. Differences are positive where the VAE is better."""

    use: str
    vae: float
    best_plain: str
    plain: float
    difference: float
    low: float
    high: float

    @property
    def winner(self) -> str:
        """``"VAE"``, ``"plain"``, or ``"open"``."""
        if self.low > 0:
            return "VAE"
        return "plain" if self.high < 0 else "open"


def per_seed(frame: pd.DataFrame, use: Use) -> pd.DataFrame:
    """One column per method, one row per seed: the measure, averaged over all that is left."""
    for column, value in use.only:
        frame = frame[frame[column] == value]
    return frame.pivot_table(index="seed", columns=use.column, values=use.measure, aggfunc="mean")


def compare(use: Use, frame: pd.DataFrame) -> Comparison:
    """Apply the rule to the rows of a record."""
    table = per_seed(frame, use)
    sign = 1 if use.higher_is_better else -1
    best = max(use.plain, key=lambda name: sign * table[name].mean())
    difference = sign * (table[use.vae] - table[best])
    row = summarise(pd.DataFrame({"seed": table.index, "gain": difference.to_numpy()}), []).iloc[0]
    return Comparison(
        use.name,
        float(table[use.vae].mean()),
        best,
        float(table[best].mean()),
        float(row["mean"]),
        float(row["low"]),
        float(row["high"]),
    )


def compare_all(folder: Path | None = None, uses: Sequence[Use] = USES) -> list[Comparison]:
    """Every use, from its record."""
    return [compare(use, load_recorded(use.record, folder)) for use in uses]
