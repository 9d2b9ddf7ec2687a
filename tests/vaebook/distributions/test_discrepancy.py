"""The maximum mean discrepancy: by loops, in closed form, in expectation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given

from tests.properties import a_few, normal, seeds
from vaebook.distributions import kernel_matrix, mmd
from vaebook.training import seeded

close = torch.testing.assert_close


def by_hand(x, y, kernel: str, scales) -> float:
    """One pair of samples in NumPy."""
    squared = float(((x - y) ** 2).sum())
    widths = [2 * len(x) * scale for scale in scales]
    if kernel == "imq":
        return float(np.mean([width / (width + squared) for width in widths]))
    return float(np.mean([math.exp(-squared / width) for width in widths]))


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
@pytest.mark.parametrize("unbiased", [True, False])
def test_it_is_the_double_loop_over_pairs(kernel, unbiased: bool) -> None:
    x, y, scales = normal(0, 5, 3), normal(1, 4, 3) + 1, (0.3, 2.0)

    def mean(a, b, skip: bool) -> float:
        pairs = [
            by_hand(a[i].numpy(), b[j].numpy(), kernel, scales)
            for i in range(len(a))
            for j in range(len(b))
            if not (skip and i == j)
        ]
        return float(np.mean(pairs))

    expected = mean(x, x, unbiased) + mean(y, y, unbiased) - 2 * mean(x, y, False)
    found = mmd(x, y, kernel=kernel, scales=scales, unbiased=unbiased)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def closed_form(shift: float, d: int) -> float:
    """MMD² of N(0, I) and N(shift · 1, I) under exp(−r² / C), C = 2d, by Gaussian integrals.

    The difference of two samples is N(m, 2I), and E exp(−(δ)² / C) is √(C / (C + 4)) per number
    times exp(−m² / (C + 4)).
    """
    width = 2 * d
    same = (width / (width + 4)) ** (d / 2)
    return 2 * same - 2 * same * math.exp(-d * shift**2 / (width + 4))


@pytest.mark.parametrize(("shift", "d"), [(0.0, 2), (0.8, 1), (0.5, 4)])
def test_the_unbiased_estimate_is_unbiased(shift: float, d: int) -> None:
    estimates = []
    with seeded(0):
        for _ in range(400):
            x, y = torch.randn(25, d), torch.randn(25, d) + shift
            estimates.append(mmd(x, y, kernel="rbf", scales=(1.0,)).item())
    error = np.std(estimates) / 20
    assert np.mean(estimates) == pytest.approx(closed_form(shift, d), abs=4 * error)
    if shift == 0:
        assert min(estimates) < 0


def test_the_biased_estimate_keeps_the_diagonal() -> None:
    """Equal distributions: E MMD² = (1/n + 1/m)(1 − E k(x, x')), which is not 0."""
    estimates = []
    with seeded(0):
        for _ in range(300):
            pair = torch.randn(2, 20, 3)
            estimates.append(mmd(*pair, kernel="rbf", scales=(1.0,), unbiased=False).item())
    expected = (2 / 20) * (1 - (6 / 10) ** 1.5)
    assert np.mean(estimates) == pytest.approx(expected, abs=4 * np.std(estimates) / 300**0.5)


@a_few
@given(seeds)
def test_laws(seed: int) -> None:
    x, y = normal(seed, 6, 3), normal(seed + 1, 8, 3)
    for kernel in ("imq", "rbf"):
        biased = mmd(x, y, kernel=kernel, unbiased=False)
        assert biased >= -1e-12
        close(biased, mmd(y, x, kernel=kernel, unbiased=False))
        assert abs(mmd(x, x, kernel=kernel, unbiased=False).item()) < 1e-12
        turn = torch.linalg.qr(normal(seed + 2, 3, 3)).Q
        close(mmd(x @ turn, y @ turn, kernel=kernel), mmd(x, y, kernel=kernel))
        similar = kernel_matrix(x, x, kernel=kernel)
        close(similar.diagonal(), torch.ones(6).double())
        assert (torch.linalg.eigvalsh(similar) > -1e-10).all()


def test_the_bandwidth_grows_with_the_dimension() -> None:
    """Two samples of N(0, I) look about as similar in 2 dimensions as in 200."""
    with seeded(0):
        means = [
            kernel_matrix(torch.randn(300, d), torch.randn(300, d), scales=(1.0,)).mean().item()
            for d in (2, 20, 200)
        ]
    # r² concentrates on 2d, where the kernel is ½; in low dimensions Jensen lifts the mean
    assert means[2] == pytest.approx(0.5, abs=0.01)
    assert max(means) < 0.65


def test_gradients() -> None:
    x, y = normal(0, 4, 2).requires_grad_(), normal(1, 5, 2)
    for kernel in ("imq", "rbf"):
        for unbiased in (True, False):
            assert torch.autograd.gradcheck(
                lambda v, k=kernel, u=unbiased: mmd(v, y, kernel=k, unbiased=u), (x,)
            )


def test_wrong_samples_say_what_to_do() -> None:
    x = torch.zeros(3, 2)
    for bad in (torch.zeros(3), torch.zeros(3, 4), torch.zeros(0, 2)):
        with pytest.raises(ValueError, match=r"expected \[n, d\] and \[m, d\]"):
            mmd(x, bad, unbiased=False)
    with pytest.raises(ValueError, match="unbiased estimate needs at least 2"):
        mmd(x, x[:1])
    with pytest.raises(ValueError, match="samples holds 1 values that are NaN"):
        mmd(x, torch.tensor([[0.0, math.nan], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="kernel is 'linear'"):
        mmd(x, x, kernel="linear")
    with pytest.raises(ValueError, match="a scale is 0"):
        mmd(x, x, scales=(0,))
    with pytest.raises(ValueError, match=r"scales is \(\); expected at least one factor"):
        mmd(x, x, scales=())
