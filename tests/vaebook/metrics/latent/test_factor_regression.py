"""Factors read off codes: those that are there, and not those that are not."""

import numpy as np
import pytest
import torch

from vaebook.metrics import factor_regression
from vaebook.training import seeded


def world(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first factor as it is, the second bent, the third under noise, the fourth folded."""
    with seeded(seed, "data"):
        factors = torch.rand(n, 4) * torch.tensor([1.0, 100.0, 1.0, 1.0])
        noise = torch.randn(n) * factors[:, 2].std()
    bent = (factors[:, 1] / 100) ** 2 + factors[:, 0]
    folded = (factors[:, 3] - 0.5).abs()
    codes = torch.stack([factors[:, 0], bent, factors[:, 2] + noise, folded], 1)
    return codes, factors


def test_it_finds_what_is_there_and_nothing_else() -> None:
    found = factor_regression(*world(4000, 0), *world(2000, 1))
    assert found[0] > 0.97
    assert found[1] > 0.95
    assert found[2] == pytest.approx(0.5, abs=0.07), "half of the variance is noise"
    assert abs(found[3]) < 0.05, "two answers, equally far from the middle"


def test_the_null_is_nothing() -> None:
    codes, factors = world(2000, 0)
    other, other_factors = world(1000, 1)
    found = factor_regression(codes, factors.flip(0), other, other_factors.flip(0))
    assert np.abs(found).max() < 0.1


def test_tables_that_do_not_fit_are_named() -> None:
    codes, factors = world(30, 0)
    with pytest.raises(ValueError, match="codes and factors have 30 and 20 rows"):
        factor_regression(codes, factors[:20], codes, factors)
    with pytest.raises(ValueError, match=r"codes and held_out_codes have .* as many numbers"):
        factor_regression(codes, factors, codes[:, :2], factors)
