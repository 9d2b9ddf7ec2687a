"""One-sided p-values are scipy's, which takes a hundred times as long over each."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vaebook.experiments.record.inference import p_value

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("num_units", [2, 3, 10, 24, 300])
@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.3, 40.0])
def test_it_is_scipys(num_units: int, margin: float) -> None:
    for mean in (-2.0, -0.05, 0.0, 0.3, 2.0):
        sample = RNG.normal(mean, 0.5, num_units)
        more = stats.ttest_1samp(sample, margin, alternative="greater").pvalue
        less = stats.ttest_1samp(sample, margin, alternative="less").pvalue
        assert p_value(sample, margin) == pytest.approx(float(more), rel=1e-12, abs=1e-300)
        assert p_value(-sample, -margin) == pytest.approx(float(less), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("gap", [0.3, 0.0, -0.3])
def test_values_without_spread_are_judged_as_they_are(gap: float) -> None:
    """As the limit of values with ever less of it; on the margin itself nothing is claimed."""
    assert p_value([0.5] * 4, 0.5 - gap) == (0.0 if gap > 0 else 1.0)
    nearly = np.array([0.5, 0.5, 0.5, 0.5 + 1e-9])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that the values hardly differ
        limit = stats.ttest_1samp(nearly, 0.5 - gap, alternative="greater").pvalue
    if gap:
        assert p_value([0.5] * 4, 0.5 - gap) == pytest.approx(float(limit), abs=1e-12)


def test_the_order_and_the_kind_of_the_sample_do_not_matter() -> None:
    sample = RNG.normal(0.1, 1, 12)
    expected = p_value(sample, 0.0)
    assert p_value(pd.Series(sample, index=range(5, 17)), 0.0) == expected
    assert p_value(sample[::-1], 0.0) == pytest.approx(expected, rel=1e-12)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="sample has 1 values; expected two or more"):
        p_value([1.0], 0.0)
    with pytest.raises(ValueError, match="with 1 missing values"):
        p_value([1.0, np.nan], 0.0)
