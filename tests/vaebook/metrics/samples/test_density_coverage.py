"""Density and coverage against every pair by hand, and against what chance gives."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from vaebook.metrics import density_coverage, expected_coverage


def normal(seed: int, n: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)).double() + shift


@pytest.mark.parametrize("k", [1, 4])
def test_it_is_what_counting_all_pairs_gives(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = normal(0, 40), normal(1, 60, 0.7)
    radius = np.sort(cdist(real, real), axis=1)[:, k]
    near = cdist(real, generated) <= radius[:, None]
    expected = (near.sum() / (k * 60), near.any(1).mean())
    assert density_coverage(real, generated, num_neighbours=k) == pytest.approx(expected)
    monkeypatch.setattr("vaebook.metrics._inputs.AT_ONCE", 130)  # a few rows at a time
    assert density_coverage(real, generated, num_neighbours=k) == pytest.approx(expected)


def test_samples_of_the_same_distribution_score_what_chance_gives() -> None:
    found = np.array([density_coverage(normal(s, 60), normal(500 + s, 45)) for s in range(200)])
    means, errors = found.mean(0), found.std(0) / 200**0.5
    assert abs(means[0] - 1) < 4 * errors[0]
    assert abs(means[1] - expected_coverage(60, 45)) < 4 * errors[1]


def test_a_stray_sample_counts_little_and_a_missing_mode_is_seen() -> None:
    two_modes = torch.cat([normal(2, 100), normal(3, 100, 30.0)])
    one_mode = normal(4, 200)
    assert density_coverage(two_modes, one_mode).coverage < 0.55
    stray = torch.cat([normal(5, 199), normal(6, 1, 1000.0)])
    assert density_coverage(normal(2, 200), stray).density > 0.85
    assert density_coverage(normal(2, 200), normal(7, 200, 50.0)) == (0, 0)


def test_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="real has 5 items; expected more than num_neighbours = 5"):
        density_coverage(normal(0, 5), normal(1, 50))
