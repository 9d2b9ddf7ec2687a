"""Every measure of chapter 12 on one set of samples."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.experiments.ch12_vae_versus_gan.pictures import PictureData, feature_network
from vaebook.experiments.record.load import load_recorded_weights
from vaebook.metrics import (
    frechet_distance,
    nearest_distance,
    novelty,
    power_spectrum,
    precision_recall,
    sharpness,
)
from vaebook.metrics.nearest_dog import (
    DOG_THRESHOLD,
    coverage_ceiling,
    factor_coverage,
    nearest_dog,
)

FINE = 0.25  # cycles per pixel: half the highest frequency; what is above counts as fine detail

Features = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n f"]]


class Reference(NamedTuple):
    """The real pictures that samples are held against, and what is known of them once for all."""

    data: PictureData
    features: Features
    test_features: Float[Tensor, "n f"]
    held_out_distance: Float[Tensor, " n"]  # from test pictures to the nearest training picture


def recorded_features(data_name: str) -> Features:
    """The features of the network that the record ``feature_networks`` keeps."""
    network = feature_network(data_name)
    load_recorded_weights("feature_networks", data_name, network)
    network.eval()

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([network.features(part) for part in images.split(1000)])

    return features


def reference_of(data: PictureData, features: Features) -> Reference:
    """Features and distances of the test pictures."""
    test = data.test.images
    return Reference(data, features, features(test), nearest_distance(test, data.train.images))


def judge_dogs(images: Float[Tensor, "n 1 s s"]) -> dict[str, float]:
    """What only the dogs' renderer can tell: are these dogs, and which?

    Returns:
        ``validity``: the share of dogs. ``distance``: median RMSE to the nearest possible dog.
        ``coverage``: of the factors' ranges by those that are dogs, divided by what as many real
        dogs are expected to cover; 0 where there is none.
    """
    found = nearest_dog(images)
    dogs = found.distance <= DOG_THRESHOLD
    covered = float(factor_coverage(found.factors[dogs]).mean()) if dogs.any() else 0.0
    return {
        "validity": float(dogs.float().mean()),
        "distance": float(found.distance.median()),
        "coverage": covered / coverage_ceiling(max(1, int(dogs.sum()))),
    }


def measure_samples(
    samples: Float[Tensor, "n c h w"], reference: Reference, *, num_judged: int = 100
) -> dict[str, float]:
    """Everything that can be told from the samples alone.

    Args:
        samples: pictures in [0, 1], as many as there are test pictures: the counts bias most
            measures.
        reference: real pictures.
        num_judged: how many samples, from the first, get their nearest dog.

    Returns:
        :func:`judge_dogs` (of dogs only); ``precision`` and ``recall`` in features,
        ``precision_pixels`` and ``recall_pixels``; ``frechet`` in features; ``sharpness``, the
        power in fine detail (``fine``) and at each frequency (``power_k``) relative to the test
        pictures; ``novelty`` and ``copies``.
    """
    test = reference.data.test.images
    measures = judge_dogs(samples[:num_judged]) if reference.data.name == "dogs" else {}
    features = reference.features(samples)
    precision, recall = precision_recall(reference.test_features, features)
    in_pixels = precision_recall(test, samples)
    new = novelty(samples, reference.data.train.images, reference.held_out_distance)
    ours, real = power_spectrum(samples), power_spectrum(test)
    fine = round(FINE * test.shape[-1])
    return (
        measures
        | {
            "precision": precision,
            "recall": recall,
            "precision_pixels": in_pixels.precision,
            "recall_pixels": in_pixels.recall,
            "frechet": frechet_distance(reference.test_features, features),
            "sharpness": float(sharpness(samples).mean() / sharpness(test).mean()),
            "fine": float(ours[fine:].sum() / real[fine:].sum()),
            "novelty": new.relative,
            "copies": new.copies,
        }
        | {f"power_{k}": ratio for k, ratio in enumerate((ours / real).tolist())}
    )
