"""The Fréchet distance against closed forms, scipy's matrix root, and its own bias."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from vaebook.metrics.samples.frechet import frechet_bias, frechet_distance, gaussian_frechet


def random_covariance(d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(d, d, generator=generator, dtype=torch.double)
    return root @ root.T / d + 0.1 * torch.eye(d, dtype=torch.double)


def draw(n: int, d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.double)


def test_closed_form_in_one_dimension() -> None:
    # W2² of N(m, s²) and N(n, t²) is (m − n)² + (s − t)²; in one dimension, nothing is rounded.
    one = torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double()
    other = torch.tensor([4.0]).double(), torch.tensor([[25.0]]).double()
    assert gaussian_frechet(*one, *other) == pytest.approx(9 + 9, abs=1e-12)


def test_commuting_covariances() -> None:
    # With one set of axes the distance is Σ (√λ − √λ')².
    axes = torch.linalg.qr(draw(6, 6, 0)).Q
    a, b = torch.rand(6).double() + 0.1, torch.rand(6).double() + 0.1
    zero = torch.zeros(6).double()
    found = gaussian_frechet(zero, axes @ a.diag() @ axes.T, zero, axes @ b.diag() @ axes.T)
    assert found == pytest.approx(float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-10)


@pytest.mark.parametrize("d", [2, 7, 20])
def test_agrees_with_scipys_matrix_root(d: int) -> None:
    a, b = random_covariance(d, 1), random_covariance(d, 2)
    m, n = draw(2, d, 3)
    root = scipy.linalg.sqrtm((a @ b).numpy())
    expected = float((m - n).square().sum() + a.trace() + b.trace()) - 2 * np.trace(root).real
    # sqrtm of a product that is not symmetric is good to about 1e-8
    assert gaussian_frechet(m, a, n, b) == pytest.approx(expected, rel=1e-7)
    assert gaussian_frechet(n, b, m, a) == pytest.approx(expected, rel=1e-7)


def test_sets_are_reduced_to_mean_and_covariance() -> None:
    x, y = draw(50, 3, 4), 2 * draw(60, 3, 5) + 1
    root = scipy.linalg.sqrtm(np.cov(x.numpy().T) @ np.cov(y.numpy().T))
    expected = (
        float((x.mean(0) - y.mean(0)).square().sum())
        + np.trace(np.cov(x.numpy().T))
        + np.trace(np.cov(y.numpy().T))
        - 2 * np.trace(root).real
    )
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_zero_for_the_same_set_even_where_it_is_singular() -> None:
    x = draw(5, 12, 6)  # fewer rows than columns: the covariance has no inverse
    # the roots of rounding errors of 1e-16 are 1e-8
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x[:, :1], x[:, :1]) == pytest.approx(0, abs=1e-12)


def test_grows_with_the_square_of_a_shift_and_sees_variance() -> None:
    x = draw(200, 4, 7)
    assert frechet_distance(x, x + 3) == pytest.approx(4 * 9, rel=1e-9)
    grown = frechet_distance(x, 2 * x)
    mean, variance = x.mean(0), torch.cov(x.T).trace()
    assert grown == pytest.approx(float(mean.square().sum() + variance), rel=1e-9)


def test_bias_of_a_standard_normal_has_a_closed_form() -> None:
    d, n, m = 5, 100, 300
    expected = (1 / n + 1 / m) * (d + (d * d + d) / 4)
    assert frechet_bias(torch.eye(d), n, m) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [100, 400])
def test_bias_is_what_two_samples_of_one_gaussian_show(n: int) -> None:
    covariance = random_covariance(4, 8)
    root = torch.linalg.cholesky(covariance)
    found = torch.tensor(
        [
            frechet_distance(draw(n, 4, 2 * k) @ root.T, draw(n, 4, 2 * k + 1) @ root.T)
            for k in range(150)
        ]
    )
    error = float(found.std()) / math.sqrt(len(found))
    # five standard errors, and 3 % for what the first order leaves out
    expected = frechet_bias(covariance, n, n)
    assert abs(float(found.mean()) - expected) < 5 * error + 0.03 * expected
    assert 5 * error < 0.5 * expected


def test_bias_takes_a_singular_covariance() -> None:
    assert frechet_bias(torch.diag(torch.tensor([1.0, 0.0])), 100, 100) == pytest.approx(
        0.02 * (1 + 0.5)
    )


def test_errors_say_what_to_do() -> None:
    x = draw(10, 3, 0)
    with pytest.raises(ValueError, match=r"\[n, d\], a row for 2 or more pictures"):
        frechet_distance(x[:1], x)
    with pytest.raises(ValueError, match="as many numbers for each picture"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="NaN or infinite"):
        frechet_distance(x, x * math.nan)
    with pytest.raises(ValueError, match="num_real"):
        frechet_bias(torch.eye(2), 1, 10)


def test_two_of_each_are_enough_for_a_bias() -> None:
    assert frechet_bias(torch.eye(1), 2, 2) == pytest.approx(1 + 0.5)


def test_what_is_negative_in_a_covariance_counts_as_zero() -> None:
    rounded, sound = torch.diag(torch.tensor([1.0, -0.5])), torch.diag(torch.tensor([1.0, 0.0]))
    assert frechet_bias(rounded, 50, 50) == pytest.approx(frechet_bias(sound, 50, 50))
    zeros = torch.zeros(2)
    with_itself = gaussian_frechet(zeros, rounded, zeros, sound)
    # the traces are taken as they are: only roots are of what is not negative
    assert with_itself == pytest.approx(max(0.0, 0.5 + 1 - 2))


def test_features_that_do_not_vary_have_a_covariance_of_zero() -> None:
    same, other = torch.full((4, 3), 0.5), torch.full((5, 3), 1.5)
    assert frechet_distance(same, other) == pytest.approx(3)
    assert frechet_bias(torch.zeros(3, 3), 10, 10) == 0


def test_a_single_feature_has_a_number_for_covariance() -> None:
    """What torch.cov gives of one column: N(0, 2²) and N(1, 3²) are √(1 + 1) apart."""
    one, other = torch.tensor(4.0), torch.tensor(9.0)
    found = gaussian_frechet(torch.zeros(1), one, torch.ones(1), other)
    assert found == pytest.approx(1 + (3 - 2) ** 2)
    with pytest.raises(ValueError, match=r"expected a symmetric matrix \[d, d\]"):
        frechet_bias(one, 10, 10)
    with pytest.raises(ValueError, match=r"expected a symmetric matrix \[2, 2\]"):
        gaussian_frechet(torch.zeros(2), one, torch.zeros(2), torch.eye(2))
