"""Density and coverage of samples by nearest neighbours: precision and recall without outliers."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count
from vaebook.metrics._inputs import as_item_sets, in_blocks
from vaebook.metrics.samples.precision_recall import neighbour_radius


class DensityCoverage(NamedTuple):
    """What the samples make of the balls round real images."""

    density: float  # balls that a sample lies in, on average over k; 1 for the real distribution
    coverage: float  # share of the real images with a sample in their ball


def density_coverage(
    real: Float[Tensor, "n *d"], generated: Float[Tensor, "m *d"], *, num_neighbours: int = 5
) -> DensityCoverage:
    r"""How many samples lie near real images, and near how many real images there is a sample.

    Only real images have balls, so that a stray sample does no harm. For two samples of one
    distribution density is 1 in expectation, and coverage is :func:`expected_coverage`.

    Args:
        real: images or features of real data; everything after the first dimension is flattened.
        generated: as many numbers per sample.
        num_neighbours: k; a ball reaches to the k-th nearest other real image.

    Raises:
        ValueError: if the sets have different widths or no more than k members.

    Source:
        Naeem et al. (2020), "Reliable fidelity and diversity metrics for generative models".
    """
    real, generated = as_item_sets(real=real, generated=generated)
    radius = neighbour_radius("real", real, num_neighbours)
    inside, covered = 0, 0
    for part, reach in zip(
        in_blocks(real, len(generated)), in_blocks(radius, len(generated)), strict=True
    ):
        near = torch.cdist(part, generated) <= reach[:, None]  # [b, m]
        inside += int(near.sum())
        covered += int(near.any(1).sum())
    return DensityCoverage(inside / (num_neighbours * len(generated)), covered / len(real))


def expected_coverage(num_real: int, num_generated: int, *, num_neighbours: int = 5) -> float:
    r"""The coverage of samples from the very distribution of the real images.

    .. math:: 1 - \prod_{i=1}^{k} \frac{n - i}{n + m - i}

    Args:
        num_real: n.
        num_generated: m.
        num_neighbours: k.

    Source:
        Naeem et al. (2020), lemma 2.
    """
    for name, value in (("num_real", num_real), ("num_generated", num_generated)):
        check_count(name, value)
    check_count("num_neighbours", num_neighbours)
    missed = 1.0
    for i in range(1, num_neighbours + 1):
        missed *= (num_real - i) / (num_real + num_generated - i)
    return 1 - missed
