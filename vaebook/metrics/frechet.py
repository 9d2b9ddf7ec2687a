"""The Fréchet distance between two sets of features, and how much of it is too few samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count, check_finite


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
    for name, items in (("real", real), ("generated", generated)):
        if items.ndim != 2 or len(items) < 2:
            raise ValueError(
                f"{name} has shape {tuple(items.shape)}; expected [n, d], a row of features for "
                "each of two or more pictures. Flatten pictures, or pass them through a network."
            )
        check_finite(name, items)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"real has {real.shape[1]} numbers per row, generated {generated.shape[1]}; expected "
            "the same. Use features of one network."
        )
    real, generated = real.detach().double(), generated.detach().double()
    return gaussian_frechet(
        real.mean(0), torch.cov(real.T), generated.mean(0), torch.cov(generated.T)
    )


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

    Source:
        Dowson & Landau (1982); chapter 12.
    """
    covariance, other_covariance = (
        covariance.reshape(len(mean), -1),
        other_covariance.reshape(len(mean), -1),
    )
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
        num_real, num_generated: n and m, rows in the two sets.

    Source:
        Chapter 12; that there is a bias: Bińkowski et al. (2018), Chong & Forsyth (2020).
    """
    check_count("num_real", num_real, minimum=2)
    check_count("num_generated", num_generated, minimum=2)
    scales = torch.linalg.eigvalsh(covariance.double()).clamp(min=0)
    sums = scales[:, None] + scales[None, :]
    products = scales[:, None] * scales[None, :]
    pairs = torch.where(sums > 0, products / sums.clamp(min=1e-300), torch.zeros(()).double())
    bracket = scales.sum() + (pairs.sum() + pairs.diagonal().sum()) / 2
    return float((1 / num_real + 1 / num_generated) * bracket)


def _root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric square root; rounding's negative eigenvalues count as zero."""
    scales, axes = torch.linalg.eigh(covariance)
    return (axes * scales.clamp(min=0).sqrt()) @ axes.T
