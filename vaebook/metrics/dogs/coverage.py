"""How much of the range of each factor a set of dogs covers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from scipy.stats import binom
from torch import Tensor

from vaebook._checks import check_count
from vaebook.data.dogs import FACTOR_NAMES, FACTORS, factor_range
from vaebook.metrics._inputs import as_table


def coverage(factors: Float[Tensor, "n f"], of: Sequence[str] = FACTOR_NAMES) -> float:
    """How evenly dogs fill the ranges of the factors: 1 is as evenly as as many real dogs do.

    The mean :func:`factor_overlap`, divided by :func:`overlap_ceiling`; 0 where there is no dog.

    Args:
        factors: one row per dog, as from ``nearest_dog(images).factors``.
        of: names of the factors that count.

    Raises:
        ValueError: if factors are no finite floats ``[n, 16]``, or a name is not one of theirs.
    """
    if isinstance(of, str) or not of or not set(of) <= set(FACTOR_NAMES):
        raise ValueError(f"of is {of!r}; expected one or more of {list(FACTOR_NAMES)}.")
    if isinstance(factors, Tensor) and factors.shape == (0, len(FACTORS)):
        return 0.0
    overlap = factor_overlap(factors)[[FACTOR_NAMES.index(name) for name in of]]
    return float(overlap.mean()) / overlap_ceiling(len(factors))


def factor_overlap(factors: Float[Tensor, "n f"], *, num_bins: int = 10) -> Float[Tensor, " f"]:
    """How evenly dogs fill the range of each factor: 1 is perfect, 1/num_bins a single bin.

    The overlap of the factor's histogram with the uniform distribution that the data set has,
    ``Σ_b min(p_b, 1 / num_bins)``. A finite sample cannot score 1: compare only sets of one size,
    or with :func:`overlap_ceiling`, the score of as many real dogs.

    Args:
        factors: one row per dog, in the order and units of ``FACTORS``. Values outside their
            ranges count in the outermost bin.
        num_bins: equal bins between a factor's lowest and highest value.

    Returns:
        The overlap of each factor.

    Raises:
        ValueError: if factors are no finite floats ``[n, 16]`` with n of at least 1.
    """
    check_count("num_bins", num_bins)
    factors = as_table("factors", factors, what="dog").detach().cpu()
    if factors.shape[1] != len(FACTORS):
        raise ValueError(
            f"factors have shape {tuple(factors.shape)}; expected [n, {len(FACTORS)}], one row per "
            "dog. Take them from nearest_dog(images).factors."
        )
    low, high = factor_range()
    place = (factors - low) / (high - low)
    bins = (place * num_bins).long().clamp(0, num_bins - 1)  # [n, f]
    counts = place.new_zeros(num_bins, len(FACTORS)).scatter_add_(0, bins, torch.ones_like(place))
    return (counts / len(factors)).clamp(max=1 / num_bins).sum(0)


def overlap_ceiling(n: int, *, num_bins: int = 10) -> float:
    """The overlap that ``n`` dogs of the data set are expected to score.

    The count of a bin is binomial, so this is ``B E[min(K / n, 1 / B)]`` with K from
    ``Binomial(n, 1 / B)``; about ``1 - sqrt((B - 1) / (2 pi n))`` for many dogs: 0.88 for 100,
    0.96 for 1,000.

    Args:
        n: number of dogs.
        num_bins: B, as for :func:`factor_overlap`.
    """
    check_count("n", n)
    check_count("num_bins", num_bins)
    count = torch.arange(n + 1, dtype=torch.float64)
    chance = torch.as_tensor(binom.pmf(count.numpy(), n, 1 / num_bins))
    return float((chance * (num_bins * count / n).clamp(max=1)).sum())
