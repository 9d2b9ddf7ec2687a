"""Maximum mean discrepancy: how far apart two sets of samples are, without a density."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_choice, check_finite, check_positive, check_tensor

Kernel = Literal["imq", "rbf"]
# Factors of the squared bandwidth, from fine to coarse, as in the code of Tolstikhin et al. (2018).
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def check_scales(scales: Sequence[float]) -> None:
    """Raise a ``ValueError`` unless ``scales`` is a sequence of numbers above zero."""
    if isinstance(scales, str) or not isinstance(scales, Sequence) or not scales:
        raise ValueError(
            f"scales is {scales!r}; expected at least one factor of the bandwidth, such as "
            f"{SCALES}."
        )
    for scale in scales:
        check_positive("a scale", scale)


def kernel_matrix(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    *,
    kernel: Kernel = "imq",
    scales: Sequence[float] = SCALES,
) -> Float[Tensor, "n m"]:
    r"""Similarities k(x_i, y_j) in (0, 1], averaged over bandwidths.

    .. math:: k_{\text{imq}} = \frac{C}{C + \lVert x - y \rVert^2}, \qquad
              k_{\text{rbf}} = e^{-\lVert x - y \rVert^2 / C}, \qquad C = 2 d s

    2 d is the mean squared distance of two samples of N(0, I) in d dimensions: with s = 1 the
    kernel looks at the scale on which such samples differ, in every dimension.

    Args:
        x: samples.
        y: samples of as many numbers.
        kernel: ``"imq"``, the inverse multiquadratic, whose tails still pull outliers back, or
            ``"rbf"``, the Gaussian.
        scales: the factors s, each above 0.

    Raises:
        ValueError: if the samples are not tables of as many numbers, or an option is unusable.
    """
    check_tensor("x", x, floats=True)
    check_tensor("y", y, floats=True)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not (len(x) and len(y)):
        raise ValueError(
            f"samples have shapes {tuple(x.shape)} and {tuple(y.shape)}; expected [n, d] and "
            "[m, d], one row for each sample."
        )
    check_finite("the first set of samples", x)
    check_finite("the second set of samples", y)
    check_choice("kernel", kernel, ("imq", "rbf"))
    check_scales(scales)
    # by differences, not by x² + y² − 2xy: close pairs matter most, and there the latter cancels
    squared = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    total = torch.zeros_like(squared)
    for scale in scales:
        width = 2 * x.shape[1] * scale
        total = total + (width / (width + squared) if kernel == "imq" else (-squared / width).exp())
    return total / len(scales)


def mmd(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    *,
    kernel: Kernel = "imq",
    scales: Sequence[float] = SCALES,
    unbiased: bool = True,
) -> Float[Tensor, ""]:
    r"""The squared maximum mean discrepancy of the distributions that x and y are drawn from.

    .. math:: \mathrm{MMD}^2 = \mathbb E\, k(x, x') + \mathbb E\, k(y, y') - 2\, \mathbb E\, k(x, y)

    0 exactly where the distributions agree, for both kernels. It has no unit: not nats.

    Args:
        x: samples of the one, differentiable.
        y: samples of the other.
        kernel, scales: as in :func:`kernel_matrix`.
        unbiased: leave a sample's similarity to itself, which is 1, out of the first two means.
            The estimate may then be negative. ``False`` keeps them: never negative, but above 0
            by about 1/n + 1/m even for equal distributions.

    Raises:
        ValueError: if the samples are unusable, or fewer than two of either for the unbiased
            estimate.

    Source:
        Gretton et al. (2012), lemma 6 for the unbiased estimate.
    """
    check_tensor("x", x, floats=True)
    check_tensor("y", y, floats=True)
    if unbiased and x.ndim and y.ndim and min(len(x), len(y)) < 2:
        raise ValueError(
            f"{len(x)} and {len(y)} samples; the unbiased estimate needs at least 2 of each. "
            "Give more, or pass unbiased=False."
        )
    within_x = kernel_matrix(x, x, kernel=kernel, scales=scales)
    within_y = kernel_matrix(y, y, kernel=kernel, scales=scales)
    between = kernel_matrix(x, y, kernel=kernel, scales=scales).mean()
    if not unbiased:
        return within_x.mean() + within_y.mean() - 2 * between
    return _mean_of_pairs(within_x) + _mean_of_pairs(within_y) - 2 * between


def _mean_of_pairs(matrix: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """The mean over pairs of different samples."""
    size = len(matrix)
    return (matrix.sum() - matrix.diagonal().sum()) / (size * (size - 1))
