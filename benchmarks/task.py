"""What every loop trains, on what, and by what all of them are judged."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaebook.data import load_fashion
from vaebook.data.fashion import read_full
from vaebook.distributions import GaussianLikelihood
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE
from vaebook.training import seeded

SHAPE = (1, 28, 28)
BATCH_SIZE = 128
LR = 1e-3


@dataclass(frozen=True)
class Task:
    """One training: the same for every loop.

    Args:
        pixels: pictures ``uint8 [n, 28, 28]``.
        num_epochs: passes over them, in batches of ``BATCH_SIZE``.
        seed: of the weights, the order and the noise.
    """

    pixels: np.ndarray
    num_epochs: int
    seed: int


class Outcome(NamedTuple):
    """What a loop needed, and the weights it ended with, under the package's names."""

    seconds: float
    weights: dict[str, Tensor]


def training_pixels(num_images: int | None = None) -> np.ndarray:
    """60,000 images ``uint8 [n, 28, 28]``: the full set if it is here, else the subset repeated.

    Args:
        num_images: only so many of them.
    """
    try:
        pixels = read_full()[0]
    except FileNotFoundError:
        print("the full Fashion-MNIST is not here: the embedded 10,000 images repeated 6 times")
        subset = (load_fashion().train.images[:, 0] * 255).round().to(torch.uint8).numpy()
        pixels = np.tile(subset, (6, 1, 1))
    return pixels[:num_images].copy()  # what is read from a file is not writable


def as_images(pixels: np.ndarray) -> Tensor:
    """Bytes ``[n, h, w]`` as floats in [0, 1], ``[n, 1, h, w]``."""
    return torch.from_numpy(pixels.astype(np.float32) / 255.0)[:, None]


def build(seed: int = 0, latent_dim: int = 20) -> VAE:
    """The VAE that all loops train: 784-400-20, pixels of unit variance."""
    with seeded(seed):
        return VAE(SHAPE, latent_dim, network=MLP((400,)), likelihood=GaussianLikelihood(1.0))


def negative_elbo(weights: dict[str, Tensor], images: Tensor) -> float:
    """Mean negative ELBO in nats of ``images`` under a model with these weights."""
    model = build()
    # the σ of the pixels is no weight: the other loops do not have it
    model.load_state_dict(weights, strict=False)
    return -float(evaluate_elbo(model, images, num_samples=4).elbo.mean())


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range."""
    middle, low, high = (
        f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low} to {high})"


def verdict(goal: str, met: bool) -> str:
    """A goal, and whether it is met."""
    return f"goal {goal}: {'met' if met else 'missed'}"
