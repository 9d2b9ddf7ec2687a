"""What the text of chapter 08 says of its records."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from vaebook.experiments import load_recorded, paired_differences, summarise
from vaebook.experiments.ch08_what_the_kl_does.beta_sweep import BETAS, load
from vaebook.plots import summary_text

KNOWN = load_recorded("aggregate_posterior")
SWEEP = load_recorded("beta_sweep")
RUNS = load_recorded("collapse")
SIZES = load_recorded("latent_sizes")
LAST = RUNS[RUNS["epoch"] == RUNS["epoch"].max()]
LOG_N = math.log(10_000)
CURES = ["warm-up", "two cycles", "free bits", "context dropout", "linear context"]


def told(
    frame: pd.DataFrame, by: str, value: str, digits: int, factor: float = 1.0
) -> dict[object, str]:
    """Means with their intervals as the text writes them, by condition."""
    rows = summarise(frame, [by], [value]).set_index(by)
    return rows.apply(summary_text, axis=1, digits=digits, factor=factor).to_dict()


@pytest.mark.parametrize(
    "record",
    [
        SWEEP.groupby("beta"),
        KNOWN.groupby(["std", "num_pictures"]),
        RUNS.groupby(["variant", "epoch"]),
        SIZES.groupby("latent_dim"),
    ],
    ids=["beta_sweep", "aggregate_posterior", "collapse", "latent_sizes"],
)
def test_every_record_has_five_seeds(record: pd.core.groupby.DataFrameGroupBy) -> None:
    assert (record["seed"].nunique() == 5).all()


# ---------------------------------------------------------------- the estimate of the information


def test_the_estimate_never_exceeds_log_n_and_that_of_batches_never_log_128() -> None:
    assert (KNOWN["mutual_information"] <= KNOWN["log_n"] + 1e-3).all()
    assert (KNOWN["minibatch"] <= math.log(128) + 1e-3).all()


def test_wide_posteriors_are_estimated_right_and_narrow_ones_miss_nine_nats() -> None:
    most = KNOWN[KNOWN["num_pictures"] == 10_000].groupby("std").mean()
    assert most.loc[0.7, "mutual_information"] == pytest.approx(most.loc[0.7, "truth"], abs=0.1)
    assert most.loc[0.1, "aggregate_kl"] == pytest.approx(9.2, abs=0.05)


# ---------------------------------------------------------------- rate and distortion


@pytest.fixture(scope="module")
def means() -> pd.DataFrame:
    """The sweep over its seeds, a row for each β."""
    return SWEEP.groupby("beta").mean()


def test_rates_of_training_and_held_out_dogs_differ_by_less_than_a_fifth_of_a_nat() -> None:
    assert (SWEEP["rate"] - SWEEP["train_rate"]).abs().max() < 0.2


def test_rate_falls_and_distortion_rises_with_every_step_of_beta(means: pd.DataFrame) -> None:
    assert list(means.index) == list(BETAS)
    assert (means["rate"].diff().dropna() < 0).all()
    assert (means["distortion"].diff().dropna() > 0).all()


@pytest.fixture(scope="module")
def secants() -> pd.DataFrame:
    """Slopes between neighbouring prices with their intervals, and the two prices."""
    wide = SWEEP.pivot_table(index="seed", columns="beta")
    rows = []
    for first, second in pairwise(BETAS):
        gained = wide["distortion"][second] - wide["distortion"][first]
        slope = gained / (wide["rate"][first] - wide["rate"][second])
        row = summarise(slope.rename("slope").reset_index(), [], ["slope"]).iloc[0]
        rows.append({"first": first, "second": second} | row[["mean", "low", "high"]].to_dict())
    return pd.DataFrame(rows).set_index("second", drop=False)


def test_four_of_eight_secants_lie_between_their_prices(secants: pd.DataFrame) -> None:
    within = secants["mean"].between(secants["first"], secants["second"])
    assert within.to_list() == [True, True, False, False, False, True, True, False]


def test_secants_from_4_to_36_are_too_steep_the_last_beyond_its_interval(
    secants: pd.DataFrame,
) -> None:
    steep = secants.loc[[9.0, 16.0, 36.0]]
    assert (steep["mean"] > steep["second"]).all()
    assert (steep["low"] > steep["second"]).to_list() == [False, False, True]


def test_the_last_secant_divides_by_thousandths_of_a_nat(means: pd.DataFrame) -> None:
    assert 0 < means.loc[196.0, "rate"] - means.loc[400.0, "rate"] < 0.01


def test_only_at_36_the_model_of_the_lower_price_is_ahead_for_certain_by_53_nats() -> None:
    wide = SWEEP.pivot_table(index="seed", columns="beta")
    ahead = {}
    for first, second in pairwise(BETAS):
        loss = wide["distortion"] + second * wide["rate"]
        gap = (loss[second] - loss[first]).rename("gap").reset_index()
        ahead[second] = summarise(gap, [], ["gap"]).iloc[0]
    assert [beta for beta, row in ahead.items() if row["low"] > 0] == [36.0]
    assert summary_text(ahead[36.0], 0) == "53 ± 21"


# ---------------------------------------------------------------- active dimensions


@pytest.fixture(scope="module")
def spreads() -> torch.Tensor:
    """Standard deviations of the dogs along their principal directions."""
    pixels = load().train.images.flatten(1)
    return torch.linalg.svdvals(pixels - pixels.mean(0)) / len(pixels) ** 0.5


def linear(spreads: torch.Tensor, beta: float) -> tuple[float, float]:
    """Rate and distortion, without the constant, of the best linear model of 16 numbers."""
    variances = (spreads[:16] ** 2).double()
    s2 = (beta * 0.01 / variances).clamp(max=1)
    return float(-0.5 * s2.log().sum()), float((variances * s2).sum() / 0.02)


def test_from_a_noise_of_1_4_on_nothing_is_bought() -> None:
    assert (SWEEP[SWEEP["noise"] >= 1.4]["active"] == 0).all()
    assert (SWEEP[SWEEP["noise"] < 1.4]["active"] > 0).all()


def test_at_1_4_a_linear_model_would_buy_one_direction_of_a_fifth_of_a_nat(
    spreads: torch.Tensor,
) -> None:
    assert 1.6 < float(spreads[0]) < 1.8
    assert int((spreads > 1.4).sum()) == 1
    assert linear(spreads, 196.0)[0] == pytest.approx(0.2, abs=0.05)


def test_at_0_6_and_0_9_seeds_differ_by_several_units(means: pd.DataFrame) -> None:
    for beta, nats in ((36.0, 2.5), (81.0, 1.1)):
        units = SWEEP[SWEEP["beta"] == beta]["active"]
        assert units.max() - units.min() >= 3
        assert means.loc[beta, "rate"] == pytest.approx(nats, abs=0.05)


def test_secants_of_the_linear_model_lie_between_their_prices(spreads: torch.Tensor) -> None:
    for first, second in pairwise(BETAS[:-1]):
        (r1, d1), (r2, d2) = linear(spreads, first), linear(spreads, second)
        assert r1 > r2
        assert first - 1e-9 <= (d2 - d1) / (r1 - r2) <= second + 1e-9
    assert linear(spreads, 400.0)[0] == 0


def test_at_a_price_of_9_the_network_buys_fewer_nats_than_a_linear_model_and_is_ahead(
    means: pd.DataFrame, spreads: torch.Tensor
) -> None:
    rate, distortion = linear(spreads, 9.0)
    distortion += float((spreads[16:] ** 2).sum()) / 0.02  # directions not described
    network = means.loc[9.0]
    left = network["distortion"] - 512 * math.log(2 * math.pi * 0.01)
    assert network["rate"] < rate
    assert left > distortion
    assert left + 9 * network["rate"] < distortion + 9 * rate - 20


# ---------------------------------------------------------------- the aggregate posterior


def test_the_aggregate_is_as_far_from_the_prior_as_chapter_6_says() -> None:
    bound = SWEEP["train_rate"] - LOG_N - 3 * SWEEP["split_error"]
    assert (SWEEP["aggregate_kl"] >= bound - 1e-3).all()
    assert (SWEEP["mutual_information"] < LOG_N + 1e-3).all()


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    """In how many seeds of five a test tells the codes from N(0, I), a row for each β."""
    p_values = SWEEP.set_index("beta")[["ks_p", "classifier_p", "mmd_p"]]
    return (p_values.assign(any=3 * p_values.min(axis=1)) < 0.01).groupby("beta").sum()


def test_some_test_tells_the_codes_in_every_seed_up_to_81_and_in_none_beyond(
    found: pd.DataFrame,
) -> None:
    assert found["any"].to_list() == [5, 5, 5, 5, 5, 5, 5, 0, 0]
    assert (found.loc[[196.0, 400.0]] == 0).all().all()


def test_at_36_and_81_the_classifier_tells_in_two_and_four_seeds_single_numbers_in_five_and_three(
    found: pd.DataFrame,
) -> None:
    assert found.loc[[36.0, 81.0], "classifier_p"].to_list() == [2, 4]
    assert found.loc[[36.0, 81.0], "ks_p"].to_list() == [5, 3]


def test_the_classifier_is_right_in_97_and_66_and_51_per_cent() -> None:
    right = told(SWEEP, "beta", "accuracy", 0, factor=100)
    assert [right[1.0], right[9.0], right[36.0]] == ["97 ± 1", "66 ± 3", "51 ± 2"]


def test_its_bound_is_4_9_nats_at_1_and_0_4_at_9() -> None:
    bound = told(SWEEP, "beta", "kl_bound", 1)
    assert [bound[1.0], bound[9.0]] == ["4.9 ± 0.8", "0.4 ± 0.2"]


def test_where_no_test_finds_anything_the_rate_is_below_a_hundredth() -> None:
    assert SWEEP[SWEEP["beta"] > 100]["train_rate"].max() < 0.01


def test_the_p_value_of_199_shuffles_is_never_below_0_005() -> None:
    assert SWEEP["mmd_p"].min() == 0.005


# ---------------------------------------------------------------- samples


def test_of_these_prices_4_gives_the_most_dogs(means: pd.DataFrame) -> None:
    assert means["prior_validity"].idxmax() == 4.0


def test_shares_of_dogs_at_1_and_4_and_none_in_the_end() -> None:
    aggregate = told(SWEEP, "beta", "aggregate_validity", 0, factor=100)
    prior = told(SWEEP, "beta", "prior_validity", 0, factor=100)
    assert [aggregate[1.0], prior[1.0]] == ["58 ± 11", "14 ± 8"]
    assert [aggregate[4.0], prior[4.0]] == ["61 ± 8", "52 ± 4"]
    assert aggregate[400.0] == prior[400.0] == "0 ± 0"


# ---------------------------------------------------------------- collapse and its cures


@pytest.fixture(scope="module")
def spent() -> pd.DataFrame:
    """Mean rate by epoch and variant."""
    return RUNS.pivot_table("rate", "epoch", "variant")


def test_a_large_beta_collapses_with_a_warm_up_and_without() -> None:
    collapsed = LAST["variant"].str.startswith("large beta")
    assert (LAST[collapsed]["test_rate"] < 0.1).all()


def test_a_warm_up_delays_the_collapse_at_a_large_beta_by_three_epochs(spent: pd.DataFrame) -> None:
    assert spent["large beta"].max() < 0.01
    late = spent["large beta, warm-up"]
    assert late[3] > 0.02
    assert late.loc[4:].max() < 0.01


def test_the_strong_decoder_takes_half_a_nat_at_most_and_ends_at_0_05(spent: pd.DataFrame) -> None:
    assert spent["strong decoder"].max() < 0.6
    assert spent["strong decoder"].idxmax() == 1
    assert told(LAST, "variant", "test_rate", 2)["strong decoder"] == "0.05 ± 0.05"
    assert LAST[LAST["variant"] == "strong decoder"]["active"].mean() < 1


def test_the_rate_of_the_warm_up_is_still_falling_at_the_end(spent: pd.DataFrame) -> None:
    assert 2.3 < spent["warm-up"][20] < spent["warm-up"][19] - 0.1
    assert spent["warm-up"][10] == pytest.approx(4.5, abs=0.05)
    assert spent["warm-up"][20] == pytest.approx(2.5, abs=0.05)


def test_a_linear_context_keeps_its_two_nats(spent: pd.DataFrame) -> None:
    assert spent["linear context"].loc[5:].between(1.9, 2.2).all()


def test_the_collapsed_model_has_the_best_elbo_of_all() -> None:
    elbo = LAST.groupby("variant")["nelbo"].mean()
    assert elbo.idxmin() == "strong decoder"
    assert elbo["strong decoder"] == pytest.approx(9.62, abs=0.005)
    assert elbo["plain decoder"] == pytest.approx(10.55, abs=0.005)


def test_every_cure_brings_the_rate_back_and_none_improves_the_elbo() -> None:
    more = paired_differences(LAST, "variant", "strong decoder", ["test_rate", "nelbo"])
    gains = more.pivot_table("mean", "variant", "value").loc[CURES]
    assert (gains["test_rate"] > 1.5).all()
    assert (gains["nelbo"] > 0.1).all()
    assert np.round(gains["nelbo"], 1).to_list() == [0.2, 0.2, 0.4, 1.0, 0.2]


def test_warm_up_and_cycles_are_hardly_better_models_by_importance_weights() -> None:
    more = paired_differences(LAST, "variant", "strong decoder", ["nll"]).set_index("variant")
    assert summary_text(more.loc["warm-up"], 2) == "−0.06 ± 0.07"
    assert summary_text(more.loc["two cycles"], 2) == "−0.07 ± 0.07"


# ---------------------------------------------------------------- two numbers against twenty


def test_twenty_numbers_buy_8_nats_and_gain_13_of_likelihood() -> None:
    rate = SIZES.groupby("latent_dim")["rate"].mean()
    assert np.round(rate[[2, 20]], 1).to_list() == [4.5, 8.0]
    nll = SIZES.pivot_table("nll", "seed", "latent_dim")
    gain = nll[2] - nll[20]
    assert (gain > 0).all()
    assert round(gain.mean()) == 13


def test_seven_to_seventeen_of_twenty_numbers_are_active() -> None:
    active = SIZES[SIZES["latent_dim"] == 20]["active"]
    assert (active.min(), active.max()) == (7, 17)
    assert round(active.mean()) == 11
