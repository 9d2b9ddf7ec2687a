"""The kernel distance against scikit-learn's kernel, and on sets that are alike."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from vaebook.metrics import kernel_distance


def features(seed: int, n: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)).double()


def test_it_is_that_of_scikit_learns_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(0, 30), features(1, 40, 1.5)
    own = [polynomial_kernel(z, degree=3, gamma=1 / 5, coef0=1) for z in (x, y)]
    others = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in own]
    expected = sum(others) - 2 * polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1).mean()
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-10)
    monkeypatch.setattr("vaebook.metrics._inputs.AT_ONCE", 100)
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [5, 50])
def test_it_has_no_bias_whatever_the_size(n: int) -> None:
    found = [kernel_distance(features(s, n), features(1000 + s, n)) for s in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 400**0.5
    assert min(found) < 0, "a square that is estimated without bias may come out negative"


def test_it_grows_with_the_difference() -> None:
    apart = [kernel_distance(features(0, 500), features(1, 500) + s) for s in (0, 0.3, 0.6)]
    assert apart[0] < 0.02 < apart[1] < apart[2]
