"""Precision and recall of samples by nearest neighbours: real-looking, and of every kind?"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaebook._checks import check_count
from vaebook.metrics._inputs import as_item_sets, in_blocks


class PrecisionRecall(NamedTuple):
    """Two shares between 0 and 1."""

    precision: float  # of the samples that lie on the real images' manifold
    recall: float  # of the real images that lie on the samples' manifold


def precision_recall(
    real: Float[Tensor, "n *d"], generated: Float[Tensor, "m *d"], *, num_neighbours: int = 3
) -> PrecisionRecall:
    """Improved precision and recall with balls that reach to the k-th nearest neighbour.

    The manifold of a set is the union of balls round its members, each as large as the distance
    to the member's k-th nearest neighbour in the set. Both shares depend on how many images are
    given, so compare only sets of equal sizes; two samples of the same distribution do not score
    1 but the ceiling of that size.

    Args:
        real: images or features of real data; everything after the first dimension is flattened.
        generated: as many numbers per sample.
        num_neighbours: k.

    Raises:
        ValueError: if the sets have different widths or no more than k members.

    Source:
        Kynkäänniemi et al. (2019).
    """
    real, generated = as_item_sets(real=real, generated=generated)
    of_real = neighbour_radius("real", real, num_neighbours)
    of_generated = neighbour_radius("generated", generated, num_neighbours)
    return PrecisionRecall(
        precision=float(_inside(generated, real, of_real).float().mean()),
        recall=float(_inside(real, generated, of_generated).float().mean()),
    )


def neighbour_radius(
    name: str, items: Float[Tensor, "n d"], num_neighbours: int
) -> Float[Tensor, " n"]:
    """The distance from each item to the k-th nearest other one.

    Raises:
        ValueError: if there are no more than k items.
    """
    check_count("num_neighbours", num_neighbours)
    if len(items) <= num_neighbours:
        raise ValueError(
            f"{name} has {len(items)} items; expected more than num_neighbours = {num_neighbours}."
        )
    reach = []
    for part in in_blocks(items, len(items)):
        among = torch.cdist(part, items)  # [b, n]; the nearest is the item itself
        reach.append(among.kthvalue(num_neighbours + 1, dim=1).values)
    return torch.cat(reach)


def _inside(
    points: Float[Tensor, "n d"], centres: Float[Tensor, "m d"], radius: Float[Tensor, " m"]
) -> Bool[Tensor, " n"]:
    """Which points lie in the ball of at least one centre; all distances never exist at once."""
    blocks = in_blocks(points, len(centres))
    return torch.cat([(torch.cdist(part, centres) <= radius).any(1) for part in blocks])
