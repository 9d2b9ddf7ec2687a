"""The closed form of the Gaussian KL against four other computations, and what it compares."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence

from vaebook._random import seeded
from vaebook.distributions import gaussian_kl, gaussian_kl_quadrature, monte_carlo_kl, quadrature_kl

REACH = 30.0  # the grids of quadrature_kl go from -REACH to REACH


def line_integral_kl(mu: Tensor, log_var: Tensor, *, num_nodes: int = 24) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) as the work done against its force, ``[n]`` in nats.

    The divergence is 0 at μ = 0, log σ² = 0. So its value elsewhere is the integral of its
    gradient along the straight line from there, here by Gauss-Legendre quadrature of the gradient
    that autograd finds in ``torch.distributions``.
    """
    nodes, weights = (
        torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(num_nodes)
    )
    along = ((nodes + 1) / 2)[:, None]  # from 0 to 1
    means = (along * mu).requires_grad_()
    log_vars = (along * log_var).requires_grad_()
    total = kl_divergence(Normal(means, (0.5 * log_vars).exp()), _standard_normal()).sum()
    by_mean, by_log_var = torch.autograd.grad(total, (means, log_vars))
    return 0.5 * (weights[:, None] * (by_mean * mu + by_log_var * log_var)).sum(0)


def gradients(mu: Tensor, log_var: Tensor) -> dict[str, Tensor]:
    """∂KL/∂μ and ∂KL/∂log σ² by autograd through three computations, each ``[2, n]``."""

    def through(divergence: Any) -> Tensor:
        leaves = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
        return torch.stack(torch.autograd.grad(divergence(*leaves).sum(), leaves))

    def normal(mean: Tensor, log_variance: Tensor) -> Normal:
        return Normal(mean, (0.5 * log_variance).exp())

    p = _standard_normal()
    return {
        "closed form": through(lambda m, s: gaussian_kl(m[:, None], s[:, None])),
        "quadrature": through(
            lambda m, s: quadrature_kl(normal(m, s), p, low=-REACH, high=REACH, num_points=16001)
        ),
        "torch.distributions": through(lambda m, s: kl_divergence(normal(m, s), p)),
    }


def run(
    seed: int, *, num_posteriors: int = 40, num_samples: int = 50_000, num_pictures: int = 256
) -> list[dict[str, Any]]:
    """Compare the computations on random posteriors, then one encoder's codes two ways.

    The encoder gives each of ``num_pictures`` a posterior with σ = 0.2 around a random mean, drawn
    so that all posteriors together spread like N(0, 1).

    Args:
        num_posteriors: random posteriors, μ uniform in ±3, log σ² uniform in −6 to 2.
        num_pictures: posteriors that make up the aggregate.

    Returns:
        One row. Largest differences from the closed form in nats (``..._gap``); the largest error
        of Monte Carlo in its standard errors; the mean over pictures of KL(q(z | x) ‖ p), the
        KL(q(z) ‖ p) of the aggregate, and the mutual information, in nats.
    """
    p = _standard_normal()
    with seeded(seed):
        mu = 6 * torch.rand(num_posteriors, dtype=torch.float64) - 3
        log_var = 8 * torch.rand(num_posteriors, dtype=torch.float64) - 6
        exact = gaussian_kl(mu[:, None], log_var[:, None])
        q = Normal(mu, (0.5 * log_var).exp())
        sampled = monte_carlo_kl(q, p, num_samples)
        adaptive = torch.tensor(
            [
                gaussian_kl_quadrature(*pair)
                for pair in zip(mu.tolist(), log_var.tolist(), strict=True)
            ],
            dtype=torch.float64,
        )
        truth = torch.stack([mu, 0.5 * torch.expm1(log_var)])
        std = 0.2
        means = math.sqrt(1 - std**2) * torch.randn(num_pictures, dtype=torch.float64)
    codes = Normal(means, std)
    aggregate = MixtureSameFamily(Categorical(torch.ones_like(means)), codes)
    per_picture = gaussian_kl(means[:, None], torch.full_like(means, 2 * math.log(std))[:, None])
    together = quadrature_kl(aggregate, p, low=-REACH, high=REACH)
    information = quadrature_kl(codes, aggregate, low=-REACH, high=REACH).mean()
    return [
        {
            "quadrature_gap": _largest(adaptive - exact),
            "torch_gap": _largest(kl_divergence(q, p) - exact),
            "line_integral_gap": _largest(line_integral_kl(mu, log_var) - exact),
            "gradient_gap": max(_largest(g - truth) for g in gradients(mu, log_var).values()),
            "monte_carlo_standard_errors": _largest(
                (sampled.estimate - exact) / sampled.standard_error
            ),
            "kl_per_picture": float(per_picture.mean()),
            "kl_of_aggregate": float(together),
            "mutual_information": float(information),
            "identity_gap": _largest(per_picture.mean() - together - information),
        }
    ]


def _standard_normal() -> Normal:
    zero = torch.zeros((), dtype=torch.float64)
    return Normal(zero, zero + 1)


def _largest(difference: Tensor) -> float:
    return float(difference.detach().abs().max())
