"""How far dogs, spoilt dogs and other pictures are from the nearest dog (chapter 02)."""

from typing import Any

from vaebook.data.dog_controls import dog_controls
from vaebook.metrics.dogs import DOG_THRESHOLD, nearest_dog

QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}
SHARES = {
    "found": 0.003,
    "validity": DOG_THRESHOLD,
    "validity_at_0.5": DOG_THRESHOLD / 2,
    "validity_at_2": DOG_THRESHOLD * 2,
}


def run(seed: int, *, num_images: int = 100) -> list[dict[str, Any]]:
    """What the threshold lets through, and what half or twice as much would.

    Args:
        seed: chooses the dogs; all groups are made from the same ones.

    Returns:
        One row per group of ``pictures``: the quantiles of the distance (RMSE) at 5 % (``low``),
        50 % (``median``) and 95 % (``high``), the share within 0.003 of a dog (``found``), and the
        shares within DOG_THRESHOLD (``validity``), half and twice that (``validity_at_0.5``,
        ``validity_at_2``).
    """
    rows: list[dict[str, Any]] = []
    for name, images in dog_controls(num_images, seed=seed).items():
        distance = nearest_dog(images).distance
        row: dict[str, Any] = {"pictures": name}
        row |= {column: float(distance.quantile(at)) for column, at in QUANTILES.items()}
        row |= {column: float((distance <= at).float().mean()) for column, at in SHARES.items()}
        rows.append(row)
    return rows
