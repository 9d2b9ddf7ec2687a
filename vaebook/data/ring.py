"""Eight normals on a circle: two-pixel "pictures" whose modes can be counted (chapter 11)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._random import seeded

NUM_MODES = 8
RADIUS = 0.35  # round the middle of the unit square
STD = 0.02  # of each normal
FAR = 4.0  # standard deviations from its centre beyond which a point is on no mode


class Modes(NamedTuple):
    """Where samples lie."""

    found: int  # modes with at least a tenth of their fair share
    on_modes: float  # share of the samples on some mode
    divergence: float  # KL of the shares of the modes to the uniform distribution, in nats


def ring_centres() -> Float[Tensor, "m 2"]:
    """The centres of the eight normals, in the unit square."""
    angle = 2 * math.pi * torch.arange(NUM_MODES) / NUM_MODES
    return 0.5 + RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def ring_images(n: int, *, seed: int) -> Float[Tensor, "n 1 1 2"]:
    """``n`` points of the mixture, each a picture of one by two pixels in [0, 1]."""
    with seeded(seed):
        which = torch.randint(NUM_MODES, (n,))
        points = ring_centres()[which] + STD * torch.randn(n, 2)
    return points.clamp(0, 1)[:, None, None]


def count_modes(samples: Float[Tensor, "n 1 1 2"]) -> Modes:
    """Which modes have samples, and how evenly.

    A normal in the plane has 0.03 % of its mass beyond 4 standard deviations.
    """
    distance = torch.cdist(samples.flatten(1), ring_centres())
    nearest = distance.min(1)
    good = nearest.values < FAR * STD
    counts = torch.bincount(nearest.indices[good], minlength=NUM_MODES).double()
    found = int((counts >= 0.1 * len(samples) / NUM_MODES).sum())
    shares = counts / counts.sum().clamp(min=1)
    divergence = float(torch.xlogy(shares, shares * NUM_MODES).sum())
    return Modes(found, float(good.double().mean()), divergence)
