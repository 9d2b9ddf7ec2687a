"""Two-sample tests: right under the hypothesis, powerful against what each is for."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal, kl_divergence

from tests.properties import normal
from vaebook.distributions import mmd
from vaebook.metrics import classifier_test, kolmogorov_smirnov, mmd_test
from vaebook.metrics.latent.two_sample import _median_of_pairs, classifier_result


def correlated(seed: int, n: int, rho: float = 0.9) -> torch.Tensor:
    """Standard normal in each dimension, not jointly."""
    z = normal(seed, n, 2)
    return torch.stack([z[:, 0], rho * z[:, 0] + (1 - rho**2) ** 0.5 * z[:, 1]], 1)


def test_under_the_hypothesis_p_values_are_even() -> None:
    """40 pairs of samples of one distribution: Kolmogorov's test of their p-values."""
    pairs = [(normal(2 * k, 60, 2), normal(2 * k + 1, 60, 2)) for k in range(40)]
    mmd_p = [mmd_test(x, y, num_permutations=99, seed=k).p_value for k, (x, y) in enumerate(pairs)]
    marginal = [kolmogorov_smirnov(x, y).p_value[0].item() for x, y in pairs]
    for found in (mmd_p, marginal):
        assert stats.kstest(found, "uniform").pvalue > 0.01
    right = [classifier_test(x, y).accuracy for x, y in pairs[:10]]
    assert 0.42 < np.mean(right) < 0.58  # 600 coins: a standard deviation of 0.02


def test_a_shift_is_found_by_all_three() -> None:
    x, y = normal(1, 1000, 3), normal(2, 1000, 3) + torch.tensor([0.0, 0.0, 0.8])
    marginal = kolmogorov_smirnov(x, y)
    assert marginal.p_value[2] < 1e-6 < marginal.p_value[0]
    assert marginal.corrected == pytest.approx(3 * float(marginal.p_value.min()))
    assert classifier_test(x, y).p_value < 1e-4
    assert mmd_test(x, y).p_value == 1 / 200


def test_dependence_is_found_by_the_joint_tests_alone() -> None:
    x, y = correlated(1, 1000), normal(9, 1000, 2)
    assert kolmogorov_smirnov(x, y).corrected > 0.01
    assert classifier_test(x, y).p_value < 1e-6
    assert mmd_test(x, y).p_value == 1 / 200


def test_the_statistics_are_those_of_scipy_and_of_the_distance() -> None:
    for num_samples, method in ((101, "asymp"), (70, "exact")):
        x, y = normal(1, num_samples, 2), correlated(2, 50)
        found = kolmogorov_smirnov(x, y)
        expected = stats.ks_2samp(x[:, 1].numpy(), y[:, 1].numpy(), method=method)
        assert found.statistic[1].item() == pytest.approx(expected.statistic)
        assert found.p_value[1].item() == pytest.approx(expected.pvalue)
    median = torch.pdist(torch.cat([x, y])).square().median()
    direct = mmd(x, y, kernel="rbf", scales=(float(median) / 2,))
    assert mmd_test(x, y).statistic == pytest.approx(float(direct))


def test_the_classifiers_bound_is_below_the_divergence_and_not_far() -> None:
    """KL from correlated to independent is −½ log(1 − ρ²) = 0.83 nats."""
    rho = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    exact = float(
        kl_divergence(
            MultivariateNormal(torch.zeros(2), rho),
            MultivariateNormal(torch.zeros(2), torch.eye(2)),
        )
    )
    bound = classifier_test(correlated(1, 4000), normal(9, 4000, 2)).kl_bound
    # 2,000 held-out samples of each: a standard error of about 0.03
    assert 0.5 * exact < bound < exact + 0.1
    same = classifier_test(normal(3, 2000, 2), normal(4, 2000, 2)).kl_bound
    assert abs(same) < 0.05


def test_the_accuracy_is_that_of_the_best_rule() -> None:
    """Two normals two apart: the best rule is right with probability Φ(1) = 0.841."""
    x, y = normal(1, 4000, 1) + 2, normal(2, 4000, 1)
    found = classifier_test(x, y)
    assert found.accuracy == pytest.approx(stats.norm.cdf(1), abs=0.03)  # 4,000 counts: 0.006
    shuffled = classifier_test(*torch.cat([x, y])[torch.randperm(8000)].chunk(2))
    assert shuffled.accuracy == pytest.approx(0.5, abs=0.04)  # held out: nothing to learn


def test_a_p_value_is_never_zero_and_the_same_seed_gives_it_again() -> None:
    x, y = normal(1, 30, 2), normal(2, 30, 2) + 50
    assert mmd_test(x, y, num_permutations=9).p_value == 0.1
    x, y = normal(1, 30, 2), normal(2, 40, 2) + 0.2
    before = torch.get_rng_state()
    assert mmd_test(x, y, seed=1) == mmd_test(x, y, seed=1)
    assert classifier_test(x, y[:30], seed=1) == classifier_test(x, y[:30], seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\) and \(4, 3\)"):
        kolmogorov_smirnov(torch.zeros(4, 2), torch.zeros(4, 3))
    with pytest.raises(ValueError, match="as many of each"):
        classifier_test(normal(1, 30, 2), normal(2, 40, 2))
    with pytest.raises(ValueError, match=r"x has shape .* 2 or more samples"):
        mmd_test(normal(1, 1, 2), normal(2, 4, 2))
    with pytest.raises(ValueError, match="NaN"):
        mmd_test(normal(1, 4, 2), torch.full((4, 2), torch.nan))


def test_what_is_learned_by_heart_does_not_count() -> None:
    """Few samples of many numbers: the training half is learned, the other half is not."""
    found = classifier_test(normal(1, 1200, 300), normal(2, 1200, 300))
    assert 0.44 < found.accuracy < 0.56  # 1,200 coins: a standard deviation of 0.014


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_p_value_of_the_classifier_is_a_sum_of_coins(shift: float) -> None:
    """The chance of as many right answers or more, counted out."""
    found = classifier_test(normal(1, 40, 1) + shift, normal(2, 40, 1))
    total = 40
    right = round(found.accuracy * total)
    coins = sum(math.comb(total, k) for k in range(right, total + 1)) / 2**total
    assert found.p_value == pytest.approx(coins, rel=1e-9)
    assert 0.001 < coins < 0.999


@pytest.mark.parametrize("at_once", [1, 200, 2**22])
@pytest.mark.parametrize("n", [2, 3, 22])
def test_the_median_of_pairs_is_exact_in_any_blocks(
    n: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_inputs", "latent.two_sample"):
        monkeypatch.setattr(f"vaebook.metrics.{name}.AT_ONCE", at_once)
    tied = normal(1, n, 2).round()  # most of the distances are equal to others
    for samples in (normal(0, n, 3), tied, torch.zeros(n, 2).double()):
        expected = torch.pdist(samples).square().median()
        # two ways of adding up squares: a few units in the last place
        assert _median_of_pairs(samples) == pytest.approx(float(expected), rel=1e-14)


def test_blocks_do_not_change_the_mmd(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(1, 40, 2), normal(2, 50, 2) + 0.3
    whole = mmd_test(x, y)
    for name in ("_inputs", "latent.two_sample"):
        monkeypatch.setattr(f"vaebook.metrics.{name}.AT_ONCE", 1000)
    parts = mmd_test(x, y)
    assert parts.p_value == whole.p_value
    assert parts.statistic == pytest.approx(whole.statistic, rel=1e-12)


def test_a_classifier_learns_one_half_and_is_asked_about_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty-one of each: ten train it. Numbers come in units of the training half's spread."""
    x, y = torch.arange(21.0)[:, None].double(), 100 + 2 * torch.arange(21.0)[:, None].double()
    seen: dict[str, list[np.ndarray]] = {"trained": [], "asked": []}

    class Network:
        def __init__(self, *_: object, **__: object) -> None: ...

        def fit(self, rows: np.ndarray, labels: np.ndarray) -> None:
            assert labels.tolist() == [1] * 10 + [0] * 10
            seen["trained"] += [rows[:10, 0], rows[10:, 0]]

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            seen["asked"].append(rows[:, 0])
            chance = 1.0 if len(seen["asked"]) == 1 else 0.2
            return np.tile([1 - chance, chance], (len(rows), 1))

    monkeypatch.setattr("vaebook.metrics.latent.two_sample.MLPClassifier", Network)
    found = classifier_test(x, y)
    scale = 1 / np.diff(np.sort(np.concatenate([seen["trained"][0], seen["asked"][0]])))[0]
    trained = np.concatenate(seen["trained"]) * scale
    assert scale == pytest.approx(trained.std())
    for k, whole in enumerate((x, y)):
        parts = np.concatenate([seen["trained"][k], seen["asked"][k]]) * scale
        np.testing.assert_allclose(np.sort(parts), whole[:, 0])
        assert len(seen["asked"][k]) == 11
    assert found.accuracy == 1
    assert found.p_value == pytest.approx(0.5**22)
    # a certain answer counts as one of 0.9999
    assert found.kl_bound == pytest.approx(1 + math.log(0.9999 / 1e-4) - 0.2 / 0.8)


def test_twenty_of_each_are_enough() -> None:
    classifier_test(normal(1, 20, 2), normal(2, 20, 2))
    with pytest.raises(ValueError, match="19 and 19 samples; expected as many of each"):
        classifier_test(normal(1, 19, 2), normal(2, 19, 2))
    assert mmd_test(normal(1, 2, 2), normal(2, 2, 2), num_permutations=1).p_value in (0.5, 1.0)


def test_right_answers_are_counted_and_a_logit_of_zero_says_second() -> None:
    found = classifier_result(np.array([2.0, -1.0, 0.0]), np.array([0.0, -3.0, 1.0]))
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.p_value == pytest.approx(sum(math.comb(6, k) for k in range(3, 7)) / 2**6)
    assert found.kl_bound == pytest.approx(1 + 1 / 3 - (1 + math.exp(-3) + math.e) / 3)


def test_few_samples_are_counted_exactly() -> None:
    """One sample beyond three others: by its rank alone, two times in four."""
    found = kolmogorov_smirnov(torch.tensor([[0.0, 1.0]]), normal(1, 3, 2) + 10)
    assert found.statistic.tolist() == [1.0, 1.0]
    torch.testing.assert_close(found.p_value, torch.full((2,), 0.5))
    few = kolmogorov_smirnov(normal(1, 1, 2), normal(2, 1, 2))
    torch.testing.assert_close(few.p_value, torch.ones(2))
    with pytest.raises(ValueError, match="a row for each sample"):
        kolmogorov_smirnov(torch.zeros(0, 2), torch.zeros(3, 2))
