"""KL divergences in nats: closed forms, quadrature and Monte Carlo, for chapter 04."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.integrate import quad
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, kl_divergence, register_kl

from vaebook._checks import (
    check_count,
    check_distribution,
    check_real,
    check_same_shape,
    check_tensor,
)
from vaebook.distributions.gaussian import DiagonalGaussian


def gaussian_kl(
    mu: Float[Tensor, "*batch d"], log_var: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch"]:
    r"""KL(N(μ, diag σ²) ‖ N(0, I)) in nats, one value per example.

    .. math:: \tfrac12 \sum_j \left( \mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2 \right)

    Summed over the latent dimensions, never averaged. Zero exactly at μ = 0, log σ² = 0.

    Args:
        mu: posterior means.
        log_var: posterior log-variances, log σ².

    Returns:
        The divergence of each example, at least 0.

    Raises:
        ValueError: if the shapes differ.

    Source:
        Kingma & Welling (2014), appendix B; derived in chapter 04.
    """
    check_same_shape(mu=mu, log_var=log_var)
    # expm1 keeps the digits near σ = 1, where e^s - 1 - s is a small difference of large numbers.
    return 0.5 * (mu**2 + torch.expm1(log_var) - log_var).sum(-1)


def gaussian_kl_diagonal(
    mu: Float[Tensor, "*batch d"],
    log_var: Float[Tensor, "*batch d"],
    prior_mu: Float[Tensor, "*prior d"],
    prior_log_var: Float[Tensor, "*prior d"],
) -> Float[Tensor, "*batch"]:
    r"""KL(N(μ, diag σ²) ‖ N(m, diag τ²)) in nats, one value per example.

    .. math:: \tfrac12 \sum_j \left( \frac{(\mu_j - m_j)^2 + \sigma_j^2}{\tau_j^2}
              - 1 - \log \frac{\sigma_j^2}{\tau_j^2} \right)

    An affine change of units, z = m + τ u, turns it into :func:`gaussian_kl` of u.

    Args:
        mu: means of the first Gaussian.
        log_var: log-variances of the first Gaussian.
        prior_mu: means m of the second.
        prior_log_var: log-variances log τ² of the second.

    Raises:
        ValueError: if ``mu`` and ``log_var``, or the two of the prior, differ in shape.
    """
    check_same_shape(mu=mu, log_var=log_var)
    check_same_shape(prior_mu=prior_mu, prior_log_var=prior_log_var)
    _check_dimensions(mu, prior_mu)
    return gaussian_kl((mu - prior_mu) * torch.exp(-0.5 * prior_log_var), log_var - prior_log_var)


def gaussian_kl_full(
    mu: Float[Tensor, "*batch d"],
    scale_tril: Float[Tensor, "*batch d d"],
    prior_mu: Float[Tensor, "*prior d"],
    prior_scale_tril: Float[Tensor, "*prior d d"],
) -> Float[Tensor, "*batch"]:
    r"""KL(N(μ, LLᵀ) ‖ N(m, BBᵀ)) in nats, one value per example.

    .. math:: \tfrac12 \left( \lVert B^{-1}L \rVert_F^2 + \lVert B^{-1}(\mu - m) \rVert^2 - d
              - 2\sum_j \log L_{jj} + 2\sum_j \log B_{jj} \right)

    Args:
        mu: means of the first Gaussian.
        scale_tril: its lower-triangular factor L with a positive diagonal.
        prior_mu: means of the second.
        prior_scale_tril: its lower-triangular factor B.

    Raises:
        ValueError: if a factor is not square or does not fit its mean, or batches do not fit.
    """
    for name, mean, factor in (
        ("scale_tril", mu, scale_tril),
        ("prior_scale_tril", prior_mu, prior_scale_tril),
    ):
        check_tensor(name, factor, floats=True)
        check_tensor("the mean of " + name, mean)
        if mean.ndim == 0 or factor.shape[-2:] != (mean.shape[-1], mean.shape[-1]):
            raise ValueError(
                f"{name} has shape {tuple(factor.shape)} for a mean of {tuple(mean.shape)}; "
                "expected a lower-triangular factor [..., d, d]. "
                "Get it with torch.linalg.cholesky(covariance)."
            )
        if not _fit_together(mean.shape[:-1], factor.shape[:-2]):
            raise ValueError(
                f"{name} has the batch {tuple(factor.shape[:-2])} for means of the batch "
                f"{tuple(mean.shape[:-1])}; expected a factor for each mean, or one for all."
            )
    _check_dimensions(mu, prior_mu)
    factors = scale_tril.shape[:-2], prior_scale_tril.shape[:-2]
    if not _fit_together(*factors, mu.shape[:-1], prior_mu.shape[:-1]):
        raise ValueError(
            f"scale_tril has the batch {tuple(factors[0])}, prior_scale_tril {tuple(factors[1])}; "
            "expected batches of one shape, or one distribution against a batch."
        )
    whitened = torch.linalg.solve_triangular(prior_scale_tril, scale_tril, upper=False)
    shift = torch.linalg.solve_triangular(
        prior_scale_tril, (mu - prior_mu).unsqueeze(-1), upper=False
    ).squeeze(-1)
    log_det = torch.log(torch.diagonal(scale_tril, dim1=-2, dim2=-1)).sum(-1)
    prior_log_det = torch.log(torch.diagonal(prior_scale_tril, dim1=-2, dim2=-1)).sum(-1)
    squares = (whitened**2).sum((-2, -1)) + (shift**2).sum(-1)
    return 0.5 * (squares - mu.shape[-1]) - log_det + prior_log_det


def _check_dimensions(mu: Tensor, prior_mu: Tensor) -> None:
    """Refuse one number that would be broadcast against several, and batches that do not fit."""
    if mu.shape[-1] != prior_mu.shape[-1]:
        raise ValueError(
            f"the first distribution is over {mu.shape[-1]} numbers, the second over "
            f"{prior_mu.shape[-1]}; expected as many in both."
        )
    if not _fit_together(mu.shape, prior_mu.shape):
        raise ValueError(
            f"the means have shapes {tuple(mu.shape)} and {tuple(prior_mu.shape)}; expected "
            "batches of one shape, or one distribution against a batch."
        )


def _fit_together(*shapes: torch.Size) -> bool:
    """Whether torch can broadcast tensors of these shapes."""
    try:
        torch.broadcast_shapes(*shapes)
    except RuntimeError:
        return False
    return True


@register_kl(DiagonalGaussian, DiagonalGaussian)
def _kl_diagonal_diagonal(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    return gaussian_kl_diagonal(q.mu, q.log_var, p.mu, p.log_var)


@register_kl(MultivariateNormal, DiagonalGaussian)
def _kl_full_diagonal(q: MultivariateNormal, p: DiagonalGaussian) -> Tensor:
    return gaussian_kl_full(q.loc, q.scale_tril, p.mu, torch.diag_embed(p.std))


@register_kl(DiagonalGaussian, MultivariateNormal)
def _kl_diagonal_full(q: DiagonalGaussian, p: MultivariateNormal) -> Tensor:
    return gaussian_kl_full(q.mu, torch.diag_embed(q.std), p.loc, p.scale_tril)


def kl(q: Distribution, p: Distribution) -> Tensor:
    """KL(q ‖ p) in nats in closed form, ``[...]``: ``torch.distributions.kl_divergence``.

    Raises:
        ValueError: if either is no distribution, no closed form is registered for the two
            families, or they are over events of different shapes.
    """
    _check_events(q, p)
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        raise ValueError(
            f"no closed-form KL from {type(q).__name__} to {type(p).__name__} is registered. "
            "Use monte_carlo_kl, or register one with torch.distributions.register_kl."
        ) from None


def _check_events(q: Distribution, p: Distribution) -> None:
    check_distribution("q", q)
    check_distribution("p", p)
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"the first distribution is over events of shape {tuple(q.event_shape)}, the second "
            f"over {tuple(p.event_shape)}; expected the same for both."
        )


class MonteCarlo(NamedTuple):
    """A Monte Carlo mean and its standard error, each ``[...]``."""

    estimate: Tensor
    standard_error: Tensor


def monte_carlo_kl(q: Distribution, p: Distribution, num_samples: int) -> MonteCarlo:
    """KL(q ‖ p) in nats as the mean of log q(z) − log p(z) over z ~ q.

    Needs nothing but a sampler of q and both densities, so it works where no closed form does.
    The standard error falls as 1/√num_samples (chapter 04).

    Args:
        q: where the samples come from.
        p: any distribution over the same space.
        num_samples: how many samples, at least 2.

    Raises:
        ValueError: if ``num_samples`` is below 2, or the two are over events of different shapes.
    """
    check_count("num_samples", num_samples, minimum=2)
    _check_events(q, p)
    z = q.rsample((num_samples,)) if q.has_rsample else q.sample((num_samples,))
    log_ratio = q.log_prob(z) - p.log_prob(z)
    return MonteCarlo(log_ratio.mean(0), log_ratio.std(0) / num_samples**0.5)


def gaussian_kl_quadrature(mu: float, log_var: float) -> float:
    """KL(N(μ, σ²) ‖ N(0, 1)) in one dimension by adaptive quadrature, in nats.

    Integrates q(z) (log q(z) − log p(z)) over μ ± 12 σ, outside of which less than 1e-30 of q
    remains. Uses neither the closed form nor a sample.
    """
    mu, log_var = check_real("mu", mu), check_real("log_var", log_var)
    q = DiagonalGaussian(
        torch.tensor([mu], dtype=torch.float64), torch.tensor([log_var], dtype=torch.float64)
    )
    p = DiagonalGaussian(torch.zeros(1).double(), torch.zeros(1).double())
    std = q.std.item()

    def integrand(z: float) -> float:
        point = torch.tensor([z], dtype=torch.float64)
        log_q = q.log_prob(point)
        return float(torch.exp(log_q) * (log_q - p.log_prob(point)))

    value, _ = quad(integrand, mu - 12 * std, mu + 12 * std, points=[mu], limit=200)
    return float(value)
