"""How far an image is from the nearest possible dog.

The dogs are drawn by a differentiable function of sixteen factors in known ranges, so "is this a
dog?" has an answer that needs no trained judge: minimise the difference over the factors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaebook._checks import check_real
from vaebook.data.dogs import factor_range, render
from vaebook.metrics._inputs import as_images
from vaebook.metrics.dogs._fit import Fit, improve, start
from vaebook.metrics.dogs._starts import likely_starts, other_limbs

# What still counts as a dog, as RMSE per pixel. The experiment dog_threshold measures what it lets
# through: seven in ten of the dogs blurred by one pixel, one in eight averages of two dogs.
DOG_THRESHOLD = 0.04

_BATCH = 256  # images fitted together
_MAX_STEPS = 40  # of Levenberg-Marquardt, more than a fit ever needs
_SOLVED = 1e-3  # RMSE of a dog that has been found: nothing else is tried
_CLOSE = 0.02  # RMSE below which an image may well be a dog that a fit has missed


class NearestDog(NamedTuple):
    """The closest dog that was found for each image."""

    distance: Float[Tensor, " n"]  # RMSE over the pixels, in units of brightness
    factors: Float[Tensor, "n f"]  # in the order and units of FACTORS, inside their ranges
    images: Float[Tensor, "n 1 h w"]  # the dog as it is drawn


def nearest_dog(images: Float[Tensor, "n 1 s s"]) -> NearestDog:
    """Find the nearest possible dog of each image: minimise the RMSE over all sixteen factors.

    Levenberg-Marquardt inside the ranges of the factors, from the most alike of 10,000 dogs, then
    with other angles of tail and ears, then from other dogs. The result is an upper bound of the
    true distance: it belongs to a dog that exists, and a nearer one may have been missed.
    Of dogs themselves, whose true distance is 0, 99 % come out below 0.003 (dog_threshold).
    Deterministic; each image is fitted on its own, alike in any batch up to rounding.

    Args:
        images: square grey images in [0, 1], of any size from 8. Gradients do not flow through.

    Returns:
        Distance, factors and picture of the dog for each image, on the CPU.

    Raises:
        ValueError: if images are no grey square floats in [0, 1].

    Source:
        Levenberg-Marquardt after Nocedal & Wright (2006), section 10.3.
    """
    images = as_images("images", images)
    if images.shape[1] != 1 or images.shape[2] != images.shape[3] or images.shape[2] < 8:
        raise ValueError(
            f"images have shape {tuple(images.shape)}; expected square grey ones [n, 1, s, s] of "
            "8 pixels or more. Average the channels, or crop."
        )
    targets = images.detach().to("cpu", torch.float32)
    low, high = (bound.double() for bound in factor_range())
    with torch.no_grad():
        units = torch.cat([_fit(batch).unit for batch in targets.split(_BATCH)])
        # lerp would be exact at the ends only in float64: the cast may round outwards
        factors = (low + (high - low) * units).float().clamp(*factor_range())
        dogs = render(factors, size=images.shape[-1])
        squares = [
            (dog - target).double().square().mean((1, 2, 3))
            for dog, target in zip(dogs.split(_BATCH), targets.split(_BATCH), strict=True)
        ]
    return NearestDog(torch.cat(squares).sqrt().float(), factors, dogs)


def _fit(images: Float[Tensor, "n 1 s s"]) -> Fit:
    """Fit from the likeliest start; whatever is not a dog by then gets second chances."""
    units = likely_starts(images, 7)
    best = start(images, units[:, 0])
    improve(best, images, _MAX_STEPS)
    _try_limbs(best, images, below=1.0)
    for others in (units[:, 1:4], units[:, 4:7]):
        rows = _unsolved(best, images, below=_CLOSE)
        # A fresh start needs a few steps to show what it is worth.
        _try(best, images, rows, others[rows], num_steps=3, margin=3.0)
        _try_limbs(best, images, below=_CLOSE)
    return best


def _unsolved(best: Fit, images: Float[Tensor, "n 1 s s"], *, below: float) -> Int[Tensor, " m"]:
    """Rows of the images that are no dogs yet, and no farther than ``below``."""
    distance = best.distance(images[0].numel())
    return ((distance > _SOLVED) & (distance < below)).nonzero()[:, 0]


def _try_limbs(best: Fit, images: Float[Tensor, "n 1 s s"], *, below: float) -> None:
    """Try other angles of tail and ears. The right one is far better after two steps."""
    rows = _unsolved(best, images, below=below)
    _try(best, images, rows, other_limbs(best.unit[rows]), num_steps=2, margin=1.0)


def _try(
    best: Fit,
    images: Float[Tensor, "n 1 s s"],
    rows: Int[Tensor, " m"],
    units: Float[Tensor, "m starts f"],
    *,
    num_steps: int,
    margin: float,
) -> None:
    """Take a few steps from every start, finish the best, and keep it if it wins.

    Args:
        best: what has been found so far; changed in place.
        images: all images.
        rows: the images to try.
        units: starts for each of them.
        num_steps: steps from every start.
        margin: the best start is given up if its cost is not below this multiple of the old one.
    """
    num_starts = units.shape[1]
    if len(rows) == 0:
        return
    targets = images[rows].repeat_interleave(num_starts, 0)
    tried = start(targets, units.flatten(0, 1))
    improve(tried, targets, num_steps)
    first = torch.arange(0, len(targets), num_starts)
    finalist = tried.take(first + tried.cost.view(-1, num_starts).argmin(1))
    promising = finalist.cost < margin * best.cost[rows]
    rows, finalist = rows[promising], finalist.take(promising)
    improve(finalist, images[rows], _MAX_STEPS)
    better = finalist.cost < best.cost[rows]
    best.put(rows[better], finalist.take(better))


def validity(images: Float[Tensor, "n 1 s s"], *, threshold: float = DOG_THRESHOLD) -> float:
    """The share of images that are dogs: within ``threshold`` of the nearest possible dog.

    Args:
        images: square grey images in [0, 1].
        threshold: largest RMSE that still counts.

    Raises:
        ValueError: as :func:`nearest_dog`, or if the threshold is not above 0.
    """
    threshold = check_real("threshold", threshold, above=0)
    return float((nearest_dog(images).distance <= threshold).float().mean())
