"""Dogs drawn from known factors: the running example, and the one data set whose truth is known.

A dog is a skeleton of tapered capsules, turned about the vertical axis, projected onto the picture,
and painted with soft edges. Everything is one differentiable function of sixteen numbers.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count, check_tensor
from vaebook.data._dataset import ImageData, Split
from vaebook.data._dog_painting import draw


class Factor(NamedTuple):
    """One number that a dog is drawn from, uniform between ``low`` and ``high``."""

    name: str
    low: float
    high: float
    description: str


# Lengths are in widths of the picture, before ``size`` scales the dog.
FACTORS: tuple[Factor, ...] = (
    Factor("x", -0.05, 0.05, "the dog's middle, picture widths right of the picture's"),
    Factor("y", -0.06, 0.06, "the dog's middle, picture heights above the picture's"),
    Factor("size", 0.85, 1.15, "scale of the whole dog"),
    Factor("facing", -1.0, 1.0, "-1 looks left, 0 at us, 1 right"),
    Factor("body_length", 0.16, 0.36, "shoulder to hip"),
    Factor("body_depth", 0.055, 0.095, "radius of the chest"),
    Factor("leg_length", 0.06, 0.24, "belly to ground"),
    Factor("neck_angle", 20.0, 75.0, "degrees above the horizontal"),
    Factor("head_size", 0.048, 0.072, "radius of the skull"),
    Factor("snout_length", 0.04, 0.12, "how far the muzzle sticks out"),
    Factor("ear_length", 0.05, 0.12, "root to tip"),
    Factor("ear_angle", -80.0, 80.0, "degrees: -80 floppy, 80 pricked"),
    Factor("tail_length", 0.06, 0.18, "root to tip"),
    Factor("tail_angle", -55.0, 75.0, "degrees above the horizontal at the root"),
    Factor("coat", 0.10, 0.75, "brightness of the coat"),
    Factor("patch", 0.10, 0.90, "brightness of the patch on the back"),
)
FACTOR_NAMES: tuple[str, ...] = tuple(factor.name for factor in FACTORS)

_CHUNK = 128  # dogs posed at a time


def factor_range() -> tuple[Float[Tensor, " f"], Float[Tensor, " f"]]:
    """The lowest and the highest value of every factor, in the order of ``FACTORS``."""
    low = torch.tensor([factor.low for factor in FACTORS])
    high = torch.tensor([factor.high for factor in FACTORS])
    return low, high


def sample_factors(n: int, *, seed: int) -> Float[Tensor, "n f"]:
    """Draw factors of ``n`` dogs, each factor independent and uniform in its range.

    Args:
        n: number of dogs.
        seed: the same seed gives the same dogs. The global random state is left alone.

    Returns:
        One row per dog, one column per entry of ``FACTORS``, in its units.

    Raises:
        ValueError: if ``n`` is no positive integer or ``seed`` is negative.
    """
    check_count("n", n)
    check_count("seed", seed, minimum=0)
    low, high = factor_range()
    uniform = torch.rand(n, len(FACTORS), generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * uniform


def render(factors: Float[Tensor, "n f"], *, size: int = 32) -> Float[Tensor, "n 1 size size"]:
    """Draw dogs, dark on light paper: 0 is black, 1 white, the paper 0.95.

    Differentiable in the factors, in float32 or float64, under autograd and ``torch.func``
    (``jacfwd``, ``jvp``, ``vmap``). Edges are about a pixel soft at every size, so a large picture
    averaged down looks like a small one. Factors outside their ranges are drawn as they come.

    Args:
        factors: one row per dog, in the order and units of ``FACTORS``.
        size: height and width of the picture in pixels.

    Returns:
        Images in [0, 1], in the dtype and on the device of the factors.

    Raises:
        ValueError: if the factors are no finite floats ``[n, 16]``, or ``size`` is below 8.

    Source:
        Chapter 1, "The dogs".
    """
    check_tensor("factors", factors, floats=True)
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS):
        raise ValueError(
            f"factors is {tuple(factors.shape)}; expected a tensor [n, {len(FACTORS)}], one row "
            f"per dog ({', '.join(FACTOR_NAMES)}). Use sample_factors, or factors[None] for one."
        )
    check_count("size", size, minimum=8)
    return torch.cat([draw(chunk, size) for chunk in factors.split(_CHUNK)])


def load_dogs(
    num_train: int = 10_000,
    num_validation: int = 1_000,
    num_test: int = 2_000,
    *,
    size: int = 32,
    seed: int = 0,
) -> ImageData:
    """Draw the dog data set: three splits from random streams of their own.

    A split does not depend on the sizes of the others, and a shorter split is the beginning of a
    longer one. What was drawn is remembered; each call returns a copy of its own, to do with as
    you like.

    Args:
        num_train, num_validation, num_test: dogs in each split.
        size: height and width in pixels.
        seed: changes every dog of every split.

    Returns:
        Images ``[n, 1, size, size]`` in [0, 1] with the factors they were drawn from.

    Raises:
        ValueError: if a number is not a positive integer.
    """
    check_count("seed", seed, minimum=0)
    check_count("size", size, minimum=8)
    for name, count in (("train", num_train), ("validation", num_validation), ("test", num_test)):
        check_count(f"num_{name}", count)
    counts = int(num_train), int(num_validation), int(num_test)
    drawn = _draw(counts, size=int(size), seed=int(seed))
    train, validation, test = (
        Split(images.clone(), factors=factors.clone()) for images, factors in drawn
    )
    return ImageData("dogs", train, validation, test)


@lru_cache(maxsize=4)
def _draw(
    counts: tuple[int, int, int], *, size: int, seed: int
) -> list[tuple[Float[Tensor, "n 1 size size"], Float[Tensor, "n f"]]]:
    """Images and factors of the splits, which are kept: nobody may change them."""
    drawn = []
    for stream, count in enumerate(counts):
        factors = sample_factors(count, seed=3 * seed + stream)
        with torch.no_grad():
            drawn.append((render(factors, size=size), factors))
    return drawn
