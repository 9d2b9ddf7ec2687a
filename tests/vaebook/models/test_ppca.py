"""Probabilistic PCA against scikit-learn, torch's dense Gaussian, quadrature and the VAE itself."""

import math

import pytest
import torch
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal, kl_divergence

from vaebook.data import load_digits
from vaebook.distributions import DiagonalGaussian, LearnedGaussianLikelihood
from vaebook.metrics import evaluate_elbo, importance_weighted_nll
from vaebook.models import MLP, VAE, ProbabilisticPCA, best_covariance, posterior_gap
from vaebook.training import seeded

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_digits().train.images[:300]


@pytest.fixture(scope="module")
def fitted(images: torch.Tensor) -> ProbabilisticPCA:
    return ProbabilisticPCA.fit(images, 5)


@pytest.fixture(scope="module")
def rotated(fitted: ProbabilisticPCA) -> ProbabilisticPCA:
    with seeded(3):
        return fitted.rotated(torch.linalg.qr(torch.randn(5, 5).double())[0])


def dense(model: ProbabilisticPCA) -> MultivariateNormal:
    noise = model.sigma**2 * torch.eye(len(model.offset)).double()
    return MultivariateNormal(model.offset, model.weights @ model.weights.T + noise)


def test_log_likelihood_is_the_density_of_one_big_gaussian(fitted, images):
    expected = dense(fitted).log_prob(images.flatten(1).double())
    torch.testing.assert_close(fitted.log_likelihood(images), expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("latent_dim", [1, 5, 40])
def test_fit_agrees_with_scikit_learn(images, latent_dim):
    data = images.flatten(1).double()
    sklearn = PCA(latent_dim).fit(data.numpy())
    n = len(data)
    # scikit-learn divides the covariance by n − 1, maximum likelihood by n.
    ours = ProbabilisticPCA.fit(images, latent_dim)
    scale = math.sqrt(n / (n - 1))
    same = ProbabilisticPCA(ours.weights * scale, ours.offset, ours.sigma * scale)
    expected = torch.as_tensor(sklearn.score_samples(data.numpy()))
    torch.testing.assert_close(same.log_likelihood(images), expected, rtol=1e-7, atol=1e-6)
    assert ours.log_likelihood(images).mean() > expected.mean()


def test_no_small_change_of_the_fit_is_more_likely(fitted, images):
    best = fitted.log_likelihood(images).mean()
    with seeded(0):
        for _ in range(20):
            other = ProbabilisticPCA(
                fitted.weights + 1e-3 * torch.randn_like(fitted.weights),
                fitted.offset + 1e-3 * torch.randn_like(fitted.offset),
                fitted.sigma * math.exp(1e-3 * torch.randn(()).item()),
            )
            assert other.log_likelihood(images).mean() < best


def test_posterior_is_bayes_rule(fitted, images):
    posterior = fitted.posterior(images[:4])
    codes = posterior.sample((6,))
    decoded = codes @ fitted.weights.T + fitted.offset
    data = images[:4].flatten(1).double()
    log_joint = -0.5 * (codes**2).sum(-1) - 2.5 * math.log(2 * math.pi)
    log_joint += torch.distributions.Normal(decoded, fitted.sigma).log_prob(data).sum(-1)
    # log p(x, z) − log p(z | x) is log p(x), whatever z is.
    evidence = log_joint - posterior.log_prob(codes)
    expected = fitted.log_likelihood(images[:4]).expand(6, 4)
    torch.testing.assert_close(evidence, expected, rtol=1e-9, atol=1e-8)


def test_the_aggregate_may_be_the_prior_although_the_model_is_bad(fitted, images):
    """A model that ignores its code has q(z) = p(z) and an exact posterior, and fits badly."""
    ignores = ProbabilisticPCA(torch.zeros_like(fitted.weights), fitted.offset, fitted.sigma)
    posterior = ignores.posterior(images)
    assert posterior.mean.abs().max() == 0  # every picture's is N(0, I), so is their mixture
    eye = torch.eye(fitted.weights.shape[1]).double().expand_as(posterior.covariance_matrix)
    torch.testing.assert_close(posterior.covariance_matrix, eye)
    worse = fitted.log_likelihood(images).mean() - ignores.log_likelihood(images).mean()
    assert worse > 10  # nats


def test_rotation_changes_the_posterior_but_not_the_density(fitted, rotated, images):
    torch.testing.assert_close(rotated.log_likelihood(images), fitted.log_likelihood(images))
    off_diagonal = rotated.posterior_precision - torch.diag(rotated.posterior_precision.diagonal())
    assert off_diagonal.abs().max() > 1.0
    aligned = fitted.posterior_precision
    torch.testing.assert_close(aligned, torch.diag(aligned.diagonal()), atol=1e-9, rtol=0)


@pytest.mark.parametrize("family", ["full", "diagonal"])
def test_exact_elbo_is_the_mean_of_the_sampled_one(rotated, images, family):
    model = rotated.as_vae(SHAPE, posterior=family)
    with torch.no_grad():
        exact = rotated.elbo(images[:20], model.posterior(images[:20]))
    sampled = evaluate_elbo(model, images[:20], num_samples=4000, seed=1)
    for term, other in zip(exact, sampled, strict=True):
        torch.testing.assert_close(term, other.double(), atol=0.25, rtol=0)  # 5 standard errors
        torch.testing.assert_close(term.mean(), other.double().mean(), atol=0.03, rtol=0)


@pytest.mark.parametrize("family", ["full", "diagonal", "isotropic", "unit"])
def test_elbo_and_gap_add_up_to_log_p(rotated, images, family):
    precision = rotated.posterior_precision
    covariance = best_covariance(precision, family)
    truth = rotated.posterior(images)
    q = MultivariateNormal(truth.mean, covariance_matrix=covariance)
    gap = posterior_gap(precision, covariance)
    torch.testing.assert_close(
        kl_divergence(q, truth), torch.full_like(truth.mean[:, 0], gap), atol=1e-8, rtol=1e-8
    )
    total = rotated.elbo(images, q).elbo + gap
    torch.testing.assert_close(total, rotated.log_likelihood(images), atol=1e-7, rtol=1e-9)


@pytest.mark.parametrize("family", ["full", "diagonal", "isotropic"])
def test_best_covariance_beats_its_neighbours(rotated, family):
    precision = rotated.posterior_precision
    best = best_covariance(precision, family)
    for factor in (0.9, 1.1):
        assert posterior_gap(precision, best * factor) > posterior_gap(precision, best)
    if family == "diagonal":
        step = torch.diag(torch.tensor([1.1, 0.9, 1.0, 1.2, 1.0]).double())
        assert posterior_gap(precision, best @ step) > posterior_gap(precision, best)


def test_families_are_nested(rotated):
    precision = rotated.posterior_precision
    gaps = [
        posterior_gap(precision, best_covariance(precision, family))
        for family in ("full", "diagonal", "isotropic", "unit")
    ]
    assert abs(gaps[0]) < 1e-9
    assert gaps == sorted(gaps)
    assert gaps[1] > 0.01


def test_full_posterior_makes_one_importance_sample_exact(rotated, images):
    model = rotated.as_vae(SHAPE, posterior="full")
    estimate = importance_weighted_nll(model, images[:50], num_samples=1)
    expected = -rotated.log_likelihood(images[:50])
    torch.testing.assert_close(estimate.double(), expected, atol=2e-3, rtol=0)


def test_round_trip_through_a_vae(fitted, images):
    back = ProbabilisticPCA.from_vae(fitted.as_vae(SHAPE))
    torch.testing.assert_close(
        back.log_likelihood(images), fitted.log_likelihood(images), atol=1e-3, rtol=0
    )


def test_gradients_of_the_exact_elbo_reach_encoder_decoder_and_sigma(images):
    with seeded(0):
        model = VAE(
            SHAPE,
            3,
            network=MLP(hidden=()),
            likelihood=LearnedGaussianLikelihood(0.3, mean="identity"),
        )
    exact = ProbabilisticPCA.from_vae(model).elbo(images, model.posterior(images))
    exact.elbo.mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_as_vae_leaves_the_generator_alone(fitted):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fitted.as_vae(SHAPE)
    assert torch.equal(torch.rand(3), expected)


def test_elbo_takes_both_kinds_of_gaussian(fitted, images):
    mu = torch.randn(len(images), 5).double()
    log_var = torch.randn(len(images), 5).double()
    diagonal = fitted.elbo(images, DiagonalGaussian(mu, log_var))
    full = fitted.elbo(
        images, MultivariateNormal(mu, covariance_matrix=torch.diag_embed(log_var.exp()))
    )
    for one, other in zip(diagonal, full, strict=True):
        torch.testing.assert_close(one, other)


def linear(**options) -> VAE:
    return VAE(SHAPE, 2, **({"network": MLP(hidden=())} | options))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: linear(network=MLP(hidden=(8,))), "not linear"),
        (lambda: linear(likelihood=LearnedGaussianLikelihood()), "mean='identity'"),
        (
            lambda: linear(
                likelihood=LearnedGaussianLikelihood(mean="identity"),
                prior=DiagonalGaussian(torch.ones(2), torch.zeros(2)),
            ),
            "the default",
        ),
    ],
)
def test_from_vae_refuses_what_is_no_probabilistic_pca(model, message):
    with pytest.raises(ValueError, match=message):
        ProbabilisticPCA.from_vae(model())


def test_errors_say_what_to_do(images):
    with pytest.raises(ValueError, match="expected fewer"):
        ProbabilisticPCA.fit(images, 64)
    with pytest.raises(ValueError, match="expected \\[D, d\\]"):
        ProbabilisticPCA(torch.zeros(4, 2), torch.zeros(3), 0.1)
    with pytest.raises(ValueError, match="sigma"):
        ProbabilisticPCA(torch.zeros(4, 2), torch.zeros(4), 0.0)
    with pytest.raises(ValueError, match="64 pixels"):
        ProbabilisticPCA(torch.zeros(4, 2), torch.zeros(4), 1.0).log_likelihood(images)
    with pytest.raises(ValueError, match="isotropic"):
        best_covariance(torch.eye(2), "round")  # type: ignore[arg-type]


def test_whole_numbers_are_refused(images):
    with pytest.raises(ValueError, match=r"images has dtype torch\.int64; expected floats"):
        ProbabilisticPCA.fit((images * 16).long(), 3)


def test_log_sigma_and_latent_dim_are_properties(fitted):
    assert fitted.log_sigma.item() == pytest.approx(math.log(float(fitted.sigma)))
    assert fitted.latent_dim == 5


def test_one_picture_has_no_variance_and_a_row_is_no_set(images):
    with pytest.raises(ValueError, match="n of at least 2"):
        ProbabilisticPCA.fit(images[:1], 1)
    with pytest.raises(ValueError, match="n of at least 2"):
        ProbabilisticPCA.fit(images[0, 0, 0], 1)
    with pytest.raises(ValueError, match="latent_dim is 64 for 64 pixels"):
        ProbabilisticPCA.fit(images, 64)


@pytest.mark.parametrize("size", [3, 5])
def test_the_offset_is_as_long_as_the_weights(size):
    with pytest.raises(ValueError, match=r"expected \[D, d\] and \[D\]"):
        ProbabilisticPCA(torch.zeros(4, 2), torch.zeros(size), 1.0)
    model = ProbabilisticPCA(torch.zeros(4, 2), torch.zeros(4), 1.0)
    with pytest.raises(ValueError, match=f"images have {size} pixels; this model expects 4"):
        model.posterior(torch.zeros(1, size))
    with pytest.raises(ValueError, match=r"expected \[n, ...\]"):
        model.posterior(torch.zeros(4))


def test_whole_numbers_state_no_model():
    weights, offset = torch.ones(4, 2), torch.zeros(4)
    for wrong in ((weights.long(), offset), (weights, offset.long())):
        with pytest.raises(ValueError, match="expected floats"):
            ProbabilisticPCA(*wrong, 1.0)
    for wrong in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="weights holds"):
            ProbabilisticPCA(weights.fill_diagonal_(wrong), offset, 1.0)
        with pytest.raises(ValueError, match="offset holds"):
            ProbabilisticPCA(torch.ones(4, 2), torch.full((4,), wrong), 1.0)
    with pytest.raises(ValueError, match="expected floats"):
        best_covariance(torch.eye(2).long(), "full")
    for shape in ((2, 3), (3, 2), (4,)):
        with pytest.raises(ValueError, match=r"expected \[d, d\]"):
            best_covariance(torch.ones(shape), "full")


def test_the_best_covariances_by_hand():
    precision = torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    inverse = torch.tensor([[2.0, -1.0], [-1.0, 4.0]]) / 7
    torch.testing.assert_close(best_covariance(precision, "full"), inverse)
    torch.testing.assert_close(
        best_covariance(precision, "diagonal"), torch.diag(torch.tensor([0.25, 0.5]))
    )
    torch.testing.assert_close(best_covariance(precision, "isotropic"), torch.eye(2) / 3)
    assert torch.equal(best_covariance(precision, "unit"), torch.eye(2))


def test_the_gap_is_torchs_divergence():
    precision, covariance = (
        torch.tensor([[4.0, 1.0], [1.0, 2.0]]),
        torch.tensor([[1.0, 0.3], [0.3, 0.5]]),
    )
    q = MultivariateNormal(torch.zeros(2), covariance)
    truth = MultivariateNormal(torch.zeros(2), precision_matrix=precision)
    expected = float(kl_divergence(q, truth))
    assert posterior_gap(precision, covariance) == pytest.approx(expected, rel=1e-5)
