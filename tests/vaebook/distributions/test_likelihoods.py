"""Likelihoods: each is a density that sums to 1, agrees with others' code, and with its samples."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from scipy.integrate import quad
from torch.distributions import Bernoulli, Independent, Normal

from tests.properties import a_few, normal, seeds, uniform
from vaebook.distributions import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
)
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.training import seeded

ALL = {
    "bernoulli": BernoulliLikelihood,
    "gaussian": GaussianLikelihood,
    "learned gaussian": LearnedGaussianLikelihood,
    "discretised logistic": DiscretizedLogisticLikelihood,
}


def images_for(name: str, seed: int, *shape: int) -> torch.Tensor:
    """Images to which the likelihood gives a probability."""
    images = uniform(seed, *shape)
    return images.round() if name == "bernoulli" else (images * 255).round() / 255


@pytest.mark.parametrize("name", ALL)
def test_one_number_of_nats_per_image(name: str) -> None:
    likelihood = ALL[name]().double()
    output, images = normal(0, 5, 3, 4, 2), images_for(name, 1, 5, 3, 4, 2)
    distribution = likelihood(output)
    assert distribution.batch_shape == (5,)
    assert distribution.event_shape == (3, 4, 2)
    assert distribution.mean.shape == (5, 3, 4, 2)
    log_prob = distribution.log_prob(images)
    assert log_prob.shape == (5,)
    # an image's value does not depend on its neighbours in the batch
    for i in range(5):
        torch.testing.assert_close(likelihood(output[i]).log_prob(images[i]), log_prob[i])
    # the sum over pixels, not the mean: cutting the image in two splits the sum
    halves = likelihood(output[:, :, :2]).log_prob(images[:, :, :2])
    halves = halves + likelihood(output[:, :, 2:]).log_prob(images[:, :, 2:])
    torch.testing.assert_close(halves, log_prob)


@pytest.mark.parametrize("name", ALL)
def test_several_codes_per_image(name: str) -> None:
    likelihood = ALL[name]().double()
    output, images = normal(0, 7, 5, 1, 2, 2), images_for(name, 1, 5, 1, 2, 2)
    log_prob = likelihood(output).log_prob(images)
    assert log_prob.shape == (7, 5)
    torch.testing.assert_close(log_prob[3], likelihood(output[3]).log_prob(images))
    assert likelihood(output).sample((4,)).shape == (4, 7, 5, 1, 2, 2)


@pytest.mark.parametrize("name", ALL)
def test_images_of_another_shape_are_not_broadcast(name: str) -> None:
    distribution = ALL[name]()(torch.zeros(4, 1, 3, 3))
    with pytest.raises(
        ValueError, match=r"images have shape \(4, 3, 3\).*\(1, 3, 3\).*\[:, None\]"
    ):
        distribution.log_prob(torch.zeros(4, 3, 3))


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_the_decoder(name: str) -> None:
    likelihood = ALL[name]().double()
    output = normal(0, 2, 1, 2, 2).requires_grad_()
    images = images_for(name, 1, 2, 1, 2, 2)
    assert torch.autograd.gradcheck(lambda o: likelihood(o).log_prob(images), (output,))


# --- black and white pixels ---------------------------------------------------------------------


def test_bernoulli_is_that_of_torch_and_numpy() -> None:
    logits, images = normal(0, 6, 1, 3, 3, spread=3.0), images_for("bernoulli", 1, 6, 1, 3, 3)
    ours = BernoulliLikelihood()(logits).log_prob(images)
    torch.testing.assert_close(ours, Independent(Bernoulli(logits=logits), 3).log_prob(images))
    p = 1 / (1 + np.exp(-logits.numpy()))
    expected = np.where(images.numpy() == 1, np.log(p), np.log(1 - p)).sum((1, 2, 3))
    np.testing.assert_allclose(ours, expected)
    np.testing.assert_allclose(BernoulliLikelihood()(logits).mean, p)


def test_bernoulli_probabilities_of_all_images_sum_to_one() -> None:
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).double()
    distribution = BernoulliLikelihood()(normal(0, 1, 2, 2))
    probabilities = distribution.log_prob(pictures.reshape(16, 1, 2, 2)).exp()
    assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-12)


def test_bernoulli_samples_follow_the_probabilities() -> None:
    distribution = BernoulliLikelihood()(normal(0, 1, 1, 3))
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).double()
    expected = distribution.log_prob(pictures.reshape(8, 1, 1, 3)).exp()
    with seeded(0):
        drawn = distribution.sample((20_000,)).reshape(-1, 3)
    which = (drawn * torch.tensor([4, 2, 1])).sum(1).long()
    counts = torch.bincount(which, minlength=8)
    # with this seed the chi-squared test is content; wrong probabilities give p < 1e-10
    assert stats.chisquare(counts, 20_000 * expected).pvalue > 0.01


def test_bernoulli_survives_confident_logits() -> None:
    logits = torch.tensor([200.0, -200.0]).reshape(1, 1, 1, 2)
    right = BernoulliLikelihood()(logits).log_prob(torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2))
    wrong = BernoulliLikelihood()(logits).log_prob(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2))
    assert right.item() == 0.0
    assert wrong.item() == -400.0


def test_bernoulli_refuses_grey_pixels() -> None:
    grey = torch.tensor([0.0, 1.0, 0.5, 1.0]).reshape(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"25 % of the pixels are neither 0 nor 1.*Binarise"):
        BernoulliLikelihood()(torch.zeros(1, 1, 2, 2)).log_prob(grey)
    grey[0, 0, 1, 0] = float("nan")
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        BernoulliLikelihood()(torch.zeros(1, 1, 2, 2)).log_prob(grey)


# --- Gaussian pixels ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GaussianLikelihood, LearnedGaussianLikelihood])
@pytest.mark.parametrize("mean", ["sigmoid", "identity"])
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
@torch.no_grad()
def test_gaussian_is_that_of_torch_and_scipy(kind: type, mean: str, sigma: float) -> None:
    output, images = normal(0, 6, 2, 3, 3), uniform(1, 6, 2, 3, 3)
    likelihood = kind(sigma, mean=mean).double()
    centre = torch.sigmoid(output) if mean == "sigmoid" else output
    distribution = likelihood(output)
    assert likelihood.sigma == pytest.approx(sigma)
    torch.testing.assert_close(distribution.mean, centre)
    # log σ was rounded to single precision when the module was built, hence 1e-5
    reference = Independent(Normal(centre, sigma), 3)
    torch.testing.assert_close(
        distribution.log_prob(images), reference.log_prob(images), rtol=1e-5, atol=1e-5
    )
    expected = stats.norm(centre.numpy(), sigma).logpdf(images.numpy()).sum((1, 2, 3))
    np.testing.assert_allclose(distribution.log_prob(images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        distribution.variance, torch.full_like(centre, sigma**2), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("sigma", [0.05, 0.7])
def test_the_gaussian_density_integrates_to_one(sigma: float) -> None:
    likelihood = GaussianLikelihood(sigma, mean="identity").double()
    distribution = likelihood(torch.full((1, 1, 1), 0.4).double())

    def density(x: float) -> float:
        return math.exp(float(distribution.log_prob(torch.full((1, 1, 1), x).double())))

    ends = (0.4 - 10 * sigma, 0.4 + 10 * sigma)
    # quad promises about 1e-8
    assert quad(density, *ends, points=[0.4])[0] == pytest.approx(1.0, abs=1e-7)

    # two pixels on a grid: the normaliser is counted once for each pixel
    step = sigma / 10
    axis = torch.arange(*ends, step, dtype=torch.float64)
    pictures = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)[:, :, None, None, :]
    pair = likelihood(torch.full((1, 1, 2), 0.4).double())
    assert float(pair.log_prob(pictures).exp().sum() * step**2) == pytest.approx(1.0, abs=1e-9)


def test_gaussian_samples_follow_the_density() -> None:
    output = torch.tensor([0.2, 0.8]).reshape(1, 1, 2)
    distribution = GaussianLikelihood(0.3, mean="identity")(output)
    with seeded(0):
        drawn = distribution.sample((20_000,)).reshape(-1, 2).numpy()
    for pixel, centre in enumerate((0.2, 0.8)):
        assert stats.kstest(drawn[:, pixel], stats.norm(centre, 0.3).cdf).pvalue > 0.01
    # pixels are independent: the correlation's standard error is 0.007
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.03


def test_the_weight_of_the_squared_error_is_one_over_two_sigma_squared() -> None:
    likelihood = GaussianLikelihood(0.1, mean="identity").double()
    distribution = likelihood(torch.zeros(1, 1, 2, 2).double())
    black, off = torch.zeros(1, 1, 2, 2).double(), torch.full((1, 1, 2, 2), 0.5).double()
    difference = distribution.log_prob(black) - distribution.log_prob(off)
    # 50 times the summed squared error of 4 · 0.25; log σ has single precision
    assert float(difference) == pytest.approx(50.0, rel=1e-6)


def test_sigma_is_fixed_or_learned_as_named() -> None:
    fixed, learned = GaussianLikelihood(0.2), LearnedGaussianLikelihood(0.2)
    assert list(fixed.parameters()) == []
    assert [name for name, _ in learned.named_parameters()] == ["log_sigma"]
    assert "log_sigma" in fixed.state_dict()
    assert "sigma=0.2" in repr(fixed)
    assert "sigma=0.2" in repr(learned)


def test_the_learned_sigma_is_best_at_the_root_mean_squared_error() -> None:
    """d log p / d log σ = ‖x − m‖² / σ² − D, which vanishes at σ² = MSE."""
    likelihood = LearnedGaussianLikelihood(0.3, mean="identity").double()
    output, images = uniform(0, 4, 1, 3, 3), uniform(1, 4, 1, 3, 3)
    squares = ((images - output) ** 2).sum()
    likelihood(output).log_prob(images).sum().backward()
    expected = squares / 0.3**2 - images.numel()
    torch.testing.assert_close(likelihood.log_sigma.grad, expected, rtol=1e-5, atol=1e-5)

    with torch.no_grad():
        likelihood.log_sigma.copy_(0.5 * torch.log(squares / images.numel()))
    likelihood.zero_grad()
    likelihood(output).log_prob(images).sum().backward()
    assert abs(float(likelihood.log_sigma.grad)) < 1e-9


# --- grey levels --------------------------------------------------------------------------------


def grid(levels: int) -> torch.Tensor:
    """Every grey level as an image of one pixel."""
    return torch.linspace(0, 1, levels, dtype=torch.float64).reshape(levels, 1, 1, 1)


def logit_of(mean: float) -> torch.Tensor:
    return torch.logit(torch.tensor(mean).double()).reshape(1, 1, 1)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("mean", [0.001, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("scale", [0.002, 0.05, 1.0])
def test_probabilities_of_all_grey_levels_sum_to_one(
    levels: int, mean: float, scale: float
) -> None:
    likelihood = DiscretizedLogisticLikelihood(scale, levels=levels).double()
    log_p = likelihood(logit_of(mean)).log_prob(grid(levels)).detach()
    assert torch.isfinite(log_p).all()
    # torch's softplus is linear above 20, which is off by e⁻²⁰ = 2e-9
    assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_grey_levels_are_differences_of_scipys_logistic(levels: int) -> None:
    likelihood = DiscretizedLogisticLikelihood(0.07, levels=levels).double()
    ours = likelihood(logit_of(0.35)).log_prob(grid(levels)).detach().exp()
    inner = (np.arange(levels - 1) + 0.5) / (levels - 1)  # borders between the levels
    borders = np.concatenate([[-np.inf], inner, [np.inf]])
    expected = np.diff(stats.logistic(0.35, 0.07).cdf(borders))
    # the scale is stored in single precision
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-12)


def test_grey_level_samples_follow_the_probabilities() -> None:
    likelihood = DiscretizedLogisticLikelihood(0.1, levels=9).double()
    distribution = likelihood(logit_of(0.3))
    expected = distribution.log_prob(grid(9)).detach().exp().numpy()
    with seeded(0):
        drawn = distribution.sample((20_000,)).reshape(-1)
    assert set(drawn.mul(8).tolist()) <= set(range(9))
    counts = torch.bincount(drawn.mul(8).round().long(), minlength=9).numpy()
    assert stats.chisquare(counts, 20_000 * expected).pvalue > 0.01


def test_far_tails_keep_a_gradient() -> None:
    """A pixel 1 away from the mean at scale 0.002: log p ≈ −500, not −∞, in single precision."""
    likelihood = DiscretizedLogisticLikelihood(0.002)
    output = torch.full((1, 1, 1), -8.0, requires_grad=True)  # mean 0.0003
    log_p = likelihood(output).log_prob(torch.full((1, 1, 1), 254 / 255))
    log_p.backward()
    assert -510 < log_p.item() < -480
    assert math.isfinite(float(output.grad))
    assert math.isfinite(float(likelihood.log_scale.grad))


@pytest.mark.parametrize("output", [-100.0, -20.0, -8.0, 0.0, 8.0, 20.0, 100.0])
@pytest.mark.parametrize("scale", [0.002, 0.05, 1.0, 1e4])
def test_grey_levels_wherever_a_decoder_ends(output: float, scale: float) -> None:
    """In single precision, up to means that round to 0 and 1; the outer levels are the ends."""
    likelihood = DiscretizedLogisticLikelihood(scale)
    at = torch.full((1, 1, 1), output, requires_grad=True)
    log_p = likelihood(at).log_prob(grid(256).float())
    log_p.sum().backward()
    assert float(log_p.detach().double().exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert at.grad is not None
    assert at.grad.isfinite().all()
    assert likelihood.log_scale.grad is not None
    assert likelihood.log_scale.grad.isfinite()
    exact = likelihood.double()(at.detach().double()).log_prob(grid(256)).detach()
    torch.testing.assert_close(log_p.detach().double(), exact, rtol=1e-4, atol=1e-4)


def test_pixels_off_the_grid_are_refused() -> None:
    likelihood = DiscretizedLogisticLikelihood(levels=17)
    output = torch.zeros(1, 1, 1)
    likelihood(output).log_prob(torch.full((1, 1, 1), 3 / 16))
    with pytest.raises(ValueError, match=r"no multiple of 1/16.*torch.round\(x \* 16\) / 16"):
        likelihood(output).log_prob(torch.full((1, 1, 1), 0.2))


@a_few
@given(seeds)
def test_a_probability_is_never_above_one(seed: int) -> None:
    likelihood = DiscretizedLogisticLikelihood().double()
    images = (uniform(seed, 4, 1, 3, 3) * 255).round() / 255
    assert (likelihood(normal(seed, 4, 1, 3, 3, spread=3.0)).log_prob(images) <= 0).all()


# --- what users get wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GaussianLikelihood, LearnedGaussianLikelihood])
def test_wrong_settings_of_a_gaussian(kind: type[Likelihood]) -> None:
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"sigma is .*expected a finite number above 0"):
            kind(bad)
    with pytest.raises(ValueError, match="mean is 'relu'; expected 'sigmoid'"):
        kind(0.1, mean="relu")


def test_wrong_settings_of_grey_levels() -> None:
    with pytest.raises(ValueError, match="initial_scale is 0"):
        DiscretizedLogisticLikelihood(0)
    with pytest.raises(ValueError, match="levels is 1"):
        DiscretizedLogisticLikelihood(levels=1)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "shape", [(1, 3, 3), (3, 3, 3), (2, 2, 3), (2, 4, 3), (2, 3, 2), (2, 3, 4)]
)
def test_neither_smaller_nor_larger_images_are_taken(name: str, shape: tuple[int, ...]) -> None:
    distribution = ALL[name]()(torch.zeros(4, 2, 3, 3))
    with pytest.raises(ValueError, match=r"expected \(2, 3, 3\) at the end"):
        distribution.log_prob(torch.zeros(4, *shape))


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_one_event(name: str) -> None:
    """Its support says of each image whether it has a probability."""
    likelihood = ALL[name]()
    output = torch.zeros(4, 2, 3, 3)
    distribution = likelihood(output)
    assert likelihood.output_shape((2, 3, 3)) == (2, 3, 3)
    if name != "discretised logistic":
        images = torch.ones(4, 2, 3, 3)
        images[0] = torch.nan
        assert distribution.support.check(images).tolist() == [False, True, True, True]
    gradients_pass = name in ("gaussian", "learned gaussian")
    assert distribution.has_rsample == gradients_pass


def test_the_share_of_grey_pixels_counts_those_beyond_black_and_white() -> None:
    images = torch.tensor([0.0, 1.0, -0.5, 1.5, 0.3, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 4)
    with pytest.raises(ValueError, match=r"^37\.5 % of the pixels are neither 0 nor 1"):
        BernoulliLikelihood().check(images)
    BernoulliLikelihood().check(images.round().clamp(0, 1))


def test_a_likelihood_that_is_left_out_is_gaussian_with_a_tenth() -> None:
    likelihood = as_likelihood(None)
    assert isinstance(likelihood, GaussianLikelihood)
    assert likelihood.sigma == pytest.approx(0.1)
    given = BernoulliLikelihood()
    assert as_likelihood(given) is given
    for wrong in ("bernoulli", BernoulliLikelihood):
        with pytest.raises(ValueError, match="expected an object of a class of likelihoods"):
            as_likelihood(wrong)  # type: ignore[arg-type]
