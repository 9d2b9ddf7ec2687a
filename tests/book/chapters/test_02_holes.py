"""What the text of chapter 02 says of its records, and of volumes and norms."""

import math

import pytest
import torch
from scipy import stats

from vaebook.distributions import standard_normal
from vaebook.experiments import load_pictures, load_recorded
from vaebook.experiments.ch02_holes import holes
from vaebook.metrics import log_ball_volume
from vaebook.metrics.dogs import DOG_THRESHOLD, nearest_dog
from vaebook.training import seeded

RECORD = load_recorded("holes")
SHARES = RECORD.pivot_table("validity", ["model", "sampler"], "latent_dim")
PLAIN = RECORD[RECORD["model"] == "autoencoder"].groupby(["latent_dim", "sampler"])
PLAIN = PLAIN.mean(numeric_only=True)
GEOMETRY = PLAIN.xs("box", level="sampler")
THRESHOLD = load_recorded("dog_threshold")
NUM_CODES = 10_000


def largest_of(count: int) -> float:
    """What the largest of so many normal numbers exceeds with probability one half."""
    return float(stats.norm.ppf(0.5 ** (1 / count)))


# ---------------------------------------------------------------- the threshold and the plane


def test_five_seeds_are_recorded() -> None:
    assert THRESHOLD["seed"].nunique() == 5
    assert RECORD["seed"].nunique() == 5


def test_the_search_finds_dogs_within_a_threshold_of_four_hundredths() -> None:
    assert DOG_THRESHOLD == 0.04
    dogs = THRESHOLD[THRESHOLD["pictures"] == "dog"]
    assert round(100 * dogs["found"].mean()) == 99
    assert dogs["validity"].eq(1).all()


def test_paper_is_a_dog_at_twice_the_threshold_and_noise_never() -> None:
    shares = THRESHOLD.groupby("pictures")[["validity", "validity_at_2"]].mean()
    assert shares.loc["empty paper"].tolist() == [0, 1]
    assert shares.loc["noise"].tolist() == [0, 0]


def test_in_the_plane_no_cell_without_a_code_decodes_to_a_dog() -> None:
    plane = load_recorded("code_map").query("seed == 0 and kind == 'cell'")
    good, empty = plane["distance"] <= DOG_THRESHOLD, plane["codes"] == 0
    assert round(100 * good.mean()) == 6
    assert 0.355 < plane["codes"][good].sum() / plane["codes"].sum() < 0.365
    assert 0.365 < empty.mean() < 0.375
    assert not good[empty].any()


# ---------------------------------------------------------------- the derivation


def test_how_far_out_a_box_of_normal_codes_lies() -> None:
    a = largest_of(NUM_CODES)
    assert f"{a:.2f} {a / math.sqrt(3):.1f}" == "3.81 2.2"
    for d in (2, 8, 16, 64):
        middle = (2 * a) ** 2 / 12 * d  # the mean square of uniform points of the box
        assert math.isclose(math.sqrt(middle / d), a / math.sqrt(3))


def test_a_normal_code_in_its_box_costs_so_many_nats_a_number() -> None:
    a = largest_of(NUM_CODES)
    nats = math.log(2 * a / math.sqrt(2 * math.pi * math.e))
    assert f"{nats:.2f} {math.exp(-nats):.2f}" == "0.61 0.54"


def test_what_the_box_cuts_off_changes_the_entropy_by_a_thousandth_of_a_nat() -> None:
    a = largest_of(NUM_CODES)
    assert 0.0005 < stats.norm.entropy() - stats.truncnorm(-a, a).entropy() < 0.0015


@pytest.mark.parametrize(("d", "share"), [(16, "0.3%"), (64, "1.3%")])
def test_new_codes_outside_the_box_of_the_others(d: int, share: str) -> None:
    assert f"{2 * d / (NUM_CODES + 1):.1%}" == share
    with seeded(0):
        codes, new = standard_normal(d).sample((NUM_CODES,)), standard_normal(d).sample((20_000,))
    outside = ((new < codes.amin(0)) | (new > codes.amax(0))).any(1).float().mean()
    assert 0.6 < outside / (2 * d / (NUM_CODES + 1)) < 1.4


def test_the_ball_and_the_inner_cube_leave_nothing_of_64_dimensions() -> None:
    ball = [math.exp(log_ball_volume(d) - d * math.log(2)) for d in (2, 16, 64)]
    assert math.isclose(ball[0], math.pi / 4)
    assert ball[0] > 0.5**2
    assert ball[1] < 0.5**16
    assert ball[2] < 1e-38


@pytest.mark.parametrize(("d", "deviations"), [(2, "0.6"), (64, "3.3")])
def test_the_middle_of_two_draws_lies_inside_the_shell(d: int, deviations: str) -> None:
    with seeded(0):
        first, second = standard_normal(d).sample((2, 20_000))
    norm = first.norm(dim=1)
    inside = (norm.mean() - torch.lerp(first, second, 0.5).norm(dim=1).mean()) / norm.std()
    assert f"{inside:.1f}" == deviations
    assert abs(inside - (math.sqrt(2) - 1) * math.sqrt(d)) < 0.1
    assert abs(norm.mean() / math.sqrt(d) - 1) < 0.13


def test_ten_thousand_codes_might_as_well_be_one_in_64_dimensions() -> None:
    assert f"{(2 * NUM_CODES) ** (-1 / 64):.2f}" == "0.86"


# ---------------------------------------------------------------- the shares


def test_the_kept_pictures_of_the_mixture_and_the_corners_are_one_and_four_thresholds_off() -> None:
    kept = load_pictures("holes")
    medians = [
        float(nearest_dog(kept[f"autoencoder/16/{name}"]).distance.median()) / DOG_THRESHOLD
        for name in ("mixture", "corners")
    ]
    assert [round(median) for median in medians] == [1, 4]


def test_the_box_falls_to_nothing_and_its_corners_never_gave_a_dog() -> None:
    box = SHARES.loc[("autoencoder", "box")]
    assert box[2] > box[4] > box[8] > 0
    assert box[[16, 32, 64]].eq(0).all()
    assert SHARES.loc[("autoencoder", "corners")].eq(0).all()


def test_the_mixture_finds_four_dogs_in_five_draws_and_then_every_second() -> None:
    mixture = SHARES.loc[("autoencoder", "mixture")]
    assert mixture[8] > 0.75
    assert round(100 * mixture[16]) == 52
    assert mixture[64] > mixture[32]  # the fall does not go on
    ceiling = SHARES.loc[("autoencoder", "held-out codes")]
    assert (mixture[[2, 4]] > ceiling[[2, 4]] - 0.03).all()


def test_the_closer_the_density_is_to_the_codes_the_more_dogs() -> None:
    mixture, normal, diagonal = (
        SHARES.loc[("autoencoder", name)]
        for name in ("mixture", "fitted normal", "fitted diagonal")
    )
    assert (mixture > normal).all()
    assert (normal > diagonal).all()


def test_a_vae_makes_the_standard_normal_better_and_not_as_good_as_the_mixture() -> None:
    vae, plain = (SHARES.loc[(model, "standard normal")] for model in ("vae", "autoencoder"))
    assert (vae[[8, 16, 32, 64]] > plain[[8, 16, 32, 64]]).all()
    assert vae[16] < 0.2 * SHARES.loc[("autoencoder", "mixture"), 16]
    assert f"{vae[16]:.0%} {plain[16]:.0%}" == "5% 1%"


def test_none_of_250_means_at_most_one_and_a_half_per_cent() -> None:
    assert round(stats.beta.ppf(0.975, 1, 250), 3) == 0.015


# ---------------------------------------------------------------- sixteen numbers


def test_the_pictures_of_the_mixture_are_as_many_kinds_and_no_copies() -> None:
    held, drawn, noisy = (
        PLAIN.loc[(16, name)] for name in ("held-out codes", "mixture", "noisy codes")
    )
    assert drawn["factor_overlap"] > held["factor_overlap"] - 0.02
    assert drawn["training_distance"] > held["training_distance"] > noisy["training_distance"]
    assert PLAIN.loc[16, "training_distance"].idxmin() == "noisy codes"
    assert round(100 * noisy["validity"]) == 92


def floor(ceiling: float, nats: float) -> float:
    """The theorem's least share, if dogs' codes score ``ceiling``."""
    return math.exp(-(nats + stats.entropy([ceiling, 1 - ceiling])) / ceiling)


@pytest.mark.parametrize("d", holes.LATENT_DIMS)
@pytest.mark.parametrize("name", ["fitted normal", "fitted diagonal", "box", "standard normal"])
def test_shares_lie_above_the_floor_or_may_do_so(name: str, d: int) -> None:
    nats = PLAIN.loc[(d, "mixture"), "log_density"] - PLAIN.loc[(d, name), "log_density"]
    least = floor(PLAIN.loc[(d, "held-out codes"), "validity"], nats)
    share = PLAIN.loc[(d, name), "validity"]
    limit = stats.beta.ppf(0.975, 1, 250)  # what none of 250 allows
    assert least < (share if share > 0 else limit)


def test_a_fitted_normal_finds_more_dogs_than_a_nat_for_a_factor_leaves() -> None:
    density, validity = PLAIN["log_density"].unstack(), PLAIN["validity"].unstack()
    nats = density["mixture"] - density["fitted normal"]
    assert round(nats[64]) == 31
    assert math.exp(-nats[64]) < 1e-13
    assert 1 / 25 < validity.loc[64, "fitted normal"] < 1 / 20
    assert round(100 * validity.loc[16, "fitted normal"]) == 9
    assert round(density.loc[16, "mixture"] - density.loc[16, "box"]) == 18


# ---------------------------------------------------------------- where codes live


def test_codes_fill_little_of_their_box_and_of_64_dimensions() -> None:
    powers = (GEOMETRY["log_ellipsoid"] - GEOMETRY["log_box"]).round()
    assert powers[[16, 64]].tolist() == [-6, -79]
    assert round(GEOMETRY.loc[64, "principal_dims"]) == 32


def test_codes_occupy_few_orthants_of_16_numbers_and_one_each_of_64() -> None:
    assert round(GEOMETRY.loc[16, "orthants"]) == 3987
    assert GEOMETRY.loc[16, "orthants"] < 0.1 * 2**16
    assert round(100 * (1 - GEOMETRY.loc[16, "held_out_orthants"])) == 23
    assert GEOMETRY.loc[64, "orthants"] > 9_900


def test_codes_have_no_units() -> None:
    assert GEOMETRY["code_variance"].round(1).agg(["min", "max"]).tolist() == [0.5, 1.9]
    assert (GEOMETRY["code_mean"].drop(2) > 0.5).all()


def test_straight_is_better_in_the_autoencoder_and_the_circle_in_a_long_vae() -> None:
    straight, circle = (
        SHARES.xs(name, level="sampler")[list(holes.MORE_AT)]
        for name in ("midpoints", "slerp midpoints")
    )
    assert (straight.loc["autoencoder"] > circle.loc["autoencoder"]).all()
    assert straight.loc["vae", 2] > circle.loc["vae", 2]
    assert circle.loc["vae", 64] > 5 * straight.loc["vae", 64]
    assert f"{circle.loc['vae', 64]:.0%} {straight.loc['vae', 64]:.0%}" == "27% 2%"


def test_thirty_components_have_4600_numbers() -> None:
    assert pytest.approx(4600, abs=50) == 30 * 16 * 17 // 2 + 30 * 16 + 29
