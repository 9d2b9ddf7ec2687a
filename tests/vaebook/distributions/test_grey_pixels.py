"""Likelihoods of grey pixels against formulas in NumPy, quadrature and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from torch.distributions import Cauchy, Independent, Laplace, Normal

from vaebook.distributions import (
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    PixelGaussianLikelihood,
    PredictedGaussianLikelihood,
    grey_level_log_prob,
    optimal_sigma,
)
from vaebook.models import MLP, VAE, Autoencoder
from vaebook.training import fit, seeded

SHAPE = (1, 3, 4)
LOGITS = [-6.0, -1.0, -0.3, 0.0, 0.5, 4.0]


def log_density(x: float, logit: float) -> float:
    """log C(λ) λ^x (1 − λ)^(1 − x), written out."""
    lam = 1 / (1 + math.exp(-logit))
    constant = 2.0 if logit == 0 else 2 * math.atanh(1 - 2 * lam) / (1 - 2 * lam)
    return math.log(constant) + x * math.log(lam) + (1 - x) * math.log(1 - lam)


@pytest.fixture
def images() -> torch.Tensor:
    """Grey pixels on the grid of 256 levels, both ends included."""
    levels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, *SHAPE)))
    levels[0, 0, 0, :2] = torch.tensor([0, 255])
    return levels.float() / 255


# --- continuous Bernoulli -----------------------------------------------------------------------


@pytest.mark.parametrize("logit", LOGITS)
def test_the_constant_makes_it_a_density(logit: float) -> None:
    pixel = ContinuousBernoulliLikelihood()(torch.full((1, 1, 1), logit, dtype=torch.float64))

    def density(x: float) -> float:
        return float(pixel.log_prob(torch.full((1, 1, 1), x, dtype=torch.float64)).exp())

    assert quad(density, 0, 1)[0] == pytest.approx(1, abs=1e-9)
    assert quad(lambda x: x * density(x), 0, 1)[0] == pytest.approx(pixel.mean.item(), abs=1e-9)
    for x in (0.0, 0.2, 1.0):
        assert math.log(density(x)) == pytest.approx(log_density(x, logit), abs=1e-9)


# 38 % of a trained decoder's logits lie beyond ±16, where a float32 sigmoid rounds to its end
EDGES = [
    0.0,
    1e-4,
    -1e-4,
    0.49,
    0.51,
    1.0,
    -1.0,
    15.0,
    -15.0,
    20.0,
    -20.0,
    40.0,
    -40.0,
    100.0,
    -100.0,
]


def moments(logit: float) -> tuple[float, float]:
    """Mean and variance of e^(tx) on [0, 1] by quadrature, in float64."""
    peak = max(logit, 0.0)

    def weighed(power: int) -> float:
        def integrand(x: float) -> float:
            return x**power * math.exp(logit * x - peak)

        return float(quad(integrand, 0, 1, points=[0.02, 0.98], epsabs=1e-14)[0])

    mean = weighed(1) / weighed(0)
    return mean, weighed(2) / weighed(0) - mean**2


def single(logit: float) -> Independent:
    """One pixel in single precision, as a decoder gives it."""
    return ContinuousBernoulliLikelihood()(torch.full((1, 1, 1), logit))


@pytest.mark.parametrize("logit", EDGES)
def test_it_is_a_density_at_every_logit(logit: float) -> None:
    step = 1e-5
    x = (torch.arange(0, 1, step, dtype=torch.float64) + step / 2).float()
    density = single(logit).log_prob(x[:, None, None, None]).double().exp()
    # the midpoint rule is off by (100 · 1e-5)² / 24 at most, the rest is rounding
    assert float(density.sum() * step) == pytest.approx(1, abs=1e-5)
    mean, variance = moments(logit)
    assert single(logit).mean.item() == pytest.approx(mean, abs=1e-6)
    assert single(logit).variance.item() == pytest.approx(variance, rel=1e-4)


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("logit", EDGES)
def test_its_gradient_is_the_pixel_less_the_mean(logit: float, x: float) -> None:
    """d log p / dt = x − E[x], of which the normaliser gives the mean."""
    at = torch.full((1, 1, 1), logit, requires_grad=True)
    ContinuousBernoulliLikelihood()(at).log_prob(torch.full((1, 1, 1), x)).backward()
    assert at.grad is not None
    assert at.grad.item() == pytest.approx(x - moments(logit)[0], abs=1e-6)


def test_a_pixel_that_is_nearly_always_black() -> None:
    """At logit −40 the density at black is 40 and the mean one fortieth."""
    assert single(-40.0).mean.item() == pytest.approx(0.025, abs=1e-6)
    at_black = single(-40.0).log_prob(torch.zeros(1, 1, 1)).item()
    assert at_black == pytest.approx(math.log(40), abs=1e-6)


@pytest.mark.parametrize("logit", [-100.0, -40.0, -1.0, 1e-4, 3.0, 100.0])
def test_draws_at_every_logit_follow_the_density(logit: float) -> None:
    def cdf(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.expm1(logit * x.astype(float)) / np.expm1(logit))

    with seeded(0):
        draws = single(logit).sample((20_000,)).flatten().numpy()
    assert stats.kstest(draws, cdf).pvalue > 1e-3
    base = single(logit).base_dist
    at = torch.linspace(0, 1, 50).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(base.cdf(at), cdf(at.numpy()), rtol=0, atol=1e-5)
    share = torch.tensor([0.01, 0.5, 0.99]).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(base.cdf(base.icdf(share)), share, rtol=0, atol=1e-5)


def test_images_sum_over_pixels(images: torch.Tensor) -> None:
    logits = torch.tensor(LOGITS).repeat(10).reshape(5, *SHAPE)
    log_prob = ContinuousBernoulliLikelihood()(logits).log_prob(images)
    expected = [
        sum(map(log_density, image.flatten().tolist(), logit.flatten().tolist()))
        for image, logit in zip(images, logits, strict=True)
    ]
    assert log_prob.shape == (5,)
    np.testing.assert_allclose(log_prob.numpy(), expected, rtol=2e-5)


def test_the_sampler_follows_the_density() -> None:
    pixel = ContinuousBernoulliLikelihood()(torch.full((1, 1, 1), 1.5).double())
    with seeded(0):
        draws = pixel.sample((20_000,)).flatten().numpy()
    lam = 1 / (1 + math.exp(-1.5))

    def cdf(x: np.ndarray) -> np.ndarray:
        return (lam**x * (1 - lam) ** (1 - x) + lam - 1) / (2 * lam - 1)

    assert stats.kstest(draws, cdf).pvalue > 1e-3


# --- a sigma for each pixel ---------------------------------------------------------------------


def test_sigma_per_place_is_used_at_its_place(images: torch.Tensor) -> None:
    likelihood = PixelGaussianLikelihood(SHAPE, initial_sigma=0.2)
    sigma = torch.linspace(0.05, 0.6, 12).reshape(SHAPE)
    with torch.no_grad():
        likelihood.log_sigma.copy_(sigma.log())
    output = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    mean = torch.sigmoid(output).numpy()
    expected = stats.norm.logpdf(images.numpy(), mean, sigma.numpy()).sum((1, 2, 3))
    given = likelihood(output).log_prob(images).detach().numpy()
    np.testing.assert_allclose(given, expected, rtol=1e-5)
    assert likelihood(output[:, None]).log_prob(images[:, None]).shape == (5, 1)


def test_equal_sigmas_are_one_sigma(images: torch.Tensor) -> None:
    output = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    one = GaussianLikelihood(0.3)(output).log_prob(images)
    each = PixelGaussianLikelihood(SHAPE, 0.3)(output).log_prob(images)
    torch.testing.assert_close(each, one)
    doubled = torch.cat([output, torch.zeros_like(output)], 1)
    predicted = PredictedGaussianLikelihood(0.3)(doubled).log_prob(images)
    torch.testing.assert_close(predicted, one)


def test_a_predicted_sigma_is_used_at_its_pixel(images: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    logits, spread = torch.randn(2, 5, *SHAPE, generator=generator)
    given = PredictedGaussianLikelihood(0.1)(torch.cat([logits, spread], 1)).log_prob(images)
    sigma = (0.1 * torch.exp(spread)).clamp(min=1 / 255).numpy()
    expected = stats.norm.logpdf(images.numpy(), torch.sigmoid(logits).numpy(), sigma)
    np.testing.assert_allclose(given.numpy(), expected.sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("floor", [0.01, 0.05])
def test_no_sigma_falls_below_the_floor(floor: float) -> None:
    place = PixelGaussianLikelihood(SHAPE, floor=floor)
    with torch.no_grad():
        place.log_sigma.fill_(-20)
    pixels = place(torch.zeros(2, *SHAPE))
    torch.testing.assert_close(pixels.variance.sqrt(), torch.full((2, *SHAPE), floor))
    output = torch.cat([torch.zeros(2, *SHAPE), torch.full((2, *SHAPE), -20.0)], 1)
    predicted = PredictedGaussianLikelihood(floor=floor)(output)
    torch.testing.assert_close(predicted.variance.sqrt(), torch.full((2, *SHAPE), floor))


@pytest.mark.parametrize("spread", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("logit", [-100.0, -20.0, 0.0, 20.0, 100.0])
def test_a_predicted_sigma_wherever_a_decoder_ends(logit: float, spread: float) -> None:
    sigma = max(0.1 * math.exp(spread), 1 / 255)
    mean = 1 / (1 + math.exp(-logit))
    for x in (0.0, 0.5, 1.0):
        output = torch.tensor([logit, spread]).reshape(2, 1, 1).requires_grad_()
        log_prob = PredictedGaussianLikelihood()(output).log_prob(torch.full((1, 1, 1), x))
        log_prob.backward()
        assert output.grad is not None
        assert output.grad.isfinite().all()
        assert log_prob.item() == pytest.approx(stats.norm.logpdf(x, mean, sigma), rel=1e-4)
    levels = torch.linspace(0, 1, 256, dtype=torch.float64).reshape(-1, 1, 1, 1)
    pixel = PredictedGaussianLikelihood()(output.detach())
    assert float(grey_level_log_prob(pixel, levels).exp().sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("family", [VAE, Autoencoder])
def test_a_model_builds_the_decoder_that_the_likelihood_asks_for(
    family: type, images: torch.Tensor
) -> None:
    with seeded(0):
        model = family(SHAPE, 2, network=MLP((8,)), likelihood=PredictedGaussianLikelihood())
    assert model.decoder(torch.zeros(3, 2)).shape == (3, 2, 3, 4)
    assert model.reconstruct(images).shape == images.shape
    assert model.loss(images).shape == (5,)
    before = model.decoder[-2].weight.detach().clone()
    fit(model, images, num_epochs=2, seed=0)
    changed = (model.decoder[-2].weight != before).any(1)
    assert changed[12:].any(), "the outputs for σ are trained"


def test_settings_that_cannot_work_say_why() -> None:
    for likelihood in (
        lambda: PixelGaussianLikelihood(SHAPE, 0.01, floor=0.05),
        lambda: PredictedGaussianLikelihood(0.01, floor=0.05),
    ):
        with pytest.raises(ValueError, match=r"initial_sigma is 0.01 and floor 0.05"):
            likelihood()
    with pytest.raises(ValueError, match="floor is 0"):
        PredictedGaussianLikelihood(floor=0)


# --- the best sigma -----------------------------------------------------------------------------


def test_the_best_sigma_is_the_minimum_of_the_distortion(images: torch.Tensor) -> None:
    means = 0.5 * images + 0.2

    def distortion(log_sigma: float) -> float:
        return -float(stats.norm.logpdf(images, means, math.exp(log_sigma)).sum())

    best = minimize_scalar(distortion, bounds=(-5, 1), method="bounded").x
    assert float(optimal_sigma(images, means)) == pytest.approx(math.exp(best), rel=1e-5)


def test_the_best_sigma_of_each_place(images: torch.Tensor) -> None:
    means = 0.5 * images + 0.2
    each = optimal_sigma(images, means, per_pixel=True)
    assert each.shape == SHAPE
    expected = np.sqrt(((images - means).numpy() ** 2).mean(0))
    np.testing.assert_allclose(each.numpy(), expected, rtol=1e-6)
    one = optimal_sigma(images, means)
    torch.testing.assert_close(each.square().mean().sqrt(), one)
    # no gradient is left at the optimum
    likelihood = PixelGaussianLikelihood(SHAPE)
    with torch.no_grad():
        likelihood.log_sigma.copy_(each.log())
    (-likelihood(torch.logit(means)).log_prob(images).sum()).backward()
    assert likelihood.log_sigma.grad is not None
    torch.testing.assert_close(likelihood.log_sigma.grad, torch.zeros(SHAPE), atol=1e-3, rtol=0)


def test_training_finds_it(images: torch.Tensor) -> None:
    likelihood = LearnedGaussianLikelihood(0.5)
    means = 0.5 * images + 0.2
    optimiser = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        (-likelihood(torch.logit(means)).log_prob(images).mean()).backward()
        optimiser.step()
    assert likelihood.sigma == pytest.approx(float(optimal_sigma(images, means)), rel=1e-3)


def test_pairs_that_do_not_fit_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        optimal_sigma(images, images[:1])


# --- probabilities of grey levels ---------------------------------------------------------------


@pytest.mark.parametrize("logit", EDGES)
def test_grey_levels_of_a_continuous_bernoulli_at_every_logit(logit: float) -> None:
    levels = torch.linspace(0, 1, 256, dtype=torch.float64).reshape(-1, 1, 1, 1)
    log_mass = grey_level_log_prob(single(logit), levels).flatten()
    assert log_mass.isfinite().all()
    assert float(log_mass.exp().sum()) == pytest.approx(1, abs=1e-9)
    # the level in the middle by quadrature: far below 1e-6 at the ends, and still right
    peak = max(logit, 0.0)
    total = quad(lambda x: math.exp(logit * x - peak), 0, 1, points=[0.02, 0.98])[0]
    middle = quad(lambda x: math.exp(logit * (x - 0.5)), 127.5 / 255, 128.5 / 255)[0]
    expected = math.log(middle / total) + logit / 2 - peak
    assert log_mass[128].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["normal", "narrow", "laplace", "continuous Bernoulli"])
def test_the_levels_of_a_pixel_add_up_to_one(family: str) -> None:
    levels = torch.linspace(0, 1, 256, dtype=torch.float64).reshape(-1, 1, 1, 1)
    at = torch.full((1, 1, 1), 0.93, dtype=torch.float64)
    pixels = {
        "normal": Independent(Normal(at, 0.2 * torch.ones_like(at)), 3),
        "narrow": Independent(Normal(at, 0.002 * torch.ones_like(at)), 3),
        "laplace": Independent(Laplace(at, 0.1 * torch.ones_like(at)), 3),
        "continuous Bernoulli": ContinuousBernoulliLikelihood()(torch.logit(at)),
    }[family]
    total = grey_level_log_prob(pixels, levels).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("location", [0.0, 1e-9, 0.5, 127.5 / 255, 0.93, 1.0])
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 0.07, 10.0])
def test_levels_of_laplace_pixels(location: float, scale: float) -> None:
    """In single precision; the level next to the peak's and the farthest one by hand."""
    at = torch.full((1, 1, 1), location)
    pixels = Independent(Laplace(at, torch.full_like(at, scale)), 3)
    levels = torch.linspace(0, 1, 256, dtype=torch.float64)
    log_mass = grey_level_log_prob(pixels, levels.reshape(-1, 1, 1, 1)).flatten()
    assert float(log_mass.exp().sum()) == pytest.approx(1, abs=1e-9)
    location, scale = at.double().item(), pixels.base_dist.scale.double().item()
    for k in (2, 100, 250):  # none is next to a peak
        near = min(abs(k - 0.5 - 255 * location), abs(k + 0.5 - 255 * location)) / 255
        exact = -near / scale + math.log(-math.expm1(-1 / 255 / scale) / 2)
        assert log_mass[k].item() == pytest.approx(exact, rel=1e-9)


def test_levels_in_scipy(images: torch.Tensor) -> None:
    mean = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    sigma = torch.full_like(mean, 0.15)
    given = grey_level_log_prob(Independent(Normal(mean, sigma), 3), images.double())
    edges = np.linspace(0, 1, 256)
    low = np.where(images == 0, -np.inf, images.double() - 0.5 / 255)
    high = np.where(images == 1, np.inf, images.double() + 0.5 / 255)
    assert edges[1] == pytest.approx(1 / 255)
    mass = stats.norm.cdf(high, mean, 0.15) - stats.norm.cdf(low, mean, 0.15)
    np.testing.assert_allclose(given.numpy(), np.log(mass).sum((1, 2, 3)), rtol=1e-6)


def test_a_pixel_far_off_costs_much_and_not_infinitely() -> None:
    at = torch.zeros(1, 1, 1, 1)
    pixels = Independent(Normal(at, torch.full_like(at, 0.01)), 3)
    cost = -grey_level_log_prob(pixels, torch.full((1, 1, 1, 1), 128 / 255))
    near, far = (stats.norm.logsf(edge / 255, 0, 0.01) for edge in (127.5, 128.5))
    expected = -(near + math.log1p(-math.exp(far - near)))
    # σ = 0.01 is rounded to float32 and stands squared in the exponent
    assert float(cost) == pytest.approx(expected, rel=1e-6)


def test_pixels_between_the_levels_are_refused(images: torch.Tensor) -> None:
    pixels = Independent(Normal(images, torch.ones_like(images)), 3)
    with pytest.raises(ValueError, match=r"no multiple of 1/255; expected 256 grey levels"):
        grey_level_log_prob(pixels, (images + 0.001).clamp(0, 1))
    with pytest.raises(ValueError, match="GaussianImage has no base_dist"):
        grey_level_log_prob(GaussianLikelihood()(images), images)
    for other in (images[:, :, 1:], images[:-1]):  # another picture, another number of them
        pixels = Independent(Normal(other, torch.ones_like(other)), 3)
        with pytest.raises(ValueError, match=r"pixels have the shape .*, images .*; expected"):
            grey_level_log_prob(pixels, images)
    each = grey_level_log_prob(Independent(Normal(images[0], torch.tensor(1.0)), 3), images)
    assert each.shape == (len(images),)  # one density for all


def test_levels_of_any_density_that_knows_its_distribution_function() -> None:
    """Cauchy pixels, which have no formula of their own here, in SciPy; also far in their tail."""
    location, scale = torch.tensor([0.3, 0.5, 0.2]).double().reshape(1, 1, 3), 0.05
    pixels = Independent(Cauchy(location, torch.full_like(location, scale)), 3)
    levels = torch.arange(17).double() / 16
    images = levels[:, None, None, None].expand(17, 1, 1, 3)
    borders = np.concatenate([[-np.inf], (np.arange(16) + 0.5) / 16, [np.inf]])
    laws = [stats.cauchy(float(place), scale) for place in location.flatten()]
    expected = sum(np.log(np.diff(law.cdf(borders))) for law in laws)
    # the ends of the line stand at a million, beyond which 2e-8 of the mass lies
    found = grey_level_log_prob(pixels, images, levels=17)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    one = Independent(Cauchy(location[..., :1], torch.full((1, 1, 1), 1e-6).double()), 3)
    far = grey_level_log_prob(one, torch.full((1, 1, 1, 1), 200 / 255).double())
    law = stats.cauchy(0.3, 1e-6)  # a mass of 5e-9: density times width, which hardly changes
    assert float(far) == pytest.approx(law.logpdf(200 / 255) - math.log(255), abs=1e-6)
    assert float(far) == pytest.approx(np.log(law.sf(199.5 / 255) - law.sf(200.5 / 255)), abs=1e-3)


@pytest.mark.parametrize("logit", [-30.0, -0.2, 0.0, 0.2, 30.0])
def test_all_the_mass_lies_between_black_and_white(logit: float) -> None:
    density = ContinuousBernoulliLikelihood()(torch.full((1, 1, 1), logit).double()).base_dist
    beyond = torch.tensor([-2.0, -1e-3, 0.0, 1.0, 1.001, 3.0]).double().reshape(6, 1, 1, 1)
    found = density.cdf(beyond).flatten()
    torch.testing.assert_close(found, torch.tensor([0.0, 0, 0, 1, 1, 1]).double())
    shares = torch.tensor([0.0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0]).double().reshape(6, 1, 1, 1)
    places = density.icdf(shares)
    assert ((places >= 0) & (places <= 1)).all()
    torch.testing.assert_close(density.cdf(places), shares, atol=1e-9, rtol=0)
