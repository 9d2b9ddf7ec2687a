"""Rates per dimension, active units and the aggregate posterior, against samples and NumPy."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.linear_model import IMAGE_SHAPE, linear_gaussian
from tests.properties import normal, uniform
from vaebook.metrics import (
    active_units,
    aggregate_moments,
    evaluate_elbo,
    posterior_parameters,
    rate_per_dimension,
)
from vaebook.metrics.batches import posterior_of
from vaebook.models import MLP, VAE
from vaebook.training import seeded

close = torch.testing.assert_close
IMAGES = uniform(0, 40, *IMAGE_SHAPE)


def small(**settings: object) -> VAE:
    with seeded(0):
        return VAE(IMAGE_SHAPE, 3, network=MLP(hidden=(8,)), **settings).double()  # type: ignore[arg-type]


def test_the_posterior_of_every_image() -> None:
    model = small().train()
    found = posterior_parameters(model, IMAGES, batch_size=16)
    expected = model.posterior(IMAGES)
    assert found.batch_shape == (40,)
    close(found.mu, expected.mu)
    close(found.log_var, expected.log_var)
    assert not found.mu.requires_grad
    assert model.training, "the mode is put back"


def test_the_rate_of_each_dimension_is_torchs() -> None:
    model = small()
    q = model.posterior(IMAGES)
    expected = kl_divergence(Normal(q.mu, q.stddev), Normal(0.0, 1.0)).mean(0)
    found = rate_per_dimension(model, IMAGES)
    close(found, expected.detach())
    close(found.sum(), evaluate_elbo(model, IMAGES).rate.mean())


def test_active_units_are_those_whose_mean_moves() -> None:
    """An encoder whose three means are x₁, x₁ / 20 and a constant."""
    with seeded(0):
        model = VAE(IMAGE_SHAPE, 3, network=MLP(hidden=())).double()
    encoder = model.encoder[1]
    torch.nn.init.zeros_(encoder.weight)
    with torch.no_grad():
        encoder.weight[0, 0], encoder.weight[1, 0] = 1.0, 0.05
    # uniform pixels have variance 1/12 = 0.083; a twentieth of that deviation gives 0.0002
    assert active_units(model, IMAGES).tolist() == [True, False, False]
    assert active_units(model, IMAGES, threshold=1e-4).tolist() == [True, True, False]
    variance = np.var(IMAGES[:, 0, 0, 0].numpy(), ddof=1)
    assert active_units(model, IMAGES, threshold=variance * 0.999)[0]
    assert not active_units(model, IMAGES, threshold=variance * 1.001)[0]


def test_the_aggregate_posterior_has_the_moments_of_its_samples() -> None:
    model = linear_gaussian(7, sigma=0.6).vae(log_var=torch.tensor([-1.0, 0.5]).double())
    moments = aggregate_moments(model, IMAGES)
    with seeded(0):
        z = model.posterior(IMAGES).sample((5_000,)).reshape(-1, 2)
    # 200,000 samples: standard errors of about 0.003
    close(moments.mean, z.mean(0), rtol=0, atol=0.015)
    close(moments.covariance, torch.cov(z.T), rtol=0, atol=0.02)


def test_the_moments_in_numpy() -> None:
    model = small()
    q = model.posterior(IMAGES)
    mu, variance = q.mu.detach().numpy(), np.exp(q.log_var.detach().numpy())
    moments = aggregate_moments(model, IMAGES)
    np.testing.assert_allclose(moments.mean, mu.mean(0))
    np.testing.assert_allclose(moments.mean_of_variances, variance.mean(0))
    np.testing.assert_allclose(
        moments.covariance_of_means, np.cov(mu.T, bias=True), rtol=1e-7, atol=1e-12
    )
    np.testing.assert_allclose(
        moments.covariance, np.cov(mu.T, bias=True) + np.diag(variance.mean(0)), atol=1e-12
    )


def test_one_dimension_and_one_image() -> None:
    with seeded(0):
        model = VAE(IMAGE_SHAPE, 1, network=MLP(hidden=(8,))).double()
    assert aggregate_moments(model, IMAGES).covariance.shape == (1, 1)
    single = aggregate_moments(model, IMAGES[:1])
    close(single.covariance, model.posterior(IMAGES[:1]).variance.detach())
    with pytest.raises(ValueError, match="1 images have no variance; expected at least 2"):
        active_units(model, IMAGES[:1])


def test_a_posterior_that_has_collapsed_is_the_prior() -> None:
    model = small()
    for parameter in model.encoder[3].parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(rate_per_dimension(model, IMAGES), torch.zeros(3).double())
    assert not active_units(model, IMAGES).any()
    close(aggregate_moments(model, IMAGES).covariance, torch.eye(3).double())


def test_a_full_posterior_is_refused() -> None:
    model = small(posterior="full").train()
    for measure in (posterior_parameters, rate_per_dimension, active_units, aggregate_moments):
        with pytest.raises(ValueError, match=r"diagonal posterior; the model gives a Multivar"):
            measure(model, IMAGES)
        assert model.training
    with pytest.raises(ValueError, match="this model expects"):
        rate_per_dimension(small(), normal(0, 2, 1, 3, 3).sigmoid())


@pytest.mark.parametrize("name", ["full", "laplace"])
def test_more_images_than_a_batch_have_the_posterior_of_each(name: str) -> None:
    """501 of them, which is a batch and one; only a Gaussian one is put together of batches."""
    with seeded(0):
        model = VAE(IMAGE_SHAPE, 3, network=MLP((4,)), posterior=name)
        images = torch.rand(501, *IMAGE_SHAPE)
    found = posterior_of(model, images).mean
    torch.testing.assert_close(found, model.posterior(images).mean)
