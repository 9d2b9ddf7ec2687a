"""Estimates of log p(x) against the exact evidence of linear Gaussian models."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch.distributions import Independent, Laplace, Normal
from torch.nn import functional as F

from tests.linear_model import IMAGE_SHAPE, linear_gaussian
from tests.properties import normal, uniform
from vaebook.distributions import DiagonalGaussian
from vaebook.metrics import (
    evaluate_elbo,
    importance_weighted_nll,
    prior_monte_carlo_log_likelihood,
)
from vaebook.models import MLP, VAE, ConditionalVAE
from vaebook.training import seeded

close = torch.testing.assert_close


def small(**settings: object) -> VAE:
    with seeded(0):
        options = {"network": MLP(hidden=(8,), activation="tanh")} | settings
        return VAE(IMAGE_SHAPE, 3, **options).double()  # type: ignore[arg-type]


def some_images(num: int = 5, seed: int = 0) -> torch.Tensor:
    return uniform(seed, num, *IMAGE_SHAPE)


# --- the importance-weighted bound --------------------------------------------------------------


@pytest.mark.parametrize("num_samples", [1, 2, 10])
def test_it_is_exact_at_the_true_posterior(num_samples: int) -> None:
    """Every weight is p(x), so that any number of samples gives −log p(x)."""
    truth, images = linear_gaussian(7), some_images()
    nll = importance_weighted_nll(truth.vae("full"), images, num_samples=num_samples)
    # the posterior's factor passes through a softplus, and σ through an exp
    close(nll, -truth.log_evidence(images), rtol=1e-7, atol=1e-7)


def test_it_falls_with_more_samples_to_the_exact_value() -> None:
    truth, images = linear_gaussian(7), some_images(1).expand(2_000, -1, -1, -1)
    # a posterior that is too wide by 1.2 in each log-variance
    log_var = 1.2 - torch.log(torch.linalg.inv(truth.posterior_covariance).diagonal())
    model = truth.vae(log_var=log_var)
    exact = -truth.log_evidence(images[:1]).item()
    means, errors = [], []
    for num_samples in (1, 4, 16, 64):
        nll = importance_weighted_nll(model, images, num_samples=num_samples, batch_size=500)
        means.append(nll.mean().item())
        errors.append(nll.std().item() / 2_000**0.5)
    for i in range(2):
        # from 1 to 4 and from 4 to 16 samples it falls by far more than the noise
        assert means[i] - means[i + 1] > 4 * math.hypot(errors[i], errors[i + 1])
    assert means[0] - exact > 0.3
    # with 64 what is left is 0.004 ± 0.0025
    assert abs(means[-1] - exact) < 0.015


def test_one_sample_is_the_negative_elbo_in_expectation() -> None:
    truth, image = linear_gaussian(7), some_images(1)
    model, images = truth.vae(), image.expand(20_000, -1, -1, -1)
    nll = importance_weighted_nll(model, images, num_samples=1, batch_size=5_000)
    elbo = evaluate_elbo(model, images, seed=1, batch_size=5_000).elbo
    error = math.hypot(nll.std().item(), elbo.std().item()) / 20_000**0.5
    assert abs(nll.mean().item() + elbo.mean().item()) < 4 * error


@pytest.mark.parametrize("prior", ["default", "shifted", "laplace"])
def test_it_in_scipy(prior: str) -> None:
    """log K − logsumexp of log p(x|z) + log p(z) − log q(z|x), from SciPy and torch."""
    m, log_var = normal(1, 3), normal(2, 3)
    priors = {
        "default": (None, Independent(Normal(torch.zeros(3).double(), 1.0), 1)),
        "shifted": (DiagonalGaussian(m, log_var), Independent(Normal(m, (log_var / 2).exp()), 1)),
        "laplace": (Independent(Laplace(m, log_var.exp()), 1),) * 2,
    }
    ours, reference = priors[prior]
    model, images = small(prior=ours), some_images()
    found = importance_weighted_nll(model, images, num_samples=6, seed=4)
    with torch.no_grad():
        output = model.encoder(images)
        q = Independent(Normal(output[:, :3], (output[:, 3:] / 2).exp()), 1)
        with seeded(4):
            z = q.mean + q.stddev * torch.randn(6, 5, 3, dtype=torch.float64)
        mean = torch.sigmoid(model.decoder(z.flatten(0, 1))).reshape(6, 5, *IMAGE_SHAPE)
        sigma = model.likelihood.log_sigma.exp()
        log_likelihood = Normal(mean, sigma).log_prob(images).sum((-3, -2, -1))
        log_weights = (log_likelihood + reference.log_prob(z) - q.log_prob(z)).numpy()
    np.testing.assert_allclose(found, math.log(6) - logsumexp(log_weights, axis=0))


def test_a_seed_repeats_it_and_a_batch_size_changes_only_the_noise() -> None:
    model, images = small(), some_images(6)
    before = torch.get_rng_state()
    first = importance_weighted_nll(model, images, num_samples=3, seed=2)
    assert torch.equal(first, importance_weighted_nll(model, images, num_samples=3, seed=2))
    assert not torch.equal(first, importance_weighted_nll(model, images, num_samples=3, seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    split = importance_weighted_nll(model, images, num_samples=3, seed=2, batch_size=4)
    assert split.shape == (6,)
    # the first batch draws the same numbers only if it has the same size
    assert not torch.equal(first, split)


# --- the ELBO over many images ------------------------------------------------------------------


def test_evaluate_elbo_is_the_models_own_in_batches() -> None:
    model, images = small(), some_images(7)
    found = evaluate_elbo(model, images, num_samples=2, seed=5, batch_size=3)
    with seeded(5), torch.no_grad():
        parts = [model.elbo(batch, num_samples=2) for batch in images.split(3)]
    for name in ("elbo", "distortion", "rate"):
        assert torch.equal(getattr(found, name), torch.cat([getattr(p, name) for p in parts]))
    assert not found.elbo.requires_grad
    close(found.elbo, -(found.distortion + found.rate))


def test_more_samples_lower_the_noise_not_the_value() -> None:
    truth, image = linear_gaussian(7), some_images(1)
    model, images = truth.vae(), image.expand(4_000, -1, -1, -1)
    one = evaluate_elbo(model, images).elbo
    many = evaluate_elbo(model, images, num_samples=16, seed=1).elbo
    # the deviation falls by √16 = 4; each is known to about 1.1 %
    assert (one.std() / many.std()).item() == pytest.approx(4.0, rel=0.1)
    error = math.hypot(one.std().item(), many.std().item()) / 4_000**0.5
    assert abs((one.mean() - many.mean()).item()) < 4 * error


# --- naive Monte Carlo --------------------------------------------------------------------------


def test_naive_monte_carlo_finds_the_evidence_where_codes_are_few() -> None:
    """One code number and broad pixels: 20,000 codes from the prior are plenty."""
    truth, images = linear_gaussian(2, latent_dim=1, sigma=0.5), some_images()
    found = prior_monte_carlo_log_likelihood(truth.vae(), images, num_samples=20_000)
    assert found.shape == (5,)
    # the weights' relative deviation is about 1, so the standard error is about 0.007 nats
    close(found, truth.log_evidence(images), rtol=0, atol=0.03)


def test_with_few_codes_it_is_biased_downwards() -> None:
    truth, images = linear_gaussian(7, sigma=0.05), some_images(3)
    model = truth.vae()
    few = torch.stack(
        [
            prior_monte_carlo_log_likelihood(model, images, num_samples=10, seed=seed)
            for seed in range(20)
        ]
    ).mean(0)
    many = prior_monte_carlo_log_likelihood(model, images, num_samples=20_000)
    exact = truth.log_evidence(images)
    assert (few < many - 5).all()
    assert (few < exact - 5).all()


def test_naive_monte_carlo_in_scipy() -> None:
    model, images = small(), some_images()
    found = prior_monte_carlo_log_likelihood(model, images, num_samples=7, seed=3)
    with seeded(3), torch.no_grad():
        z = torch.randn(7, 3, dtype=torch.float64)
        mean = torch.sigmoid(model.decoder(z))
    sigma = model.likelihood.log_sigma.exp()
    log_likelihood = Normal(mean[:, None], sigma).log_prob(images).sum((-3, -2, -1)).numpy()
    np.testing.assert_allclose(found, logsumexp(log_likelihood, axis=0) - math.log(7))


def test_its_parts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes come in batches, images in parts that bound the memory; the result is the same."""
    model, images = small(), some_images(9)
    whole = prior_monte_carlo_log_likelihood(model, images, num_samples=50)
    batches = prior_monte_carlo_log_likelihood(model, images, num_samples=50, batch_size=7)
    close(whole, batches)
    monkeypatch.setattr("vaebook.metrics.batches._PIXELS_AT_ONCE", 100)
    close(whole, prior_monte_carlo_log_likelihood(model, images, num_samples=50))


@pytest.mark.parametrize("beta", [0.0, 0.25, 4.0])
def test_the_bound_does_not_know_beta(beta: float) -> None:
    """β weighs the rate in what is trained on, and nowhere else; VAE and conditional VAE."""
    plain, weighed = small(), small(beta=beta)
    expected = evaluate_elbo(plain, some_images(), num_samples=2)
    found = evaluate_elbo(weighed, some_images(), num_samples=2)
    for ours, other in zip(found, expected, strict=True):
        assert torch.equal(ours, other)
    close(found.elbo, -(found.distortion + found.rate))
    conditions = torch.eye(9, dtype=torch.double)
    for prior in ("fixed", "learned"):
        with seeded(0):
            model = ConditionalVAE(
                IMAGE_SHAPE, 2, condition_dim=9, beta=beta, prior=prior, network=MLP((8,))
            ).double()
            terms = model.elbo(some_images(9), conditions)
        close(terms.elbo, -(terms.distortion + terms.rate))
        assert (terms.rate > 0).all()


# --- manners ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure", [evaluate_elbo, importance_weighted_nll, prior_monte_carlo_log_likelihood]
)
def test_the_model_is_measured_in_evaluation_mode_and_put_back(measure: object) -> None:
    class WithDropout(VAE):
        def likelihood_of(self, codes: torch.Tensor) -> torch.distributions.Distribution:
            assert not self.training
            return super().likelihood_of(F.dropout(codes, 0.5, self.training))

    with seeded(0):
        model = WithDropout(IMAGE_SHAPE, 3, network=MLP(hidden=(8,))).double()
    for mode in (True, False):
        model.train(mode)
        measure(model, some_images())  # type: ignore[operator]
        assert model.training == mode
    model.train()
    model.likelihood = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        measure(model, some_images())  # type: ignore[operator]
    assert model.training, "after an error too"


@pytest.mark.parametrize(
    "measure", [evaluate_elbo, importance_weighted_nll, prior_monte_carlo_log_likelihood]
)
def test_wrong_input_says_what_to_do(measure: object) -> None:
    model = small()
    with pytest.raises(ValueError, match="this model expects"):
        measure(model, uniform(0, 2, 1, 3, 3))  # type: ignore[operator]
    with pytest.raises(ValueError, match="num_samples is 0"):
        measure(model, some_images(), num_samples=0)  # type: ignore[operator]
    with pytest.raises(ValueError, match="seed is -1"):
        measure(model, some_images(), seed=-1)  # type: ignore[operator]
