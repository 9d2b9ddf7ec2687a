"""What the text of chapter 05 says of its records, of its models, and of what it derives."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize, special, stats
from torch import Tensor
from torch.distributions import Beta, Categorical, Dirichlet, Distribution, Gamma

from vaebook.data import load_digits
from vaebook.distributions import (
    DiagonalGaussian,
    pathwise_gradient,
    reparameterise,
    score_function_gradient,
)
from vaebook.experiments import load_recorded, paired_differences, summarise
from vaebook.experiments.ch05_reparameterisation import gradient_variance, variance_heads
from vaebook.experiments.ch05_reparameterisation.gradient_variance import (
    exact_variance,
    squared_norm,
)
from vaebook.models import MLP, VAE
from vaebook.plots import interval_text, summary_text
from vaebook.training import seeded

VARIANCES = load_recorded("gradient_variance")
QUADRATIC = VARIANCES[VARIANCES["problem"] == "quadratic"]
ON_VAES = VARIANCES[VARIANCES["problem"] != "quadratic"]
DRAWS = ON_VAES.pivot_table("samples_to_match", ["problem", "dim"], "estimator")  # mean of seeds
TRAINED = load_recorded("gradient_training")
ELBOS = TRAINED.pivot_table("elbo", "seed", ["estimator", "samples"])
HEADS = load_recorded("variance_heads")
GOOD = HEADS[HEADS["head"] != "bug"]
RIGHT = HEADS[HEADS["head"] == "log variance"].set_index("seed")
BUG = (
    HEADS[HEADS["head"] == "bug"].drop(columns="head").pivot_table(index="seed", columns="reading")
)
DRAWN = BUG.xs("true", axis=1, level=1)  # the codes that the program with the bug draws


def with_interval(values: pd.Series, digits: int) -> str:
    """The mean over the seeds as the chapter writes it."""
    frame = values.rename("value of the seed").reset_index()
    return summary_text(summarise(frame, [], ["value of the seed"]).iloc[0], digits)


# ---------------------------------------------------------------- the variance of both gradients


def test_the_variance_grows_as_derived() -> None:
    fits = []
    for name, rows in QUADRATIC[QUADRATIC["dim"] >= 16].groupby("estimator"):
        for _, one in rows.groupby("seed"):
            columns = np.log(one[["variance", "exact"]])
            slope, derived = np.polyfit(np.log(one["dim"]), columns, 1)[0]
            fits.append({"estimator": name, "slope": slope, "derived": derived})
    means = pd.DataFrame(fits).groupby("estimator").mean()
    assert (abs(means["slope"] - means["derived"]) < 0.02).all()
    powers = {"score": 3, "score, mean baseline": 2, "score, leave-one-out": 2, "pathwise": 1}
    assert (abs(means["slope"] - pd.Series(powers)) < 0.1).all()


def test_the_variance_is_the_derived_one_within_a_few_per_cent_from_four_dimensions_on() -> None:
    ratio = QUADRATIC["variance"] / QUADRATIC["exact"]
    assert ratio[QUADRATIC["dim"] >= 4].between(0.9, 1.12).all()


def test_there_is_no_trace_of_bias() -> None:
    assert QUADRATIC.groupby("estimator")["error_ratio"].mean().between(0.6, 1.4).all()
    assert ON_VAES.groupby("estimator")["error_ratio"].mean().between(0.8, 1.2).all()


def test_one_pathwise_draw_is_worth_8_draws_in_one_dimension_and_66_000_in_256() -> None:
    needed = QUADRATIC.groupby(["estimator", "dim"])["samples_to_match"].mean()
    assert 7.5 < needed["score", 1] < 8.5
    assert 66_000 < needed["score", 256] < 67_000
    assert needed["score", 256] == pytest.approx(256**2 + 3.5 * 256 + 3, rel=0.02)
    assert needed["score, mean baseline", 256] == pytest.approx(1.5 * 256 + 3, rel=0.05)


def test_on_vaes_a_pathwise_draw_is_worth_6_to_51_leave_one_out_draws() -> None:
    draws = DRAWS["score, leave-one-out"]
    assert [f"{end:.0f}" for end in (draws.min(), draws.max())] == ["6", "51"]


def test_before_training_the_kind_example_predicts_the_need() -> None:
    """Within 15 %: about 1.7 draws more for each dimension."""
    needed = DRAWS.loc["VAE, untrained", "score, leave-one-out"]
    predicted = [exact_variance("score, leave-one-out", d) / (4 * d) for d in needed.index]
    assert (abs(needed / predicted - 1) < 0.15).all()
    slope = (predicted[-1] - predicted[0]) / (needed.index[-1] - needed.index[0])
    assert f"{slope:.1f}" == "1.7"


def test_after_training_the_need_no_longer_grows() -> None:
    """With 32 dimensions half are used; in two the need is four times that of the kind example."""
    needed = DRAWS.loc["VAE, trained", "score, leave-one-out"]
    assert needed.max() / needed.min() < 1.4
    predicted = exact_variance("score, leave-one-out", 2) / 8
    assert 3.5 < needed[2] / predicted < 4.5
    used = ON_VAES[ON_VAES["problem"] == "VAE, trained"].groupby("dim")["dims_used"].mean()
    assert used[2] == 2
    assert used[8] == 8
    assert 12 < used[32] < 18


def test_a_baseline_is_worth_a_factor_of_84_to_732() -> None:
    worth = DRAWS["score"] / DRAWS["score, leave-one-out"]
    assert [f"{end:.0f}" for end in (worth.min(), worth.max())] == ["84", "732"]
    assert (DRAWS["score"] > 1000).all()  # thousands at every size


# ---------------------------------------------------------------- training by either


def test_leave_one_out_trains_a_vae_0_9_nats_behind_the_trick() -> None:
    behind = ELBOS["pathwise", 8] - ELBOS["score", 8]
    assert with_interval(behind, 1) == "0.9 ± 0.4"
    assert ELBOS["pathwise", 8].std() > behind.mean()  # one seed from the next


def test_without_a_baseline_the_model_is_48_nats_behind_in_every_seed_at_a_rate_of_16() -> None:
    behind = ELBOS["pathwise", 1] - ELBOS["score", 1]
    assert behind.min() > 30
    assert f"{behind.mean():.0f}" == "48"
    rates = TRAINED.groupby(["estimator", "samples"])["rate"].mean()
    assert (rates.round() == 16).all()


def test_eight_codes_gained_nothing() -> None:
    assert with_interval(ELBOS["pathwise", 8] - ELBOS["pathwise", 1], 1) == "−0.1 ± 1.8"


def test_the_choice_of_pictures_is_noisy_too() -> None:
    """In the trained model more than one pathwise code; leave-one-out of eight is 1.7 of it."""
    rows = ON_VAES[ON_VAES["dim"] == 8]
    share = rows["code_noise"] / rows["image_noise"]
    share = share.groupby([rows["problem"], rows["estimator"]]).mean()["VAE, trained"]
    assert 0.5 < share["pathwise"] < 1
    excess = (1 + share["score, leave-one-out"] / 8) / (1 + share["pathwise"])
    assert f"{excess:.1f}" == "1.7"


def test_the_best_number_of_codes_is_1_8_before_training_and_0_9_after() -> None:
    rows = ON_VAES[(ON_VAES["dim"] == 8) & (ON_VAES["estimator"] == "pathwise")]
    best = np.sqrt(rows["code_noise"] / rows["image_noise"]).groupby(rows["problem"]).mean()
    assert f"{best['VAE, untrained']:.1f}" == "1.8"
    assert f"{best['VAE, trained']:.1f}" == "0.9"


# ---------------------------------------------------------------- heads


def test_three_heads_cannot_be_told_apart_and_the_clipped_variance_is_worse() -> None:
    less = paired_differences(GOOD, "head", "log variance", ["elbo"]).set_index("head")
    close = less.loc[["log sigma", "softplus"]]
    assert (abs(close["mean"]) < 0.3).all()
    assert (close["low"] < 0).all()
    assert (close["high"] > 0).all()
    assert f"{(close['high'] - close['mean']).max():.1f}" == "0.9"
    clipped = -less.loc["clipped variance", ["mean", "high", "low"]].to_numpy(float)
    assert interval_text(*clipped, 1) == "16.0 ± 11.5"


def test_half_of_a_fresh_layer_is_below_the_clip() -> None:
    with seeded(0):
        fresh = VAE((1, 8, 8), 8, network=MLP((128,)))
    raw = fresh.encoder(load_digits().train.images)[:, 8:]
    assert 0.3 < (raw < variance_heads.SMALLEST_VARIANCE).float().mean() < 0.7


def test_clipped_codes_are_noisier_and_some_of_their_variances_stay_at_the_clip() -> None:
    stuck = 100 * GOOD[GOOD["head"] == "clipped variance"]["clipped"]
    assert f"{stuck.min():.1f} to {stuck.max():.0f} %" == "0.5 to 13 %"
    std = GOOD.groupby("head")["std"]
    assert std.min()["clipped variance"] > 2 * std.max().drop("clipped variance").max()


# ---------------------------------------------------------------- the bug


def test_the_bug_claims_nine_nats_and_costs_one() -> None:
    elbo = BUG["elbo"]
    assert elbo["claimed"].min() > RIGHT["elbo"].max() + 5
    assert (RIGHT["elbo"] > elbo["true"]).all()
    assert with_interval(RIGHT["elbo"] - elbo["true"], 1) == "1.1 ± 0.9"
    assert f"{(elbo['claimed'] - RIGHT['elbo']).mean():.0f}" == "9"
    assert f"{(elbo['claimed'] - elbo['true']).mean():.0f}" == "10"


def test_what_the_bug_leaves_unpaid_is_as_derived() -> None:
    claimed = (BUG["elbo"]["claimed"] - BUG["elbo"]["true"]).mean()
    unpaid = 4 * (DRAWN["variance"] - DRAWN["std"] - DRAWN["log_std"]).mean()  # 8 dimensions
    assert abs(claimed - unpaid) < 0.1
    assert f"{unpaid:.1f}" == "10.4"


def test_the_price_agrees_with_the_derivation_within_its_error() -> None:
    price = (RIGHT["elbo"] - BUG["elbo"]["true"]).rename("price").reset_index()
    found = summarise(price, [], ["price"]).iloc[0]
    assert found["low"] < 8 * (math.log(2) - 0.5) < found["high"]


def test_sigma_falls_by_log_2_less_6_per_cent() -> None:
    fall = (RIGHT["log_std"] - DRAWN["log_std"]).mean()
    assert f"{1 - fall / math.log(2):.2f}" == "0.06"


def test_the_means_are_smaller_with_the_bug_and_in_both_models_larger_than_at_rest() -> None:
    assert DRAWN["code_square"].mean() < 0.7 * RIGHT["code_square"].mean()
    assert (RIGHT["code_square"] > 1 - RIGHT["variance"]).all()
    assert (DRAWN["code_square"] > 0.5 - 0.5 * DRAWN["std"]).all()
    assert (DRAWN["active"] == 8).all()
    assert (RIGHT["active"] == 8).all()


def test_correcting_the_line_after_training_costs_12_nats() -> None:
    elbo, std = BUG["elbo"], BUG["std"]
    assert f"{(elbo['true'] - elbo['repaired']).mean():.0f}" == "12"
    assert f"{(std['repaired'] / DRAWN['std']).mean():.1f}" == "3.8"


def test_both_decoders_are_equally_good() -> None:
    log_p = BUG["log_likelihood"][["true", "repaired"]].max(axis=1)  # two proposals, one decoder
    assert abs(RIGHT["log_likelihood"].mean() - log_p.mean()) < 1


def test_the_buggy_model_has_the_slope_that_the_proof_predicts() -> None:
    """Training has not followed it to the end: less than 0.6 nats are left."""
    model, images = variance_heads.train(0, "bug"), load_digits().train.images
    last, first = model.encoder[-1], model.decoder[0]
    with seeded(0):
        loss = model.loss(images).mean()
    weight, bias, after = torch.autograd.grad(loss, (last.weight, last.bias, first.weight))
    with torch.no_grad():
        grown = (weight * last.weight)[:8].sum(1) + (bias * last.bias)[:8]  # μ times c
        slope = grown + bias[8:] - (after * first.weight).sum(0)  # σ times c, decoder over c
        q = variance_heads.read_as(model, "log sigma").posterior(images)
    square, std = (q.mu**2).mean(0), q.std.mean(0)
    assert (slope - (square + 0.5 * std - 0.5)).abs().max() < 1e-3
    best = ((std**2 + 8 * square).sqrt() - std) / (4 * square)  # the c at which it vanishes
    left = 0.5 * ((1 - best**2) * square + (1 - best) * std + best.log()).sum()
    assert 0 < left < 0.6


def linear_loss(parameters: np.ndarray, sigma_x: float, *, charged: bool) -> float:
    """Distortion of a linear model, less a constant, and the right or the charged rate."""
    rho, w, log_std = parameters
    std = math.exp(log_std)
    distortion = ((1 - w * rho) ** 2 + w**2 * std**2) / (2 * sigma_x**2)
    rate = (std - log_std) if charged else (std**2 - 2 * log_std)
    return distortion + 0.5 * (rho**2 + rate - 1)


@pytest.mark.parametrize(("sigma_x", "price"), [(0.3, 0.248), (0.1, 0.216), (0.01, 0.196)])
def test_the_slip_in_a_linear_model(sigma_x: float, price: float) -> None:
    """Both models come to rest where the proposition says, and the claim is no lower bound."""
    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000}

    def least(start: list[float], *, charged: bool) -> np.ndarray:
        def loss(at: np.ndarray) -> float:
            return linear_loss(at, sigma_x, charged=charged)

        return optimize.minimize(loss, start, method="Nelder-Mead", options=options).x

    right = least([1, 1, math.log(sigma_x)], charged=False)
    buggy = least([0.7, 1.4, math.log(sigma_x / 2)], charged=True)
    assert right[0] ** 2 + math.exp(2 * right[2]) == pytest.approx(1, abs=1e-4)
    assert buggy[0] ** 2 + 0.5 * math.exp(buggy[2]) == pytest.approx(0.5, abs=1e-4)
    paid = linear_loss(buggy, sigma_x, charged=False) - linear_loss(right, sigma_x, charged=False)
    assert paid == pytest.approx(price, abs=5e-4)
    assert abs(paid - (math.log(2) - 0.5)) < 0.01 + sigma_x / 5  # the limit
    variance = buggy[1] ** 2 + sigma_x**2
    log_p = -0.5 * math.log(2 * math.pi * variance) - 0.5 / variance
    scale = 0.5 * math.log(2 * math.pi * sigma_x**2)
    assert -linear_loss(buggy, sigma_x, charged=True) - scale > log_p + 0.2


# ---------------------------------------------------------------- what readers ask


def test_sample_has_no_history_and_rsample_has_one() -> None:
    q = DiagonalGaussian(torch.zeros(3, requires_grad=True), torch.zeros(3))
    assert q.sample().grad_fn is None
    assert q.rsample().grad_fn is not None


def test_many_draws_tell_the_slip() -> None:
    log_var = torch.full((100_000, 1), -3.0)
    with seeded(0):
        honest = reparameterise(torch.zeros_like(log_var), log_var).std() / math.exp(-1.5)
        slip = (torch.exp(log_var) * torch.randn_like(log_var)).std() / math.exp(-1.5)
    assert abs(honest - 1) < 0.01
    assert abs(slip - math.exp(-1.5)) < 0.01


def draw_with_gradient(
    family: Callable[[Tensor], Distribution], parameter: Tensor, value: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """A draw, and the gradient of value(draw) for each row of the parameter."""
    parameter = parameter.double().requires_grad_()
    with seeded(4):
        z = family(parameter).rsample()
    return z.detach(), torch.autograd.grad(value(z).sum(), parameter)[0]


def test_torch_moves_gamma_draws_so_that_their_quantile_stays_the_same() -> None:
    shapes = torch.tensor([0.3, 1.0, 2.5, 10.0]).double().repeat(1000, 1)
    draws, moved = draw_with_gradient(
        lambda alpha: Gamma(alpha, torch.ones_like(alpha)), shapes.clone(), lambda z: z
    )
    alpha, z = shapes.numpy(), draws.numpy()
    step = 1e-5 * alpha
    slope = (special.gammainc(alpha + step, z) - special.gammainc(alpha - step, z)) / (2 * step)
    gap = np.abs(moved.numpy() / (-slope / stats.gamma(alpha).pdf(z)) - 1)
    assert gap.max() < 2e-3
    assert np.median(gap) < 1e-4


FAMILIES = {
    "Gamma(2.5), d E[log z] / dα": (
        lambda alpha: Gamma(alpha, 1.0),
        [2.5],
        torch.log,
        float(special.polygamma(1, 2.5)),
    ),
    "Beta(0.7, 2), d E[z] / dα": (
        lambda alpha: Beta(alpha, 2.0),
        [0.7],
        lambda z: z,
        2 / 2.7**2,
    ),
    "Dirichlet(½, 2, 4), d E[z₁] / dα₁": (
        Dirichlet,
        [0.5, 2.0, 4.0],
        lambda z: z[:, 0],
        6 / 6.5**2,
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_means_over_other_families_are_exact(name: str) -> None:
    family, parameter, value, exact = FAMILIES[name]
    many = 100_000
    _, gradient = draw_with_gradient(family, torch.tensor(parameter).repeat(many, 1), value)
    error = gradient[:, 0].std() / many**0.5
    assert abs(gradient[:, 0].mean() - exact) < 4 * error < 0.02 * exact


def test_a_laplace_draw_is_reparameterised_by_its_inverse_distribution_function() -> None:
    centre, scale = torch.tensor(0.5, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    with seeded(0):
        u = torch.rand(100_000) - 0.5
    z = centre - scale * u.sign() * torch.log1p(-2 * u.abs())
    by_centre, by_scale = torch.autograd.grad((z**2).mean(), (centre, scale))
    assert abs(by_centre - 1) < 0.05  # E[z²] = centre² + 2 scale²
    assert abs(by_scale - 8) < 0.15


def test_discrete_codes_cannot_be_moved() -> None:
    assert not Categorical(torch.ones(3)).has_rsample


@pytest.mark.parametrize(("kind", "largest"), [(torch.float32, "88.7"), (torch.float16, "11.1")])
def test_where_exp_of_the_log_variance_overflows(kind: torch.dtype, largest: str) -> None:
    end = math.log(torch.finfo(kind).max)
    assert f"{end:.1f}" == largest
    assert torch.tensor(end - 0.1, dtype=kind).exp().isfinite()
    assert torch.tensor(end + 0.1, dtype=kind).exp().isinf()


@pytest.fixture(scope="module")
def model() -> VAE:
    return gradient_variance.train_vae(0, 8)


@pytest.fixture(scope="module")
def posterior(model: VAE) -> DiagonalGaussian:
    with torch.no_grad():
        q = model.posterior(load_digits().test.images)
    assert isinstance(q, DiagonalGaussian)
    return q


def test_the_variance_of_the_gradient_falls_as_one_over_the_codes(
    model: VAE, posterior: DiagonalGaussian
) -> None:
    images = load_digits().test.images[:100]
    q = DiagonalGaussian(posterior.mu[:100], posterior.log_var[:100])
    with seeded(1):
        noise = torch.randn(512, 100, 8)
    votes = torch.cat(
        pathwise_gradient(lambda z: model.likelihood_of(z).log_prob(images), q, noise), -1
    )
    for num_codes in (4, 16, 64):
        averaged = votes.unflatten(0, (-1, num_codes)).mean(1)
        assert 0.85 < num_codes * averaged.var(0).mean() / votes.var(0).mean() < 1.15


def test_two_codes_of_one_picture_are_nearer_than_two_pictures(
    model: VAE, posterior: DiagonalGaussian
) -> None:
    with torch.no_grad(), seeded(3):
        one, other = (model.decode(posterior.sample()) for _ in range(2))
    same, different = (one - other).square().mean(), (one - one.roll(1, 0)).square().mean()
    assert same.sqrt() < different.sqrt() / 4


def test_the_code_of_a_picture_in_evaluation_mode_is_exactly_its_mean(
    model: VAE, posterior: DiagonalGaussian
) -> None:
    with torch.no_grad():
        assert torch.equal(model.encode(load_digits().test.images), posterior.mu)
    assert not torch.equal(posterior.mu + posterior.std, posterior.mu)  # what the test would catch


def test_autograd_still_needs_the_standard_deviation() -> None:
    s = torch.zeros(3, requires_grad=True)
    std = torch.exp(0.5 * s)
    std.add_(torch.ones(3))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        std.sum().backward()


def test_adam_moves_a_weight_by_32_learning_rates_after_a_silence() -> None:
    """All weights of an output together lift a digit's log-variance by 5 to 30 at lr = 0.01."""
    derived = 0.1 / math.sqrt(0.001) * sum((0.9 / math.sqrt(0.999)) ** k for k in range(200))
    assert f"{derived:.0f}" == "32"
    weight = torch.zeros(1, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=1.0)
    for gradient in [1e-6 * (-1) ** step for step in range(4000)] + [1e4] + [0.0] * 200:
        if gradient == 1e4:
            before = weight.item()
        weight.grad = torch.tensor([gradient])
        adam.step()
    assert abs(weight.item() - before) == pytest.approx(derived, rel=0.02)


def test_a_digit_s_log_variance_may_rise_by_5_to_30_at_once(model: VAE) -> None:
    hidden = model.encoder[:-1](load_digits().test.images[:1]).detach()
    assert 5 < 32 * 0.01 * hidden.sum() < 30


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("d", [1, 8, 50])
def test_the_best_baseline_is_the_mean_plus_two(d: int) -> None:
    def variance(b: float) -> float:
        a = d - b
        constant = a**2 * d + 2 * a * d * (d + 2)
        return constant + d * (d + 2) * (d + 4) + 4 * d * (d + 1)

    assert optimize.minimize_scalar(variance).x == pytest.approx(2 * d + 2)
    assert variance(2 * d) == pytest.approx(exact_variance("score, mean baseline", d))
    assert variance(2 * d) - variance(2 * d + 2) == pytest.approx(4 * d)


@pytest.mark.parametrize("omega", [0.5, 1.0, 2.0, 8.0])
def test_the_variances_for_a_wave_are_as_derived(omega: float) -> None:
    squared_mean = omega**2 * math.exp(-(omega**2))
    score = 0.5 - 0.5 * (1 - 4 * omega**2) * math.exp(-2 * omega**2) - squared_mean
    path = 0.5 * omega**2 * (1 + math.exp(-2 * omega**2)) - squared_mean
    q = DiagonalGaussian(torch.zeros(1), torch.zeros(1))
    with seeded(0):
        noise = torch.randn(400_000, 1)
    measured = [
        gradient(lambda z: torch.sin(omega * z).squeeze(-1), q, noise).mu.var().item()
        for gradient in (score_function_gradient, pathwise_gradient)
    ]
    np.testing.assert_allclose(measured, [score, path], rtol=0.02, atol=2e-3)
    assert (score < path) == (omega > 1.11)


def mirrored_and_independent(f: Callable[[Tensor], Tensor], mean: float) -> tuple[float, float]:
    """Variance by s of a pair of mirror images, and of two independent draws."""
    q = DiagonalGaussian(torch.full((1,), mean), torch.zeros(1))
    with seeded(0):
        noise = torch.randn(200_000, 1)
    votes, mirrored = (pathwise_gradient(f, q, e).log_var for e in (noise, -noise))
    return float((0.5 * (votes + mirrored)).var()), float(votes.var() / 2)


def test_the_mirror_image_is_perfect_for_a_linear_function() -> None:
    pair, two = mirrored_and_independent(lambda z: z.sum(-1), 1.0)
    assert pair < 1e-12
    assert abs(two - 1 / 8) < 0.01


@pytest.mark.parametrize("mean", [0.0, 1.0, 2.0])
def test_the_mirror_image_harms_where_the_slope_is_small(mean: float) -> None:
    """f = z², so f' = 2 mean and f″ = 2."""
    pair, two = mirrored_and_independent(squared_norm, mean)
    assert abs(pair - 2) < 0.05
    assert abs(two - mean**2 / 2 - 1) < 0.05
    assert (pair < two) == ((2 * mean) ** 2 > 2 * 2**2)
