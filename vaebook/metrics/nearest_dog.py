"""How far an image is from the nearest possible dog, and which dogs a set of images covers.

The dogs are drawn by a differentiable function of sixteen factors in known ranges, so "is this a
dog?" has an answer that needs no trained judge: minimise the difference over the factors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count, check_finite, check_images, check_positive
from vaebook.data.dogs import FACTORS, factor_range, load_dogs, render
from vaebook.metrics._dog_fit import improve, start

# What still counts as a dog, as RMSE per pixel. Measured on 60 images each (5 %, median, 95 %):
# held-out dogs 0.000, 0.000, 0.000; dogs blurred by a Gaussian of one pixel 0.025, 0.037, 0.047;
# the mean of two dogs 0.032, 0.053, 0.081; empty paper 0.061; uniform noise 0.46, 0.47, 0.48.
# A decoded image that is one dog but a bit soft passes, most averages of two dogs fail.
DOG_THRESHOLD = 0.04

_CANDIDATES = 6  # nearest dogs of the bank from which a fit starts
_TRIAL_STEPS = 4  # steps that each of them gets
_FINALISTS = 2  # how many of them go on to the end
_MAX_STEPS = 40
_CHUNK = 100  # images fitted at a time


class NearestDog(NamedTuple):
    """The closest dog that was found for each image."""

    distance: Float[Tensor, " n"]  # RMSE over the pixels, in units of brightness
    factors: Float[Tensor, "n f"]  # in the order and units of FACTORS
    images: Float[Tensor, "n 1 h w"]  # the dog as it is drawn


def nearest_dog(images: Float[Tensor, "n 1 s s"]) -> NearestDog:
    """Find the nearest possible dog of each image: minimise the RMSE over all sixteen factors.

    Levenberg-Marquardt inside the factors' ranges, from the six nearest of 20,000 dogs (the
    training dogs and their mirror images). The result is an upper bound of the true distance: it
    belongs to a dog that exists, and a nearer one may have been missed. On held-out dogs, whose
    true distance is 0, all but about one in a hundred come out below 0.003. Deterministic, and
    every image is fitted on its own.

    Args:
        images: square grey images in [0, 1], of any size from 8.

    Returns:
        Distance, factors and picture of the dog for each image.

    Raises:
        ValueError: if images are no grey square floats in [0, 1].

    Source:
        Levenberg-Marquardt after Nocedal & Wright (2006), section 10.3.
    """
    check_images(images)
    channels, height, size = images.shape[1:]
    if channels != 1 or height != size:
        raise ValueError(
            f"images have shape {tuple(images.shape)}; expected square grey ones [n, 1, s, s]. "
            "Average the channels, or crop."
        )
    with torch.no_grad():
        parts = [_fit(chunk.detach().float()) for chunk in images.split(_CHUNK)]
    return NearestDog(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _fit(images: Float[Tensor, "n 1 s s"]) -> NearestDog:
    """:func:`nearest_dog` of a few images."""
    size = images.shape[-1]
    low, high = factor_range()
    bank_images, bank_factors = _bank(size)
    nearest = torch.cdist(images.flatten(1), bank_images).topk(_CANDIDATES, largest=False).indices
    guesses = ((bank_factors[nearest] - low) / (high - low)).double().flatten(0, 1)
    copies = images.repeat_interleave(_CANDIDATES, 0)
    trial = start(copies, guesses)
    improve(trial, copies, _TRIAL_STEPS)
    best = trial.cost.view(len(images), -1).topk(_FINALISTS, largest=False).indices
    rows = (best + _CANDIDATES * torch.arange(len(images))[:, None]).flatten()
    final = trial.take(rows)
    improve(final, copies[rows], _MAX_STEPS)
    winner = final.cost.view(len(images), -1).argmin(1)
    final = final.take(winner + _FINALISTS * torch.arange(len(images)))
    factors = low + (high - low) * final.unit.float()
    pictures = render(factors, size=size)
    distance = (pictures - images).square().mean((1, 2, 3)).sqrt()
    return NearestDog(distance, factors, pictures)


def _bank(size: int) -> tuple[Float[Tensor, "m p"], Float[Tensor, "m f"]]:
    """Dogs to start from, flattened: the training dogs, each also as its mirror image."""
    train = load_dogs(size=size).train
    assert train.factors is not None
    mirrored = train.factors.clone()
    for name in ("x", "facing"):
        mirrored[:, _INDEX[name]] *= -1
    images = torch.cat([train.images, train.images.flip(3)]).flatten(1)
    return images, torch.cat([train.factors, mirrored])


_INDEX = {factor.name: column for column, factor in enumerate(FACTORS)}


def validity(images: Float[Tensor, "n 1 s s"], *, threshold: float = DOG_THRESHOLD) -> float:
    """The share of images that are dogs: within ``threshold`` of the nearest possible dog.

    Args:
        images: square grey images in [0, 1].
        threshold: largest RMSE that still counts.
    """
    check_positive("threshold", threshold)
    return float((nearest_dog(images).distance <= threshold).float().mean())


def factor_coverage(factors: Float[Tensor, "n f"], *, num_bins: int = 10) -> Float[Tensor, " f"]:
    """How evenly dogs fill the range of each factor: 1 is perfect, 1/num_bins a single bin.

    The overlap of the factor's histogram with the uniform distribution that the data set has,
    ``Σ_b min(p_b, 1 / num_bins)``. A finite sample cannot score 1: compare only sets of one size,
    or with the score of as many real dogs (about 0.88 for 100 dogs and ten bins).

    Args:
        factors: one row per dog, in the order and units of ``FACTORS``.
        num_bins: equal bins between a factor's lowest and highest value.

    Returns:
        The overlap of each factor; its mean is the coverage of the set.

    Raises:
        ValueError: if factors are no finite floats ``[n, 16]`` with n of at least 1.
    """
    check_count("num_bins", num_bins)
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS) or len(factors) == 0:
        raise ValueError(
            f"factors have shape {tuple(factors.shape)}; expected [n, {len(FACTORS)}], one row per "
            "dog. Take them from nearest_dog(images).factors."
        )
    check_finite("factors", factors)
    low, high = factor_range()
    place = (factors - low) / (high - low)
    bins = (place * num_bins).long().clamp(0, num_bins - 1)  # [n, f]
    counts = torch.zeros(num_bins, len(FACTORS)).scatter_add_(0, bins, torch.ones_like(place))
    return (counts / len(factors)).clamp(max=1 / num_bins).sum(0)
