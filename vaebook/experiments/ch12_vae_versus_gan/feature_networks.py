"""The networks whose features chapter 12 compares pictures by, and how well they know their job.

Their weights, of seed 0, are kept with the record: features are the same wherever they are used.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from vaebook.data import FACTOR_NAMES
from vaebook.experiments.pictures import (
    DATA_NAMES,
    feature_network,
    load_pictures_of,
)
from vaebook.models.feature_network import ClassClassifier, FactorRegressor
from vaebook.training import fit, seeded

LR = 2e-3  # the first learning rate; it falls to 0 along half a cosine


def run(
    seed: int,
    *,
    num_epochs: int = 20,
    num_train: int = 10_000,
    weights: dict[str, nn.Module] | None = None,
) -> list[dict[str, Any]]:
    """Train a network on the factors of dogs and one on the classes of clothes.

    Args:
        weights: filled with the networks, ``"dogs"`` and ``"fashion"``.

    Returns:
        A row per factor, with ``score``, the share of the factor's variance on held-out dogs that
        the network explains (R²), and one for the classes, with the share of right answers.
    """
    rows: list[dict[str, Any]] = []
    for name in DATA_NAMES:
        data = load_pictures_of(name)
        with seeded(seed):
            network = feature_network(name)
        answers = data.train.factors if name == "dogs" else data.train.labels
        assert answers is not None
        images, answers = data.train.images[:num_train], answers[:num_train]
        fit(
            network,
            (images, answers),
            num_epochs=num_epochs,
            lr=LR,
            scheduler=partial(CosineAnnealingLR, T_max=num_epochs * math.ceil(len(images) / 128)),
            seed=seed,
        )
        if weights is not None:
            weights[name] = network
        with torch.no_grad():
            if isinstance(network, FactorRegressor):
                assert data.test.factors is not None
                scores = explained(network.factors(data.test.images), data.test.factors)
                rows += [
                    {"data": name, "answer": factor, "score": score}
                    for factor, score in zip(FACTOR_NAMES, scores.tolist(), strict=True)
                ]
            else:
                assert isinstance(network, ClassClassifier)
                assert data.test.labels is not None
                right = network(data.test.images).argmax(1) == data.test.labels
                rows.append({"data": name, "answer": "class", "score": float(right.float().mean())})
    return rows


def explained(answers: Tensor, truth: Tensor) -> Tensor:
    """R² of each column: 1 minus the mean squared error divided by the variance of the truth."""
    return 1 - (answers - truth).square().mean(0) / truth.var(0, unbiased=False)
