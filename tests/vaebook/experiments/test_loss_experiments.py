"""The experiments of chapter 07 on one epoch, and how they measure."""

import math

import pytest
import torch
from scipy import stats

from vaebook.data import load_fashion
from vaebook.distributions import (
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
)
from vaebook.experiments.ch07_scaling import loss_conventions, pixel_likelihoods
from vaebook.models import VAE
from vaebook.training import seeded

SHAPE = (1, 28, 28)


def test_each_convention_gives_two_rows_that_agree() -> None:
    pictures: dict[str, torch.Tensor] = {}
    name = "squared error, mean + 0.00025 · KL"
    rows = loss_conventions.run(0, num_epochs=1, conventions=(name,), pictures=pictures)
    assert [row["translated"] for row in rows] == [False, True]
    written, translated = rows
    assert written["sigma"] == pytest.approx(math.sqrt(784 * 0.00025 / 2))
    assert translated["rate"] == pytest.approx(written["rate"], rel=0.02)
    assert translated["rmse"] == pytest.approx(written["rmse"], rel=0.02)
    assert set(pictures) == {f"{name}/reconstruction", f"{name}/sample", "data"}


def test_cross_entropy_in_nats_is_the_sum_over_pixels() -> None:
    with seeded(0):
        model = loss_conventions.GreyCrossEntropyVAE(SHAPE, 3, beta=2.0)
    images = load_fashion().test.images[:5]
    with seeded(1), torch.no_grad():
        loss = model.loss(images)
    with seeded(1), torch.no_grad():
        posterior = model.posterior(images)
        m = torch.sigmoid(model.decoder(posterior.rsample((1,))[0])).double()
    x = images.double()
    cross_entropy = -(x * m.log() + (1 - x) * (1 - m).log()).sum((1, 2, 3))
    expected = cross_entropy + 2.0 * model.rate(posterior, posterior.mean[None])
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-5, atol=1e-3)
    assert torch.equal(model.decode(posterior.mean), torch.sigmoid(model.decoder(posterior.mean)))


def test_a_likelihood_gives_its_row() -> None:
    (row,) = pixel_likelihoods.run(0, num_epochs=1, likelihoods=("Gaussian, learned σ",))
    assert 4 < row["bits"] < 8
    assert row["sigma"] == pytest.approx(row["sigma_low"])
    # The ends take the mass beyond them: black costs a bit where density times step, at σ = 0.1,
    # costs log₂(255 · 0.1 · √2π) = 6. Half of the pixels are black, so that saves up to 2.5 bits.
    density = math.log2(255) - row["elbo"] / (784 * math.log(2))
    assert density - 3 < row["bits"] < density


def test_between_the_ends_a_level_is_the_density_times_a_step() -> None:
    images = (load_fashion().test.images[:3] * 255).round().clamp(1, 254) / 255
    output = 0.5 * torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    for likelihood in (GaussianLikelihood(0.2), ContinuousBernoulliLikelihood()):
        pixels = likelihood(output.double())
        levels = pixel_likelihoods.level_log_prob(pixels, images.double())
        expected = pixels.log_prob(images.double()) - 784 * math.log(255)
        # the midpoint rule is off by h²/24 ((x − m)²/σ⁴ − 1/σ²), 1.4e-4 at most, for each of 784
        torch.testing.assert_close(levels, expected, rtol=0, atol=0.1)


def test_levels_of_every_likelihood() -> None:
    images = load_fashion().test.images[:3]
    output = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    for likelihood in (
        GaussianLikelihood(0.2),
        ContinuousBernoulliLikelihood(),
        DiscretizedLogisticLikelihood(),
    ):
        log_prob = pixel_likelihoods.level_log_prob(likelihood(output), images)
        assert log_prob.shape == (3,)
        assert (log_prob < 0).all()
    mean = torch.sigmoid(output).double().numpy()
    low = (images - 0.5 / 255).double().where(images > 0, -torch.inf).numpy()
    high = (images + 0.5 / 255).double().where(images < 1, torch.inf).numpy()
    mass = stats.norm.cdf(high, mean, 0.2) - stats.norm.cdf(low, mean, 0.2)
    expected = torch.as_tensor(mass).log().sum((1, 2, 3))
    given = pixel_likelihoods.level_log_prob(GaussianLikelihood(0.2)(output), images)
    # float32 means, and the cancellation of scipy's difference in the far tail
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=0)


def test_the_spread_is_the_standard_deviation_of_the_pixels() -> None:
    images = load_fashion().test.images[:2]
    for likelihood, tolerance in (
        (GaussianLikelihood(0.3), 0.02),
        (DiscretizedLogisticLikelihood(0.02), 0.02),
        (ContinuousBernoulliLikelihood(), 0.03),
    ):
        with seeded(0), torch.no_grad():
            model = VAE(SHAPE, 2, likelihood=likelihood)
            stated = pixel_likelihoods.spread(model, images)
            pixels = model.likelihood_of(model.encode(images))
            draws = pixels.sample((4000,)).std(0)
        # 4,000 draws: 1.1 % of the standard deviation each, less for the mean over pixels
        assert float(draws.mean() / stated.mean()) == pytest.approx(1, abs=tolerance)
