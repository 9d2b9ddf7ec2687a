"""A Gaussian proposal made for one image at a time, where the encoder's q(z | x) is too poor."""

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaebook._checks import check_count, check_real
from vaebook.distributions.likelihoods import GaussianImage
from vaebook.metrics._inputs import in_blocks
from vaebook.metrics.batches import images_of, to_model
from vaebook.models import VAE
from vaebook.models.latent_variable import evaluating


def laplace_proposal(
    model: VAE, images: Float[Tensor, "n c h w"], *, num_steps: int = 20, widen: float = 1.0
) -> MultivariateNormal:
    r"""The Gaussian at the posterior's mode with the curvature that the decoder has there.

    Where the decoder is linear it is the true posterior, correlations included. From
    encode(x), Gauss and Newton's step solves

    .. math:: \Lambda\, \delta = J^\top (x - f(z)) / \sigma^2 - z, \qquad
              \Lambda = I + J^\top J / \sigma^2

    with J the decoder's Jacobian, and is halved until log p(x, z) rises.

    Args:
        model: a VAE with Gaussian pixels of one σ and the prior N(0, I).
        images: floats in [0, 1].
        num_steps: steps at most.
        widen: factor on the standard deviations; above 1 the weights have lighter tails.

    Raises:
        ValueError: if the likelihood or the prior is another one, or the images are unusable.

    Source:
        Laplace's approximation with the Gauss-Newton curvature; Bishop (2006), section 4.4.
    """
    images = images_of(model, images)
    check_count("num_steps", num_steps)
    check_real("widen", widen, above=0)
    codes, covariances = [], []
    with torch.no_grad(), evaluating(model), warnings.catch_warnings():
        # torch's forward derivatives still use its old compiler, and it warns about itself
        warnings.simplefilter("ignore", DeprecationWarning)
        for batch in in_blocks(images, 2 * images[0].numel() * model.latent_dim):
            mode, precision = _find_mode(model, to_model(model, batch), num_steps)
            covariance = torch.linalg.inv(precision.double()) * widen**2
            covariance = 0.5 * (covariance + covariance.transpose(1, 2))
            codes.append(mode.to(images.device))
            covariances.append(covariance.to(codes[-1]))
    return MultivariateNormal(
        torch.cat(codes), covariance_matrix=torch.cat(covariances), validate_args=False
    )


def _find_mode(
    model: VAE, images: Float[Tensor, "n c h w"], num_steps: int
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
    """The mode of p(z | x) for each image, and the precision there."""
    codes = model.encode(images)
    pixels = model.likelihood_of(codes)
    if not model.has_standard_prior or not isinstance(pixels, GaussianImage):
        raise ValueError(
            f"model has the likelihood {model.likelihood} and the prior {model.prior}; expected "
            "Gaussian pixels with one σ and the default N(0, I)."
        )
    variance = torch.exp(2 * pixels.log_sigma)
    eye = torch.eye(model.latent_dim).to(codes)

    def log_joint(codes: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        log_p: Tensor = model.likelihood_of(codes).log_prob(images)
        return log_p - 0.5 * codes.square().sum(1)

    def mean_of(code: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        return model.likelihood_of(code[None]).mean.flatten()

    jacobian = torch.func.vmap(torch.func.jacfwd(mean_of))
    for step in range(num_steps + 1):
        slopes = jacobian(codes)  # [n, p, d]
        precision = eye + slopes.transpose(1, 2) @ slopes / variance
        if step == num_steps:
            break
        rest = images.flatten(1) - model.likelihood_of(codes).mean.flatten(1)
        gradient = torch.einsum("npd,np->nd", slopes, rest) / variance - codes
        change = torch.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
        codes = _climb(log_joint, codes, change)
    return codes, precision


def _climb(
    height: Callable[[Tensor], Tensor], codes: Float[Tensor, "n d"], change: Float[Tensor, "n d"]
) -> Float[Tensor, "n d"]:
    """codes + change, the change of each row halved up to ten times until ``height`` rises."""
    start, size = height(codes), codes.new_ones(len(codes), 1)
    for _ in range(10):
        lower = height(codes + size * change) < start
        if not lower.any():
            return codes + size * change
        size = torch.where(lower[:, None], size / 2, size)
    return torch.where(lower[:, None], codes, codes + size * change)
