"""Soft shapes for the dog renderer: tapered capsules, their smooth union, and their soft rims."""

import torch
from jaxtyping import Float
from torch import Tensor


def capsule_distance(
    x: Float[Tensor, " w"], y: Float[Tensor, " h"], capsules: Float[Tensor, "n parts 6"]
) -> Float[Tensor, "n parts h w"]:
    """Distance from every pixel to the rim of tapered capsules, negative inside.

    A capsule is a segment with a radius that glides from one end to the other. The radius follows
    a smoothstep and the root is kept away from zero, so the gradient is continuous and finite.

    Args:
        x, y: the pixel centres of the columns and of the rows.
        capsules: start x, start y, end x, end y, start radius, end radius. Where start and end
            coincide the shape is a disc.

    Returns:
        One map per capsule, in the units of the arguments.
    """
    start_radius, end_radius = capsules[..., 4, None, None], capsules[..., 5, None, None]
    start = capsules[..., 0:2]
    axis = capsules[..., 2:4] - start
    length2 = axis.square().sum(-1) + 1e-8  # [n, parts]
    unit = axis / length2[..., None]
    dx = x - start[..., 0, None]  # [n, parts, w]
    dy = y - start[..., 1, None]  # [n, parts, h]
    # How far along the axis a pixel is, 0 at the start and 1 at the end, and its squared distance
    # from the start: both maps are a term of the column plus a term of the row.
    along = (dx * unit[..., 0, None])[..., None, :] + (dy * unit[..., 1, None])[..., :, None]
    distance2 = dx.square()[..., None, :] + (dy.square() + 1e-6)[..., :, None]
    t = along.clamp(0, 1)  # [n, parts, h, w]
    # |p - start - t axis|^2 = |p - start|^2 + t (t - 2 along) |axis|^2
    distance2 = torch.addcmul(distance2, t * torch.sub(t, along, alpha=2), length2[..., None, None])
    # start_radius + (3 t^2 - 2 t^3) (end_radius - start_radius)
    change = end_radius - start_radius
    radius = torch.addcmul(start_radius, t * t, torch.addcmul(3 * change, t, -2 * change))
    return distance2.sqrt() - radius


def smooth_union(
    distance: Float[Tensor, "n parts *rest"], softness: float
) -> Float[Tensor, "n *rest"]:
    """Distance to the union of parts, with fillets of about ``softness`` where they meet."""
    # Beyond 60 softnesses a part is too far away to count, and exp would underflow.
    weight = torch.exp((distance / -softness).clamp(min=-60))
    return -softness * weight.sum(1).log()


def cover(distance: Float[Tensor, "*shape"], softness: float) -> Float[Tensor, "*shape"]:
    """How much of a pixel a shape covers: 1 inside, 0 outside, an S-shaped ramp at the rim."""
    return torch.sigmoid(distance / -softness)
