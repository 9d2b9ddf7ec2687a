"""Both gradient estimators against autograd, exact gradients, and exact variances."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from vaebook.distributions import (
    DiagonalGaussian,
    leave_one_out,
    pathwise_gradient,
    score_function_gradient,
)
from vaebook.experiments.ch05_reparameterisation.gradient_variance import (
    GROUP,
    exact_variance,
    squared_norm,
)
from vaebook.training import seeded

NUM_SAMPLES = 40_000


def posterior() -> DiagonalGaussian:
    """Three Gaussians of two dimensions, none of them special."""
    mu = torch.tensor([[0.3, -1.2], [2.0, 0.0], [-0.5, 0.7]], dtype=torch.float64)
    log_var = torch.tensor([[0.4, -2.0], [-0.3, 1.1], [0.0, -0.8]], dtype=torch.float64)
    return DiagonalGaussian(mu, log_var)


def smooth(z: Tensor) -> Tensor:
    """A function that is neither quadratic nor separable."""
    return torch.sin(z[..., 0]) * z[..., 1] ** 2 + torch.exp(-(z**2).sum(-1))


def draw(num_samples: int, q: DiagonalGaussian) -> Tensor:
    with seeded(7):
        return torch.randn(num_samples, *q.mu.shape, dtype=q.mu.dtype)


def by_quadrature(q: DiagonalGaussian) -> tuple[Tensor, Tensor]:
    """The gradient of E[smooth(z)] on a grid, by autograd: no sample at all."""
    points = (
        torch.tensor([[x, y] for x in range(-60, 61) for y in range(-60, 61)], dtype=torch.float64)
        / 8.0
    )  # trapezoidal rule on a grid over ±7.5 σ, exact to rounding for smooth functions
    weights = torch.exp(-0.5 * (points**2).sum(-1)) / (2 * math.pi) / 64
    mu, log_var = q.mu.clone().requires_grad_(), q.log_var.clone().requires_grad_()
    z = mu[None] + torch.exp(0.5 * log_var) * points[:, None]
    mean = (weights[:, None] * smooth(z)).sum()
    return torch.autograd.grad(mean, (mu, log_var))


def test_the_score_is_what_autograd_gives_for_log_q() -> None:
    q = posterior()
    noise = draw(5, q)
    gradient = score_function_gradient(smooth, q, noise, baseline=0.3)
    for s in range(5):
        mu, log_var = q.mu.clone().requires_grad_(), q.log_var.clone().requires_grad_()
        reference = Independent(Normal(mu, torch.exp(0.5 * log_var)), 1)
        z = (q.mu + q.std * noise[s]).detach()
        surrogate = ((smooth(z) - 0.3) * reference.log_prob(z)).sum()
        for ours, theirs in zip(
            gradient, torch.autograd.grad(surrogate, (mu, log_var)), strict=True
        ):
            torch.testing.assert_close(ours[s], theirs)


def test_pathwise_is_what_autograd_gives_through_the_sample() -> None:
    q = posterior()
    noise = draw(5, q)
    gradient = pathwise_gradient(smooth, q, noise)
    for s in range(5):
        mu, log_var = q.mu.clone().requires_grad_(), q.log_var.clone().requires_grad_()
        value = smooth(mu + torch.exp(0.5 * log_var) * noise[s]).sum()
        expected = torch.autograd.grad(value, (mu, log_var))
        for ours, theirs in zip(gradient, expected, strict=True):
            torch.testing.assert_close(ours[s], theirs)


@pytest.mark.parametrize("name", ["score", "constant baseline", "leave-one-out", "pathwise"])
def test_unbiased_against_quadrature(name: str) -> None:
    q = posterior()
    noise = draw(NUM_SAMPLES, q)
    gradient = {
        "score": lambda: score_function_gradient(smooth, q, noise),
        "constant baseline": lambda: score_function_gradient(smooth, q, noise, baseline=0.5),
        "leave-one-out": lambda: score_function_gradient(smooth, q, noise, baseline=leave_one_out),
        "pathwise": lambda: pathwise_gradient(smooth, q, noise),
    }[name]()
    for estimate, exact in zip(gradient, by_quadrature(q), strict=True):
        error = (estimate.mean(0) - exact) / (estimate.std(0) / NUM_SAMPLES**0.5)
        assert error.abs().max() < 4.0  # standard errors, twelve of them


def test_a_baseline_with_the_sample_itself_is_biased() -> None:
    """The mean over all samples shrinks the gradient by 1 − 1/S; leave-one-out does not."""
    q = DiagonalGaussian(torch.ones(1), torch.zeros(1)).expand((NUM_SAMPLES,))
    noise = draw(2, q)
    naive = score_function_gradient(
        squared_norm, q, noise, baseline=lambda values: values.mean(0)
    ).mu.mean()
    fair = score_function_gradient(squared_norm, q, noise, baseline=leave_one_out).mu.mean()
    assert abs(naive - 1.0) < 0.1  # half of the exact gradient 2
    assert abs(fair - 2.0) < 0.15


def test_leave_one_out_by_hand() -> None:
    values = torch.tensor([1.0, 2.0, 6.0])
    torch.testing.assert_close(leave_one_out(values), torch.tensor([4.0, 3.5, 1.5]))
    with pytest.raises(ValueError, match="at least 2"):
        leave_one_out(values[:1])


@pytest.mark.parametrize("dim", [1, 3, 20])
@pytest.mark.parametrize("length", [1.0, 0.25, 4.0])
def test_exact_variances_of_the_quadratic(dim: int, length: float) -> None:
    """The closed forms of chapter 05 hold for any ‖m‖² = d · length, in any direction."""
    with seeded(3):
        direction = torch.randn(dim)
    m = direction / direction.norm() * (dim * length) ** 0.5
    q = DiagonalGaussian(m, torch.zeros(dim)).expand((NUM_SAMPLES // 2,))
    noise = draw(GROUP, q)
    mean_of_f = float(m @ m) + dim
    measured = {
        "score": score_function_gradient(squared_norm, q, noise),
        "score, mean baseline": score_function_gradient(squared_norm, q, noise, baseline=mean_of_f),
        "score, leave-one-out": score_function_gradient(
            squared_norm, q, noise, baseline=leave_one_out
        ),
        "pathwise": pathwise_gradient(squared_norm, q, noise),
    }
    for name, gradient in measured.items():
        groups = gradient.mu.mean(0)  # [groups, d]
        assert float(GROUP * groups.var(0).sum()) == pytest.approx(
            exact_variance(name, dim, length), rel=0.06
        ), name
        error = groups.mean(0) - 2 * m
        assert (error / (groups.std(0) / len(groups) ** 0.5)).abs().max() < 4.5, name


def test_gradients_leave_no_trace() -> None:
    """Neither estimator reaches the parameters' graph or changes the global generator."""
    mu, log_var = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    q = DiagonalGaussian(mu, log_var)
    state = torch.get_rng_state()
    noise = torch.ones(3, 2)
    for gradient in (
        score_function_gradient(squared_norm, q, noise),
        pathwise_gradient(squared_norm, q, noise),
    ):
        assert not any(part.requires_grad for part in gradient)
    assert torch.equal(state, torch.get_rng_state())
    with torch.no_grad():  # pathwise needs a gradient even where none is recorded
        assert torch.equal(pathwise_gradient(squared_norm, q, noise).mu, 2 * torch.ones(3, 2))


def test_wrong_shapes_are_named() -> None:
    q = posterior()
    with pytest.raises(ValueError, match=r"expected \[num_samples, 3, 2\]"):
        pathwise_gradient(smooth, q, torch.randn(4, 2))
    for estimator in (score_function_gradient, pathwise_gradient):
        with pytest.raises(ValueError, match="one for each code"):
            estimator(lambda z: (z**2).sum(), q, draw(4, q))


@pytest.mark.parametrize("estimate", [score_function_gradient, pathwise_gradient])
def test_whole_numbers_have_no_gradient(estimate) -> None:
    q = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match=r"noise has dtype torch\.int64; expected floats"):
        estimate(lambda z: z.sum(-1), q, torch.ones(4, 2).long())
    with pytest.raises(ValueError, match="what f gave has dtype torch\\.int64; expected floats"):
        estimate(lambda z: z.sum(-1).long(), q, torch.ones(4, 2))
    with pytest.raises(ValueError, match="expected floats"):
        leave_one_out(torch.arange(4))
