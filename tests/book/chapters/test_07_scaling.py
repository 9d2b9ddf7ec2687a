"""What the text of chapter 07 says of its records, and of what can be worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vaebook.data import load_fashion
from vaebook.distributions import (
    CONVENTIONS,
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    translate_loss,
)
from vaebook.experiments import load_pictures, load_recorded
from vaebook.experiments.ch07_scaling import loss_conventions

M, LATENT_DIM, NUM_IMAGES = 784, loss_conventions.LATENT_DIM, 10_000
SIZE = ((1, 28, 28), LATENT_DIM, loss_conventions.BATCH_SIZE, NUM_IMAGES)

LOSSES = load_recorded("loss_conventions")
OF_LOSSES = LOSSES.groupby("convention")[["rate", "rmse", "active"]].mean()
PAIRS = LOSSES.pivot_table(["rate", "rmse"], ["convention", "seed"], "translated")
SIGMAS = pd.Series({how.name: how.translate(*SIZE).sigma for how in CONVENTIONS})

GREY = load_recorded("pixel_likelihoods")
GREY["density"] = math.log2(255) - GREY["elbo"] / (M * math.log(2))
GREY.loc[GREY["likelihood"] == "discretised logistic", "density"] = math.nan  # it has none
OF_GREY = GREY.groupby("likelihood").mean()
LEARNED, COIN, ENTROPY = "Gaussian, learned σ", "continuous Bernoulli", "cross-entropy"
PREDICTED, LOW_FLOOR = "Gaussian, predicted σ", "Gaussian, predicted σ, low floor"


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """The held-out pictures of Fashion-MNIST."""
    return load_fashion().test.images


def coin_floor(images: Tensor) -> Tensor:
    """The part of the cross-entropy that no model can remove, in nats per picture."""
    return F.binary_cross_entropy(images, images, reduction="none").sum((1, 2, 3))


def one_seed(likelihood: str, column: str) -> pd.Series:
    """One value of a likelihood in each seed."""
    return GREY[GREY["likelihood"] == likelihood].set_index("seed")[column]


# ---------------------------------------------------------------- losses as written


@pytest.mark.parametrize("record", [LOSSES, GREY])
def test_every_interval_is_over_five_seeds(record: pd.DataFrame) -> None:
    assert record["seed"].nunique() == 5


def test_eleven_losses_claim_sigmas_from_0_18_to_19_8() -> None:
    assert len(SIGMAS) == 11
    assert (round(SIGMAS.min(), 2), round(SIGMAS.max(), 1)) == (0.18, 19.8)


def test_two_losses_that_look_different_have_one_sigma_and_one_rate() -> None:
    same = ["squared error, sum + KL, sum", "squared error, mean + KL / M"]
    assert math.isclose(*SIGMAS[same])
    assert abs(OF_LOSSES.loc[same, "rate"].diff().iloc[1]) < 0.1


def test_the_magic_number_of_a_library_undoes_a_mean() -> None:
    size = ((3, 64, 64), 128)
    magic = translate_loss(*size, over_pixels="mean", kl_weight=0.00025)
    assert math.isclose(magic.beta, 0.00025 * 3 * 64 * 64 / 2)
    assert round(magic.beta, 1) == 1.5
    whole = translate_loss(*size, over_pixels="mean")
    assert round(whole.beta) == 6144
    assert round(whole.sigma) == 78


def test_as_written_and_as_translated_agree_to_0_4_of_35_nats() -> None:
    off = (PAIRS.xs(True, axis=1, level=1) - PAIRS.xs(False, axis=1, level=1)).abs().max()
    assert off["rate"] < 0.4
    assert off["rmse"] < 0.004
    assert 34 < LOSSES["rate"].max() < 36


def test_another_seed_moves_a_model_by_four_times_as_much() -> None:
    rates = LOSSES[LOSSES["translated"]].groupby("convention")["rate"]
    assert 1.5 < (rates.max() - rates.min()).max() < 1.7


def test_three_losses_collapse_those_of_a_sigma_of_5_and_beyond() -> None:
    dead = LOSSES.groupby("convention")["active"].max() == 0
    assert dead.sum() == 3
    assert set(SIGMAS[SIGMAS > 4.9].index) == set(dead[dead].index)


def test_averages_of_both_terms_ask_for_4_95() -> None:
    sigma = SIGMAS["squared error, mean + KL, mean"]
    assert math.isclose(sigma, math.sqrt(M / (2 * LATENT_DIM)))
    assert round(sigma, 2) == 4.95


def test_cross_entropy_spends_two_nats_more_than_a_gaussian_of_one_half() -> None:
    squared = ["squared error, mean + 0.00025 · KL", "squared error, sum + KL, sum"]
    rates = OF_LOSSES["rate"]
    between = np.interp(math.log(0.5), np.log(SIGMAS[squared]), rates[squared])
    assert round(rates["cross-entropy, sum + KL, sum"] - between, 1) == 2.2


@pytest.mark.parametrize(
    ("loss", "pays"), [("mean + KL, mean", False), ("mean + KL · batch/N", True)]
)
def test_no_picture_pays_for_a_code_at_4_95_and_one_does_at_2_24(loss: str, pays: bool) -> None:
    """The mean of p(x | m) / p(x | x̄) over the photographs, uphill in m."""
    images = load_fashion().train.images
    centred = (images - images.mean(0)).flatten(1).double()
    sigma = float(SIGMAS[f"squared error, {loss}"])
    drawn = centred[:20]  # less the mean picture
    for _ in range(21):  # each step is uphill
        ratio = centred @ drawn.T / sigma**2 - drawn.square().sum(1) / (2 * sigma**2)
        gain = float(ratio.exp().mean(0).max())
        drawn = ratio.softmax(0).T @ centred
    assert gain > 2 if pays else gain < 1 + 1e-9
    assert round(sigma, 2) == (2.24 if pays else 4.95)


# ---------------------------------------------------------------- likelihoods of grey pixels


def test_what_the_chapter_says_of_cross_entropy_in_bits() -> None:
    bits = OF_GREY["bits"].round(1)
    assert (bits[ENTROPY], bits[LEARNED]) == (7.0, 4.5)
    assert OF_GREY.loc[ENTROPY, "bits"] > OF_GREY.loc[LEARNED, "bits"] + 2
    assert OF_GREY["bits"].idxmax() == ENTROPY  # last by levels


def test_a_learned_sigma_settles_at_the_rmse_of_its_sampled_codes() -> None:
    ratio = one_seed(LEARNED, "sigma") / one_seed(LEARNED, "rmse_sampled")
    assert abs(ratio.mean() - 1) < 0.1


@pytest.mark.parametrize("unit", ["bits", "density"])
def test_what_both_units_agree_on(unit: str) -> None:
    scores = OF_GREY[unit]
    assert scores[LEARNED] < scores["Gaussian, σ = 0.1"] < scores["Gaussian, σ = 1"]
    assert scores[PREDICTED] < scores[LEARNED]
    assert scores[COIN] < scores[ENTROPY] - 1.9


def test_unit_variance_wastes_bits_and_keeps_four_dimensions_idle() -> None:
    unit = OF_GREY.loc["Gaussian, σ = 1"]
    wasted = (unit - OF_GREY.loc[LEARNED])[["bits", "density"]]
    assert wasted.round(1).tolist() == [0.6, 2.3]
    assert abs(unit["active"] - 12) < 0.5  # of 16


def test_a_low_floor_is_a_cliff_for_one_seed_in_five() -> None:
    low = one_seed(LOW_FLOOR, "bits").sort_values()
    assert low.iloc[0] > 4.9
    assert low.iloc[3] < 5.45
    assert round(low.iloc[4]) == 14


def test_the_missing_constant_costs_1_9_bits_by_levels_and_2_2_by_density() -> None:
    missing = (OF_GREY.loc[ENTROPY] - OF_GREY.loc[COIN])[["bits", "density"]]
    assert (missing - [1.9, 2.2]).abs().max() < 0.06


def test_by_density_the_continuous_bernoulli_leads_and_by_levels_it_is_behind() -> None:
    learned, coin = OF_GREY.loc[LEARNED], OF_GREY.loc[COIN]
    assert OF_GREY["density"].idxmin() == COIN
    assert 2.7 < learned["density"] - coin["density"] < 2.9
    assert round(coin["elbo"] - learned["elbo"]) == 1529
    assert 0.5 < coin["bits"] - learned["bits"] < 0.65


def test_at_the_ends_the_continuous_bernoulli_states_a_quarter_of_a_grey_level() -> None:
    coin = OF_GREY.loc[COIN]
    assert coin["sigma_low"] < 0.001
    assert coin["rate"] > 2 * OF_GREY.loc[LEARNED, "rate"]


def test_likelihood_is_not_looks() -> None:
    rmse = OF_GREY["rmse"]
    assert rmse[ENTROPY] < min(rmse[COIN], rmse[PREDICTED])


def test_half_of_the_pixels_are_black(photographs: Tensor) -> None:
    assert 0.48 < (photographs == 0).float().mean() < 0.52


# ---------------------------------------------------------------- cross-entropy on grey pixels


def test_the_floor_of_cross_entropy_is_190_nats_a_photograph(photographs: Tensor) -> None:
    assert abs(float(coin_floor(photographs).mean()) - 190) < 0.5


def test_most_of_a_summed_cross_entropy_is_its_floor() -> None:
    pictures = load_pictures("loss_conventions")
    shown = pictures["cross-entropy, sum + KL, sum/reconstruction"].clamp(1 / 510, 1 - 1 / 510)
    paid = F.binary_cross_entropy(shown, pictures["data"], reduction="sum")
    assert 0.7 < coin_floor(pictures["data"]).sum() / paid < 0.9


def test_black_and_white_likelihoods_refuse_photographs(photographs: Tensor) -> None:
    pixels = BernoulliLikelihood()(torch.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match=r"^33\.9 % of the pixels are neither 0 nor 1"):
        pixels.log_prob(photographs[:1])


def test_cross_entropy_is_no_likelihood_by_an_amount_that_depends_on_the_output() -> None:
    pixel, logits = torch.linspace(0, 1, 20_001)[:, None], torch.linspace(-4, 4, 5)
    cost = F.binary_cross_entropy_with_logits(
        logits.expand(20_001, 5), pixel.expand(20_001, 5), reduction="none"
    )
    mass = torch.trapezoid(torch.exp(-cost), pixel, dim=0)
    assert torch.allclose(mass, torch.tensor([0.24, 0.38, 0.50, 0.38, 0.24]), atol=0.005)


@pytest.mark.parametrize("logit", [-100.0, -40.0, 0.0, 40.0, 100.0])
def test_the_continuous_bernoulli_integrates_to_one_in_single_precision(logit: float) -> None:
    grid = torch.linspace(0, 1, 20_001)
    density = ContinuousBernoulliLikelihood()(torch.full((1, 1, 1), logit))
    values = density.log_prob(grid[:, None, None, None]).double().exp()
    assert abs(torch.trapezoid(values, grid.double()) - 1) < 1e-3


def test_torchs_own_class_integrates_to_0_4_at_a_logit_of_minus_40() -> None:
    grid = torch.linspace(0, 1, 20_001)
    clamped = torch.distributions.ContinuousBernoulli(logits=torch.tensor(-40.0))
    values = clamped.log_prob(grid).exp().double()
    assert abs(torch.trapezoid(values, grid.double()) - 0.4) < 0.01


def test_beyond_a_logit_of_17_single_precision_rounds_to_one() -> None:
    low, sixteen, seventeen = torch.sigmoid(torch.tensor([-40.0, 16.0, 17.4]))
    assert low > 0
    assert sixteen < 1
    assert seventeen == 1


# ---------------------------------------------------------------- by hand


def test_each_factor_of_ten_in_sigma_gains_138_nats_on_a_sheet() -> None:
    """Four numbers in 64 pixels: −log p(x) of the linear model, as σ falls."""

    def loss(s: float) -> float:
        sheet = 2 * math.log(2 * math.pi * (1 + s**2)) + 2 / (1 + s**2)
        return 30 * math.log(2 * math.pi * s**2) + sheet

    for sigma in (1e-2, 1e-3):
        gained = loss(sigma) - loss(sigma / 10)
        assert math.isclose(gained, 60 * math.log(10), abs_tol=1e-2)
        assert round(gained) == 138


def test_below_0_242_a_pixel_that_is_off_by_sigma_contributes_less_than_nothing() -> None:
    assert round(1 / math.sqrt(2 * math.pi * math.e), 3) == 0.242
    assert abs(0.5 * math.log(2 * math.pi * 0.242**2) + 0.5) < 0.002
    assert abs(0.5 * math.log(2 * math.pi * 0.399**2)) < 0.001  # if it is exact
