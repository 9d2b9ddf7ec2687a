"""Families of q(z | x): how an encoder's output becomes a distribution over codes."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal
from torch.nn import functional as F

from vaebook.distributions import DiagonalGaussian, PowerSpherical, StretchedBeta
from vaebook.distributions.fixed_priors import HALF_WIDTH

PosteriorFamily = Literal["diagonal", "full", "laplace", "beta", "power spherical"]
# Concentrations are exponentials of the encoder's output, which stops to count at this value:
# about 440,000, a standard deviation of 1/400 of a unit of the code.
MAX_LOG_CONCENTRATION = 13.0
START_BETA = 10.0
START_SPHERICAL = 10.0
SOFTPLUS_AT_ONE = math.log(math.expm1(1.0))


class PosteriorPlan(NamedTuple):
    """What a family asks of the encoder, and what it makes of the answer."""

    num_outputs: Callable[[int], int]  # from latent_dim to the encoder's width
    build: Callable[[Tensor, int], Distribution]  # from that output [n, width] and latent_dim


def _diagonal(output: Float[Tensor, "n w"], latent_dim: int) -> DiagonalGaussian:
    return DiagonalGaussian(output[:, :latent_dim], output[:, latent_dim:])


def _full(output: Float[Tensor, "n w"], latent_dim: int) -> MultivariateNormal:
    mu, spread = output[:, :latent_dim], output[:, latent_dim:]
    rows, columns = torch.tril_indices(latent_dim, latent_dim)
    factor = mu.new_zeros(len(mu), latent_dim, latent_dim)
    factor[:, rows, columns] = spread
    # The diagonal must be positive: softplus, shifted so that an output of 0 gives 1.
    diagonal = F.softplus(factor.diagonal(dim1=-2, dim2=-1) + SOFTPLUS_AT_ONE) + 1e-6
    factor = factor.tril(-1) + torch.diag_embed(diagonal)
    return MultivariateNormal(mu, scale_tril=factor, validate_args=False)


def _laplace(output: Float[Tensor, "n w"], latent_dim: int) -> Independent:
    mu, log_scale = output[:, :latent_dim], output[:, latent_dim:]
    base = Laplace(mu, log_scale.exp(), validate_args=False)
    return Independent(base, 1, validate_args=False)


def _concentration(output: Tensor, start: float) -> Tensor:
    """exp of the output, but for its scale: an output of 0 gives ``start``."""
    return (output + math.log(start)).clamp(max=MAX_LOG_CONCENTRATION).exp()


def _beta(output: Float[Tensor, "n w"], latent_dim: int) -> StretchedBeta:
    """On the box of ``unit_uniform``: a mode m in [0, 1] and a concentration κ, then stretched.

    α = 1 + κ m and β = 1 + κ (1 − m) make one hump and a finite density everywhere. At κ = 0 the
    posterior is the uniform prior itself, so that a number which says nothing costs nothing.
    """
    mode = torch.sigmoid(output[:, :latent_dim])
    concentration = _concentration(output[:, latent_dim:], START_BETA)
    side = output.new_full((latent_dim,), HALF_WIDTH)
    return StretchedBeta(1 + concentration * mode, 1 + concentration * (1 - mode), -side, side)


def _power_spherical(output: Float[Tensor, "n w"], latent_dim: int) -> PowerSpherical:
    """A direction and one concentration for the whole picture."""
    direction = F.normalize(output[:, :latent_dim], dim=-1)
    start = START_SPHERICAL * latent_dim
    return PowerSpherical(direction, _concentration(output[:, latent_dim], start))


POSTERIORS: dict[str, PosteriorPlan] = {
    "diagonal": PosteriorPlan(lambda d: 2 * d, _diagonal),
    "full": PosteriorPlan(lambda d: d + d * (d + 1) // 2, _full),
    "laplace": PosteriorPlan(lambda d: 2 * d, _laplace),
    "beta": PosteriorPlan(lambda d: 2 * d, _beta),
    "power spherical": PosteriorPlan(lambda d: d + 1, _power_spherical),
}
