"""The records of the comparison of VAE and GAN as one."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from vaebook.experiments.record.load import load_pictures, load_recorded

COMPARISON_RECORDS = {
    "dogs": ("comparison", "comparison_adversarial"),
    "fashion": ("comparison_fashion", "comparison_fashion_adversarial"),
}


def load_comparison(data_name: str, folder: Path | None = None) -> pd.DataFrame:
    """One row per sampler, budget and seed.

    Args:
        data_name: ``"dogs"`` or ``"fashion"``.
        folder: where the records lie.

    Raises:
        FileNotFoundError: if one of the two was never recorded.
    """
    parts = [load_recorded(name, folder) for name in COMPARISON_RECORDS[data_name]]
    return pd.concat(parts, ignore_index=True)


def load_comparison_pictures(data_name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The first samples of seed 0 of each sampler."""
    pictures: dict[str, Tensor] = {}
    for name in COMPARISON_RECORDS[data_name]:
        pictures |= load_pictures(name, folder)
    return pictures
