"""Densities fitted to codes, against NumPy, scikit-learn and integrals."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from vaebook.distributions import (
    BoxCorners,
    fit_box,
    fit_diagonal_gaussian,
    fit_flow,
    fit_gaussian,
    fit_mixture,
)
from vaebook.training import seeded

FITS = (fit_gaussian, fit_diagonal_gaussian, fit_box, BoxCorners, fit_mixture)


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    """Two clumps in three dimensions, correlated, off the origin."""
    with seeded(3):
        noise = torch.randn(2000, 3) @ torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.5, 0.3], [0, 0, 0.2]])
        return noise + torch.tensor([4.0, -1.0, 2.0]) * (torch.rand(2000, 1) < 0.5) + 1.0


def test_gaussians_have_the_moments_of_the_codes(codes):
    full, diagonal = fit_gaussian(codes), fit_diagonal_gaussian(codes)
    expected = np.cov(codes.numpy().T)
    np.testing.assert_allclose(full.covariance_matrix, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(diagonal.variance, np.diag(expected), rtol=1e-4)
    np.testing.assert_allclose(diagonal.mean, codes.numpy().mean(0), rtol=1e-5)
    scipy = stats.multivariate_normal(codes.numpy().mean(0), expected)
    # float32 against float64, log-densities of about 10
    np.testing.assert_allclose(full.log_prob(codes[:50]), scipy.logpdf(codes[:50]), atol=1e-3)


def test_the_box_holds_the_codes_and_integrates_to_one(codes):
    box = fit_box(codes)
    volume = float(np.prod(np.ptp(codes.numpy(), axis=0)))
    middle = (codes.amin(0) + codes.amax(0)) / 2
    assert box.log_prob(middle).item() == pytest.approx(-math.log(volume), abs=1e-4)
    assert box.log_prob(codes.amax(0) + 1).item() == -math.inf
    with seeded(0):
        draws = box.sample((1000,))
    assert (draws >= codes.amin(0)).all()
    assert (draws <= codes.amax(0)).all()


def test_corners_are_the_box_s_and_equally_likely(codes):
    corners = BoxCorners(codes)
    with seeded(0):
        draws = corners.sample((8000,))
    patterns, counts = (draws == corners.high).int().unique(dim=0, return_counts=True)
    assert len(patterns) == 2**3
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert corners.log_prob(draws).exp().unique().item() == pytest.approx(1 / 8)
    assert corners.log_prob(draws + 0.1).max().item() == -math.inf


def test_the_mixture_is_scikit_learn_s(codes):
    mixture = fit_mixture(codes, 4, seed=1)
    reference = GaussianMixture(4, reg_covar=1e-6 * float(codes.var(0).mean()), random_state=1)
    reference.fit(codes.double().numpy())
    np.testing.assert_allclose(
        mixture.log_prob(codes[:100]), reference.score_samples(codes[:100].double()), atol=1e-3
    )


def test_two_clumps_need_a_mixture(codes):
    train, held_out = codes[:1000], codes[1000:]
    one, two = fit_gaussian(train).log_prob(held_out), fit_mixture(train, 2).log_prob(held_out)
    assert (two - one).mean() > 0.5


@pytest.mark.parametrize("fit", FITS)
def test_draws_have_the_shape_and_type_of_codes(codes, fit):
    density = fit(codes)
    with seeded(0):
        draws = density.sample((5,))
    assert draws.shape == (5, 3)
    assert draws.dtype == codes.dtype
    assert density.event_shape == (3,)
    assert density.log_prob(draws).shape == (5,)


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_needs_a_table_of_finite_codes(codes, fit):
    with pytest.raises(ValueError, match="expected a tensor"):
        fit(codes[0])
    with pytest.raises(ValueError, match="NaN"):
        fit(torch.where(codes > codes.mean(), torch.nan, codes))


@pytest.mark.parametrize("fit", [fit_box, BoxCorners])
def test_a_box_needs_sides(codes, fit):
    flat = codes.clone()
    flat[:, 1] = 2.0
    with pytest.raises(ValueError, match="1 dimensions of the codes do not vary"):
        fit(flat)


def test_a_dead_dimension_does_not_break_a_gaussian(codes):
    flat = codes.clone()
    flat[:, 1] = 2.0
    for density in (fit_gaussian(flat), fit_diagonal_gaussian(flat), fit_mixture(flat, 2)):
        assert torch.isfinite(density.log_prob(flat)).all()


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_what_is_added_to_a_dead_dimension_has_the_unit_of_the_codes(codes, unit):
    dead = codes.clone()
    dead[:, 0] = 0.5
    dead = dead * unit
    mean = float(dead.var(0).mean())
    for variance in (fit_gaussian(dead).variance, fit_diagonal_gaussian(dead).variance):
        assert float(variance[0]) == pytest.approx(1e-6 * mean, rel=1e-3)


def test_too_few_codes_for_a_mixture(codes):
    with pytest.raises(ValueError, match="too few"):
        fit_mixture(codes[:25], 10)


@pytest.fixture(scope="module")
def bent() -> torch.Tensor:
    """A parabola in two dimensions, far from the origin and in other units."""
    with seeded(4):
        first = torch.randn(2400)
        second = first**2 + 0.3 * torch.randn(2400)
    return torch.stack([100 + 20 * first, 0.01 * second], 1)


@pytest.fixture(scope="module")
def bent_flow(bent):
    """A flow fitted to the first 1600 of them."""
    return fit_flow(bent[:1600], num_epochs=12, lr=1e-2)


def test_a_flow_bends_where_a_gaussian_cannot(bent, bent_flow):
    """−log p of held-out codes, against the Gaussian's and against the truth."""
    held_out = bent[1600:]
    flow = -bent_flow.log_prob(held_out).mean().item()
    gaussian = -fit_gaussian(bent[:1600]).log_prob(held_out).mean().item()
    # the entropy of N(0, 20²) and of 0.01 · N(·, 0.3²); −log p of 800 codes is good to 0.04
    truth = sum(0.5 * math.log(2 * math.pi * math.e * s**2) for s in (20.0, 0.003))
    assert gaussian > truth + 1.0
    assert truth - 0.15 < flow < truth + 0.35


def test_draws_of_a_fitted_flow_follow_it(bent, bent_flow):
    with seeded(0):
        draws = bent_flow.sample((1500,))
    assert draws.shape == (1500, 2)
    assert draws.dtype == bent.dtype
    assert not draws.requires_grad
    assert not bent_flow.log_prob(draws[:5]).requires_grad, "it was fitted, and stays so"
    first = (draws[:, 0] - 100) / 20
    assert torch.corrcoef(torch.stack([first**2, draws[:, 1]]))[0, 1] > 0.8
    # E −log p over its own draws is its entropy, near that of the held-out codes
    own, other = (-bent_flow.log_prob(z).mean().item() for z in (draws, bent[1600:]))
    assert own == pytest.approx(other, abs=0.3)


def test_a_flow_is_fitted_from_a_seed(bent):
    fits = [fit_flow(bent[:100], num_epochs=1, seed=seed).log_prob(bent[:5]) for seed in (1, 1, 2)]
    assert torch.equal(fits[0], fits[1])
    assert not torch.equal(fits[0], fits[2])


def test_wrong_codes_for_a_flow(bent):
    with pytest.raises(ValueError, match="n of at least 20"):
        fit_flow(bent[:19])
    with pytest.raises(ValueError, match="NaN"):
        fit_flow(torch.full((30, 2), torch.nan))
    with pytest.raises(ValueError, match="lr is 0"):
        fit_flow(bent[:30], lr=0)


def test_a_tenth_is_held_out_and_every_code_is_used_once(codes, monkeypatch):
    """In units of all of them: mean 0 and variance 1."""
    seen: dict[str, torch.Tensor] = {}

    def fake_fit(flow, training, *, validation, **settings):
        seen.update(training=training, validation=validation)
        assert settings["num_epochs"] == 7
        assert settings["lr"] == 0.02
        assert settings["seed"] == 5

    monkeypatch.setattr("vaebook.distributions.density_estimation.fit", fake_fit)
    fitted = fit_flow(codes[:115], num_epochs=7, lr=0.02, seed=5)
    assert len(seen["validation"]) == 11
    assert len(seen["training"]) == 104
    units = torch.cat([*seen.values()])
    torch.testing.assert_close(units.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(units.var(0), torch.ones(3), atol=1e-2, rtol=0)
    used = fitted.transforms[0](units)
    torch.testing.assert_close(used.sort(0).values, codes[:115].sort(0).values)
    assert not torch.allclose(used[:11], codes[:11]), "by chance, not the first"


def test_what_is_added_in_a_mixture_has_the_unit_of_the_codes(codes):
    """A dead dimension has no other variance than what was added."""
    for unit in (1e-2, 1e2):
        dead = codes.double() * unit
        dead[:, 1] = 2.0
        covariances = fit_mixture(dead, 2).component_distribution.covariance_matrix
        mean = float(dead.var(0).mean())
        assert float(covariances[0, 1, 1]) == pytest.approx(1e-6 * mean, rel=1e-3)
