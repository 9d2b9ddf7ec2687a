"""Dogs of five kinds, which differ within a kind in two numbers: what the latent plane shows.

All sixteen factors of a dog do not fit into a code of two numbers. These do, and they leave gaps:
between two kinds there is no dog.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaebook._checks import check_count
from vaebook.data.dogs import FACTOR_NAMES, factor_range, render

SIZE = 64  # pixels of a picture's side
FRAME = slice(7, 57)  # rows and columns with a dog in them; the paper round them is left out
SHAPE = (1, FRAME.stop - FRAME.start, FRAME.stop - FRAME.start)
PAPER = 0.95
KINDS = ("low", "tall", "stocky", "long", "facing us")
LEGS, COAT = 0.06, 0.16  # how far the two numbers range within a kind
HELD: dict[str, tuple[float, ...]] = {  # the factors of each kind, in its order
    "facing": (0.9, -0.9, 0.9, -0.9, 0.0),
    "body_length": (0.34, 0.26, 0.22, 0.30, 0.20),
    "body_depth": (0.065, 0.075, 0.092, 0.085, 0.080),
    "leg_length": (0.09, 0.21, 0.14, 0.11, 0.15),
    "neck_angle": (30, 65, 50, 40, 60),
    "head_size": (0.055, 0.052, 0.068, 0.058, 0.066),
    "snout_length": (0.10, 0.11, 0.06, 0.08, 0.05),
    "ear_length": (0.11, 0.07, 0.10, 0.06, 0.08),
    "ear_angle": (-70, 65, -60, 60, 70),
    "tail_length": (0.10, 0.17, 0.12, 0.15, 0.10),
    "tail_angle": (20, 65, -40, 50, 60),
    "coat": (0.18, 0.30, 0.62, 0.50, 0.20),
    "patch": (0.15, 0.85, 0.50, 0.20, 0.70),
}


class Dogs(NamedTuple):
    """Pictures and where they come from."""

    images: Float[Tensor, "n 1 h w"]  # inside the frame
    kinds: Int[Tensor, " n"]  # place in ``KINDS``


def dogs_of_five_kinds(n: int, *, seed: int) -> Dogs:
    """Draw dogs; all kinds are equally likely.

    Args:
        n: how many.
        seed: the same seed gives the same dogs.

    Raises:
        ValueError: if ``n`` is no positive integer.
    """
    check_count("n", n)
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(len(KINDS), (n,), generator=generator)
    numbers = torch.rand(n, 2, generator=generator) - 0.5
    low, high = factor_range()
    factors = ((low + high) / 2).repeat(n, 1)
    for name, values in HELD.items():
        factors[:, FACTOR_NAMES.index(name)] = torch.tensor(values)[kinds]
    factors[:, FACTOR_NAMES.index("leg_length")] += LEGS * numbers[:, 0]
    factors[:, FACTOR_NAMES.index("coat")] += COAT * numbers[:, 1]
    return Dogs(render(factors, size=SIZE)[:, :, FRAME, FRAME], kinds)


def framed(images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 s s"]:
    """Whole pictures, the paper round the frame put back."""
    whole = images.new_full((len(images), 1, SIZE, SIZE), PAPER)
    whole[:, :, FRAME, FRAME] = images
    return whole
