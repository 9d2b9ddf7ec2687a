"""Painting dogs: the parts of a skeleton over one another, back to front."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data._dog_shapes import capsule_distance, cover, smooth_union
from vaebook.data._dog_skeleton import BODY, EARS, EYES, HEAD, LEGS, NOSE, SADDLE, pose

PAPER = 0.95  # brightness of the background; every coat is darker
INK = 0.03  # nose and eyes
EDGE = 0.35  # softness of the rims, in pixels


def draw(factors: Float[Tensor, "n f"], size: int) -> Float[Tensor, "n 1 size size"]:
    """Draw dogs: pose the skeletons, measure the distances, paint."""
    skeleton = pose(factors)
    x, y = pixel_centres(factors, size)
    distance = capsule_distance(x, y, skeleton.capsules)
    near, colours = skeleton.near[..., None, None], factors[:, -2:, None, None]
    return paint(distance, near, colours, softness=EDGE / size)[:, None]


def pixel_centres(
    factors: Float[Tensor, "n f"], size: int
) -> tuple[Float[Tensor, " size"], Float[Tensor, " size"]]:
    """Centres of the columns (left to right) and rows (top to bottom), in picture widths."""
    steps = torch.arange(size, dtype=factors.dtype, device=factors.device)
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
    coat, patch = colours[:, 0], colours[:, 1]
    head = smooth_union(distance[:, HEAD], 0.008)
    trunk = cover(smooth_union(distance[:, BODY], 0.008), softness)
    legs = cover(smooth_union(distance[:, LEGS].unflatten(1, (3, 4)), 0.006), softness)
    ears = cover(distance[:, EARS], softness)
    eyes = cover(distance[:, EYES], softness)
    ink = torch.full_like(head, INK)

    image = torch.full_like(head, PAPER)
    for leg in range(4):
        image = torch.lerp(image, 0.55 * coat, legs[:, leg])
    for side in range(2):
        image = torch.lerp(image, 0.45 * coat, ears[:, side] * (1 - near[:, side]))
    fur = torch.lerp(coat, patch, cover(distance[:, SADDLE], softness))
    fur = fur * (1 - 0.35 * cover(head - 0.012, 0.008))  # the shadow of the head
    image = torch.lerp(image, fur, trunk)
    image = torch.lerp(image, coat, cover(head, softness))
    for leg in range(4):  # once more, where they are near
        image = torch.lerp(image, coat, legs[:, leg] * near[:, leg // 2])
    for side in range(2):
        image = torch.lerp(image, 0.6 * coat, ears[:, side] * near[:, side])
        image = torch.lerp(image, ink, eyes[:, side] * near[:, side])
    return torch.lerp(image, ink, cover(distance[:, NOSE], softness))
