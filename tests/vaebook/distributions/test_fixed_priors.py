"""Laplace and uniform priors: integrals, samplers, and KLs by three independent ways."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from scipy.integrate import quad
from torch.distributions import (
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    StudentT,
    Uniform,
    kl_divergence,
)

from tests.properties import a_few, lower_triangular, normal, seeds, uniform
from vaebook.distributions import (
    DiagonalGaussian,
    GaussianLikelihood,
    kl,
    monte_carlo_kl,
    unit_laplace,
    unit_uniform,
)
from vaebook.distributions.fixed_priors import expected_distance
from vaebook.models import MLP, VAE
from vaebook.training import seeded

close = torch.testing.assert_close
REFERENCES = {
    unit_laplace: stats.laplace(scale=1 / math.sqrt(2)),
    unit_uniform: stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
}
PRIORS = tuple(REFERENCES)


@pytest.mark.parametrize("make", PRIORS)
def test_the_density_is_that_of_scipy_and_integrates_to_one(make) -> None:
    prior, reference = make(1), REFERENCES[make]
    assert reference.mean() == pytest.approx(0, abs=1e-12)
    assert reference.var() == pytest.approx(1)
    grid = np.linspace(-1.7, 1.7, 101)
    ours = prior.log_prob(torch.as_tensor(grid)[:, None])
    # the parameters are float32, good to 1e-7
    np.testing.assert_allclose(ours, reference.logpdf(grid), atol=1e-6)

    def density(z: float) -> float:
        return prior.log_prob(torch.tensor([z], dtype=torch.float64)).exp().item()

    edge = math.sqrt(3)
    mass = sum(quad(density, a, b)[0] for a, b in ((-edge, 0), (0, edge), (-30, -edge), (edge, 30)))
    assert mass == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("make", PRIORS)
def test_the_sampler_follows_the_density(make) -> None:
    prior = make(3)
    assert prior.event_shape == (3,)
    assert prior.batch_shape == ()
    with seeded(0):
        draws = prior.sample((5000,)).numpy()
    for j in range(3):
        assert stats.kstest(draws[:, j], REFERENCES[make].cdf).pvalue > 1e-3
    correlation = np.corrcoef(draws.T) - np.eye(3)
    assert np.abs(correlation).max() < 4 / math.sqrt(5000)
    # independent dimensions: the densities multiply
    point = torch.tensor([[0.3, -1.0, 0.8]])
    single = [make(1).log_prob(point[:, j : j + 1]) for j in range(3)]
    close(prior.log_prob(point), sum(single))


def test_outside_its_box_the_uniform_has_no_density() -> None:
    prior = unit_uniform(2)
    assert prior.log_prob(torch.tensor([0.0, 2.0])) == -math.inf
    assert prior.log_prob(torch.tensor([-1.8, 0.0])) == -math.inf


@a_few
@given(seeds)
def test_the_distance_from_zero_is_the_mean_of_the_folded_normal(seed: int) -> None:
    mu, std = normal(seed, 6, spread=3.0), 0.05 + 3 * uniform(seed + 1, 6)
    expected = stats.foldnorm(mu.abs().div(std).numpy(), scale=std.numpy()).mean()
    # E|z| is the same for μ and −μ
    close(expected_distance(mu, std), torch.as_tensor(expected), rtol=1e-7, atol=1e-9)


def laplace_prior(seed: int, d: int) -> Independent:
    """Any means and scales, in double precision."""
    return Independent(Laplace(normal(seed, d), 0.2 + uniform(seed + 1, d)), 1)


@pytest.mark.parametrize("full", [False, True])
def test_the_kl_to_a_laplace_is_what_samples_say(full: bool) -> None:
    prior = laplace_prior(5, 3)
    q = (
        MultivariateNormal(normal(0, 4, 3), scale_tril=lower_triangular(1, 4, d=3))
        if full
        else DiagonalGaussian(normal(0, 4, 3), normal(1, 4, 3))
    )
    closed = kl(q, prior)
    assert closed.shape == (4,)
    with seeded(0):
        found = monte_carlo_kl(q, prior, 40_000)
    assert ((found.estimate - closed).abs() < 4 * found.standard_error).all()


@pytest.mark.parametrize(("mu", "std"), [(0.0, 1.0), (0.7, 0.4), (-3.0, 0.1), (0.05, 2.5)])
def test_the_kl_to_a_laplace_is_the_integral(mu: float, std: float) -> None:
    q, p = stats.norm(mu, std), stats.laplace(scale=math.sqrt(0.5))
    truth, _ = quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)),
        mu - 12 * std, mu + 12 * std, points=[0.0, mu], limit=200,
    )  # fmt: skip
    ours = DiagonalGaussian(torch.tensor([mu]).double(), 2 * torch.tensor([std]).double().log())
    # the scale of unit_laplace is a float32 number
    assert kl(ours, unit_laplace(1)).item() == pytest.approx(truth, abs=1e-6)
    full = MultivariateNormal(ours.mu, covariance_matrix=torch.diag(ours.variance))
    assert kl(full, unit_laplace(1)).item() == pytest.approx(truth, abs=1e-6)


@a_few
@given(seeds)
def test_the_kl_to_a_laplace_is_never_negative(seed: int) -> None:
    q = DiagonalGaussian(normal(seed, 5, 2, spread=2.0), normal(seed + 1, 5, 2, spread=3.0))
    assert (kl(q, laplace_prior(seed, 2)) > 0).all()


def test_the_kl_to_a_laplace_has_the_gradients_of_finite_differences() -> None:
    prior = laplace_prior(0, 2)
    mu, log_var = normal(1, 3, 2).requires_grad_(), normal(2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: kl(DiagonalGaussian(m, s), prior), (mu, log_var))


def test_a_gaussian_reaches_beyond_every_box() -> None:
    q = DiagonalGaussian(torch.zeros(2, 3), torch.full((2, 3), -9.0))
    assert torch.equal(kl(q, unit_uniform(3)), torch.full((2,), math.inf))


def test_other_independent_priors_are_left_to_sampling() -> None:
    q = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    for prior in (
        Independent(StudentT(3.0, torch.zeros(2)), 1),
        Independent(Uniform(torch.zeros(1, 2), torch.ones(1, 2)), 2),
        Independent(Laplace(torch.zeros(2), torch.ones(2)), 0),
    ):
        with pytest.raises(NotImplementedError):
            kl_divergence(q, prior)


def test_a_vae_finds_the_closed_form() -> None:
    with seeded(0):
        model = VAE(
            (1, 4, 4), 3, network=MLP((5,)), likelihood=GaussianLikelihood(), prior=unit_laplace(3)
        )
    images = uniform(0, 6, 1, 4, 4).float()
    rate = model.elbo(images).rate
    assert torch.equal(rate, model.elbo(images).rate), "no sample in it"
    q = model.posterior(images)
    with seeded(1):
        found = monte_carlo_kl(Independent(Normal(q.mean, q.std), 1), model.prior, 20_000)
    assert ((found.estimate - rate).abs() < 4 * found.standard_error).all()


@pytest.mark.parametrize("make", PRIORS)
def test_a_size_that_is_no_count_is_refused(make) -> None:
    with pytest.raises(ValueError, match="latent_dim is 0"):
        make(0)
