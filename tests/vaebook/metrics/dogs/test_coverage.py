"""How much of the factors' ranges dogs cover."""

import pytest
import torch

from vaebook.data.dogs import FACTOR_NAMES, factor_range, sample_factors
from vaebook.metrics.dogs import coverage, factor_overlap, overlap_ceiling
from vaebook.training import seeded


def test_no_dogs_cover_nothing_and_are_a_table_all_the_same() -> None:
    assert coverage(torch.zeros(0, 16)) == 0.0
    for shape in ((0, 3), (0,), (0, 17)):
        with pytest.raises(ValueError, match="factors has shape"):
            coverage(torch.zeros(shape))


def test_what_lies_outside_a_range_counts_in_the_outermost_bin() -> None:
    """Ten dogs from below the range to above it: two of ten bins have two, two have none."""
    low, high = factor_range()
    shares = torch.tensor([-9.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.75, 0.85, 0.95, 9.0])
    factors = low + shares[:, None] * (high - low)
    torch.testing.assert_close(factor_overlap(factors), torch.full((16,), 0.8))


def test_the_ceiling_is_what_as_many_real_dogs_score() -> None:
    """Against 200 draws of 30 uniform numbers; and the rule of thumb that the docstring gives."""
    with seeded(0):
        places = torch.rand(200, 30, 16)
    low, high = factor_range()
    for num_bins in (4, 10):
        found = torch.stack(
            [factor_overlap(low + p * (high - low), num_bins=num_bins) for p in places]
        )
        error = float(found.mean(1).std()) / 200**0.5
        assert overlap_ceiling(30, num_bins=num_bins) == pytest.approx(
            float(found.mean()), abs=4 * error
        )
    assert overlap_ceiling(100) == pytest.approx(0.88, abs=0.005)
    assert overlap_ceiling(1000) == pytest.approx(0.96, abs=0.005)
    assert overlap_ceiling(1, num_bins=1) == 1


def test_coverage_is_relative_to_as_many_dogs_and_of_the_factors_named() -> None:
    factors = sample_factors(40, seed=5)
    factors[:, FACTOR_NAMES.index("size")] = factors[0, FACTOR_NAMES.index("size")]
    overlap = dict(zip(FACTOR_NAMES, factor_overlap(factors).tolist(), strict=True))
    assert overlap["size"] == pytest.approx(0.1)
    ceiling = overlap_ceiling(40)
    assert coverage(factors, ("size",)) == pytest.approx(0.1 / ceiling)
    assert coverage(factors, ["x", "size"]) == pytest.approx((overlap["x"] + 0.1) / 2 / ceiling)
    assert coverage(factors) == pytest.approx(sum(overlap.values()) / 16 / ceiling)
