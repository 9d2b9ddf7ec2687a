"""The VAE: its bound against exact evidence, its terms against other code, its sampling."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.integrate import quad
from torch.distributions import (
    Independent,
    MultivariateNormal,
    Normal,
    StudentT,
    Uniform,
    kl_divergence,
)

from tests.linear_model import IMAGE_SHAPE, LinearGaussian, linear_gaussian
from tests.properties import a_few, normal, seeds, uniform
from vaebook.distributions import (
    BernoulliLikelihood,
    DiagonalGaussian,
    FixedPrior,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
)
from vaebook.models import MLP, VAE
from vaebook.training import seeded

close = torch.testing.assert_close


def small(latent_dim: int = 3, seed: int = 0, **settings: object) -> VAE:
    with seeded(seed):
        options = {"network": MLP(hidden=(8,), activation="tanh")} | settings
        return VAE(IMAGE_SHAPE, latent_dim, **options).double()  # type: ignore[arg-type]


def some_images(num: int = 5, seed: int = 0) -> torch.Tensor:
    return uniform(seed, num, *IMAGE_SHAPE)


# --- the terms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_the_terms_are_per_image_and_add_up(posterior: str) -> None:
    model, images = small(posterior=posterior), some_images()
    with seeded(0):
        terms = model.elbo(images)
    assert terms.elbo.shape == terms.distortion.shape == terms.rate.shape == (5,)
    close(terms.elbo, -(terms.distortion + terms.rate))
    with seeded(0):
        close(model.loss(images), -terms.elbo)
    model.beta = 3.0
    with seeded(0):
        close(model.loss(images), terms.distortion + 3.0 * terms.rate)


def test_the_elbo_in_numpy() -> None:
    """Forward pass, noise, density and divergence recomputed from the weights."""
    model, images = small(likelihood=GaussianLikelihood(0.2)), some_images()
    with seeded(7):
        terms = model.elbo(images)
    with seeded(7):  # one standard normal number per code number
        noise = torch.randn(1, 5, 3, dtype=torch.float64)[0].numpy()

    weights = {name: value.numpy() for name, value in model.state_dict().items()}

    def layers(x: np.ndarray, side: str, first: int) -> np.ndarray:
        hidden = np.tanh(x @ weights[f"{side}.{first}.weight"].T + weights[f"{side}.{first}.bias"])
        last = first + 2
        return hidden @ weights[f"{side}.{last}.weight"].T + weights[f"{side}.{last}.bias"]

    pixels = images.numpy().reshape(5, -1)
    output = layers(pixels, "encoder", 1)
    mu, log_var = output[:, :3], output[:, 3:]
    z = mu + np.sqrt(np.exp(log_var)) * noise
    mean = 1 / (1 + np.exp(-layers(z, "decoder", 0)))
    sigma = math.exp(float(model.likelihood.log_sigma))
    log_p = (-((pixels - mean) ** 2) / (2 * sigma**2) - np.log(sigma * np.sqrt(2 * np.pi))).sum(1)
    rate = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)
    np.testing.assert_allclose(terms.distortion.detach(), -log_p)
    np.testing.assert_allclose(terms.rate.detach(), rate)


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_the_rate_is_torchs_divergence_to_the_standard_normal(posterior: str) -> None:
    model, images = small(posterior=posterior), some_images()
    q = model.posterior(images)
    covariance = torch.diag_embed(q.variance) if posterior == "diagonal" else q.covariance_matrix
    prior = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    close(model.elbo(images).rate, kl_divergence(MultivariateNormal(q.mean, covariance), prior))


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_the_rate_is_measured_against_the_prior_given(posterior: str) -> None:
    images = some_images()
    m, log_var = normal(1, 3), normal(2, 3)
    model = small(posterior=posterior, prior=DiagonalGaussian(m, log_var))
    q = model.posterior(images)
    covariance = torch.diag_embed(q.variance) if posterior == "diagonal" else q.covariance_matrix
    reference = MultivariateNormal(m, torch.diag_embed(log_var.exp()))
    close(model.elbo(images).rate, kl_divergence(MultivariateNormal(q.mean, covariance), reference))


def test_a_prior_without_closed_form_is_met_by_sampling() -> None:
    """The mean over many samples goes to the integral of q (log q − log p)."""
    prior = Independent(StudentT(3.0, torch.zeros(1).double()), 1)
    model, images = small(latent_dim=1, prior=prior), some_images(3)
    q = model.posterior(images)
    with seeded(0), torch.no_grad():
        rates = model.elbo(images, num_samples=20_000).rate
    for i in range(3):
        mu, std = q.mean[i].item(), q.stddev[i].item()

        def integrand(z: float, mu: float = mu, std: float = std) -> float:
            log_q = -0.5 * ((z - mu) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
            log_p = math.log(6 * math.sqrt(3) / math.pi) - 2 * math.log(3 + z**2)
            return math.exp(log_q) * (log_q - log_p)

        truth, _ = quad(integrand, mu - 12 * std, mu + 12 * std, points=[mu, 0.0])
        # log q − log p has a deviation of about 0.7: four standard errors are 0.02
        assert rates[i].item() == pytest.approx(truth, abs=0.03)


def test_the_rate_of_a_sampled_prior_uses_the_same_codes() -> None:
    prior = Independent(StudentT(3.0, torch.zeros(3).double()), 1)
    model, images = small(prior=prior), some_images()
    with seeded(3):
        rate = model.elbo(images, num_samples=4).rate
    q = model.posterior(images)
    reference = Independent(Normal(q.mean, q.stddev), 1)
    with seeded(3):
        z = q.mean + q.stddev * torch.randn(4, 5, 3, dtype=torch.float64)
    close(rate, (reference.log_prob(z) - prior.log_prob(z)).mean(0))


# --- the bound ----------------------------------------------------------------------------------


def exact_elbo(truth: LinearGaussian, model: VAE, images: torch.Tensor) -> torch.Tensor:
    """log p(x) − KL(q(z | x) ‖ p(z | x)), both from torch.distributions."""
    q = model.posterior(images)
    covariance = torch.diag_embed(q.variance) if isinstance(q, DiagonalGaussian) else None
    if covariance is None:
        covariance = q.covariance_matrix
    gap = kl_divergence(MultivariateNormal(q.mean, covariance), truth.true_posterior(images))
    return truth.log_evidence(images) - gap


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_the_bound_of_a_linear_vae(posterior: str) -> None:
    """The mean of many ELBO estimates is log p(x) minus the posterior's divergence."""
    truth, images = linear_gaussian(7), some_images(4)
    model = truth.vae(posterior)
    with torch.no_grad(), seeded(0):
        parts = model.elbo(images.repeat(4000, 1, 1, 1)).elbo.reshape(4000, 4)
    error = parts.std(0) / 4000**0.5
    assert ((parts.mean(0) - exact_elbo(truth, model, images)).abs() < 4 * error).all()
    gap = truth.log_evidence(images) - exact_elbo(truth, model, images)
    if posterior == "full":
        # the encoder is the true posterior; its factor passed through softplus + 1e-6
        assert gap.abs().max() < 1e-9
    else:
        assert gap.min() > 0.05, "a diagonal posterior cannot close the gap of this model"


def test_at_the_true_posterior_every_sample_gives_the_evidence() -> None:
    """log p(x | z) + log p(z) − log q(z | x) = log p(x), whatever z."""
    truth, images = linear_gaussian(5), some_images(4)
    model = truth.vae("full")
    q = model.posterior(images)
    with seeded(0):
        z = q.rsample((3,))
    log_ratio = model.likelihood_of(z).log_prob(images) + model.prior.log_prob(z) - q.log_prob(z)
    close(log_ratio, truth.log_evidence(images).expand(3, -1), rtol=1e-7, atol=1e-7)


@a_few
@given(seeds)
def test_the_bound_is_a_bound(seed: int) -> None:
    """For any posterior: E elbo ≤ log p(x). The expectation is exact for a linear decoder."""
    truth, images = linear_gaussian(seed), some_images(3, seed)
    model = truth.vae("diagonal", log_var=normal(seed + 9, 2))
    q = model.posterior(images)
    # E ‖x − W z − b‖² = ‖x − W μ − b‖² + Σ_j σ_j² ‖w_j‖²
    spread = (q.variance * (truth.weight**2).sum(0)).sum(1)
    with torch.no_grad():
        model.sample_codes = False
        at_mean = model.elbo(images)
    expected = at_mean.elbo - spread / (2 * truth.sigma**2)
    assert (expected <= truth.log_evidence(images) + 1e-9).all()
    close(expected, exact_elbo(truth, model, images), rtol=1e-7, atol=1e-7)


def test_the_distortion_is_that_of_samples_not_of_the_mean() -> None:
    """For a linear decoder the difference is Σ_j σ_j² ‖w_j‖² / (2 σ²)."""
    truth, images = linear_gaussian(3), some_images(4)
    model = truth.vae()
    with torch.no_grad(), seeded(0):
        sampled = model.elbo(images, num_samples=20_000).distortion
        model.sample_codes = False
        at_mean = model.elbo(images).distortion
    spread = (model.posterior(images).variance * (truth.weight**2).sum(0)).sum(1)
    expected = spread / (2 * truth.sigma**2)
    assert expected.min() > 0.3
    # the deviation of one sample is about 1 nat: four standard errors are 0.03
    close(sampled - at_mean, expected, rtol=0, atol=0.04)


# --- sampling -----------------------------------------------------------------------------------


def test_training_and_evaluation_mode_are_the_same_model() -> None:
    """No method depends on the mode: an evaluated ELBO is as noisy as a trained one."""
    model, images = small(), some_images()
    values = []
    for mode in (True, False):
        model.train(mode)
        with seeded(0):
            values.append(model.elbo(images).elbo)
    assert torch.equal(*values)
    with seeded(1):
        assert not torch.equal(model.elbo(images).distortion, values[1])


def test_each_image_and_each_sample_has_noise_of_its_own() -> None:
    model = small()
    same = some_images(1).expand(6, -1, -1, -1)
    with seeded(0):
        assert len(torch.unique(model.elbo(same).distortion)) == 6


def test_more_samples_average_the_log_likelihoods() -> None:
    model, images = small(), some_images()
    with seeded(0):
        terms = model.elbo(images, num_samples=3)
    q = model.posterior(images)
    with seeded(0):
        z = q.mean + q.stddev * torch.randn(3, 5, 3, dtype=torch.float64)
    single = torch.stack([-model.likelihood_of(codes).log_prob(images) for codes in z])
    close(terms.distortion, single.mean(0))
    close(terms.rate, model.elbo(images).rate)


def test_without_sampling_z_is_the_mean() -> None:
    model, images = small(sample_codes=False), some_images()
    terms = model.elbo(images)
    assert torch.equal(terms.elbo, model.elbo(images).elbo)
    close(terms.distortion, -model.likelihood_of(model.encode(images)).log_prob(images))


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
@pytest.mark.parametrize("likelihood", [GaussianLikelihood, LearnedGaussianLikelihood])
def test_gradients_agree_with_finite_differences(posterior: str, likelihood: type) -> None:
    """With the noise held fixed, the loss is a smooth function of every weight."""
    model = small(
        latent_dim=2, network=MLP(hidden=(3,), activation="tanh"), posterior=posterior,
        likelihood=likelihood(0.4),
    )  # fmt: skip
    images = some_images(2)
    parameters = list(model.parameters())

    def loss() -> torch.Tensor:
        with seeded(0):
            return model.loss(images).sum()

    gradients = torch.autograd.grad(loss(), parameters)
    step = 1e-6
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            direction = normal(parameter.numel(), *parameter.shape)
            parameter.add_(step * direction)
            up = loss()
            parameter.sub_(2 * step * direction)
            down = loss()
            parameter.add_(step * direction)
            slope = ((up - down) / (2 * step)).item()
            # central differences in double precision: about 1e-8 relative
            assert slope == pytest.approx((gradient * direction).sum().item(), rel=1e-5, abs=1e-6)


def test_the_distortion_has_a_gradient_by_the_log_variance() -> None:
    """The signal that a detached sample would cut off."""
    model, images = small(), some_images()
    with seeded(0):
        model.elbo(images).distortion.sum().backward()
    gradient = model.encoder[3].bias.grad
    assert (gradient[:3].abs() > 1e-6).all(), "the mean"
    assert (gradient[3:].abs() > 1e-6).all(), "the log-variance"


# --- the model as a generator -------------------------------------------------------------------


def test_encode_decode_reconstruct() -> None:
    model, images = small(), some_images()
    mu = model.encode(images)
    close(mu, model.encoder(images)[:, :3])
    close(model.decode(mu), torch.sigmoid(model.decoder(mu)))
    assert torch.equal(model.reconstruct(images), model.decode(mu))


@pytest.mark.parametrize("shifted", [False, True])
def test_samples_are_decoded_codes_of_the_prior(shifted: bool) -> None:
    """A linear decoder's mean images have mean W m + b and covariance W S Wᵀ."""
    truth = linear_gaussian(2)
    m, variance = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.25, 4.0]).double()
    model = truth.vae()
    if shifted:
        model._prior = FixedPrior(DiagonalGaussian(m, variance.log()))
    else:
        m, variance = torch.zeros(2).double(), torch.ones(2).double()
    images = model.sample(40_000, seed=0)
    assert images.shape == (40_000, *IMAGE_SHAPE)
    assert not images.requires_grad
    flat = images.flatten(1)
    # standard errors: below 4 / √40000 = 0.02 for the mean, 1 % of the variance
    close(flat.mean(0), truth.bias + truth.weight @ m, rtol=0, atol=0.05)
    expected = truth.weight @ torch.diag(variance) @ truth.weight.T
    close(torch.cov(flat.T), expected, rtol=0.05, atol=0.05)


def test_a_seed_repeats_the_draw_and_leaves_no_trace() -> None:
    model = small()
    before = torch.get_rng_state()
    first = model.sample(4, seed=5)
    assert torch.equal(first, model.sample(4, seed=5))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, model.sample(4, seed=6))
    with seeded(5):
        assert torch.equal(first, model.sample(4))


def test_the_full_posterior_has_a_proper_factor() -> None:
    model, images = small(posterior="full"), some_images()
    factor = model.posterior(images).scale_tril
    assert torch.equal(factor, factor.tril())
    assert (factor.diagonal(dim1=-2, dim2=-1) > 0).all()
    torch.nn.init.zeros_(model.encoder[3].weight)
    torch.nn.init.zeros_(model.encoder[3].bias)
    # an output of zeros is the prior, but for the 1e-6 that keeps the diagonal positive
    close(model.posterior(images).scale_tril[0], torch.eye(3).double(), rtol=0, atol=2e-6)


def test_the_default_prior_is_standard_normal_in_the_models_own_dtype() -> None:
    prior = small().prior
    assert isinstance(prior, DiagonalGaussian)
    assert prior.mu.dtype == torch.float64
    assert prior.batch_shape == ()
    assert torch.equal(prior.mean, torch.zeros(3).double())
    assert torch.equal(prior.variance, torch.ones(3).double())


def test_its_weights_hold_the_networks_and_the_likelihood_only() -> None:
    names = {name.split(".")[0] for name in small().state_dict()}
    assert names == {"encoder", "decoder", "likelihood"}


# --- what users get wrong -----------------------------------------------------------------------


def test_wrong_settings_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="latent_dim is 0"):
        VAE(IMAGE_SHAPE, 0)
    with pytest.raises(ValueError, match=r"posterior is 'flow'; expected one of \[.*'diagonal'"):
        VAE(IMAGE_SHAPE, 2, posterior="flow")  # type: ignore[arg-type]
    for beta in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"beta is .*at least 0"):
            VAE(IMAGE_SHAPE, 2, beta=beta)
    with pytest.raises(ValueError, match=r"events of shape \(\); expected \(2,\).*Independent"):
        VAE(IMAGE_SHAPE, 2, prior=Normal(torch.zeros(2), torch.ones(2)))
    with pytest.raises(ValueError, match=r"events of shape \(3,\); expected \(2,\)"):
        VAE(IMAGE_SHAPE, 2, prior=Independent(Uniform(torch.zeros(3), torch.ones(3)), 1))


def test_wrong_images_say_what_to_do() -> None:
    model = small()
    bad = some_images()
    bad[0, 0, 0, 0] = float("nan")
    for images, message in (
        (some_images()[0], "expected four dimensions"),
        (255 * some_images(), "Divide bytes by 255"),
        (bad, "1 values that are NaN"),
        (uniform(0, 2, 1, 3, 3), "this model expects"),
        (some_images().float(), "this model computes in torch.float64"),
        (some_images()[:0], "is empty"),
    ):
        for method in (model.elbo, model.loss, model.encode, model.reconstruct, model.posterior):
            with pytest.raises(ValueError, match=message):
                method(images)
    with pytest.raises(ValueError, match=r"codes is \(2, 4\)"):
        model.decode(normal(0, 2, 4))
    with pytest.raises(ValueError, match="num_samples is 0"):
        model.elbo(some_images(), num_samples=0)
    with pytest.raises(ValueError, match="num_images is 0"):
        model.sample(0)


def test_grey_images_under_a_bernoulli_are_refused() -> None:
    model = small(likelihood=BernoulliLikelihood())
    assert torch.isfinite(model.loss(some_images().round())).all()
    with pytest.raises(ValueError, match="Binarise the images"):
        model.loss(some_images())
