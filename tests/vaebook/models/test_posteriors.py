"""Each family of posteriors by what its docstring says of a network's output, in SciPy."""

import math

import numpy as np
import torch
from scipy import stats

from tests.properties import normal
from vaebook.distributions import PowerSpherical
from vaebook.models.posteriors import POSTERIORS


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
