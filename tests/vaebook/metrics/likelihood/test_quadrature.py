"""Integrals over two-dimensional codes against the exact answers of probabilistic PCA."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from vaebook.data import load_digits
from vaebook.distributions import DiagonalGaussian
from vaebook.metrics import evaluate_elbo, grid_posterior, quadrature_elbo
from vaebook.models import MLP, VAE, ProbabilisticPCA
from vaebook.training import seeded

ROTATION = torch.tensor([[0.8, -0.6], [0.6, 0.8]])


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_digits().test.images[:12]


@pytest.fixture(scope="module")
def exact() -> ProbabilisticPCA:
    return ProbabilisticPCA.fit(load_digits().train.images, 2).rotated(ROTATION)


def test_grid_gives_the_exact_evidence_and_posterior(exact, images):
    grid = grid_posterior(exact.as_vae((1, 8, 8)), images, limit=6.0, num_points=161)
    torch.testing.assert_close(grid.log_evidence, exact.log_likelihood(images), atol=1e-3, rtol=0)
    truth = exact.posterior(images)
    expected = truth.log_prob(grid.codes[:, None].double())
    likely = expected > -10
    torch.testing.assert_close(grid.log_posterior[likely], expected[likely], atol=5e-3, rtol=0)


def test_the_default_grid_holds_a_posterior_far_out(exact, images):
    """An encoder may err: with q at 4 ± ½ the identity log p = ELBO + KL(q ‖ p) must still hold."""
    model = exact.as_vae((1, 8, 8))
    far = DiagonalGaussian(torch.tensor([[0.0, -4.0]]), torch.full((1, 2), -1.4))
    far = far.expand(torch.Size([len(images)]))
    grid = grid_posterior(model, images)
    log_q = far.log_prob(grid.codes[:, None]).double()
    gap = (log_q.exp() * (log_q - grid.log_posterior)).sum(0) * grid.cell
    expected = exact.log_likelihood(images) - exact.elbo(images, far).elbo
    assert expected.min() > 10
    torch.testing.assert_close(gap, expected, atol=1e-3, rtol=1e-4)


def test_expectations_under_the_grid_posterior(exact, images):
    grid = grid_posterior(exact.as_vae((1, 8, 8)), images, limit=6.0, num_points=161)
    truth = exact.posterior(images)
    mass = grid.expectation(torch.ones(len(grid.codes), 1))
    torch.testing.assert_close(mass, torch.ones(len(images)).double())
    mean = grid.expectation(grid.codes[:, :, None])
    torch.testing.assert_close(mean.T, truth.mean, atol=1e-4, rtol=0)
    product = grid.expectation((grid.codes[:, 0] * grid.codes[:, 1])[:, None])
    expected = truth.covariance_matrix[:, 0, 1] + truth.mean.prod(1)
    torch.testing.assert_close(product, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_quadrature_elbo_is_exact_for_a_linear_decoder(exact, images, family):
    model = exact.as_vae((1, 8, 8), posterior=family)
    with torch.no_grad():
        q = model.posterior(images)
        ours = quadrature_elbo(model, images, num_nodes=6)
        expected = exact.elbo(images, q)
    for term, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(term, other, atol=1e-3, rtol=0)


def test_quadrature_elbo_is_what_samples_average_to(images):
    with seeded(0):
        model = VAE((1, 8, 8), 2, network=MLP((16,), "silu"))
        for weight in model.decoder.parameters():
            weight.data.mul_(3.0)  # bend the decoder
    with torch.no_grad():
        ours = quadrature_elbo(model, images).elbo
    sampled = evaluate_elbo(model, images, num_samples=20_000, seed=0).elbo.double()
    assert abs(ours.mean() - sampled.mean()) < 0.05 * abs(ours.std())
    torch.testing.assert_close(ours, sampled, atol=1.0, rtol=0.01)


def test_gradients_reach_a_free_posterior(exact, images):
    model = exact.as_vae((1, 8, 8))
    mu = torch.zeros(len(images), 2, requires_grad=True)
    log_var = torch.zeros(len(images), 2, requires_grad=True)
    quadrature_elbo(model, images, DiagonalGaussian(mu, log_var)).elbo.sum().backward()
    expected_mu = torch.zeros_like(mu, requires_grad=True)
    expected_log_var = torch.zeros_like(mu, requires_grad=True)
    exact.elbo(images, DiagonalGaussian(expected_mu, expected_log_var)).elbo.sum().backward()
    torch.testing.assert_close(mu.grad, expected_mu.grad, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(log_var.grad, expected_log_var.grad, atol=1e-2, rtol=1e-3)


def test_only_two_dimensions(images):
    model = VAE((1, 8, 8), 3)
    message = "latent_dim is 3"
    with pytest.raises(ValueError, match=message):
        grid_posterior(model, images)
    with pytest.raises(ValueError, match=message):
        quadrature_elbo(model, images, MultivariateNormal(torch.zeros(3), torch.eye(3)))
