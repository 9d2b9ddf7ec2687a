"""The Fréchet distance between two sets of features, and how much of it is too few samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count, check_finite, check_same_shape
from vaebook.metrics._inputs import as_floats, as_tables, as_vector, in_blocks


def frechet_distance(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"]) -> float:
    r"""The squared Wasserstein-2 distance between the Gaussians fitted to two sets of features.

    With features of an Inception network trained on photographs this is the "FID". It is blind to
    everything but mean and covariance, and a finite sample makes it too large by about
    :func:`frechet_bias`: compare only sets of the same size.

    Args:
        real: a row of features for each real picture, at least two.
        generated: as many numbers for each generated picture.

    Returns:
        The distance in squared units of the features, never negative.

    Raises:
        ValueError: if the sets are no finite tables of one width with two rows or more.

    Source:
        Heusel et al. (2017), appendix A1; chapter 12.
    """
    real, generated = as_tables(minimum=2, what="picture", real=real, generated=generated)
    return gaussian_frechet(*_moments(real), *_moments(generated))


def gaussian_frechet(
    mean: Float[Tensor, " d"],
    covariance: Float[Tensor, "d d"],
    other_mean: Float[Tensor, " d"],
    other_covariance: Float[Tensor, "d d"],
) -> float:
    r"""The squared Wasserstein-2 distance between two Gaussians.

    .. math:: \lVert m - m' \rVert^2 + \operatorname{tr} S + \operatorname{tr} S'
              - 2\, \lVert S^{1/2} S'^{1/2} \rVert_*

    The last norm is the sum of the singular values, which no rounding makes negative or complex.

    Args:
        mean, other_mean: m and m'.
        covariance, other_covariance: S and S', symmetric; what is negative in them counts as zero.

    Raises:
        ValueError: if a shape does not fit, a matrix is not symmetric, or a number not finite.

    Source:
        Dowson & Landau (1982); chapter 12.
    """
    mean = as_vector("mean", mean, what="one number for each feature").double()
    other_mean = as_vector("other_mean", other_mean, what="one number for each feature").to(mean)
    covariance = _covariance("covariance", covariance, len(mean)).to(mean)
    other_covariance = _covariance("other_covariance", other_covariance, len(mean)).to(mean)
    check_same_shape(mean=mean, other_mean=other_mean)
    overlap = torch.linalg.svdvals(_root(covariance) @ _root(other_covariance)).sum()
    means = (mean - other_mean).square().sum()
    distance = means + covariance.trace() + other_covariance.trace() - 2 * overlap
    return max(0.0, float(distance))


def frechet_bias(covariance: Float[Tensor, "d d"], num_real: int, num_generated: int) -> float:
    r"""What :func:`frechet_distance` reads, on average, for two samples of one Gaussian.

    To first order in one over the sizes,

    .. math:: \left(\frac1n + \frac1m\right) \left[ \operatorname{tr} S
              + \frac12 \sum_{ij} \frac{(1 + \delta_{ij})\, \lambda_i \lambda_j}
                                       {\lambda_i + \lambda_j} \right]

    with λ the eigenvalues of S. Real features are no Gaussian: read it as an order of magnitude.

    Args:
        covariance: S, of the features.
        num_real, num_generated: n and m, rows in the two sets, at least 2.

    Raises:
        ValueError: if the covariance is no symmetric matrix, or a set has fewer than two rows.

    Source:
        Chapter 12; that there is a bias: Bińkowski et al. (2018), Chong & Forsyth (2020).
    """
    check_count("num_real", num_real, minimum=2)
    check_count("num_generated", num_generated, minimum=2)
    covariance = _covariance("covariance", covariance).double()
    scales = torch.linalg.eigvalsh(covariance).clamp(min=0)
    sums = scales[:, None] + scales[None, :]
    products = scales[:, None] * scales[None, :]
    pairs = torch.where(sums > 0, products / sums.clamp(min=1e-300), sums.new_zeros(()))
    bracket = scales.sum() + (pairs.sum() + pairs.diagonal().sum()) / 2
    return float((1 / num_real + 1 / num_generated) * bracket)


def _moments(items: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Mean and covariance in double precision, without a second copy of all items."""
    mean = items.mean(0, dtype=torch.double)
    scatter = mean.new_zeros(len(mean), len(mean))
    for part in in_blocks(items, items.shape[1]):
        centred = part.double() - mean
        scatter += centred.T @ centred
    return mean, scatter / (len(items) - 1)


def _covariance(name: str, value: object, size: int | None = None) -> Float[Tensor, "d d"]:
    matrix = as_floats(name, value, "a symmetric matrix [d, d]").detach()
    if matrix.ndim == 0 and size == 1:
        matrix = matrix.reshape(1, 1)  # torch.cov of one column is a number
    width = matrix.shape[0] if matrix.ndim and size is None else size
    if tuple(matrix.shape) != (width, width) or not width:
        raise ValueError(
            f"{name} has shape {tuple(matrix.shape)}; expected a symmetric matrix "
            f"[{width or 'd'}, {width or 'd'}]. Take it from torch.cov(features.T)."
        )
    check_finite(name, matrix)
    gap = float((matrix - matrix.T).abs().max())
    if gap > 1e-4 * float(matrix.abs().max()):
        raise ValueError(
            f"{name} and its transpose differ by up to {gap:.3g}; expected a symmetric matrix. "
            "Take it from torch.cov(features.T)."
        )
    return matrix


def _root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric square root; rounding's negative eigenvalues count as zero."""
    scales, axes = torch.linalg.eigh(covariance)
    return (axes * scales.clamp(min=0).sqrt()) @ axes.T
