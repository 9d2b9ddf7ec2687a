"""What the text of chapter 03 says of its records, and of what it derives."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from vaebook.data import ImageData, load_digits
from vaebook.distributions import (
    BernoulliLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
)
from vaebook.experiments import load_recorded, paired_differences, summarise
from vaebook.metrics import (
    effective_sample_size,
    evaluate_elbo,
    importance_log_weights,
    log_mean_weight,
    prior_monte_carlo_log_likelihood,
    quadrature_elbo,
)
from vaebook.models import MLP, VAE, ProbabilisticPCA, best_covariance, posterior_gap
from vaebook.plots import summary_text
from vaebook.training import fit, seeded

LINEAR = load_recorded("linear_vae")
OPTIMUM = LINEAR[LINEAR["optimiser"] == "lbfgs"]
ADAM = LINEAR[LINEAR["optimiser"] == "adam"]
MUST_CLOSE = OPTIMUM[
    (OPTIMUM["family"] == "full")
    | ((OPTIMUM["family"] == "diagonal") & (OPTIMUM["decoder"] == "learned"))
]
GAPS = OPTIMUM.pivot_table("gap", ["decoder", "family"], "latent_dim")
HELD = OPTIMUM[(OPTIMUM["decoder"] == "rotated") & (OPTIMUM["family"] == "diagonal")]
GRID = load_recorded("posterior_grid")
TEST = GRID[GRID["split"] == "test"]
SPLIT = GRID.groupby(["family", "split"]).mean(numeric_only=True)
SAMPLING = load_recorded("prior_monte_carlo")
ERRORS = SAMPLING.pivot_table("error", ["latent_dim", "proposal"], "num_samples")
RATES = SAMPLING.groupby("latent_dim")["rate"].mean()


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_digits()


@pytest.fixture(scope="module")
def exact(data: ImageData) -> ProbabilisticPCA:
    """The linear model with four dimensions."""
    return ProbabilisticPCA.fit(data.train.images, latent_dim=4)


@pytest.fixture(scope="module")
def digits(data: ImageData) -> Tensor:
    return data.test.images[:100]


# ---------------------------------------------------------------- constants and floors


@pytest.mark.parametrize(("variance", "pixels"), [(1 / 2, 1), (64 / 2, 64)])
def test_squared_error_without_constants_chooses_a_variance(
    variance: float, pixels: int, digits: Tensor
) -> None:
    """Summed over pixels σₓ² = ½; averaged over 64 of them σₓ² = 32."""
    picture, mean = digits[:1], digits[1:2]
    constant = 64 / 2 * math.log(2 * math.pi * variance)
    likelihood = GaussianLikelihood(variance**0.5, mean="identity")
    lost = -float(likelihood(mean).log_prob(picture)) - constant
    error = float((picture - mean).square().sum()) / pixels
    assert abs(lost / error - 1) < (1e-4 if pixels == 1 else 1e-3)
    assert f"{(64 / 2) ** 0.5:.1f}" == "5.7"


def test_an_exact_fit_costs_less_than_nothing_below_four_tenths() -> None:
    assert f"{(2 * math.pi) ** -0.5:.3f} {(2 * math.pi * math.e) ** -0.5:.3f}" == "0.399 0.242"
    for sigma in (1.0, 0.4, 0.39, 0.25, 0.24, 0.1):
        exact_fit = 0.5 * math.log(2 * math.pi * sigma**2)
        assert (exact_fit < 0) == (sigma < (2 * math.pi) ** -0.5)
        assert (exact_fit + 0.5 < 0) == (sigma < (2 * math.pi * math.e) ** -0.5)


def test_a_perfect_copy_of_a_mean_digit_costs_13_7_nats_of_cross_entropy(data: ImageData) -> None:
    grey = data.test.images.double()
    logits = torch.logit(grey.clamp(1e-12, 1 - 1e-12))
    copies = F.binary_cross_entropy_with_logits(logits, grey, reduction="none")
    assert abs(copies.sum((1, 2, 3)).mean() - 13.7) < 0.05
    with pytest.raises(ValueError, match="gives grey pixels no probability"):
        BernoulliLikelihood()(logits[:1]).log_prob(grey[:1])


def test_cross_entropy_is_negative_only_for_targets_above_one() -> None:
    targets = torch.tensor([1.0, 2.0, 255.0])
    logits = torch.full((3,), 100.0)
    right, standardised, undivided = F.binary_cross_entropy_with_logits(
        logits, targets, reduction="none"
    )
    assert right >= 0 > standardised > undivided


# ---------------------------------------------------------------- the linear model, exactly


def test_terms_of_the_elbo_with_four_dimensions(exact: ProbabilisticPCA, digits: Tensor) -> None:
    terms, log_p = exact.elbo(digits, exact.posterior(digits)), exact.log_likelihood(digits)
    means = [-terms.distortion.mean(), log_p.mean(), terms.rate.mean()]
    assert [f"{value:.2f}" for value in means] == ["12.02", "6.90", "5.12"]
    assert torch.allclose(-terms.distortion - log_p, terms.rate, atol=1e-8)


def test_a_sampled_bound_is_the_exact_one(
    exact: ProbabilisticPCA, data: ImageData, digits: Tensor
) -> None:
    linear = exact.as_vae(data.image_shape, posterior="full")
    with seeded(0):
        bound = evaluate_elbo(linear, digits, num_samples=1000).elbo.double()
    assert abs(bound.mean() - exact.log_likelihood(digits).mean()) < 0.05


def test_quadrature_gives_the_bound_that_training_samples(data: ImageData) -> None:
    with seeded(0):
        model = VAE(
            data.image_shape,
            2,
            network=MLP((64,), activation="silu"),
            likelihood=LearnedGaussianLikelihood(0.2),
        )
    fit(model, data.train.images, num_epochs=20, lr=3e-3, seed=0)
    images = data.test.images[:60]
    with torch.no_grad():
        bound = quadrature_elbo(model, images, model.posterior(images))
    with seeded(0):
        sampled = evaluate_elbo(model, images, num_samples=500).elbo.double()
    assert abs(sampled.mean() - bound.elbo.mean()) < 0.1


# ---------------------------------------------------------------- the record of linear VAEs


def test_where_theory_closes_the_gap_60_runs_leave_at_most_0_023_nat() -> None:
    assert len(MUST_CLOSE) == 60
    assert f"{MUST_CLOSE['gap'].max():.3f}" == "0.023"
    assert f"{MUST_CLOSE['gap'].max():.2f} {MUST_CLOSE['model_gap'].max():.2f}" == "0.02 0.04"


def test_theory_and_measurement_agree_to_0_01_nat_in_160_runs() -> None:
    assert len(OPTIMUM) == 160
    assert f"{(OPTIMUM['gap'] - OPTIMUM['predicted_gap']).abs().max():.2f}" == "0.01"


def test_a_diagonal_q_with_the_decoder_held_loses_0_35_nat_or_more() -> None:
    assert f"{HELD.loc[HELD['latent_dim'] >= 8, 'gap'].min():.2f}" == "0.35"
    assert GAPS.loc[("rotated", "diagonal"), 2] < 0.001
    lost = summarise(HELD, ["latent_dim"], ["gap"]).set_index("latent_dim")
    assert summary_text(lost.loc[8], 2) == "0.40 ± 0.05"
    assert summary_text(lost.loc[16], 2) == "2.07 ± 0.07"


def test_a_learned_decoder_closes_the_gap_of_full_and_diagonal() -> None:
    learned = GAPS.loc["learned"]
    assert (learned.loc[["full", "diagonal"]] < 0.03).all(axis=None)
    assert (learned.loc[["isotropic", "unit"], 16] > 0.5).all()


def test_with_the_decoder_held_only_a_full_covariance_closes_the_gap() -> None:
    held = GAPS.loc["rotated"]
    assert (held.loc["full"] < 0.01).all()
    assert (held.loc["diagonal"] < held.loc["isotropic"]).all()
    assert held.loc["unit", 16] > 100
    assert f"{held.loc['diagonal', 16] / held.loc['isotropic', 16]:.0%}" == "85%"


def test_isotropic_bends_half_way_to_a_quarter_each() -> None:
    price = OPTIMUM[OPTIMUM["family"] == "isotropic"]
    price = price.pivot_table(["gap", "model_gap"], "latent_dim", "decoder").loc[[4, 8, 16]]
    held = price["gap", "rotated"]
    assert ((price["gap", "learned"] / held - 0.25).abs() < 0.02).all()
    assert ((price["model_gap", "learned"] / held - 0.25).abs() < 0.02).all()


def test_unit_variances_give_up_11_4_nats_of_the_model() -> None:
    unit = OPTIMUM[(OPTIMUM["family"] == "unit") & (OPTIMUM["latent_dim"] == 16)]
    means = unit.groupby("decoder")[["gap", "model_gap"]].mean()
    assert f"{means.loc['rotated', 'gap']:.0f} {means.loc['learned', 'gap']:.1f}" == "108 5.8"
    assert f"{means.loc['learned', 'model_gap']:.1f}" == "11.4"


def test_ordinary_training_leaves_more_than_the_family_asks_for() -> None:
    assert (ADAM["gap"] > ADAM["predicted_gap"]).all()
    assert (ADAM["gap"] > MUST_CLOSE["gap"].max()).all()


# ---------------------------------------------------------------- the record of the network


def test_nearly_all_of_the_gap_is_the_encoders() -> None:
    assert (GRID["encoder_gap"] / GRID["gap"] > 0.9).all()
    fresh = SPLIT.loc[("diagonal", "test")]
    shape = fresh["diagonal_gap"] + fresh["gaussian_gap"]
    assert f"{shape:.2f}" == "0.07"
    assert fresh["encoder_gap"] > 30 * shape


def test_the_three_parts_make_the_gap_and_the_identity_holds() -> None:
    assert len(GRID) == 20
    assert GRID["identity_error"].max() < 5e-4
    parts = SPLIT[["encoder_gap", "diagonal_gap", "gaussian_gap"]].sum(axis=1)
    assert np.allclose(parts, SPLIT["gap"], atol=1e-4)
    assert (SPLIT["diagonal_gap"] + SPLIT["gaussian_gap"] < 0.1).all()


def test_the_gap_on_new_digits_is_twice_that_on_training_digits() -> None:
    fresh = TEST[TEST["family"] == "diagonal"]
    assert summary_text(summarise(fresh, [], ["gap"]).iloc[0], 2) == "2.67 ± 0.32"
    said = SPLIT.loc[("diagonal", "test")]
    assert f"{said['gap']:.1f} {said['median_gap']:.1f}" == "2.7 1.1"
    assert f"{said['diagonal_gap']:.2f}" == "0.05"
    assert summary_text(summarise(fresh, [], ["largest_gap"]).iloc[0], 0) == "35 ± 17"
    means = GRID.pivot_table("gap", "family", "split")
    assert (means["test"] > 2 * means["train"]).all()
    assert abs(SPLIT.loc[("diagonal", "train"), "gap"] / said["gap"] - 0.5) < 0.05


def test_the_correlation_of_posteriors_changes_from_picture_to_picture() -> None:
    assert f"{SPLIT.loc[('diagonal', 'test'), 'correlation_sd']:.1f}" == "0.3"


def test_five_seeds_do_not_tell_whether_a_full_q_gains() -> None:
    gains = paired_differences(TEST, "family", "diagonal", ["log_p"]).set_index("family")
    gain = gains.loc["full"]
    assert summary_text(gain, 1) == "0.3 ± 1.1"
    assert f"{gain['low']:.1f} {gain['high']:.1f}" == "-0.9 1.4"
    wide = TEST.pivot_table("log_p", "seed", "family")
    assert (wide["full"] > wide["diagonal"]).sum() == 2


# ---------------------------------------------------------------- blind guesses


def test_100_000_blind_guesses_are_13_nats_short_with_16_dimensions() -> None:
    assert f"{ERRORS.loc[(16, 'prior'), 100_000]:.1f}" == "-12.9"


def test_intervals_of_blind_guesses_are_smaller_than_the_marks() -> None:
    blind = SAMPLING[SAMPLING["proposal"] == "prior"]
    blind = summarise(blind, ["latent_dim", "num_samples"], ["error"])
    assert (blind["high"] - blind["low"]).max() < 2  # of the 53 nats that the axis shows


def test_at_exp_of_the_rate_guesses_the_error_is_one_to_two_nats() -> None:
    at_rate = []
    for d in (2, 4, 8):  # 16 would need half a billion
        naive = ERRORS.loc[(d, "prior")].dropna()
        at_rate.append(np.interp(RATES[d], np.log(naive.index), naive))
    assert [f"{error:.1f}" for error in at_rate] == ["-1.8", "-1.5", "-1.2"]
    assert 4e8 < math.exp(RATES[16]) < 6e8


def test_with_more_noise_the_16_dimensions_need_256_guesses(
    data: ImageData, digits: Tensor
) -> None:
    sixteen = ProbabilisticPCA.fit(data.train.images, latent_dim=16)
    noisy = ProbabilisticPCA(sixteen.weights, sixteen.offset, 3 * sixteen.sigma)
    rate = float(noisy.elbo(digits, noisy.posterior(digits)).rate.mean())
    assert f"{rate:.1f} {math.exp(rate):.0f}" == "5.5 256"
    vae = noisy.as_vae(data.image_shape, posterior="full")
    with seeded(0):
        few = prior_monte_carlo_log_likelihood(vae, digits, num_samples=int(math.exp(rate)))
    assert -0.7 < (few.double() - noisy.log_likelihood(digits)).mean() < 0


def test_blind_guesses_do_for_four_dimensions(
    exact: ProbabilisticPCA, data: ImageData, digits: Tensor
) -> None:
    linear = exact.as_vae(data.image_shape, posterior="full")
    with seeded(0):
        naive = prior_monte_carlo_log_likelihood(linear, digits, num_samples=10_000)
    assert -0.5 < (naive.double() - exact.log_likelihood(digits)).mean() < 0.05


def test_wide_is_done_by_100_samples_and_narrow_not_by_10_000() -> None:
    assert ERRORS.loc[(8, "wide"), 100] > -0.05
    assert ERRORS.loc[(8, "narrow"), 10_000] < -0.2


# ---------------------------------------------------------------- exercises


def hadamard(size: int) -> Tensor:
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    matrix = two
    while len(matrix) < size:
        matrix = torch.kron(two, matrix)
    return matrix / size**0.5


def test_the_worst_turn_for_a_diagonal_q_reaches_the_isotropic_gap(data: ImageData) -> None:
    eight = ProbabilisticPCA.fit(data.train.images, latent_dim=8)
    worst = eight.rotated(hadamard(8)).posterior_precision
    spread = best_covariance(worst, "isotropic")
    isotropic_gap = posterior_gap(worst, spread)
    diagonal_gap = posterior_gap(worst, best_covariance(worst, "diagonal"))
    assert math.isclose(isotropic_gap, diagonal_gap, rel_tol=1e-9)
    for factor in (0.9, 1.1):
        assert posterior_gap(worst, factor * spread) > isotropic_gap
    assert HELD.loc[HELD["latent_dim"] == 8, "gap"].max() < isotropic_gap


def test_the_variance_of_the_log_weight_is_two_small_gaps(
    exact: ProbabilisticPCA, data: ImageData, digits: Tensor
) -> None:
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator).double())[0]
    turned = exact.rotated(turn)
    precision = turned.posterior_precision
    twice_the_gap = 2 * posterior_gap(precision, best_covariance(precision, "diagonal"))
    variance = {}
    with seeded(0):
        for family in ("full", "diagonal"):
            vae = turned.as_vae(data.image_shape, posterior=family)
            log_w = importance_log_weights(vae, digits, num_samples=2_000)
            variance[family] = float(log_w.double().var(0).mean())
    assert variance["full"] < 1e-6
    assert abs(variance["diagonal"] / twice_the_gap - 1) < 0.1


def gap_of(c: float, d: int) -> float:
    """Of a proposal with c times the true standard deviation."""
    return 0.5 * d * (c**2 - 1 - math.log(c**2))


def test_one_weight_lacks_the_gap_of_its_proposal() -> None:
    assert abs(ERRORS.loc[(8, "wide"), 1] + gap_of(1.5, 8)) < 0.05
    assert abs(ERRORS.loc[(8, "narrow"), 1] + gap_of(0.5, 8)) < 0.05


def test_the_effective_share_of_a_wide_proposal_is_predicted() -> None:
    predicted = (math.sqrt(2 * 1.5**2 - 1) / 1.5**2) ** 8
    rows = SAMPLING.query("latent_dim == 8 and num_samples == 10_000 and proposal == 'wide'")
    assert abs(predicted - rows["effective"].mean() / 10_000) < 0.02


def test_too_wide_wastes_fewer_samples_than_too_narrow(
    exact: ProbabilisticPCA, data: ImageData, digits: Tensor
) -> None:
    linear = exact.as_vae(data.image_shape, posterior="full")
    truth, log_p = exact.posterior(digits), exact.log_likelihood(digits)
    found = []
    with seeded(0):
        for c in (0.5, 1.5):
            q = MultivariateNormal(
                truth.mean.float(), covariance_matrix=c**2 * truth.covariance_matrix.float()
            )
            weights = importance_log_weights(linear, digits, num_samples=2_000, proposal=q)
            error = float(log_mean_weight(weights).mean() - log_p.mean())
            found.append((float(effective_sample_size(weights).mean()), abs(error)))
    narrow, wide = pd.DataFrame(found, columns=["effective", "error"]).itertuples(index=False)
    assert narrow.effective < wide.effective
    assert wide.error < narrow.error


def test_units_shift_the_density_and_leave_the_gap(data: ImageData) -> None:
    with seeded(0):
        noisy_train, noisy_test = (
            (images * 16 + torch.rand_like(images)).double()
            for images in (data.train.images, data.test.images)
        )
    levels = ProbabilisticPCA.fit(noisy_train, latent_dim=16)
    units = ProbabilisticPCA.fit(noisy_train / 16, latent_dim=16)
    nats = float(levels.log_likelihood(noisy_test).mean())
    nats_units = float(units.log_likelihood(noisy_test / 16).mean())
    assert math.isclose(nats_units - nats, 64 * math.log(16), rel_tol=1e-6)
    precisions = [model.posterior_precision for model in (levels, units)]
    gaps = [posterior_gap(each, best_covariance(each, "isotropic")) for each in precisions]
    assert math.isclose(*gaps, rel_tol=1e-6)
