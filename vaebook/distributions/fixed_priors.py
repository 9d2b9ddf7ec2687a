"""Priors with nothing to learn, in the units of N(0, I): mean 0 and variance 1 per dimension."""

import math

import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, MultivariateNormal, Uniform, register_kl

from vaebook._checks import check_count
from vaebook.distributions.gaussian import DiagonalGaussian

# Of the uniform density with variance 1: √3 as a float32, so that in double precision, where the
# prior's ends are moved to, a posterior on the same box does not reach beyond it.
HALF_WIDTH = float(torch.tensor(math.sqrt(3.0), dtype=torch.float32))


def unit_laplace(latent_dim: int) -> Independent:
    """Independent Laplace numbers with mean 0 and variance 1: scale 1/√2.

    A sharp peak at zero and heavier tails than the normal's, along the axes.

    Args:
        latent_dim: numbers in a code.
    """
    check_count("latent_dim", latent_dim)
    scale = torch.full((latent_dim,), math.sqrt(0.5))
    return Independent(Laplace(torch.zeros(latent_dim), scale), 1)


def unit_uniform(latent_dim: int) -> Independent:
    """Independent uniform numbers with mean 0 and variance 1: from −√3 to √3.

    Outside, the log-density is −∞, so a posterior that reaches beyond the box has an infinite
    rate; ``VAE(posterior="beta")`` stays inside.

    Args:
        latent_dim: numbers in a code.
    """
    check_count("latent_dim", latent_dim)
    side = torch.full((latent_dim,), HALF_WIDTH)
    return Independent(Uniform(-side, side, validate_args=False), 1, validate_args=False)


def expected_distance(mu: Tensor, std: Tensor) -> Tensor:
    r"""E|z| for z ~ N(μ, σ²), elementwise: the mean of the folded normal.

    .. math:: \sigma \sqrt{2/\pi}\, e^{-\mu^2 / 2\sigma^2}
              + \mu\, \mathrm{erf}\!\left(\frac{\mu}{\sigma\sqrt2}\right)
    """
    ratio = mu / std
    bell = math.sqrt(2 / math.pi) * torch.exp(-0.5 * ratio**2)
    return std * bell + mu * torch.erf(ratio / math.sqrt(2))


def _kl_to_independent(mu: Tensor, std: Tensor, entropy: Tensor, p: Independent) -> Tensor:
    """Cross-entropy minus entropy. Where p's dimensions are independent, q's marginals do."""
    base = p.base_dist
    if p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    if mu.shape[-1:] != p.event_shape:
        raise ValueError(
            f"the first distribution is over {mu.shape[-1]} numbers, the second over "
            f"{p.event_shape[0]}; expected as many in both."
        )
    if isinstance(base, Laplace):
        distance = expected_distance(mu - base.loc, std)
        return (torch.log(2 * base.scale) + distance / base.scale).sum(-1) - entropy
    if isinstance(base, Uniform):  # a Gaussian has mass outside any box
        return torch.full_like(entropy, math.inf)
    raise NotImplementedError


# NotImplementedError, not ValueError: it is how kl_divergence says that there is no closed form,
# and VAE then estimates the rate from samples.
@register_kl(DiagonalGaussian, Independent)
def _kl_diagonal_independent(q: DiagonalGaussian, p: Independent) -> Tensor:
    return _kl_to_independent(q.mu, q.std, q.entropy(), p)


@register_kl(MultivariateNormal, Independent)
def _kl_full_independent(q: MultivariateNormal, p: Independent) -> Tensor:
    std = torch.linalg.vector_norm(q.scale_tril, dim=-1)  # the marginals': rows of the factor
    return _kl_to_independent(q.loc, std, q.entropy(), p)
