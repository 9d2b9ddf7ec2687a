"""Images that are known to be dogs, nearly dogs, or no dogs: what a threshold must tell apart."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from vaebook.data._dog_painting import PAPER, paint_skeleton
from vaebook.data._dog_skeleton import Skeleton, pose
from vaebook.data.dogs import FACTOR_NAMES, sample_factors

Images = Float[Tensor, "n 1 s s"]
_ELSEWHERE = 10.0  # picture widths; a part moved so far leaves no trace


def dog_controls(num_images: int, *, seed: int, size: int = 32) -> dict[str, Images]:
    """Dogs, and what is done to them, by name: the same dogs in every group.

    Args:
        num_images: images in each group.
        seed: chooses the dogs; they are none of those of ``load_dogs`` or of the solver.
        size: height and width in pixels.
    """
    factors, others = sample_factors(2 * num_images, seed=30_000_001 + seed).chunk(2)
    skeleton, colours = pose(factors), factors[:, -2:]
    dogs = paint_skeleton(skeleton, colours, size)
    other_dogs = paint_skeleton(pose(others), others[:, -2:], size)
    generator = torch.Generator().manual_seed(seed)
    speckle = 0.02 * torch.randn(dogs.shape, generator=generator)

    def without(*parts: int) -> Images:
        return paint_skeleton(_without(skeleton, parts), colours, size)

    # The near foreleg is that of the first side of a dog that looks right, else of the second.
    looks_right = (factors[:, FACTOR_NAMES.index("facing")] > 0)[:, None, None, None]
    near_foreleg_gone = torch.where(looks_right, without(7, 11, 15), without(9, 13, 17))
    return {
        "dog": dogs,
        "dog, speckled by 0.02": (dogs + speckle).clamp(0, 1),
        "dog, blurred by 0.5 pixels": _blurred(dogs, 0.5),
        "dog, blurred by 1 pixel": _blurred(dogs, 1.0),
        "dog, blurred by 2 pixels": _blurred(dogs, 2.0),
        "dog without ears": without(19, 20),
        "dog without its near foreleg": near_foreleg_gone,
        "dog with a second tail": _second_tail(factors, skeleton, dogs),
        "dog without a head": without(0, 1, 19, 20, 21, 22, 23),
        "mean of two dogs": (dogs + other_dogs) / 2,
        "empty paper": torch.full_like(dogs, PAPER),
        "noise": torch.rand(dogs.shape, generator=generator),
    }


def _without(skeleton: Skeleton, parts: tuple[int, ...]) -> Skeleton:
    """The skeleton with some capsules moved out of the picture."""
    capsules = skeleton.capsules.clone()
    capsules[:, parts, :4] += _ELSEWHERE
    return skeleton._replace(capsules=capsules)


def _second_tail(factors: Float[Tensor, "n f"], skeleton: Skeleton, dogs: Images) -> Images:
    """The dogs with another tail, from the same root at another angle."""
    column = FACTOR_NAMES.index("tail_angle")
    turned = factors.clone()
    turned[:, column] += torch.where(factors[:, column] > 10, -75.0, 75.0)
    tail = _without(pose(turned), (*range(5), *range(7, 25)))
    move = skeleton.capsules[:, 5:6, :2] - tail.capsules[:, 5:6, :2]
    capsules = tail.capsules.clone()
    capsules[:, 5:7, :4] += move.repeat(1, 1, 2)
    tails = paint_skeleton(tail._replace(capsules=capsules), factors[:, -2:], dogs.shape[-1])
    return torch.minimum(dogs, tails)


def _blurred(images: Images, sigma: float) -> Images:
    """Images under a Gaussian of ``sigma`` pixels, continued at the border."""
    steps = torch.arange(-8, 9, dtype=images.dtype)
    weights = torch.exp(-0.5 * (steps / sigma).square())
    weights = weights / weights.sum()
    spread = pad(images, (8, 8, 8, 8), mode="replicate")
    return conv2d(conv2d(spread, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
