"""Painting dogs: the parts of a skeleton over one another, back to front."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data._dog_shapes import capsule_distance, cover, smooth_union
from vaebook.data._dog_skeleton import PART_COUNTS, Skeleton, pose

PAPER = 0.95  # brightness of the background; every coat is darker
INK = 0.03  # nose and eyes
EDGE = 0.35  # softness of the rims, in pixels
FILLET = 0.008  # roundness of the joints, in picture widths
_PIXELS = 2**14  # painted at a time: their maps stay in the cache, which halves the time


def draw(factors: Float[Tensor, "n f"], size: int) -> Float[Tensor, "n 1 size size"]:
    """Draw dogs from their factors."""
    return paint_skeleton(pose(factors), factors[:, -2:], size)


def paint_skeleton(
    skeleton: Skeleton, colours: Float[Tensor, "n 2"], size: int
) -> Float[Tensor, "n 1 size size"]:
    """Draw dogs from their skeletons and the brightness of coat and patch."""
    x, y = pixel_centres(colours, size)
    num_dogs = max(1, _PIXELS // size**2)
    near, colours = skeleton.near[..., None, None], colours[..., None, None]
    chunks = (values.split(num_dogs) for values in (skeleton.capsules, near, colours))
    painted = [
        paint(capsule_distance(x, y, capsules), sides, coats, softness=EDGE / size)
        for capsules, sides, coats in zip(*chunks, strict=True)
    ]
    return torch.cat(painted)[:, None]


def pixel_centres(
    like: Float[Tensor, "..."], size: int
) -> tuple[Float[Tensor, " size"], Float[Tensor, " size"]]:
    """Centres of the columns (left to right) and rows (top to bottom), in picture widths."""
    steps = torch.arange(size, dtype=like.dtype, device=like.device)
    x = (steps + 0.5) / size - 0.5
    return x, -x


def paint(
    distance: Float[Tensor, "n parts h w"],
    near: Float[Tensor, "n 2 *map"],
    colours: Float[Tensor, "n 2 *map"],
    softness: float,
) -> Float[Tensor, "n h w"]:
    """Paint the parts of each dog. Every pixel is painted by itself, from the distances there.

    Args:
        distance: from each pixel to the rim of each part, in picture widths.
        near: how near each side of the dog is; ``1 1`` or ``h w`` for the map.
        colours: brightness of coat and patch; ``1 1`` or ``h w`` for the map.
        softness: of the rims, in picture widths.
    """
    groups = distance.split(list(PART_COUNTS.values()), 1)
    head, trunk, legs, ears, eyes, nose, saddle = groups
    head = smooth_union(head, FILLET)
    body = smooth_union(torch.stack([head, smooth_union(trunk, FILLET)], 1), FILLET)
    # Of each side of the dog: two legs, an ear, an eye.
    legs = cover(smooth_union(legs.unflatten(1, (3, 4)), 0.75 * FILLET), softness)
    far_ears, near_ears = (cover(ears, softness) * by for by in (1 - near, near))
    near_legs = legs * near.repeat_interleave(2, 1)
    near_eyes = cover(eyes, softness) * near
    coat, patch = colours.unbind(1)
    ink = torch.full_like(head, INK)

    image = torch.full_like(head, PAPER)
    for leg in legs.unbind(1):
        image = torch.lerp(image, 0.55 * coat, leg)
    for ear in far_ears.unbind(1):
        image = torch.lerp(image, 0.45 * coat, ear)
    fur = torch.lerp(coat, patch, cover(saddle[:, 0], softness))
    fur = fur * (1 - 0.35 * cover(head - 0.012, 0.008))  # the shadow of the head
    image = torch.lerp(image, fur, cover(body, softness))
    image = torch.lerp(image, coat, cover(head, softness))
    for leg in near_legs.unbind(1):  # once more, in the light
        image = torch.lerp(image, coat, leg)
    for ear, eye in zip(near_ears.unbind(1), near_eyes.unbind(1), strict=True):
        image = torch.lerp(image, 0.6 * coat, ear)
        image = torch.lerp(image, ink, eye)
    return torch.lerp(image, ink, cover(nose[:, 0], softness))
