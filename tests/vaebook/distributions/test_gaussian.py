"""The diagonal Gaussian against torch.distributions, SciPy, quadrature and its own samples."""

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from scipy.integrate import quad
from torch.distributions import Independent, Normal

from tests.properties import a_few, normal, seeds
from vaebook.distributions import DiagonalGaussian, reparameterise, standard_normal
from vaebook.training import seeded

SHAPES = [(3,), (5, 3), (2, 4, 1)]


def reference(mu: torch.Tensor, log_var: torch.Tensor) -> Independent:
    return Independent(Normal(mu, torch.exp(log_var) ** 0.5), 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_gaussian_of_torch(shape: tuple[int, ...]) -> None:
    mu, log_var, value = (normal(seed, *shape, spread=2.0) for seed in range(3))
    ours, theirs = DiagonalGaussian(mu, log_var), reference(mu, log_var)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    for name in ("mean", "mode", "variance", "stddev"):
        # double precision: both evaluate an exp or two
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    torch.testing.assert_close(ours.std, theirs.stddev)
    torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert ours.log_prob(value).shape == shape[:-1], "one number per vector, not per dimension"


def test_log_prob_is_the_sum_of_scipys_densities() -> None:
    mu, log_var, value = (normal(seed, 6, 3) for seed in range(3))
    expected = stats.norm(mu.numpy(), np.sqrt(np.exp(log_var.numpy()))).logpdf(value.numpy())
    np.testing.assert_allclose(DiagonalGaussian(mu, log_var).log_prob(value), expected.sum(1))


@pytest.mark.parametrize(("mu", "log_var"), [(0.0, 0.0), (-3.0, 2.0), (0.7, -5.0)])
def test_the_density_integrates_to_one_and_gives_the_entropy(mu: float, log_var: float) -> None:
    density = DiagonalGaussian(
        torch.tensor([mu], dtype=torch.float64), torch.tensor([log_var], dtype=torch.float64)
    )

    def log_p(z: float) -> float:
        return float(density.log_prob(torch.tensor([z], dtype=torch.float64)))

    reach = 12 * np.exp(log_var / 2)  # beyond 12 σ lies less than 1e-30
    ends = (mu - reach, mu + reach)
    # quad promises about 1e-8
    assert quad(lambda z: np.exp(log_p(z)), *ends, points=[mu])[0] == pytest.approx(1, abs=1e-7)
    entropy = quad(lambda z: -np.exp(log_p(z)) * log_p(z), *ends, points=[mu])[0]
    assert float(density.entropy()) == pytest.approx(entropy, abs=1e-7)


def test_the_density_integrates_to_one_in_two_dimensions() -> None:
    density = DiagonalGaussian(
        torch.tensor([0.5, -1.0]).double(), torch.tensor([0.3, -1.2]).double()
    )
    step = 0.02
    axis = torch.arange(-8, 8, step, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    # A sum over a grid is exact for a Gaussian as long as the step is well below σ = 0.55.
    total = density.log_prob(points).exp().sum() * step**2
    assert float(total) == pytest.approx(1.0, abs=1e-9)


def test_samples_follow_the_density() -> None:
    mu, log_var = torch.tensor([0.5, -2.0, 1.0]).double(), torch.tensor([1.4, -2.0, 0.0]).double()
    with seeded(0):
        z = DiagonalGaussian(mu, log_var).rsample((20_000,)).numpy()
    assert z.shape == (20_000, 3)
    std = np.sqrt(np.exp(log_var.numpy()))
    for j in range(3):
        # With this seed p is far from 0; exp(log_var) taken for σ would give p < 1e-100.
        assert stats.kstest(z[:, j], stats.norm(mu[j].item(), std[j]).cdf).pvalue > 0.01


def test_every_dimension_and_every_example_has_noise_of_its_own() -> None:
    zeros = torch.zeros(4, 3).double()
    with seeded(0):
        z = DiagonalGaussian(zeros, zeros).rsample((5_000,))  # [5000, 4, 3]
    correlation = torch.corrcoef(z.flatten(1).T)
    off_diagonal = correlation - torch.eye(12)
    # 66 correlations with standard error 1/√5000 = 0.014: the largest stays below 4.5 of them.
    assert off_diagonal.abs().max() < 4.5 / 5000**0.5


def test_reparameterise_shifts_and_scales_the_noise() -> None:
    mu, log_var, noise = (normal(seed, 4, 3) for seed in range(3))
    expected = mu.numpy() + np.sqrt(np.exp(log_var.numpy())) * noise.numpy()
    np.testing.assert_allclose(reparameterise(mu, log_var, noise), expected)


def test_gradients_reach_mean_and_log_variance() -> None:
    mu, log_var, noise = (normal(seed, 2, 3) for seed in range(3))
    mu.requires_grad_()
    log_var.requires_grad_()
    # finite differences in double precision
    assert torch.autograd.gradcheck(lambda m, s: reparameterise(m, s, noise), (mu, log_var))


def test_the_gradient_of_an_expectation() -> None:
    """E z² = μ² + σ², so its derivatives are 2 μ and σ² (by log σ²)."""
    mu = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    log_var = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    with seeded(0):
        z = DiagonalGaussian(mu, log_var).rsample((200_000,))
    (z**2).mean().backward()
    # standard errors: 2 σ / √n = 0.0055 and about 1.5 σ² · 1.4 / √n = 0.006
    assert float(mu.grad) == pytest.approx(1.4, abs=0.025)
    assert float(log_var.grad) == pytest.approx(np.exp(0.4), abs=0.025)


def test_gradients_of_log_prob_agree_with_finite_differences() -> None:
    mu, log_var, value = (normal(seed, 2, 3).requires_grad_() for seed in range(3))
    assert torch.autograd.gradcheck(
        lambda m, s, z: DiagonalGaussian(m, s).log_prob(z), (mu, log_var, value)
    )


def test_sample_carries_no_gradient() -> None:
    mu = torch.zeros(3, requires_grad=True)
    assert not DiagonalGaussian(mu, torch.zeros(3)).sample().requires_grad


def test_expand_repeats_the_density_and_draws_anew() -> None:
    prior = standard_normal(3)
    assert prior.batch_shape == ()
    assert prior.event_shape == (3,)
    many = prior.expand((5,))
    assert (many.batch_shape, many.event_shape) == ((5,), (3,))
    value = torch.zeros(3)
    assert torch.equal(many.log_prob(value), prior.log_prob(value).expand(5))
    with seeded(0):
        z = many.sample((2,))
    assert len(torch.unique(z)) == 2 * 5 * 3


def test_a_batch_is_broadcast_over_samples() -> None:
    mu, log_var, value = normal(0, 4, 3), normal(1, 4, 3), normal(2, 7, 4, 3)
    ours = DiagonalGaussian(mu, log_var).log_prob(value)
    torch.testing.assert_close(ours, reference(mu, log_var).log_prob(value))
    assert ours.shape == (7, 4)


@a_few
@given(seeds)
def test_affine_maps_change_log_prob_by_the_log_determinant(seed: int) -> None:
    """If z = m + s u, then log p(z) = log p(u) − Σ log s."""
    mu, log_var, u = normal(seed, 3), normal(seed + 1, 3), normal(seed + 2, 3)
    shift, log_scale = normal(seed + 3, 3), normal(seed + 4, 3)
    moved = DiagonalGaussian(shift + log_scale.exp() * mu, log_var + 2 * log_scale)
    torch.testing.assert_close(
        moved.log_prob(shift + log_scale.exp() * u),
        DiagonalGaussian(mu, log_var).log_prob(u) - log_scale.sum(),
    )


def test_wrong_input_says_what_to_do() -> None:
    good = torch.zeros(4, 3)
    for call in (DiagonalGaussian, reparameterise):
        with pytest.raises(ValueError, match=r"mu \(4, 3\), log_var \(3,\).*same shape"):
            call(good, torch.zeros(3))
    with pytest.raises(ValueError, match="scalar; expected a vector"):
        DiagonalGaussian(torch.tensor(0.0), torch.tensor(0.0))
    bad = good.clone()
    bad[0, 1] = float("nan")
    with pytest.raises(ValueError, match="mu holds 1 values that are NaN"):
        DiagonalGaussian(bad, good)
    with pytest.raises(ValueError, match="log_var holds 1 values"):
        DiagonalGaussian(good, bad)
    DiagonalGaussian(bad, good, validate_args=False)
    with pytest.raises(ValueError, match=r"value has shape \(4, 1\); expected \[\.\.\., 3\]"):
        DiagonalGaussian(good, good).log_prob(torch.zeros(4, 1))
    with pytest.raises(ValueError, match="latent_dim is 0"):
        standard_normal(0)
