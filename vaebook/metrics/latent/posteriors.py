"""What a VAE's codes are doing: rates per dimension, active units, the aggregate posterior."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_real
from vaebook.distributions import DiagonalGaussian
from vaebook.metrics.batches import evaluate_in_batches, images_of
from vaebook.models import VAE


def posterior_parameters(
    model: VAE, images: Float[Tensor, "n c h w"], *, batch_size: int = 500
) -> DiagonalGaussian:
    """q(z | x) of every image as one diagonal Gaussian with batch shape ``[n]``.

    Raises:
        ValueError: if the model's posterior is not diagonal, or the images are unusable.
    """
    images = images_of(model, images)

    def measure(batch: Tensor) -> tuple[Tensor, ...]:
        posterior = model.posterior(batch)
        if not isinstance(posterior, DiagonalGaussian):
            raise ValueError(
                f"this measure needs a diagonal posterior; the model gives a "
                f"{type(posterior).__name__}, expected a DiagonalGaussian. Build it with "
                "posterior='diagonal'."
            )
        return posterior.mu, posterior.log_var

    mu, log_var = evaluate_in_batches(model, images, measure, seed=0, batch_size=batch_size)
    return DiagonalGaussian(mu, log_var)


def rate_per_dimension(model: VAE, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " d"]:
    """KL(q(z_j | x) ‖ N(0, 1)) of each dimension in nats, averaged over the images.

    For a diagonal posterior and a standard normal prior the rate is the sum of these.

    Raises:
        ValueError: as :func:`posterior_parameters`.
    """
    posterior = posterior_parameters(model, images)
    return 0.5 * (posterior.mu**2 + torch.expm1(posterior.log_var) - posterior.log_var).mean(0)


def active_units(
    model: VAE, images: Float[Tensor, "n c h w"], *, threshold: float = 0.01
) -> Tensor:
    """Which dimensions carry information: the variance over images of the mean exceeds 0.01.

    Args:
        model: a VAE with a diagonal posterior.
        images: at least two.
        threshold: least variance of the posterior means.

    Returns:
        Booleans ``[d]``; their sum is the number of active units.

    Raises:
        ValueError: with fewer than two images.

    Source:
        Burda, Grosse & Salakhutdinov (2016), section 5.2.
    """
    check_real("threshold", threshold)
    images = images_of(model, images)
    if len(images) < 2:
        raise ValueError(f"images: {len(images)} images have no variance; expected at least 2.")
    return posterior_parameters(model, images).mu.var(0) > threshold


class AggregateMoments(NamedTuple):
    """Moments of the aggregate posterior, the mean over images of q(z | x)."""

    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]  # covariance_of_means + mean_of_variances
    covariance_of_means: Float[Tensor, "d d"]  # what a scatter plot of encoded images shows
    mean_of_variances: Float[Tensor, " d"]


def aggregate_moments(model: VAE, images: Float[Tensor, "n c h w"]) -> AggregateMoments:
    """Mean and covariance of the aggregate posterior, by the law of total variance.

    A scatter plot of the means shows ``covariance_of_means`` only and so looks too narrow; the
    samples that the decoder saw spread by ``mean_of_variances`` more.

    Raises:
        ValueError: as :func:`posterior_parameters`.
    """
    posterior = posterior_parameters(model, images)
    covariance_of_means = torch.cov(posterior.mu.T, correction=0).reshape(model.latent_dim, -1)
    mean_of_variances = posterior.variance.mean(0)
    return AggregateMoments(
        posterior.mu.mean(0),
        covariance_of_means + torch.diag(mean_of_variances),
        covariance_of_means,
        mean_of_variances,
    )
