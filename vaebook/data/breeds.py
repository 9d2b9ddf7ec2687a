"""Dogs of two breeds and two directions, whose shares are known (chapter 11)."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._random import seeded
from vaebook.data._dataset import ImageData, Split
from vaebook.data.dogs import FACTOR_NAMES, render, sample_factors

RARE = 0.05  # share of the pale breed
DARK, PALE = (0.10, 0.30), (0.60, 0.75)  # brightness of the coat
SIZE = 16  # pixels
SIDEWAYS = 0.5  # |facing| of all dogs is at least this
CHANGED = ("facing", "coat")  # factors that are not as in the data set
# Seeds of the splits; not small ones, which load_dogs uses.
SPLIT_SEEDS = {"train": 1_000_011, "validation": 1_000_012, "test": 1_000_013}


def breed_factors(n: int, *, seed: int) -> Float[Tensor, "n f"]:
    """Factors of two breeds that look to the left or to the right, equally often.

    Dark dogs, and with chance ``RARE`` pale ones; everything else is as in the data set.
    """
    factors = sample_factors(n, seed=seed)
    facing, coat = FACTOR_NAMES.index("facing"), FACTOR_NAMES.index("coat")
    with seeded(seed + 1_000):
        pale = torch.rand(n) < RARE
        place = torch.rand(n)
    turned = factors[:, facing]  # uniform in [-1, 1]: squeeze each half away from 0
    factors[:, facing] = turned.sign() * (SIDEWAYS + (1 - SIDEWAYS) * turned.abs())
    low = torch.where(pale, PALE[0], DARK[0])
    high = torch.where(pale, PALE[1], DARK[1])
    factors[:, coat] = low + (high - low) * place
    return factors


def breeds() -> ImageData:
    """The data set of the two breeds, in 16 by 16 pixels."""

    def split(count: int, name: str) -> Split:
        factors = breed_factors(count, seed=SPLIT_SEEDS[name])
        with torch.no_grad():
            return Split(render(factors, size=SIZE), factors=factors)

    return ImageData(
        "breeds", split(10_000, "train"), split(1_000, "validation"), split(1_000, "test")
    )


def shares(dogs: Float[Tensor, "n f"]) -> dict[str, float]:
    """Shares of the kinds among dogs with these factors.

    Returns:
        ``pale`` (coat above the middle between the breeds), ``right`` (facing above 0), and
        ``between``: neither breed, or looking at us, which no dog of the data does. The margins
        are a quarter of the gap on each side.
    """
    facing, coat = (dogs[:, FACTOR_NAMES.index(name)] for name in CHANGED)
    margin = (PALE[0] - DARK[1]) / 4
    grey = (coat > DARK[1] + margin) & (coat < PALE[0] - margin)
    frontal = facing.abs() < SIDEWAYS / 2
    return {
        "pale": float((coat > (DARK[1] + PALE[0]) / 2).float().mean()),
        "right": float((facing > 0).float().mean()),
        "between": float((grey | frontal).float().mean()),
    }
