"""Each family of posteriors by what its docstring says of a network's output, in SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import constraints

from tests.properties import normal
from vaebook.distributions import HypersphericalUniform, PowerSpherical
from vaebook.models.posteriors import POSTERIORS, check_support
from vaebook.training import seeded


def test_beta_has_the_sigmoid_of_its_first_outputs_for_mean() -> None:
    output = normal(0, 5, 4)
    a, c = output.numpy()[:, :2], output.numpy()[:, 2:]
    found = POSTERIORS["beta"].build(output, 2)
    law = stats.beta(np.exp(c + a / 2), np.exp(c - a / 2), -math.sqrt(3), 2 * math.sqrt(3))
    sigmoid = 1 / (1 + np.exp(-a))
    np.testing.assert_allclose(found.mean, math.sqrt(3) * (2 * sigmoid - 1), rtol=1e-6)
    np.testing.assert_allclose(found.mean, law.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.variance, law.var(), rtol=1e-6)


def test_laplace_has_the_log_scale_for_its_second_outputs() -> None:
    output, codes = normal(0, 5, 4), normal(1, 5, 2)
    found = POSTERIORS["laplace"].build(output, 2).log_prob(codes)
    law = stats.laplace(output[:, :2].numpy(), output[:, 2:].exp().numpy())
    np.testing.assert_allclose(found, law.logpdf(codes).sum(1))


def test_power_spherical_concentrates_with_the_length_of_its_outputs() -> None:
    output = normal(0, 5, 3)
    found = POSTERIORS["power spherical"].build(output, 3)
    assert isinstance(found, PowerSpherical)
    length = np.linalg.norm(output, axis=1)
    np.testing.assert_allclose(found.concentration, 3 * (length + length**2), rtol=1e-6)
    np.testing.assert_allclose(found.direction, output / torch.as_tensor(length)[:, None])


def test_full_has_a_factor_whose_diagonal_is_a_softplus_that_is_one_at_zero() -> None:
    output = normal(0, 5, 3 + 6)
    output[0] = 0
    output[1, 3:] = -1000
    found = POSTERIORS["full"].build(output, 3)
    np.testing.assert_allclose(found.mean, output[:, :3])
    factor = np.zeros((5, 3, 3))
    factor[:, [0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]] = output[:, 3:]
    for k in range(3):
        factor[:, k, k] = np.logaddexp(0, factor[:, k, k] + np.log(np.e - 1)) + 1e-6
    np.testing.assert_allclose(found.scale_tril, factor, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.scale_tril[0], np.eye(3), atol=2e-6)
    assert found.scale_tril[1].diagonal().min() > 0, "however far the encoder goes"


def test_betas_parameters_have_bounds() -> None:
    """From 0.05 to 440,000, as posteriors.py has it."""
    output = torch.tensor([[0.0, -99.0], [0.0, 99.0], [60.0, 0.0], [-60.0, 0.0]]).double()
    found = POSTERIORS["beta"].build(output, 1)
    few, many = 0.0498, 442_413.0
    expected = [[few, few], [many, many], [many, few], [few, many]]
    both = torch.cat([found.alpha, found.beta], 1)
    np.testing.assert_allclose(both, expected, rtol=1e-3)


@pytest.mark.parametrize("family", POSTERIORS)
def test_the_encoder_gives_as_many_numbers_as_the_family_needs(family: str) -> None:
    plan = POSTERIORS[family]
    width = plan.num_outputs(3)
    expected = {"diagonal": 6, "full": 3 + 6, "laplace": 6, "beta": 6, "power spherical": 3}
    assert width == expected[family]
    assert plan.build(normal(0, 5, width), 3).event_shape == (3,)


def test_a_prior_must_reach_as_far_as_the_codes() -> None:
    """Gaussian codes may be anywhere; those of the Beta family stay within √3."""
    half_line = constraints.independent(constraints.greater_than(-0.5), 1)
    for family in ("diagonal", "full", "laplace"):
        check_support(family, 2, constraints.real_vector)
        for support in (half_line, constraints.independent(constraints.less_than(0.5), 1)):
            with pytest.raises(ValueError, match="reaches beyond it"):
                check_support(family, 2, support)
    box = constraints.independent(constraints.interval(-1.8, 1.8), 1)
    check_support("beta", 2, box)
    check_support("beta", 2, None)
    with pytest.raises(ValueError, match="reaches beyond it"):
        check_support("beta", 2, constraints.independent(constraints.interval(-1.7, 1.8), 1))
    with pytest.raises(ValueError, match="posterior='power spherical'"):
        check_support("diagonal", 2, HypersphericalUniform(2).support)
    check_support("power spherical", 2, HypersphericalUniform(2).support)
    with pytest.raises(ValueError, match=r"HypersphericalUniform\(2\)"):
        check_support("power spherical", 2, constraints.real_vector)
    with pytest.raises(ValueError, match="posterior is 'normal'"):
        check_support("normal", 2, None)


@pytest.mark.parametrize("family", POSTERIORS)
def test_a_picture_s_posterior_does_not_depend_on_the_others(family: str) -> None:
    """Its moments, its entropy and its density, for codes of its own and for several of each."""
    plan = POSTERIORS[family]
    output = normal(0, 5, plan.num_outputs(3))
    together = plan.build(output, 3)
    with seeded(0):
        codes = together.sample((4,))
    assert codes.shape == (4, 5, 3)
    assert together.batch_shape == (5,)
    for row in range(5):
        alone = plan.build(output[row : row + 1], 3)
        found = alone.log_prob(codes[:, row : row + 1])
        np.testing.assert_allclose(together.log_prob(codes)[:, row], found[:, 0], rtol=1e-5)
        for moment in ("mean", "variance"):
            try:
                expected = getattr(alone, moment)[0]
            except NotImplementedError:
                assert family == "power spherical"
                continue
            np.testing.assert_allclose(getattr(together, moment)[row], expected, rtol=1e-5)
        np.testing.assert_allclose(together.entropy()[row], alone.entropy()[0], rtol=1e-5)
