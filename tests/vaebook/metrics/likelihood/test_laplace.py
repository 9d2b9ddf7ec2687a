"""Laplace proposals and intervals of importance sampling against exact Gaussians and quadrature."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from vaebook.data import load_digits
from vaebook.distributions import (
    BernoulliLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    unit_laplace,
)
from vaebook.experiments.ch13_using_a_vae.importance_bound import estimates
from vaebook.metrics import (
    effective_sample_size,
    grid_posterior,
    importance_log_weights,
    laplace_proposal,
    log_mean_interval,
    log_mean_weight,
)
from vaebook.metrics.likelihood.laplace import _climb
from vaebook.models import MLP, VAE, ProbabilisticPCA
from vaebook.training import fit, seeded

close = torch.testing.assert_close


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_digits().test.images[:6]


@pytest.fixture(scope="module")
def curved() -> VAE:
    """A trained VAE of two numbers, whose log p(x) quadrature knows."""
    with seeded(0):
        model = VAE((1, 8, 8), 2, network=MLP((32,), "tanh"), likelihood=GaussianLikelihood(0.2))
    fit(model, load_digits().train.images, num_epochs=6, lr=5e-3)
    return model


def test_of_a_linear_decoder_it_is_the_true_posterior(images: torch.Tensor) -> None:
    exact = ProbabilisticPCA.fit(load_digits().train.images, 3)
    with seeded(0):
        rotation = torch.linalg.qr(torch.randn(3, 3).double())[0]
    exact = exact.rotated(rotation)
    model = exact.as_vae((1, 8, 8), posterior="diagonal")
    found, truth = laplace_proposal(model, images), exact.posterior(images)
    close(found.mean.double(), truth.mean, atol=1e-4, rtol=0)
    close(found.covariance_matrix.double(), truth.covariance_matrix, atol=1e-5, rtol=0)
    log_weights = importance_log_weights(model, images, num_samples=20, proposal=found)
    # weights of the true posterior are all equal: p(x), whatever the code
    close(log_weights.double(), exact.log_likelihood(images).expand(20, -1), atol=1e-2, rtol=0)


def test_quadrature_agrees_with_the_samples(curved: VAE, images: torch.Tensor) -> None:
    truth = grid_posterior(curved, images, limit=5.0, num_points=121).log_evidence
    proposal = laplace_proposal(curved, images, widen=1.2)
    log_weights = importance_log_weights(curved, images, num_samples=4000, proposal=proposal)
    share = effective_sample_size(log_weights) / 4000
    assert share.min() > 0.05
    close(log_mean_weight(log_weights)[0].double(), truth, atol=0.15, rtol=0)
    # the encoder's own q needs more samples, and is never above in expectation
    own = importance_log_weights(curved, images, num_samples=4000)
    assert log_mean_weight(own, 10).mean() < truth.mean()


def test_its_mean_is_a_mode(curved: VAE, images: torch.Tensor) -> None:
    codes = laplace_proposal(curved, images).mean.clone().requires_grad_()
    height = curved.likelihood_of(codes).log_prob(images) - 0.5 * codes.square().sum(1)
    (gradient,) = torch.autograd.grad(height.sum(), codes)
    assert gradient.norm(dim=1).median() < 0.05


def test_a_step_is_halved_until_it_climbs_and_not_taken_where_it_never_does() -> None:
    """The first row climbs after nine halvings, the second at once, the third nowhere."""

    def height(codes: torch.Tensor) -> torch.Tensor:
        reach = torch.tensor([2.0**-9, 1.0, 0.0])
        return torch.where(codes[:, 0] <= reach, codes[:, 0], -1.0)

    found = _climb(height, torch.zeros(3, 1), torch.ones(3, 1))
    close(found[:, 0], torch.tensor([2.0**-9, 1.0, 0.0]), rtol=0, atol=0)


def test_widening_multiplies_the_deviations(curved: VAE, images: torch.Tensor) -> None:
    once, twice = (laplace_proposal(curved, images, widen=w) for w in (1.0, 2.0))
    close(twice.covariance_matrix, 4 * once.covariance_matrix)
    close(twice.mean, once.mean)


@pytest.mark.parametrize(
    "settings", [{"likelihood": BernoulliLikelihood()}, {"prior": unit_laplace(2)}]
)
def test_other_models_are_refused(settings: dict, images: torch.Tensor) -> None:
    model = VAE((1, 8, 8), 2, **settings)
    with pytest.raises(ValueError, match="expected Gaussian"):
        laplace_proposal(model, images)


def test_the_interval_covers_the_truth_where_weights_are_light() -> None:
    """Weights N(z; 0, 1) / N(z; 0, 1.3²): their mean is 1, their variance is known."""
    proposal = Normal(0.0, 1.3)
    with seeded(0):
        z = proposal.sample((500, 1000))  # 1,000 estimates of 500 samples
    log_weights = (Normal(0.0, 1.0).log_prob(z) - proposal.log_prob(z)).double()
    low, high = log_mean_interval(log_weights)
    inside = ((low <= 0) & (high >= 0)).double().mean()
    # four binomial standard errors of 1,000 estimates are 2.8 points
    assert abs(float(inside) - 0.95) < 0.028
    second_moment = 1.3**2 / math.sqrt(2 * 1.3**2 - 1)
    half = 1.96 * math.sqrt((second_moment - 1) / 500)
    assert abs(float((high - low).mean() / 2) - half) < 0.03 * half


def test_equal_weights_leave_no_doubt() -> None:
    low, high = log_mean_interval(torch.full((7, 2), -3.0))
    close(low, torch.full((2,), -3.0))
    close(high, low)


def test_rows_of_estimates() -> None:
    truth = MultivariateNormal(torch.zeros(1), torch.eye(1)).log_prob(torch.zeros(1, 1)).double()
    log_weights = truth + torch.tensor([[2.0], [-2.0]]).repeat(50, 1)
    rows = {row["num_samples"]: row for row in estimates(log_weights, truth)}
    assert sorted(rows) == [1, 10, 100]
    assert rows[1]["gap"] == pytest.approx(0.0, abs=1e-6)
    expected = -math.log(math.cosh(2.0))  # of the mean of e² and e⁻²
    assert rows[10]["gap"] == pytest.approx(expected, rel=1e-5)
    assert rows[100]["effective"] == pytest.approx(100 * math.cosh(2) ** 2 / math.cosh(4), rel=1e-5)


def test_learned_sigma_is_no_obstacle(images: torch.Tensor) -> None:
    with seeded(1):
        model = VAE((1, 8, 8), 2, network=MLP((8,)), likelihood=LearnedGaussianLikelihood(0.5))
    proposal = laplace_proposal(model, images)
    assert not proposal.mean.requires_grad
    assert not proposal.covariance_matrix.requires_grad
