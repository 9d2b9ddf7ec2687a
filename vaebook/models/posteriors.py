"""Families of q(z | x): how an encoder's output becomes a distribution over codes."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, constraints
from torch.nn import functional as F

from vaebook._checks import check_choice
from vaebook.distributions import DiagonalGaussian, PowerSpherical, StretchedBeta
from vaebook.distributions.fixed_priors import HALF_WIDTH
from vaebook.distributions.spherical import unit_sphere

PosteriorFamily = Literal["diagonal", "full", "laplace", "beta", "power spherical"]
# Bounds of the logarithms of a Beta distribution's parameters, from 0.05 to 440,000.
LOG_BETA_PARAMETERS = (-3.0, 13.0)
SOFTPLUS_AT_ONE = math.log(math.expm1(1.0))


class PosteriorPlan(NamedTuple):
    """What a family asks of the encoder, what it makes of the answer, and how far that reaches."""

    num_outputs: Callable[[int], int]  # from latent_dim to the encoder's width
    build: Callable[[Tensor, int], Distribution]  # from that output [n, width] and latent_dim
    reach: float = 1e3  # numbers up to this size are surely codes


def _diagonal(output: Float[Tensor, "n w"], latent_dim: int) -> DiagonalGaussian:
    return DiagonalGaussian(output[:, :latent_dim], output[:, latent_dim:])


def _full(output: Float[Tensor, "n w"], latent_dim: int) -> MultivariateNormal:
    mu, spread = output[:, :latent_dim], output[:, latent_dim:]
    rows, columns = torch.tril_indices(latent_dim, latent_dim, device=output.device)
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


def _beta(output: Float[Tensor, "n w"], latent_dim: int) -> StretchedBeta:
    """On the box of ``unit_uniform``: α = exp(c + a/2) and β = exp(c − a/2), then stretched.

    Before the stretch the mean is sigmoid(a), and c is a log-concentration. An output of 0 gives
    the uniform prior itself, and there the mean still moves with a. That matters: where a
    concentration that falls to 0 takes the mean's gradient with it, posteriors fall back to the
    prior in the first epochs and stay there.
    """
    tilt, concentration = output[:, :latent_dim] / 2, output[:, latent_dim:]
    alpha = (concentration + tilt).clamp(*LOG_BETA_PARAMETERS).exp()
    beta = (concentration - tilt).clamp(*LOG_BETA_PARAMETERS).exp()
    side = output.new_full((latent_dim,), HALF_WIDTH)
    return StretchedBeta(alpha, beta, -side, side)


def _power_spherical(output: Float[Tensor, "n w"], latent_dim: int) -> PowerSpherical:
    """The direction of a vector v, with one concentration κ = d (‖v‖ + ‖v‖²) for the picture.

    At v = 0 it is the uniform prior, and the mean still moves with v, for the reason given for
    the Beta family.
    """
    length = torch.linalg.vector_norm(output, dim=-1)
    direction = F.normalize(output, dim=-1)
    return PowerSpherical(direction, latent_dim * (length + length**2))


POSTERIORS: dict[str, PosteriorPlan] = {
    "diagonal": PosteriorPlan(lambda d: 2 * d, _diagonal),
    "full": PosteriorPlan(lambda d: d + d * (d + 1) // 2, _full),
    "laplace": PosteriorPlan(lambda d: 2 * d, _laplace),
    "beta": PosteriorPlan(lambda d: 2 * d, _beta, reach=0.999 * HALF_WIDTH),
    "power spherical": PosteriorPlan(lambda d: d, _power_spherical),
}


def check_support(family: str, latent_dim: int, support: constraints.Constraint | None) -> None:
    """Raise a ``ValueError`` where a prior is 0 at codes of the family, so that rates are infinite.

    Args:
        family: of the posterior, one of ``POSTERIORS``.
        latent_dim: numbers in a code.
        support: of the prior; ``None`` if it is not known.
    """
    check_choice("posterior", family, POSTERIORS)
    if support is None:
        return
    on_sphere = isinstance(getattr(support, "base_constraint", support), type(unit_sphere))
    if family == "power spherical":
        if not on_sphere:
            raise ValueError(
                f"posterior is 'power spherical', whose density is per area of the unit sphere, "
                f"but the prior's support is {support}: no rate compares the two. Use "
                f"prior=HypersphericalUniform({latent_dim})."
            )
        return
    far = torch.full((latent_dim,), POSTERIORS[family].reach)
    if on_sphere or not all(bool(support.check(point).all()) for point in (far, -far)):
        cure = "posterior='beta' with unit_uniform"
        if on_sphere:
            cure = "posterior='power spherical'"
        raise ValueError(
            f"the prior's support is {support}, and the posterior {family!r} reaches beyond it, "
            f"where the prior's density is 0 and the rate infinite. Use {cure}, or a prior with "
            "a density everywhere."
        )
