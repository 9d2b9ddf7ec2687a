"""Walks between two codes: straight, or along a great circle."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_finite, check_same_shape


def slerp(
    start: Float[Tensor, "*batch d"], end: Float[Tensor, "*batch d"], weight: float
) -> Float[Tensor, "*batch d"]:
    """Spherical interpolation: from ``start`` at weight 0 to ``end`` at weight 1.

    sin((1 − t) Ω) / sin Ω · start + sin(t Ω) / sin Ω · end, with Ω the angle between the two as
    seen from the origin. It keeps the norm where both have the same; ``torch.lerp``, the straight
    walk, passes nearer to the origin. Where the angle is too small to divide by, the two walks
    agree, and the straight one is taken.

    Raises:
        ValueError: if the shapes differ, or two codes point in opposite directions, so that no
            great circle is the shortest.

    Source:
        Shoemake (1985); for latent spaces White (2016).
    """
    check_same_shape(start=start, end=end)
    check_finite("start", start)
    check_finite("end", end)
    norms = start.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True)
    cosine = (start * end).sum(-1, keepdim=True) / norms.clamp(min=1e-30)
    if (cosine < -1 + 1e-6).any():
        raise ValueError(
            "two codes point in opposite directions: every great circle is as short. Go through a "
            "third code, or use torch.lerp."
        )
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    round_walk = (torch.sin((1 - weight) * angle) * start + torch.sin(weight * angle) * end) / sine
    return torch.where(sine > 1e-4, round_walk, torch.lerp(start, end, weight))
