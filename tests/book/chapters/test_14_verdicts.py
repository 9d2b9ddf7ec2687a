"""What the text of chapter 14 says of its records, and of its formulas and solutions."""

import pandas as pd
import pytest
import torch

from vaebook.distributions import empirical_velocity, gaussian_kl, integrate
from vaebook.experiments import CLAIMS, load_recorded, paired_differences, summarise
from vaebook.experiments.ch14_verdicts.specs import ENCODERS
from vaebook.training import seeded

FLOWS = load_recorded("latent_flow")
FITTED = FLOWS[~FLOWS["prior"].str.contains("from")]  # the noise is normal
SCALES = load_recorded("latent_scale")
SWEEP = summarise(
    SCALES[SCALES["part"] == "flow"], ["scale", "num_steps"], ["validity", "sharpness"]
).set_index(["value", "scale", "num_steps"])


def lead(encoder: str, reference: str, value: str) -> pd.DataFrame:
    """What each density has more than one of them, seed by seed."""
    rows = FITTED[FITTED["encoder"] == encoder]
    return paired_differences(rows, "prior", reference, [value]).set_index("prior")


# ---------------------------------------------------------------- the scoreboard


def test_every_claim_has_effects_within_their_intervals() -> None:
    effects = [claim.judge(None).effects for claim in CLAIMS if claim.judge is not None]
    assert len(effects) == len(CLAIMS) == 8
    assert all(effects)
    assert all(each.low <= each.mean <= each.high for found in effects for each in found)


# ---------------------------------------------------------------- paths, and their mean velocity


GOALS = torch.tensor([[-2.0, -1.0], [2.0, -1.2], [0.3, 2.0]])


@pytest.fixture(scope="module")
def places() -> list[torch.Tensor]:
    """Where the figure's 60 draws of noise are, at one time after another."""
    with seeded(2):
        noise = torch.randn(60, 2)
    velocity = empirical_velocity(GOALS)
    times = torch.linspace(0, 0.98, 50).tolist()
    return [integrate(velocity, noise, end=time, num_steps=100).points for time in times]


def test_a_third_of_the_noise_ends_in_each_code(places: list[torch.Tensor]) -> None:
    distance, code = torch.cdist(places[-1], GOALS).min(1)
    assert distance.max() < 0.15
    assert (torch.bincount(code, minlength=3) / 60 - 1 / 3).abs().max() < 0.2


def test_no_two_points_are_ever_at_one_place_at_one_time(places: list[torch.Tensor]) -> None:
    assert min(torch.pdist(points).min() for points in places) > 0


# ---------------------------------------------------------------- which density for the codes


@pytest.fixture(scope="module")
def dogs() -> pd.DataFrame:
    """The share of dogs of each density."""
    return summarise(FITTED, ["encoder", "prior"], ["validity"]).set_index(["encoder", "prior"])


@pytest.mark.parametrize("encoder", ["β = 1e-6", "autoencoder"])
def test_without_a_full_kl_term_a_flow_draws_more_dogs(encoder: str, dogs: pd.DataFrame) -> None:
    assert dogs.loc[(encoder, "flow matching"), "low"] > dogs.loc[(encoder, "N(0, I)"), "high"]


def test_with_a_millionth_of_the_kl_term_no_draw_of_the_prior_was_a_dog(dogs: pd.DataFrame) -> None:
    drawn = FITTED[(FITTED["encoder"] == "β = 1e-6") & (FITTED["prior"] == "N(0, I)")]
    assert drawn["validity"].tolist() == [0] * 5
    assert round(100 * dogs.loc[("β = 1e-6", "flow matching"), "mean"]) == 64


def test_the_plain_autoencoder_has_the_highest_mean(dogs: pd.DataFrame) -> None:
    assert dogs["mean"].idxmax() == ("autoencoder", "flow matching")
    row = dogs.loc[("autoencoder", "flow matching")]
    assert [round(100 * row["mean"]), round(100 * (row["high"] - row["mean"]))] == [80, 9]


def test_with_a_millionth_of_the_kl_term_a_flow_finds_pictures_more_probable() -> None:
    assert lead("β = 1e-6", "N(0, I)", "nll").loc["flow matching", "high"] < 0


@pytest.mark.parametrize(
    ("prior", "points", "half"),
    [("mixture", 11, 16), ("flow matching", 5, 6), ("spline flow", 8, 7)],
)
def test_with_the_full_kl_term_the_lead_in_dogs_is_small(
    prior: str, points: int, half: int
) -> None:
    row = 100 * lead("β = 1", "N(0, I)", "validity").loc[prior, ["mean", "high"]]
    assert [round(row["mean"]), round(row["high"] - row["mean"])] == [points, half]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_mixture_is_level_with_flow_matching_in_dogs(encoder: str) -> None:
    row = lead(encoder, "flow matching", "validity").loc["mixture"]
    assert row["low"] < 0 < row["high"]


@pytest.mark.parametrize(
    ("encoder", "value", "nats", "half"),
    [("β = 1e-6", "nll", 2.0, 0.9), ("autoencoder", "code_nll", 3.0, 2.3)],
)
def test_in_nats_the_flow_is_ahead_of_the_mixture(
    encoder: str, value: str, nats: float, half: float
) -> None:
    row = lead(encoder, "flow matching", value).loc["mixture"]
    assert round(row["mean"], 1) == nats
    assert round(row["high"] - row["mean"], 1) == half


def test_a_mixture_is_fitted_in_a_fraction_of_the_time() -> None:
    seconds = FITTED.groupby("prior")["fit_seconds"].agg(["min", "max"])
    assert seconds.loc["mixture"].round(1).tolist() == [0.6, 4.0]
    assert seconds.loc["flow matching"].round().tolist() == [9, 34]


def test_in_one_seed_of_five_the_density_of_the_flow_was_absurd() -> None:
    drawn = FITTED[(FITTED["encoder"] == "β = 1e-6") & (FITTED["prior"] == "flow matching")]
    assert (drawn["code_nll"] > 0).sum() == 1
    assert drawn["code_nll"].max() > 60


# ---------------------------------------------------------------- must the noise be normal?


def test_only_uniform_noise_calls_codes_impossible() -> None:
    started = FLOWS[(FLOWS["encoder"] == "β = 1") & FLOWS["prior"].str.startswith("flow matching")]
    outside = started.groupby("prior")["impossible"].mean()
    assert outside["flow matching"] == outside["flow matching from Laplace"] == 0
    assert round(100 * outside["flow matching from uniform"]) == 38


# ---------------------------------------------------------------- the scale of the codes


def test_at_small_weights_codes_are_not_of_unit_size() -> None:
    codes = SCALES[SCALES["part"] == "encoder"].groupby("beta")
    assert len(codes) == 3
    assert codes["code_std"].mean().max() < 0.9
    assert codes["second_moment"].mean().max() < 0.9


def test_at_full_weight_the_size_comes_out_nearly_right() -> None:
    of_vae = FLOWS[(FLOWS["encoder"] == "β = 1") & (FLOWS["prior"] == "N(0, I)")]
    assert round(of_vae["second_moment"].mean(), 2) == 1.04


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (("validity", 0.1, 20), ("validity", 1.0, 20)),
        (("validity", 1.0, 1), ("validity", 1.0, 2)),
        (("sharpness", 10.0, 4), ("sharpness", 10.0, 20)),
    ],
    ids=["a small scale", "one step", "four steps at a large scale"],
)
def test_too_small_a_scale_and_too_few_steps_hurt(
    low: tuple[str, float, int], high: tuple[str, float, int]
) -> None:
    assert SWEEP.loc[low, "high"] < SWEEP.loc[high, "low"]


def test_ten_times_too_large_a_scale_hardly_hurts_with_enough_steps() -> None:
    sharp = [SWEEP.loc[("sharpness", scale, 20), "mean"] for scale in (1.0, 10.0)]
    assert [round(each, 2) for each in sharp] == [0.57, 0.53]


# ---------------------------------------------------------------- solutions


def test_a_flow_to_scaled_codes_is_the_same_path_by_another_clock() -> None:
    scale, clock = 3.0, 0.9
    with seeded(1):
        codes = torch.randn(200, 16, dtype=torch.float64)
        start = torch.randn(50, 16, dtype=torch.float64)
    time = clock / (clock + scale * (1 - clock))
    plain, scaled = (
        integrate(empirical_velocity(goals), start, end=end, num_steps=400).points
        for goals, end in ((codes, clock), (scale * codes, time))
    )
    assert (scaled / (1 - time + time * scale) - plain).abs().max() < 0.01


@pytest.mark.parametrize(
    ("first", "last", "power", "nats"),
    [(1e-4, 0.02, 1, [0.3, 10]), (0.00085, 0.012, 2, [38.3, 1151])],
    ids=["DDPM", "Stable Diffusion"],
)
def test_the_last_code_of_a_schedule_by_the_formula(
    first: float, last: float, power: int, nats: list[float]
) -> None:
    size = torch.tensor([1.0, 1 / 0.18215], dtype=torch.float64)
    roots = torch.linspace(first ** (1 / power), last ** (1 / power), 1000)
    kept = torch.log1p(-(roots.double() ** power)).sum().exp()
    formula = 0.5 * (kept * (size**2 - 1) - torch.log1p(-kept))
    log_var = torch.log1p(-kept).expand(2, 1)
    closed = gaussian_kl(kept.sqrt() * size[:, None], log_var)
    torch.testing.assert_close(closed, formula, rtol=1e-6, atol=1e-12)
    scaled, unscaled = (16384 * formula).tolist()
    assert [round(scaled, 1), round(unscaled)] == nats


def test_unit_mean_squares_lower_the_rate_by_the_formula() -> None:
    with seeded(0):
        mu, log_var = 2 * torch.randn(1000, 16).double(), torch.randn(1000, 16).double() - 5
    moment = (mu**2 + log_var.exp()).mean(0)
    before = gaussian_kl(mu, log_var).mean()
    after = gaussian_kl(mu / moment.sqrt(), log_var - moment.log()).mean()
    saved = 0.5 * (moment - 1 - moment.log()).sum()
    assert saved > 0.1
    torch.testing.assert_close(before - after, saved)
