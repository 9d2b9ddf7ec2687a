"""The records of the comparison of VAE and GAN as one, and the features it measures in."""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from vaebook.experiments.pictures import feature_network
from vaebook.experiments.record.load import load_pictures, load_recorded, load_recorded_weights
from vaebook.metrics.samples.measure import Features

COMPARISON_RECORDS = {
    "dogs": ("comparison", "comparison_adversarial"),
    "fashion": ("comparison_fashion", "comparison_fashion_adversarial"),
}


def load_comparison(data_name: str, folder: Path | None = None) -> pd.DataFrame:
    """One row per sampler, budget and seed, of dogs or of clothes: ``"dogs"`` or ``"fashion"``."""
    parts = [load_recorded(name, folder) for name in COMPARISON_RECORDS[data_name]]
    return pd.concat(parts, ignore_index=True)


def load_comparison_pictures(data_name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The first samples of seed 0 of each sampler."""
    pictures: dict[str, Tensor] = {}
    for name in COMPARISON_RECORDS[data_name]:
        pictures |= load_pictures(name, folder)
    return pictures


def recorded_features(data_name: str) -> Features:
    """The features of the network that the record ``feature_networks`` keeps."""
    network = feature_network(data_name)
    load_recorded_weights("feature_networks", data_name, network)
    network.eval()

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([network.features(part) for part in images.split(1000)])

    return features
