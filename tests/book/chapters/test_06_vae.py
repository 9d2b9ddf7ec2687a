"""What the text of chapter 06 says of its records, and of what can be worked out by hand."""

import math

import pandas as pd
import pytest
import torch
from torch import Tensor

from vaebook.data import load_dogs
from vaebook.distributions import gaussian_kl
from vaebook.experiments import load_pictures, load_recorded, paired_differences, summarise
from vaebook.experiments.ch06_vae import anatomy, pixel_noise
from vaebook.plots import summary_text
from vaebook.training import seeded

ANATOMY = load_recorded("anatomy")
FASHION = load_recorded("anatomy_fashion")
NOISE = load_recorded("pixel_noise")
LONG = NOISE[NOISE["num_epochs"] == pixel_noise.LONG]

OF_MODELS = summarise(ANATOMY, ["variant", "source"])
OF_MODELS = OF_MODELS.set_index(["value", "source", "variant"]).sort_index()
OF_RECIPES = summarise(LONG, ["network", "sigma", "source"])
OF_RECIPES = OF_RECIPES.set_index(["value", "source", "network", "sigma"]).sort_index()


def of_model(value: str, variant: str, source: str = "prior") -> float:
    """Mean over the seeds, of one of the five models."""
    return float(OF_MODELS.loc[(value, source, variant), "mean"])


def of_recipe(value: str, network: str, sigma: float, source: str = "prior") -> float:
    """Mean over the seeds, after 40 epochs."""
    return float(OF_RECIPES.loc[(value, source, network, sigma), "mean"])


def by_seed(network: str, sigma: float, source: str = "prior") -> pd.Series:
    """The share of dogs after 40 epochs in each seed."""
    recipe = (LONG["network"] == network) & (LONG["sigma"] == sigma) & (LONG["source"] == source)
    return LONG[recipe].set_index("seed")["validity"].sort_index()


@pytest.fixture(scope="module")
def dogs() -> Tensor:
    """The training dogs as rows of pixels."""
    return load_dogs().train.images.flatten(1).double()


@pytest.fixture(scope="module")
def variances(dogs: Tensor) -> Tensor:
    """Of the training dogs along their principal components, largest first."""
    return torch.linalg.eigvalsh(dogs.T.cov(correction=0)).flip(0)


# ---------------------------------------------------------------- noise, KL, and both


@pytest.mark.parametrize("record", [ANATOMY, FASHION, NOISE])
def test_every_interval_is_over_five_seeds(record: pd.DataFrame) -> None:
    assert record["seed"].nunique() == 5


@pytest.mark.parametrize(("record", "shown"), [("anatomy", 10), ("anatomy_fashion", 8)])
def test_every_model_has_the_pictures_that_are_shown(record: str, shown: int) -> None:
    pictures = load_pictures(record)
    rows = ["data", *(f"{variant}/prior" for variant in anatomy.VARIANTS)]
    assert len(rows) == 6
    assert min(len(pictures[row]) for row in rows) >= shown


def test_samples_of_the_vae_are_nearer_to_dogs_than_those_of_each_part_alone() -> None:
    alone = [of_model("distance", variant) for variant in ("autoencoder", "noise", "kl")]
    assert of_model("distance", "vae") < min(alone)


def test_hardly_a_sample_is_a_dog_and_most_reconstructions_are() -> None:
    shares = OF_MODELS.loc["validity", "mean"]
    assert shares[["prior", "fitted"]].max() <= 0.125  # about one eighth
    assert shares["reconstruction"].min() > 0.8


def test_noise_alone_is_turned_off() -> None:
    assert of_model("posterior_std", "noise") < 0.002


def test_kl_alone_leaves_sigma_at_one_and_pulls_the_codes_together() -> None:
    assert abs(of_model("posterior_std", "kl") - 1) < 0.02
    assert of_model("code_spread", "kl") < of_model("code_spread", "vae") < 1.05


def test_the_vae_pays_35_nats_for_a_picture() -> None:
    assert abs(of_model("rate", "vae") - 35) < 1
    assert of_model("rate", "vae") - math.log(10_000) > 25.5  # at least 26 nats from the prior


@pytest.mark.parametrize(("variant", "told"), [("vae", "3.5 ± 2.8"), ("autoencoder", "3.5 ± 7.8")])
def test_what_a_fitted_normal_finds_more_than_the_prior_of_the_vae(variant: str, told: str) -> None:
    frame = ANATOMY.assign(condition=ANATOMY["variant"] + "/" + ANATOMY["source"])
    more = paired_differences(frame, "condition", "vae/prior", ["validity"]).set_index("condition")
    row = more.loc[f"{variant}/fitted"]
    assert abs(row["mean"] - 0.035) < 1e-6
    assert summary_text(row, 1, factor=100) == told
    assert (row["low"] < 0) == (variant == "autoencoder")  # not resolved
    if variant == "autoencoder":
        assert (row["high"] - row["low"]) / 2 > 0.07


def test_a_fitted_normal_is_no_worse_than_the_vaes_prior_in_any_seed() -> None:
    shares = ANATOMY.pivot_table("validity", "seed", ["variant", "source"])["vae"]
    assert (shares["fitted"] >= shares["prior"]).all()


# ---------------------------------------------------------------- what makes samples dogs


def test_the_box_says_10_and_80_per_cent() -> None:
    for network, sigma, told in (("one layer", 0.1, "10 ± 4"), ("two layers", 0.4, "80 ± 2")):
        row = OF_RECIPES.loc[("validity", "prior", network, sigma)]
        assert summary_text(row, 0, factor=100) == told


@pytest.mark.parametrize("network", pixel_noise.NETWORKS)
@pytest.mark.parametrize("value", ["rate", "coverage"])
def test_more_pixel_noise_costs_fewer_nats_and_gives_less_variety(network: str, value: str) -> None:
    means = OF_RECIPES.loc[(value, "prior", network), "mean"]
    assert len(means) == 4
    assert (means.diff().dropna() < 0).all()


@pytest.mark.parametrize(("sigma", "share", "nats"), [(0.1, 10, 36), (0.2, 44, 18), (0.3, 72, 11)])
def test_with_fewer_nats_one_layer_draws_more_dogs(sigma: float, share: int, nats: int) -> None:
    assert round(100 * of_recipe("validity", "one layer", sigma)) == share
    assert round(of_recipe("rate", "one layer", sigma)) == nats


def test_two_layers_draw_five_times_as_many_dogs_for_26_nats_in_place_of_36() -> None:
    rates = [of_recipe("rate", network, 0.1) for network in ("one layer", "two layers")]
    assert [round(rate) for rate in rates] == [36, 26]
    ratio = of_recipe("validity", "two layers", 0.1) / of_recipe("validity", "one layer", 0.1)
    assert 4.5 < ratio < 5.5


def test_the_best_recipe_makes_four_dogs_in_five() -> None:
    best = {source: by_seed("two layers", 0.3, source) for source in ("prior", "reconstruction")}
    assert (best["prior"] - by_seed("one layer", 0.1) > 0.5).all()  # in every seed
    assert abs(best["prior"].mean() - 0.8) < 0.05
    assert abs(best["reconstruction"].mean() - 0.95) < 0.01


def test_two_layers_at_26_nats_beat_one_at_18_in_each_seed() -> None:
    assert round(of_recipe("rate", "one layer", 0.2)) == 18
    assert (by_seed("two layers", 0.1) > by_seed("one layer", 0.2)).all()


def test_too_few_nats_are_no_good_either() -> None:
    assert round(of_recipe("rate", "one layer", 0.4)) == 6
    assert abs(of_recipe("validity", "one layer", 0.4, "reconstruction") - 0.7) < 0.05


def test_a_normal_fitted_to_the_codes_of_the_best_recipe_adds_nothing() -> None:
    fitted = by_seed("two layers", 0.3, "fitted").mean()
    assert round(100 * fitted) == 79
    assert abs(fitted - by_seed("two layers", 0.3).mean()) < 0.02


def test_coverage_falls_with_the_rate() -> None:
    fall = {"one layer": (0.93, 0.68), "two layers": (0.90, 0.76)}
    for network, ends in fall.items():
        means = [of_recipe("coverage", network, sigma) for sigma in (0.1, 0.4)]
        assert [round(mean, 2) for mean in means] == list(ends)
    assert abs(100 * by_seed("one layer", 0.1).mean() - 10) < 1  # about ten dogs a seed


def test_sharpness_falls_and_the_likelihood_gets_worse_by_a_thousand_nats() -> None:
    first, best = ("one layer", 0.1), ("two layers", 0.3)
    assert round(of_recipe("sharpness", *first), 2) == 0.62
    assert round(of_recipe("sharpness", *best), 2) == 0.51
    assert abs(of_recipe("nll", *best) - of_recipe("nll", *first) - 1000) < 100


def test_no_sample_is_a_copy() -> None:
    """Samples are as far from training dogs as reconstructed held-out dogs are, or farther."""
    distance = OF_RECIPES.loc["training_distance", "mean"].round(2)
    assert distance["reconstruction"].min() == 0.05
    assert distance["prior"].min() >= 0.05


# ---------------------------------------------------------------- photographs


def test_of_photographs_too_a_fitted_normal_covers_more_but_for_the_kl_alone() -> None:
    recall = FASHION.pivot_table("recall_pixels", "variant", "source")
    assert (recall["fitted"] > recall["prior"] - 0.01).all()
    assert (recall["fitted"] > recall["prior"] + 0.1).drop("kl").all()


def test_the_kl_alone_has_the_best_recall_of_photographs() -> None:
    recall = FASHION.pivot_table("recall_pixels", "variant", "source")["prior"]
    assert recall.idxmax() == "kl"
    spread = FASHION[FASHION["variant"] == "kl"]["code_spread"].mean()
    assert 0.8 < spread < 1.2  # its codes happen to have shrunk to a spread near 1


# ---------------------------------------------------------------- by hand


def test_over_the_scale_of_the_codes_the_kl_is_least_where_their_second_moment_is_one() -> None:
    with seeded(0):
        mu, log_var = torch.randn(1000, 16).double() * 1.3, torch.randn(1000, 16).double() - 2
    best = (mu.square() + log_var.exp()).mean(0).rsqrt()

    def mean_kl(scale: Tensor) -> Tensor:
        return gaussian_kl(scale * mu, log_var + 2 * scale.log()).mean()

    assert mean_kl(best) < mean_kl(torch.ones(16).double())
    assert mean_kl(best) < min(mean_kl(0.99 * best), mean_kl(1.01 * best))
    scale = best.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mean_kl(scale), scale)
    assert slope.abs().max() < 1e-12
    assert torch.allclose(
        ((best * mu) ** 2 + best**2 * log_var.exp()).mean(0), torch.ones(16).double()
    )


def test_with_a_linear_decoder_the_widths_are_the_diagonal_of_the_precision() -> None:
    with seeded(0):
        columns = torch.randn(20, 3).double()
    precision = torch.eye(3).double() + columns.T @ columns / 0.1**2
    widths = 1 / (1 + columns.square().sum(0) / 0.1**2)
    assert torch.allclose(1 / precision.diagonal(), widths)
    # of the covariance only where the columns are orthogonal; else they are smaller
    assert (precision.inverse().diagonal() > 1.01 * widths).all()
    orthogonal = torch.linalg.qr(columns).Q
    precision = torch.eye(3).double() + orthogonal.T @ orthogonal / 0.1**2
    assert torch.allclose(precision.inverse().diagonal(), 1 / precision.diagonal())


def test_a_perfect_model_pays_38_8_nats_and_its_codes_seem_29_6_nats_from_the_prior(
    dogs: Tensor, variances: Tensor
) -> None:
    """Probabilistic PCA of the dogs as the world and as the model, with exact posteriors."""
    kept, pixel = variances[:16], variances[16:].mean()
    signal = kept - pixel  # along each component, without the pixel noise
    with seeded(0):
        z = torch.randn(len(dogs), 16).double()
        seen = signal.sqrt() * z + pixel.sqrt() * torch.randn_like(z)
    mu = seen * signal.sqrt() / kept
    log_var = (pixel / kept).log().expand_as(mu)
    rate = 0.5 * float((kept / pixel).log().sum())
    assert round(rate, 1) == 38.8
    assert round(rate - math.log(len(dogs)), 1) == 29.6
    assert abs(float(gaussian_kl(mu, log_var).mean()) - rate) < 0.2
    # the codes of all its pictures are N(0, I): the variance of μ, and σ², are 1 together
    assert torch.allclose(signal / kept + pixel / kept, torch.ones_like(kept))
    assert (mu.var(0) + pixel / kept - 1).abs().max() < 0.1


def test_an_error_averaged_over_the_pixels_leaves_0_016_nats_to_save(variances: Tensor) -> None:
    assert abs(float(variances.sum()) - 15.95) < 0.005
    assert abs(float(variances.sum()) / 1024 - 0.016) < 0.0005
    assert abs(math.sqrt(512) - 22.6) < 0.05
