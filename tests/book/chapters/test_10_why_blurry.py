"""What the text of chapter 10 says of its records."""

import pandas as pd
import pytest

from vaebook.experiments import intervals, load_recorded, paired_differences, summarise
from vaebook.experiments.claims.c7_conflict import shares_of_conflict
from vaebook.plots import interval_text, summary_text

CAUSES = load_recorded("blur_causes")
CROSS = load_recorded("blur_cross")
CLOTHES = load_recorded("blur_fashion")
VAES = ["σ = 0.1", "σ = 0.2", "σ = 0.4", "learned σ"]
NARROW = ["σ = 0.1", "learned σ"]
FRESH = "decoder, fresh"
BRACKET = ["f*, fresh, itself included", "f*, fresh, itself left out"]


def by_seed(value: str) -> pd.DataFrame:
    """A measure of the dogs by variant and seed, a column for each step."""
    return CAUSES.pivot_table(value, ["variant", "seed"], "step")


@pytest.fixture(scope="module")
def sharp() -> pd.DataFrame:
    return by_seed("sharpness")


@pytest.fixture(scope="module")
def error() -> pd.DataFrame:
    return by_seed("error")


@pytest.mark.parametrize("record", [CAUSES, CROSS, CLOTHES], ids=["dogs", "knobs", "clothes"])
def test_every_record_has_five_seeds(record: pd.DataFrame) -> None:
    assert record["seed"].nunique() == 5


# ---------------------------------------------------------------- the error and its parts


def test_error_is_overlap_and_the_decoders_own_part(error: pd.DataFrame) -> None:
    """To the accuracy of 2,000 codes."""
    total = (error["f* at aggregate"] + error["decoder against f*"]).loc[VAES]
    assert (total / error["decoder at aggregate"].loc[VAES] - 1).abs().max() < 0.03


def test_two_thirds_of_the_error_at_0_4_is_overlap_and_none_where_nats_are_cheap(
    error: pd.DataFrame,
) -> None:
    share = (error["f* at aggregate"] / error["decoder at aggregate"]).groupby("variant").mean()
    assert 0.64 < share["σ = 0.4"] < 0.72
    assert (share[NARROW] < 0.005).all()


def test_a_dog_is_sent_for_more_than_20_nats_where_they_are_cheap_and_for_7_at_0_4() -> None:
    rate = CAUSES.groupby("variant")["rate"].mean()
    assert (rate[NARROW] > 20).all()
    assert round(rate["σ = 0.4"]) == 7


# ---------------------------------------------------------------- from reconstruction to sample


def test_samples_of_the_prior_are_less_sharp_than_the_network_at_training_codes(
    sharp: pd.DataFrame,
) -> None:
    assert (sharp["decoder at aggregate"] > sharp["decoder at prior"]).all()


def shares_of_causes(sharp: pd.DataFrame) -> pd.DataFrame:
    """Of what a sample lacks in sharpness, each cause's share in per cent, by VAE."""
    steps = ["f* at aggregate", "decoder at aggregate", "decoder at prior"]
    f_star, network, sample = (sharp.loc[VAES, step] for step in steps)
    parts = {"overlap": 1 - f_star, "decoder": f_star - network, "prior": network - sample}
    shares = 100 * pd.DataFrame(parts).div(1 - sample, axis=0)
    assert (shares.sum(axis=1) - 100).abs().max() < 1e-9
    return shares.groupby("variant").mean().round()


def test_overlap_makes_two_thirds_of_the_blur_of_samples_at_0_4_and_none_where_nats_are_cheap(
    sharp: pd.DataFrame,
) -> None:
    shares = shares_of_causes(sharp)
    assert shares.loc["σ = 0.4"].to_list() == [67, 27, 6]
    assert (shares.loc[NARROW, "overlap"] == 0).all()
    halves = shares.loc[NARROW, ["decoder", "prior"]]
    assert ((halves >= 43) & (halves <= 57)).all().all()


@pytest.mark.parametrize("variant", NARROW)
def test_reconstructions_of_less_noise_are_sharp_and_their_samples_are_not(
    variant: str, sharp: pd.DataFrame
) -> None:
    mean = sharp.loc[variant].mean()
    assert mean["reconstruction"] > 0.6
    assert mean["decoder at fitted"] > 0.55
    assert mean["decoder at prior"] < 0.4


def test_at_0_4_samples_and_reconstructions_are_alike(sharp: pd.DataFrame) -> None:
    mean = sharp.loc["σ = 0.4"].mean()
    assert 0.4 < mean["decoder at prior"] < 0.45
    assert mean["reconstruction"] < 0.45


# ---------------------------------------------------------------- dogs never seen


def test_the_bracket_is_one_and_at_small_noise_wide_open(error: pd.DataFrame) -> None:
    low, high = (error.loc[VAES, step] for step in BRACKET)
    assert (low < high).all()
    part = (low / error.loc[VAES, FRESH]).groupby("variant").mean()
    assert (part[NARROW] < 0.02).all()


def test_84_to_90_per_cent_of_the_error_on_new_dogs_is_overlap_at_0_4(error: pd.DataFrame) -> None:
    here = error.loc["σ = 0.4"]
    assert [round(100 * (here[step] / here[FRESH]).mean()) for step in BRACKET] == [84, 90]


def test_86_to_93_per_cent_of_the_lost_sharpness_is_overlap_at_0_4(sharp: pd.DataFrame) -> None:
    lost, missing = by_seed("lost").loc["σ = 0.4"], 1 - sharp.loc["σ = 0.4", FRESH]
    assert [round(100 * (lost[step] / missing).mean()) for step in BRACKET] == [86, 93]


# ---------------------------------------------------------------- without the KL term


def conflict(record: pd.DataFrame) -> pd.DataFrame:
    return summarise(shares_of_conflict(record), ["variant"], ["reconstructions", "samples"])


def test_without_0_4_every_share_is_below_a_third_so_the_rule_would_say_no() -> None:
    shares = pd.concat([conflict(CAUSES), conflict(CLOTHES)])
    others = shares[shares["variant"] != "σ = 0.4"]
    assert len(others) == 12
    assert (others["high"] < 1 / 3).all()


def test_a_model_without_a_kl_term_loses_a_third_of_the_sharpness(sharp: pd.DataFrame) -> None:
    assert sharp.loc["autoencoder", "reconstruction"].mean() == pytest.approx(0.68, abs=0.005)


def test_dropping_the_term_gives_back_two_fifths_a_seventh_and_nothing_where_learned() -> None:
    rows = conflict(CAUSES).set_index(["value", "variant"]).loc["reconstructions"]
    assert summary_text(rows.loc["σ = 0.4"], 0, factor=100) == "42 ± 7"
    assert round(1 / rows.loc["σ = 0.1", "mean"]) == 7
    assert rows.loc["learned σ", "low"] < 0 < rows.loc["learned σ", "high"]


def test_on_clothes_the_terms_share_is_2_to_6_per_cent_and_55_are_lost_without_it() -> None:
    shares = 100 * conflict(CLOTHES).set_index("value").loc["reconstructions", "mean"]
    assert [round(shares.min()), round(shares.max())] == [2, 6]
    rebuilt = CLOTHES[CLOTHES["step"] == "reconstruction"]
    alone = rebuilt[rebuilt["variant"] == "autoencoder"]["sharpness"].mean()
    assert round(100 * (1 - alone)) == 55


def test_clothes_are_drawn_with_less_than_half_their_sharpness_and_sampled_with_less() -> None:
    mean = CLOTHES.pivot_table("sharpness", "variant", "step")
    assert (mean["decoder at prior"] < mean["reconstruction"]).all()
    assert (mean["reconstruction"] < 0.5).all()


# ---------------------------------------------------------------- the power spectrum


def power(variant: str, frequency: int) -> float:
    """Mean power of reconstructions at a frequency, relative to real dogs."""
    rebuilt = CAUSES[(CAUSES["variant"] == variant) & (CAUSES["step"] == "reconstruction")]
    return float(rebuilt[f"power_{frequency}"].mean())


def test_power_at_2_and_at_12_cycles() -> None:
    models = ("autoencoder", "learned σ", "σ = 0.4")
    assert [round(power(model, 2), 1) for model in models] == [1.0, 1.0, 0.9]
    assert [round(power(model, 12), 2) for model in models] == [0.25, 0.28, 0.07]


def test_broad_shapes_are_there_up_to_four_cycles_at_0_4_up_to_two() -> None:
    for model in ("autoencoder", "learned σ"):
        assert min(power(model, k) for k in range(1, 5)) > 0.9
    assert power("σ = 0.4", 4) < 0.8


def test_samples_of_the_learned_noise_have_lost_half_of_the_broad_shapes() -> None:
    drawn = CAUSES[(CAUSES["variant"] == "learned σ") & (CAUSES["step"] == "decoder at prior")]
    power_left = drawn[[f"power_{k}" for k in range(1, 5)]].mean()
    assert power_left.between(0.4, 0.52).all()


# ---------------------------------------------------------------- knobs


@pytest.fixture(scope="module")
def rebuilt() -> pd.DataFrame:
    """Sharpness of reconstructions by knob and setting."""
    rows = CROSS[CROSS["step"] == "reconstruction"]
    return rows.assign(change=rows["knob"] + ": " + rows["setting"])


def test_the_reference_has_a_sharpness_of_0_40(rebuilt: pd.DataFrame) -> None:
    mean = rebuilt.groupby("change")["sharpness"].mean()
    assert round(mean["reference: VAE"], 2) == 0.40


def test_training_length_moves_the_blur_most(rebuilt: pd.DataFrame) -> None:
    rows = paired_differences(rebuilt, "change", "reference: VAE", ["sharpness"])
    change = rows.set_index("change")["mean"].round(2)
    assert change["steps: a fifth"] == change.min() == -0.31
    assert change["steps: four times"] == 0.22
    others = change[~change.index.str.startswith("steps")].abs().sort_values(ascending=False)
    assert set(others.index[:2]) == {"width: 128", "code size: 2"}
    assert change[["width: 128", "code size: 2"]].to_list() == [-0.14, -0.14]
    assert change["code size: 64"] == 0.08
    assert change["reference: no KL"] == 0.10
    assert (change[["data: 1,000", "data: 40,000"]].abs() <= 0.05).all()


def test_the_laplace_likelihood_cannot_be_told_from_the_gaussian(rebuilt: pd.DataFrame) -> None:
    rows = paired_differences(rebuilt, "change", "reference: VAE", ["sharpness"])
    assert summary_text(rows.set_index("change").loc["likelihood: Laplace"], 2) == "−0.02 ± 0.05"


def test_after_four_times_the_steps_the_model_without_a_kl_term_is_ahead(
    rebuilt: pd.DataFrame,
) -> None:
    longer = rebuilt[rebuilt["change"].str.startswith("steps: four times")]
    ahead = paired_differences(longer, "change", "steps: four times", ["sharpness"])
    assert summary_text(ahead.set_index("change").loc["steps: four times, no KL"], 2) == (
        "0.05 ± 0.03"
    )


def test_a_code_of_two_has_blurred_reconstructions_and_sharper_samples(
    rebuilt: pd.DataFrame,
) -> None:
    rows = paired_differences(rebuilt, "change", "reference: VAE", ["sharpness"])
    assert rows.set_index("change").loc["code size: 2", "high"] < 0
    drawn = CROSS[CROSS["step"] == "decoder at prior"]
    drawn = drawn.assign(change=drawn["knob"] + ": " + drawn["setting"])
    rows = paired_differences(drawn, "change", "reference: VAE", ["sharpness"])
    assert rows.set_index("change").loc["code size: 2", "low"] > 0


def test_64_numbers_recover_a_seventh_of_what_the_dogs_lacked(rebuilt: pd.DataFrame) -> None:
    mean = rebuilt.groupby("change")["sharpness"].mean()
    lacked = 1 - mean["reference: VAE"]
    gained = mean["code size: 64"] - mean["reference: VAE"]
    assert gained / lacked == pytest.approx(1 / 7, abs=0.015)


def test_the_boxs_number_is_that_of_the_table() -> None:
    share = intervals(shares_of_conflict(CAUSES), ["variant"], ["reconstructions"])
    cell = share.loc["σ = 0.4", "reconstructions"]
    assert interval_text(*cell, 0, factor=100) == "42 ± 7"
