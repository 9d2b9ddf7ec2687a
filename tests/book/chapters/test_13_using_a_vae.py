"""What the text of chapter 13 says of its records, and of its solutions."""

import pandas as pd
import pytest
import torch

from vaebook.data import load_dogs, load_fashion
from vaebook.experiments import load_pictures, load_recorded, paired_differences, summarise
from vaebook.experiments.ch13_using_a_vae import importance_bound, imputation, rules
from vaebook.metrics import importance_log_weights, log_mean_weight
from vaebook.models import IncompleteGaussian, ProbabilisticPCA

SIMPLE = load_recorded("simple_pictures").query("trained_on == 'clothes'")
BOUND = load_recorded("importance_bound")
FOUND = load_recorded("anomalies")
EACH_CLASS = FOUND.pivot_table("auroc", "held_out", "score")
HALVES = load_recorded("inpainting")
TOLD = load_recorded("class_conditional").groupby("variant").mean()
TABLES = load_recorded("imputation")
GAPS = TABLES.pivot_table("rmse", "method", ["table", "share"])
FEATURES = load_recorded("features").pivot_table("accuracy", "features", "labels")


# ---------------------------------------------------------------- pictures that a VAE finds strange

DIM = ["half as bright", "a tenth as bright", "blurred"]


@pytest.fixture(scope="module")
def noticed() -> pd.DataFrame:
    """AUROC of the VAE's −log p(x), a row for each kind of picture."""
    of_vae = SIMPLE[SIMPLE["score"] == "VAE: NLL"]
    return summarise(of_vae, ["strange"], ["auroc"]).set_index("strange")


def test_dim_and_blurred_clothes_pass_as_more_probable_than_real_ones(
    noticed: pd.DataFrame,
) -> None:
    assert (noticed.loc[DIM, "high"] < 0.5).all()
    assert noticed.loc["half as bright", "mean"] == pytest.approx(1 / 20, abs=0.01)
    assert noticed.loc["a tenth as bright", "mean"] < 0.001


def test_inverted_clothes_shuffled_pixels_and_noise_are_found(noticed: pd.DataFrame) -> None:
    found = noticed.loc[["inverted", "pixels shuffled", "noise"]]
    assert (found["low"] > 0.9).all()
    assert (found["mean"].round(2) >= 0.99).all()


def test_one_black_picture_beats_the_average_photograph_by_almost_400_nats() -> None:
    of_vae = SIMPLE[SIMPLE["score"] == "VAE: NLL"]
    assert 380 < (of_vae["mean_normal"] - of_vae["black"]).mean() < 400


def test_other_scores_are_fooled_alike_and_the_neighbours_a_little_less() -> None:
    scores = SIMPLE.pivot_table("auroc", "score", "strange")
    assert (scores.loc[["VAE: reconstruction error", "PCA: NLL"], DIM] < 0.11).all(axis=None)
    assert round(scores.loc["nearest neighbours", "half as bright"], 2) == 0.22


def test_every_photograph_has_a_bright_pixel_and_the_dim_ones_have_none() -> None:
    clothes = load_fashion()
    brightest = [split.images.amax((1, 2, 3)) for _, split in clothes.splits()]
    assert len(torch.cat(brightest)) == 13_000
    assert torch.cat(brightest).min() > 0.99
    assert load_pictures("simple_pictures")["half as bright"].max() < 0.51


# ---------------------------------------------------------------- log p(x)


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    """Estimates of log p(x), a row for each model and proposal, a column for each K."""
    drawn = BOUND[BOUND["proposal"] != "500 dogs"]
    return drawn.pivot_table("log_p", ["model", "proposal"], "num_samples")


def test_every_curve_rises_seed_by_seed() -> None:
    drawn = BOUND[BOUND["proposal"] != "500 dogs"]
    curves = drawn.pivot_table("log_p", ["model", "proposal", "seed"], "num_samples")
    assert curves.shape == (3 * 4 * 5, 5)
    assert (curves.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_on_the_linear_model_q_is_short_and_the_wider_proposal_exact() -> None:
    gap = BOUND[BOUND["model"] == "linear"].pivot_table("gap", "proposal", "num_samples")
    assert gap.loc["q(z | x)", [1, 10_000]].round(1).tolist() == [2.7, 0.1]
    assert abs(gap.loc["1.5 times as wide", 10_000]) < 0.01
    assert round(gap.loc["1.5 times as wide", 1] - gap.loc["q(z | x)", 1], 1) == 3.5
    assert round(gap.loc["half as wide", 10_000], 1) == 2.8


def test_the_interval_of_q_holds_the_truth_in_six_cases_of_ten() -> None:
    last = BOUND[(BOUND["model"] == "linear") & (BOUND["num_samples"] == 10_000)]
    covered = last.groupby("proposal")["covered"].mean()
    assert covered["q(z | x)"] == pytest.approx(0.6, abs=0.03)
    assert covered["half as wide"] < 0.2


def test_with_a_learned_sigma_the_curve_of_q_has_not_converged(curves: pd.DataFrame) -> None:
    learned = curves.loc["learned σ"]
    gained = learned[10_000] - learned[1000]
    assert gained[["q(z | x)", "Laplace"]].round(1).tolist() == [2.6, 0.4]
    more = learned[10_000] - learned.loc["q(z | x)", 10_000]
    assert more[["1.5 times as wide", "Laplace"]].round().tolist() == [6, 24]


def test_256_components_beat_the_vae_by_a_thousand_nats() -> None:
    dogs = BOUND[BOUND["proposal"] == "500 dogs"].groupby("model")["log_p"].mean()
    models = ["PCA 16", "learned σ", "PCA 64", "PCA 256"]
    assert dogs[models].round().tolist() == [1351, 1417, 1828, 2580]


# ---------------------------------------------------------------- a class held out


@pytest.fixture(scope="module")
def ranking() -> pd.DataFrame:
    """AUROC over ten classes, a row for each score."""
    mean = FOUND.groupby(["seed", "score"], as_index=False)["auroc"].mean()
    return summarise(mean, ["score"], ["auroc"]).set_index("score")


def test_neighbours_find_most_and_the_vae_more_than_components(ranking: pd.DataFrame) -> None:
    assert ranking["mean"].idxmax() == "nearest neighbours"
    assert ranking.loc["nearest neighbours", "low"] > 0.71
    scores = ["nearest neighbours", "VAE: NLL", "PCA: NLL"]
    assert ranking.loc[scores, "mean"].round(2).tolist() == [0.72, 0.70, 0.68]


def test_all_ways_to_read_the_misfit_agree_within_half_a_point(ranking: pd.DataFrame) -> None:
    ways = ["NLL", "−ELBO", "reconstruction probability", "reconstruction error"]
    means = ranking.loc[[f"VAE: {way}" for way in ways], "mean"]
    assert means.max() - means.min() < 0.005
    autoencoder = ranking.loc["autoencoder: reconstruction error", "mean"]
    assert autoencoder == pytest.approx(0.70, abs=0.005)


def test_a_predicted_sigma_has_seven_points_less(ranking: pd.DataFrame) -> None:
    less = ranking.loc["VAE: NLL", "mean"] - ranking.loc["VAE, predicted σ: NLL", "mean"]
    assert round(100 * less) == 7
    assert round(EACH_CLASS.loc["Sneaker", "VAE, predicted σ: NLL"], 2) == 0.22


def test_the_code_alone_is_a_coin_on_average(ranking: pd.DataFrame) -> None:
    assert ranking.loc[["VAE: rate", "VAE: code norm"], "mean"].between(0.45, 0.55).all()
    rate = EACH_CLASS["VAE: rate"].round(2)
    assert rate[["Ankle boot", "Sandal"]].tolist() == [0.82, 0.09]


def test_the_threshold_keeps_its_promise_and_detects_15_to_17_percent() -> None:
    rates = FOUND.groupby("score")[["false_alarms", "detected"]].mean()
    assert (rates["false_alarms"] - 0.05).abs().max() < 0.02
    best = rates.loc[["nearest neighbours", "PCA: NLL", "VAE: NLL"], "detected"]
    assert best.between(0.145, 0.175).all()


def over(units: pd.DataFrame, method: str, rival: str) -> pd.Series:
    """The method less its rival with a unit, such as a class, for a seed."""
    units = units.rename_axis("seed").reset_index()
    units["lead"] = units[method] - units[rival]
    return summarise(units, [], ["lead"]).iloc[0]


@pytest.mark.parametrize(
    ("rival", "lead", "half"), [("nearest neighbours", -2.5, 3.0), ("PCA: NLL", 2.0, 5.0)]
)
def test_with_the_class_as_the_unit_no_lead_is_resolved(
    rival: str, lead: float, half: float
) -> None:
    row = over(100 * EACH_CLASS, "VAE: NLL", rival)
    assert row["mean"] == pytest.approx(lead, abs=0.1)
    assert row["high"] - row["mean"] == pytest.approx(half, abs=0.1)


# ---------------------------------------------------------------- half a dog


@pytest.fixture(scope="module")
def completed() -> pd.DataFrame:
    """Means of each method's completions."""
    return HALVES.groupby("method").mean()


def test_for_one_best_guess_the_regression_is_better_in_every_seed() -> None:
    error = HALVES.pivot_table("mean", "seed", "method")
    assert (error["conditional VAE, learned prior"] > error["regression network"]).all()
    assert len(error) == 5


def test_the_nearest_dog_is_most_often_a_dog(completed: pd.DataFrame) -> None:
    assert completed["dogs"].idxmax() == "nearest neighbours"
    assert completed.loc["conditional Gaussian", "dogs"] == pytest.approx(0.04, abs=0.005)


def test_of_several_guesses_the_regression_has_only_its_one(completed: pd.DataFrame) -> None:
    network = completed.loc["regression network"]
    assert network["best"] == pytest.approx(network["one"], abs=1e-6)
    best = completed["best"].round(3)
    assert best["conditional VAE, learned prior"] == 0.074
    assert best["nearest neighbours"] == 0.073


def test_copying_the_other_half_beats_the_model_in_three_columns_and_ties_in_two() -> None:
    model = "conditional VAE, learned prior"
    columns = ["mean", "one", "best", "calibration", "dogs"]
    lead = paired_differences(HALVES, "method", model, columns).set_index(["method", "value"])
    lead = lead.loc["nearest neighbours"]
    assert lead.loc["mean", "high"] < 0
    assert lead.loc["dogs", "low"] > 0
    tied = (lead["low"] < 0) & (lead["high"] > 0)
    assert lead.index[tied].tolist() == ["one", "best"]
    assert HALVES.groupby("method")["calibration"].mean()[model] == pytest.approx(0.7, abs=0.01)


# ---------------------------------------------------------------- who is told the class


def test_the_decoder_must_be_told() -> None:
    assert (TOLD.loc[["both", "decoder only"], "asked"] > 0.9).all()
    deaf = ["encoder only", "neither", "decoder only, weak label"]
    assert (TOLD.loc[deaf, "asked"] < 0.2).all()


def test_where_the_code_is_nearly_free_the_label_is_mostly_ignored() -> None:
    free = TOLD.loc["decoder only, β = 0.01"]
    assert round(free["rate"]) == 43
    assert round(100 * free["asked"]) == 28


def test_the_encoder_writes_less_of_the_class_into_the_code_if_it_knows_the_label() -> None:
    probe = (100 * TOLD["probe"]).round()
    assert probe[["decoder only", "both"]].tolist() == [63, 34]


def test_the_label_gains_4_2_nats() -> None:
    assert 4.1 < TOLD.loc["neither", "neg_elbo"] - TOLD.loc["both", "neg_elbo"] < 4.3


# ---------------------------------------------------------------- gaps in tables


def test_a_gaussian_is_best_on_average_and_the_vae_on_half_empty_wine() -> None:
    best = GAPS.idxmin()
    assert best["wine", 0.5] == "VAE, 5 samples"
    assert best["diabetes", 0.5] == best["cancer", 0.5] == "Gaussian"
    assert GAPS.mean(axis=1).idxmin() == "Gaussian"
    wine = GAPS["wine", 0.5].drop("VAE, 5 samples")
    assert round(GAPS.loc["VAE, 5 samples", ("wine", 0.5)], 2) == 0.81
    assert wine.min() == pytest.approx(0.835, abs=0.005)


def test_chained_regressions_are_level_with_it_at_10_percent() -> None:
    few = GAPS.xs(0.1, axis=1, level="share")[["diabetes", "cancer"]]
    assert (few.loc["chained regressions"] - few.loc["Gaussian"]).abs().max() < 0.01


def test_with_the_table_as_the_unit_the_lead_of_the_gaussian_is_not_resolved() -> None:
    of_tables = TABLES.pivot_table("rmse", "table", "method")
    row = over(of_tables, "VAE, 5 samples", "Gaussian")
    assert row["mean"] == pytest.approx(0.06, abs=0.005)
    assert row["high"] - row["mean"] == pytest.approx(0.22, abs=0.005)


# ---------------------------------------------------------------- features


def test_a_sampled_code_is_worse_than_the_mean_by_a_point() -> None:
    loss = FEATURES.loc["VAE, mean"] - FEATURES.loc["VAE, one sample"]
    assert (loss > 0).all()
    assert loss.mean() == pytest.approx(0.01, abs=0.005)


def test_averaging_over_ten_samples_does_not_improve_on_the_mean() -> None:
    averaged = FEATURES.loc["VAE, mean, then 10 samples averaged"]
    assert (averaged - FEATURES.loc["VAE, mean"]).max() < 0.002


def test_the_autoencoder_does_no_worse_and_pixels_lead_with_many_labels() -> None:
    assert (FEATURES.loc["autoencoder"] > FEATURES.loc["VAE, mean"]).all()
    assert FEATURES[1000].idxmax() == "pixels"


# ---------------------------------------------------------------- the verdict on each use


def test_plain_methods_win_five_of_six_and_one_is_open() -> None:
    winners = [use.winner for use in rules.compare_all()]
    assert [winners.count(who) for who in ("VAE", "plain", "open")] == [0, 5, 1]


def test_the_table_names_the_uses_in_the_order_of_the_rule() -> None:
    assert [(use.record, use.measure) for use in rules.USES] == [
        ("importance_bound", "log_p"),
        ("anomalies", "auroc"),
        ("inpainting", "mean"),
        ("inpainting", "dogs"),
        ("imputation", "rmse"),
        ("features", "accuracy"),
    ]


# ---------------------------------------------------------------- solutions


@pytest.fixture(scope="module")
def dogs_weights() -> tuple[torch.Tensor, torch.Tensor]:
    """Log-weights of the linear model from q(z | x), and the true log p(x)."""
    dogs = load_dogs()
    model, exact = importance_bound.linear(dogs, 0)
    images = dogs.test.images[:8]
    weights = importance_log_weights(model, images, num_samples=10_000)
    return weights.double(), exact.log_likelihood(images)


def test_the_mean_of_the_logs_stays_where_it_is_and_the_sum_passes_the_truth(
    dogs_weights: tuple[torch.Tensor, torch.Tensor],
) -> None:
    weights, truth = dogs_weights
    one, many = (float((log_mean_weight(weights, k) - truth).mean()) for k in (1, 10_000))
    assert abs(many) < 0.5
    assert float((weights - truth).mean()) == pytest.approx(one, abs=1)
    too_high = float((weights.logsumexp(0) - truth).mean())
    assert too_high == pytest.approx(9.21, abs=0.5)  # log 10,000


def test_no_photograph_is_more_probable_than_the_mean_which_leads_by_half_the_pixels() -> None:
    images = load_fashion().train.images
    model = ProbabilisticPCA.fit(images, 64)
    lead = model.log_likelihood(images.mean(0, keepdim=True)) - model.log_likelihood(images)
    assert (lead >= 0).all()
    assert float(lead.mean()) == pytest.approx(784 / 2, abs=2)


def test_what_is_missing_for_its_value_is_filled_too_low() -> None:
    complete = imputation.load_table("wine")
    generator = torch.Generator().manual_seed(1_000_003)
    chosen = torch.rand(complete.shape, generator=generator) < 0.6
    gone = (complete > complete.median(0).values) & chosen
    target, given = imputation.standardise(complete, torch.where(gone, torch.nan, complete))
    filled = IncompleteGaussian.fit(given).impute(given)
    of_mean, of_gaussian = (
        float((values - target)[gone].mean()) for values in (given.nan_to_num(), filled)
    )
    assert of_mean < of_gaussian < -0.3
