"""Importance weights against the exact log p(x) of probabilistic PCA and against closed forms."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from vaebook.data import load_digits
from vaebook.metrics import (
    effective_sample_size,
    evaluate_elbo,
    importance_log_weights,
    importance_weighted_nll,
    log_mean_weight,
    prior_monte_carlo_log_likelihood,
)
from vaebook.models import ProbabilisticPCA
from vaebook.training import seeded


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_digits().test.images[:30]


@pytest.fixture(scope="module")
def exact() -> ProbabilisticPCA:
    return ProbabilisticPCA.fit(load_digits().train.images, 2)


@pytest.fixture(scope="module")
def model(exact):
    return exact.as_vae((1, 8, 8))


def scaled(exact, images, factor: float) -> MultivariateNormal:
    truth = exact.posterior(images)
    covariance = truth.covariance_matrix.float() * factor**2
    return MultivariateNormal(truth.mean.float(), covariance_matrix=covariance)


def test_prior_proposal_estimates_log_p(exact, model, images):
    log_weights = importance_log_weights(
        model, images, num_samples=20_000, proposal=model.prior, seed=1
    )
    estimate = log_mean_weight(log_weights)[0].double()
    torch.testing.assert_close(estimate, exact.log_likelihood(images), atol=0.2, rtol=0)
    other = prior_monte_carlo_log_likelihood(model, images, num_samples=20_000, seed=1)
    torch.testing.assert_close(estimate.float(), other, atol=1e-3, rtol=0)


def test_own_posterior_is_the_importance_weighted_bound(model, images):
    log_weights = importance_log_weights(model, images, num_samples=50, seed=2)
    ours = -log_mean_weight(log_weights)[0]
    other = importance_weighted_nll(model, images, num_samples=50, seed=2)
    torch.testing.assert_close(ours, other, atol=1e-3, rtol=0)


def test_mean_of_logs_is_the_elbo(exact, images):
    model = exact.rotated(torch.tensor([[0.8, -0.6], [0.6, 0.8]])).as_vae(
        (1, 8, 8), posterior="diagonal"
    )
    log_weights = importance_log_weights(model, images, num_samples=4000, seed=3)
    elbo = evaluate_elbo(model, images, num_samples=4000, seed=4).elbo
    assert abs(log_weights.mean() - elbo.mean()) < 0.02


def test_wide_proposal_has_the_effective_sample_size_of_the_formula(exact, model, images):
    factor = 1.5
    log_weights = importance_log_weights(
        model, images, num_samples=20_000, proposal=scaled(exact, images, factor), seed=5
    )
    share = effective_sample_size(log_weights).mean() / len(log_weights)
    expected = math.sqrt(2 * factor**2 - 1) / factor**2  # in each dimension (chapter 03)
    assert abs(share - expected**2) < 0.01


def test_estimates_rise_with_the_samples_of_each(exact, model, images):
    log_weights = importance_log_weights(
        model, images, num_samples=1000, proposal=scaled(exact, images, 0.5), seed=6
    )
    means = [log_mean_weight(log_weights, size).mean() for size in (1, 10, 100, 1000)]
    assert means == sorted(means)
    # One sample of q = N(m, c²P) gives the ELBO: log p(x) less the KL divergence.
    kl = 2 * 0.5 * (0.5**2 - 1 - math.log(0.5**2))
    assert abs(means[0] - (exact.log_likelihood(images).mean() - kl)) < 0.03


def test_effective_sample_size_of_known_weights():
    equal = torch.zeros(8, 1)
    one_rules = torch.tensor([[0.0], [-100.0], [-100.0]])
    assert effective_sample_size(equal).item() == pytest.approx(8)
    assert effective_sample_size(one_rules).item() == pytest.approx(1)
    assert effective_sample_size(equal + 1000.0).item() == pytest.approx(8)


def test_groups_are_consecutive_and_the_rest_is_left_out():
    log_weights = torch.tensor([1.0, 3.0, 5.0, 7.0, 100.0]).log()[:, None]
    estimates = log_mean_weight(log_weights, 2)
    torch.testing.assert_close(estimates.exp(), torch.tensor([[2.0], [6.0]]))


def test_seed_and_batch_leave_no_trace(model, images):
    torch.manual_seed(11)
    expected = torch.rand(2)
    torch.manual_seed(11)
    one = importance_log_weights(model, images, num_samples=5, seed=0)
    assert torch.equal(torch.rand(2), expected)
    two = importance_log_weights(model, images, num_samples=5, seed=0)
    assert torch.equal(one, two)
    assert one.shape == (5, len(images))


def test_errors(model, images):
    with pytest.raises(ValueError, match="batch shape"):
        importance_log_weights(
            model, images, num_samples=5, proposal=MultivariateNormal(torch.zeros(3), torch.eye(3))
        )
    with pytest.raises(ValueError, match="only 4 weights"):
        log_mean_weight(torch.zeros(4, 2), 5)


@pytest.mark.parametrize(
    ("batch", "event"), [((29,), 2), ((31,), 2), ((1,), 2), ((), 1), ((), 3), ((30,), 3)]
)
def test_a_proposal_of_another_shape_is_refused(model, images, batch, event):
    proposal = MultivariateNormal(torch.zeros(*batch, event), torch.eye(event))
    with pytest.raises(ValueError, match=r"expected \[30\] or \[\] and \[2\]"):
        importance_log_weights(model, images, num_samples=2, proposal=proposal)


def test_codes_are_drawn_in_batches_of_a_size(model, images):
    """Three batches of the same numbers as three draws; the last one is smaller."""
    sizes = []

    class Recorder(MultivariateNormal):
        def sample(self, sample_shape=torch.Size()):  # noqa: B008
            sizes.append(sample_shape[0])
            return super().sample(sample_shape)

    proposal = Recorder(torch.zeros(2), torch.eye(2))
    found = importance_log_weights(
        model, images, num_samples=7, proposal=proposal, batch_size=3, seed=4
    )
    assert sizes == [3, 3, 1]
    assert found.shape == (7, 30)
    with seeded(4):
        codes = torch.cat([MultivariateNormal.sample(proposal, (n,)) for n in sizes])
    with torch.no_grad():
        log_p = model.likelihood_of(codes[:, None].expand(7, 30, 2)).log_prob(images)
    expected = log_p + (model.prior.log_prob(codes) - proposal.log_prob(codes))[:, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_weights_of_zero_are_weights_and_endless_ones_are_none():
    some = torch.tensor([[0.0], [-math.inf]])
    assert log_mean_weight(some).item() == pytest.approx(-math.log(2))
    assert effective_sample_size(some).item() == pytest.approx(1)
    for bad, count in ((math.nan, 1), (math.inf, 1)):
        with pytest.raises(
            ValueError, match=rf"holds {count} values that are NaN or \+infinity \(of 2\)"
        ):
            log_mean_weight(torch.tensor([[0.0], [bad]]))
    assert log_mean_weight(torch.zeros(4, 1), 4).shape == (1, 1)
