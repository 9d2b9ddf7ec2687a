"""What measures of samples read for real pictures, by how many there are (chapter 12).

Two sets of real dogs, and one of real against blurred dogs: a model that draws perfectly, and one
that does not. A measure without bias would read the same for every number of pictures.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vaebook.data import render, sample_factors
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.metrics import frechet_bias, frechet_distance, precision_recall

SIZES = (100, 200, 500, 1000, 2000, 4000)
DOG_SEED = 60_000_001  # none of the data's


def blurred(images: Tensor) -> Tensor:
    """Each pixel a third of the way to the mean of its neighbourhood of three by three."""
    mean = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return torch.lerp(images, mean, 1 / 3)


def run(seed: int, *, sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Measure sets of each size; a smaller set is the beginning of a larger one.

    Returns:
        A row per size and kind (``"real"`` or ``"blurred"``): ``precision``, ``recall`` and
        ``frechet`` in features, and ``predicted``, the bias that Gaussian features would have.
    """
    most = max(sizes)
    with torch.no_grad():
        dogs = render(sample_factors(2 * most, seed=DOG_SEED + seed))
    features = recorded_features("dogs")
    real = features(dogs[:most])
    sets = {"real": features(dogs[most:]), "blurred": features(blurred(dogs[most:]))}
    covariance = torch.cov(real.double().T)
    rows = []
    for kind, others in sets.items():
        for size in sizes:
            precision, recall = precision_recall(real[:size], others[:size])
            rows.append(
                {
                    "kind": kind,
                    "size": size,
                    "precision": precision,
                    "recall": recall,
                    "frechet": frechet_distance(real[:size], others[:size]),
                    "predicted": frechet_bias(covariance, size, size),
                }
            )
    return rows
