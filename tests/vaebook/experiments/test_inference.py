"""Intervals and tests against libraries, and where there is none, by how often they are right."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from vaebook.experiments.record.inference import (
    differences,
    equivalence,
    holm,
    mean_interval,
    nested_share_interval,
    nested_share_intervals,
    pairs,
    share_interval,
)

RNG = np.random.default_rng(0)
SAMPLE = RNG.normal(0.3, 1.0, 9)


def test_a_mean_is_that_of_statsmodels() -> None:
    for level in (0.8, 0.95):
        found = mean_interval(SAMPLE, unit="seed", level=level)
        expected = DescrStatsW(SAMPLE).tconfint_mean(alpha=1 - level)
        np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)
        assert found[3:] == ("seed", 9, level)


def test_a_mean_over_few_units_covers_as_often_as_it_says() -> None:
    """And an interval at 90 % that called itself one at 95 % would not pass."""
    draws = np.random.default_rng(1).normal(2.0, 0.7, (4000, 5))
    for level in (0.9, 0.95):
        ends = [mean_interval(draw, unit="seed", level=level)[1:3] for draw in draws]
        covered = np.mean([low < 2.0 < high for low, high in ends])
        assert abs(covered - level) < 4 * math.sqrt(level * (1 - level) / 4000)


def test_equal_values_have_the_width_of_their_step() -> None:
    found = mean_interval([0.25] * 5, unit="seed", resolution=0.02)
    assert (found.low, found.high) == pytest.approx((0.24, 0.26))
    with pytest.raises(ValueError, match=r"all 5 values are 0\.25, and an interval of width zero"):
        mean_interval([0.25] * 5, unit="seed")


@pytest.mark.parametrize(("hits", "trials"), [(0, 250), (3, 40), (40, 40), (17, 31)])
def test_a_share_is_that_of_statsmodels_and_never_of_width_zero(hits: int, trials: int) -> None:
    found = share_interval(hits, trials)
    expected = proportion_confint(hits, trials, method="beta")
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-9, atol=1e-12)
    assert found.low < found.high


def test_nothing_in_250_may_still_be_one_and_a_half_per_cent() -> None:
    assert share_interval(0, 250).high == pytest.approx(0.0146, abs=1e-4)


def test_seeds_that_agree_as_coins_do_count_all_their_pictures() -> None:
    """Groups more alike than chance allows: the pictures are as if independent."""
    found = nested_share_interval([20, 21, 20, 19], [40] * 4)
    np.testing.assert_allclose(found[:3], share_interval(80, 160)[:3], rtol=1e-9)
    assert found[3:5] == ("seed", 4)
    for hits, end in (([0] * 5, "low"), ([50] * 5, "high")):
        none = nested_share_interval(hits, [50] * 5)
        flat = share_interval(sum(hits), 250)
        assert none.low < none.high
        assert getattr(none, end) == none.mean
        np.testing.assert_allclose(none[:3], flat[:3], rtol=1e-9)


def test_several_nested_shares_at_once_are_each_that_of_its_own() -> None:
    hits = np.array([[2, 38, 20, 20], [0, 0, 0, 0], [20, 21, 20, 19], [40, 40, 40, 40]])
    trials = np.array([[40] * 4, [40] * 4, [40] * 4, [40, 50, 40, 40]])
    together = nested_share_intervals(hits, trials, level=0.9)
    alone = [nested_share_interval(*row, level=0.9) for row in zip(hits, trials, strict=True)]
    assert together == alone
    assert len({interval.high - interval.low for interval in together}) == 4


def test_seeds_that_differ_count_as_few() -> None:
    wide = nested_share_interval([2, 38, 20, 20], [40] * 4)
    flat = share_interval(80, 160)
    assert wide.high - wide.low > 3 * (flat.high - flat.low)


@pytest.mark.parametrize(
    ("mean", "sd", "num_seeds", "num_pictures"),
    [(0.7, 0.06, 10, 100), (0.5, 0.15, 8, 100), (0.9, 0.05, 20, 200), (0.02, 0.02, 10, 100)],
)
def test_a_nested_share_covers_as_often_as_it_says(
    mean: float, sd: float, num_seeds: int, num_pictures: int
) -> None:
    rng = np.random.default_rng(3)
    spread = mean * (1 - mean) / sd**2 - 1
    chance = rng.beta(mean * spread, (1 - mean) * spread, (1500, num_seeds))
    hits = rng.binomial(num_pictures, chance)
    trials = np.full_like(hits, num_pictures)
    ends = [interval[1:3] for interval in nested_share_intervals(hits, trials)]
    covered = np.mean([low <= mean <= high for low, high in ends])
    assert 0.93 <= covered <= 0.97
    blind = [share_interval(int(row.sum()), num_seeds * num_pictures)[1:3] for row in hits]
    assert np.mean([low <= mean <= high for low, high in blind]) < 0.9, "seeds are no coins"


FRAME = pd.DataFrame(
    {
        "seed": [2, 0, 1, 0, 1, 2],
        "model": ["GAN", "GAN", "GAN", "VAE", "VAE", "VAE"],
        "dogs": [0.7, 0.5, 0.6, 0.1, 0.3, 0.6],
    }
)


def test_pairs_go_by_the_unit_and_not_by_the_place() -> None:
    found = pairs(FRAME, "model", "GAN", "VAE", "dogs")
    bare = differences(
        {name: FRAME[name].to_numpy() for name in FRAME}, "model", "GAN", "VAE", "dogs"
    )
    assert bare.tolist() == found.tolist()
    assert found.to_dict() == pytest.approx({0: 0.4, 1: 0.3, 2: 0.1})
    shuffled = FRAME.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(pairs(shuffled, "model", "GAN", "VAE", "dogs"), found)


def test_what_cannot_be_paired_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"seed \[1\] stands on one side only"):
        pairs(FRAME.drop(index=2), "model", "GAN", "VAE", "dogs")
    with pytest.raises(ValueError, match="cannot be paired"):
        pairs(FRAME, "model", "flow", "PCA", "dogs")
    with pytest.raises(ValueError, match="two rows of one seed"):
        pairs(pd.concat([FRAME, FRAME.tail(1)]), "model", "GAN", "VAE", "dogs")
    with pytest.raises(ValueError, match=r"dogs is missing in seed \[0\]"):
        pairs(
            FRAME.assign(dogs=FRAME["dogs"].mask(FRAME.index == 1)), "model", "GAN", "VAE", "dogs"
        )


def test_equivalence_is_that_of_statsmodels() -> None:
    first, second = RNG.normal(0, 0.1, (2, 8))
    for margin in (0.05, 0.1, 0.3):
        found = equivalence(first - second, margin)
        p_value, _, _ = ttost_paired(first, second, -margin, margin)
        assert found.p_value == pytest.approx(float(p_value), rel=1e-9)
        within = -margin < found.interval.low and found.interval.high < margin
        assert within == (found.p_value < 0.05)


def test_equivalence_errs_at_the_margin_once_in_twenty() -> None:
    draws = np.random.default_rng(5).normal(0.1, 0.02, (4000, 6))  # exactly on the margin
    found = np.mean([equivalence(draw, 0.1).p_value < 0.05 for draw in draws])
    assert abs(found - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 4000)


def test_holm_is_that_of_statsmodels_and_keeps_the_order() -> None:
    p_values = RNG.uniform(0, 0.2, 12) ** 2
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected, rtol=1e-12)
    assert holm([0.04]).tolist() == [0.04]
    assert holm([0.5, 0.9]).tolist() == [1, 1]


def test_holm_finds_something_where_nothing_is_once_in_twenty() -> None:
    draws = np.random.default_rng(6).normal(size=(3000, 7, 5))
    p_values = stats.ttest_1samp(draws, 0, axis=2).pvalue
    found = np.mean([(holm(row) < 0.05).any() for row in p_values])
    assert abs(found - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 3000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0], unit="class"), "1 class; expected two or more"),
        (lambda: mean_interval([1.0, math.nan], unit="seed"), "with 1 missing values"),
        (lambda: share_interval(5, 4), "5 successes in 4 trials"),
        (lambda: share_interval(0, 0), "0 successes in 0 trials"),
        (lambda: nested_share_interval([1], [5]), "two or more"),
        (lambda: nested_share_interval([6, 1], [5, 5]), "as many successes as trials"),
        (lambda: equivalence(SAMPLE, 0.0), "margin is 0.0; expected more than 0"),
        (lambda: holm([]), "expected one or more from 0 to 1"),
        (lambda: holm([0.1, 1.2]), "expected one or more from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
