"""Painting a posed dog: from capsules to pixels, back to front."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data._dog_shapes import capsule_distance, cover, smooth_union
from vaebook.data._dog_skeleton import Capsules, pose

PAPER = 0.95  # brightness of the background; every coat is darker
INK = 0.03  # nose and eyes
EDGE = 0.35  # softness of a rim, in pixels


def draw(factors: Float[Tensor, "n f"], size: int) -> Float[Tensor, "n 1 h w"]:
    """Draw one chunk of dogs: far legs and ear, then the body, then near legs and ear, eye, nose."""
    dog = pose(factors)
    coat, patch = factors[:, -2, None, None], factors[:, -1, None, None]
    edge = EDGE / size
    centres = (torch.arange(size, dtype=factors.dtype, device=factors.device) + 0.5) / size - 0.5

    def distances(capsules: Capsules) -> Float[Tensor, "n parts h w"]:
        return capsule_distance(centres, -centres, *capsules)  # row 0 is the top

    body = distances(dog.body)
    head = smooth_union(body[:, 3:5], 0.008)
    torso_and_head = cover(smooth_union(body, 0.008), edge)
    legs = cover(smooth_union(distances(dog.legs).unflatten(1, (3, 4)), 0.006), edge)
    ears = cover(distances(dog.ears), edge)
    marks = distances(dog.marks)
    eyes, nose = cover(marks[:, :2], edge), cover(marks[:, 2], edge)
    near = dog.near[..., None, None]

    image = torch.full_like(head, PAPER)
    for leg in range(4):
        image = torch.lerp(image, 0.55 * coat, legs[:, leg])
    for side in range(2):
        image = torch.lerp(image, 0.45 * coat, ears[:, side] * (1 - near[:, side]))
    fur = torch.lerp(coat, patch, cover(marks[:, 3], edge))
    fur = fur * (1 - 0.35 * cover(head - 0.012, 0.008))  # the shadow of the head
    image = torch.lerp(image, fur, torso_and_head)
    image = torch.lerp(image, coat, cover(head, edge))
    for leg in range(4):
        image = torch.lerp(image, coat, legs[:, leg] * near[:, leg // 2])
    for side in range(2):
        image = torch.lerp(image, 0.6 * coat, ears[:, side] * near[:, side])
        image = torch.lerp(image, torch.full_like(image, INK), eyes[:, side] * near[:, side])
    image = torch.lerp(image, torch.full_like(image, INK), nose)
    return image[:, None]
