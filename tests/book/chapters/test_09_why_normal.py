"""What the text of chapter 09 says of its records."""

import pandas as pd
import pytest
import torch
from torch.distributions import Beta

from vaebook.experiments import intervals, load_recorded, paired_differences, summarise
from vaebook.experiments.ch09_why_normal.records import load_trial
from vaebook.plots import interval_text, summary_text

TRIAL = load_trial()
PUSHED = load_recorded("prior_pushforward")
MODELS = [
    *("normal", "normal at 3", "normal, full posterior", "learned normal", "Laplace", "uniform"),
    *("sphere", "mixture", "VampPrior", "flow", "discrete codes, independent", "discrete codes"),
    *("Wasserstein", "normal + mixture", "Wasserstein + mixture", "autoencoder + mixture"),
]


@pytest.fixture(scope="module")
def dogs() -> pd.Series:
    """Share of dogs of each model with its interval, in per cent."""
    return intervals(TRIAL, ["model"], ["validity"])["validity"]


@pytest.fixture(scope="module")
def gains() -> pd.DataFrame:
    """Each model less the normal one of the same seed."""
    rows = paired_differences(TRIAL, "model", "normal", ["nll", "validity", "rate"])
    return rows.set_index(["value", "model"])


# ---------------------------------------------------------------- the same model elsewhere


def test_in_other_coordinates_the_model_is_the_same_to_rounding() -> None:
    assert PUSHED["seed"].nunique() == 5
    gaps = PUSHED[["log_ratio_gap", "elbo_gap", "trained_gap"]]
    assert (gaps < 1e-9).all().all()


def test_at_the_uniform_the_mean_of_a_beta_can_move_and_the_mode_cannot() -> None:
    where = torch.tensor([0.3, 0.7])
    by_mean = Beta(2 * where, 2 * (1 - where)).mean
    by_mode = Beta(1 + 0 * where, 1 + 0 * (1 - where)).mean
    assert float(by_mean.diff()) > 0.3
    assert float(by_mode.diff()) == 0


# ---------------------------------------------------------------- the trial


def test_sixteen_ways_to_draw_dogs_with_five_seeds_each_and_none_broke_down() -> None:
    assert set(TRIAL["model"]) == set(MODELS)
    assert len(MODELS) == 16
    assert (TRIAL.groupby("model")["seed"].nunique() == 5).all()
    assert TRIAL["failed"].isna().all()


def test_only_for_discrete_codes_the_nll_is_a_bound_and_autoencoders_have_none() -> None:
    kinds = TRIAL.groupby("nll_kind")["model"].unique()
    assert sorted(kinds["bound"]) == ["discrete codes", "discrete codes, independent"]
    without = TRIAL[TRIAL["nll"].isna()]["model"].unique()
    assert sorted(without) == ["Wasserstein", "Wasserstein + mixture", "autoencoder + mixture"]


def test_a_normal_at_3_costs_3_nats_and_23_points(gains: pd.DataFrame) -> None:
    assert round(gains.loc[("nll", "normal at 3"), "mean"]) == 3
    points = gains.loc[("validity", "normal at 3")]
    assert round(100 * points["mean"]) == -23
    assert points["high"] < 0


@pytest.mark.parametrize("model", ["learned normal", "mixture", "flow"])
def test_these_learned_priors_cannot_be_told_from_the_normal(
    model: str, gains: pd.DataFrame
) -> None:
    for value in ("nll", "validity"):
        row = gains.loc[(value, model)]
        assert row["low"] < 0 < row["high"]


def test_the_vampprior_is_3_nats_worse(gains: pd.DataFrame) -> None:
    row = gains.loc[("nll", "VampPrior")]
    assert round(row["mean"]) == 3
    assert row["low"] > 0


def test_the_best_other_prior_is_the_mixture_and_differs_by_a_nat(gains: pd.DataFrame) -> None:
    others = ["learned normal", "Laplace", "uniform", "sphere", "mixture", "VampPrior", "flow"]
    assert gains.loc["nll"].loc[others, "mean"].idxmin() == "mixture"
    assert summary_text(gains.loc[("nll", "mixture")], 1) == "−1.0 ± 2.3"


def test_laplace_gives_10_points_fewer_dogs_and_cannot_be_told_in_nats(
    gains: pd.DataFrame,
) -> None:
    points, nats = (gains.loc[(value, "Laplace")] for value in ("validity", "nll"))
    assert summary_text(points, 0, factor=100) == "−10 ± 5"
    assert points["high"] < 0
    assert nats["low"] < 0 < nats["high"]


def test_sphere_and_vampprior_cost_more_nats(gains: pd.DataFrame) -> None:
    worse = [name for name in MODELS[4:10] if gains.loc[("nll", name), "low"] > 0]
    assert worse == ["sphere", "VampPrior"]


@pytest.mark.parametrize("model", ["uniform", "sphere"])
def test_cube_and_sphere_give_a_third_to_a_half_fewer_dogs(
    model: str, dogs: pd.Series, gains: pd.DataFrame
) -> None:
    fewer = 1 - dogs[model][0] / dogs["normal"][0]
    assert 0.3 < fewer < 0.5
    assert gains.loc[("validity", model), "high"] < 0


def test_the_full_posterior_is_20_nats_worse(gains: pd.DataFrame) -> None:
    assert round(gains.loc[("nll", "normal, full posterior"), "mean"]) == 20


def test_discrete_codes_drawn_in_turn_give_10_points_more_and_alone_fewer(
    gains: pd.DataFrame,
) -> None:
    in_turn = gains.loc[("validity", "discrete codes")]
    assert summary_text(in_turn, 0, factor=100) == "10 ± 5"
    assert in_turn["low"] > 0
    assert gains.loc[("validity", "discrete codes, independent"), "high"] < 0
    assert round(gains.loc[("nll", "discrete codes"), "mean"]) == 6


def test_the_wasserstein_autoencoder_draws_badly_from_its_prior_and_well_from_a_mixture(
    gains: pd.DataFrame,
) -> None:
    assert gains.loc[("validity", "Wasserstein"), "high"] < 0
    assert gains.loc[("validity", "Wasserstein + mixture"), "low"] > 0


def test_an_autoencoder_and_ten_normals_give_80_per_cent_dogs_the_vaes_65_at_most(
    dogs: pd.Series, gains: pd.DataFrame
) -> None:
    share = {model: round(100 * mean) for model, (mean, _, _) in dogs.items()}
    assert share["autoencoder + mixture"] == max(share.values()) == 80
    assert gains.loc[("validity", "autoencoder + mixture"), "low"] > 0
    own_prior = MODELS[: MODELS.index("flow") + 1]
    assert max(share[model] for model in own_prior) == share["mixture"] == 65


def test_how_much_longer_the_learned_priors_take_to_train_than_a_learned_normal() -> None:
    seconds = TRIAL.pivot_table("seconds", "seed", "model")
    longer = seconds.div(seconds["learned normal"], axis=0).mean()[["flow", "VampPrior", "mixture"]]
    assert longer.round(1).tolist() == [1.8, 1.4, 1.0]


# ---------------------------------------------------------------- what a better prior could win


def test_in_every_seed_a_mixture_fitted_afterwards_lowers_the_rate() -> None:
    rate = TRIAL.pivot_table("rate", "seed", "model")
    assert (rate["normal"] > rate["normal + mixture"]).all()


def test_it_saves_0_8_of_twelve_nats_and_brings_14_points(gains: pd.DataFrame) -> None:
    assert summary_text(gains.loc[("rate", "normal + mixture")], 1) == "−0.8 ± 0.1"
    assert summary_text(gains.loc[("validity", "normal + mixture")], 0, factor=100) == "14 ± 8"
    rate = summarise(TRIAL[TRIAL["model"] == "normal"], [], ["rate"]).iloc[0]
    assert interval_text(*rate[["mean", "low", "high"]], 1) == "11.9 ± 0.4"
