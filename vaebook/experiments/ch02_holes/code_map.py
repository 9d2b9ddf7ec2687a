"""The plane of a two-number autoencoder: codes, and which points decode to a dog (chapter 02)."""

from typing import Any

import torch
from torch import Tensor

from vaebook.data import load_dogs
from vaebook.experiments.ch02_holes.holes import codes_of, train
from vaebook.metrics.dogs import nearest_dog


def run(
    seed: int,
    *,
    points_per_side: int = 20,
    num_codes: int = 300,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Cut the codes' bounding box into cells, and measure the picture at the middle of each.

    Args:
        seed: of the autoencoder, which is that of ``holes`` with two numbers.
        points_per_side: cells along each side.
        num_codes: codes of training dogs that are listed.
        pictures: filled with what every second cell decodes to, under ``"cells"``; the middles of
            their columns and rows are every second value of ``z1`` and ``z2``.

    Returns:
        Rows of ``kind`` "cell": ``z1`` and ``z2`` of its middle, ``distance`` (RMSE) of the picture
        there to the nearest dog, ``codes``: how many training codes the cell holds; and of ``kind``
        "code": ``z1``, ``z2``.
    """
    dogs = load_dogs()
    model = train("autoencoder", 2, seed)
    codes = codes_of(model, dogs.train.images)
    low, high = codes.aminmax(dim=0)
    steps = (torch.arange(points_per_side) + 0.5) / points_per_side
    points = low + (high - low) * torch.cartesian_prod(steps, steps)
    place = ((codes - low) / (high - low) * points_per_side).long().clamp(max=points_per_side - 1)
    counts = torch.bincount(place @ torch.tensor([points_per_side, 1]), minlength=len(points))
    with torch.no_grad():
        decoded = model.decode(points)
    distance = nearest_dog(decoded).distance
    if pictures is not None:
        square = decoded.unflatten(0, (points_per_side, points_per_side))
        pictures["cells"] = square[::2, ::2].flatten(0, 1)  # z1 changes slowest
    cells = [
        {"kind": "cell", "z1": z1, "z2": z2, "distance": gap, "codes": count}
        for (z1, z2), gap, count in zip(
            points.tolist(), distance.tolist(), counts.tolist(), strict=True
        )
    ]
    listed = [{"kind": "code", "z1": z1, "z2": z2} for z1, z2 in codes[:num_codes].tolist()]
    return cells + listed
