"""What the text of chapter 04 says of its records, and of what can be worked out by hand."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm, t
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    kl_divergence,
)

from vaebook.data import load_digits
from vaebook.distributions import (
    DiagonalGaussian,
    gaussian_kl,
    gaussian_kl_diagonal,
    gaussian_kl_full,
    gaussian_kl_quadrature,
    monte_carlo_kl,
    quadrature_kl,
)
from vaebook.experiments import load_recorded, summarise
from vaebook.experiments.ch04_gaussian_kl import kl_monte_carlo
from vaebook.models import MLP, VAE
from vaebook.plots import summary_text
from vaebook.training import seeded

FIVE_WAYS = load_recorded("kl_closed_form")
SAMPLING = load_recorded("kl_monte_carlo")


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def of_std(std: float, mu: float = 0.0) -> float:
    """KL(N(mu, std²) ‖ N(0, 1)) as the chapter's first theorem has it."""
    return 0.5 * (mu**2 + std**2 - 1) - math.log(std)


# ---------------------------------------------------------------- the records


def test_five_seeds_of_deterministic_computations_agree_to_1e13() -> None:
    assert len(FIVE_WAYS) == 5
    gaps = FIVE_WAYS[["quadrature_gap", "torch_gap", "line_integral_gap", "gradient_gap"]]
    assert gaps.to_numpy().max() < 1e-13


def test_the_largest_error_of_sampling_is_as_large_as_chance_makes_it() -> None:
    worst = FIVE_WAYS["monte_carlo_standard_errors"].max()
    by_chance = norm.ppf((1 + 0.5 ** (1 / 200)) / 2)  # the median of the largest of 200
    assert f"{worst:.1f}" == "2.6"
    assert f"{by_chance:.1f}" == "2.9"


def test_the_codes_of_one_picture_are_far_from_the_prior_and_those_of_all_are_near() -> None:
    found = summarise(FIVE_WAYS, [], ["kl_per_picture", "kl_of_aggregate"]).set_index("value")
    assert summary_text(found.loc["kl_per_picture"], 2) == "1.59 ± 0.06"
    assert summary_text(found.loc["kl_of_aggregate"], 3) == "0.017 ± 0.010"


def test_nearly_all_of_the_price_is_information() -> None:
    assert (FIVE_WAYS["mutual_information"] / FIVE_WAYS["kl_per_picture"]).min() > 0.97


def test_the_error_of_sampling_has_the_slope_and_the_height_that_were_derived() -> None:
    fits = []
    for (posterior, seed), rows in SAMPLING.groupby(["posterior", "seed"]):
        slope, _ = np.polyfit(np.log(rows["num_samples"]), np.log(rows["rms_error"]), 1)
        ratio = (rows["rms_error"] / rows["predicted_error"]).mean()
        fits.append({"posterior": posterior, "seed": seed, "slope": slope, "ratio": ratio})
    found = summarise(pd.DataFrame(fits), ["posterior"])
    predicted = found["value"].map({"slope": -0.5, "ratio": 1.0})
    assert predicted.between(found["low"], found["high"]).all()
    off = (found["mean"] - predicted).abs().groupby(found["value"]).max()
    assert off["slope"] < 0.02
    assert off["ratio"] < 0.03


def test_six_digits_of_the_20_dimensional_posterior_need_more_than_1e10_draws() -> None:
    row = SAMPLING.query("posterior == '20 dimensions' and num_samples == 16").iloc[0]
    assert 16 * (row["predicted_error"] / (1e-6 * row["exact"])) ** 2 > 1e10


def test_intervals_are_too_narrow_when_samples_are_few() -> None:
    covered = SAMPLING.groupby(["num_samples", "posterior"])["covered"].mean()
    assert (covered[16][["informative", "near the prior"]] < 0.9).all()
    assert covered[4096].between(0.93, 0.97).all()
    assert round(1 - 2 * t.sf(1.96, 15), 2) == 0.93  # of 16 draws of a normal


# ---------------------------------------------------------------- the closed form and its pieces


def test_what_is_paid_and_refunded_adds_up_to_the_divergence() -> None:
    z = torch.linspace(-3, 4, 1401)
    q, p = Normal(1.0, 0.5), Normal(0.0, 1.0)
    price = q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z))
    paid, refund = (float(part.sum()) / 200 for part in (price.clamp(min=0), -price.clamp(max=0)))
    assert [f"{nats:.2f}" for nats in (paid, refund, paid - refund)] == ["0.91", "0.09", "0.82"]
    assert paid - refund == pytest.approx(gaussian_kl_quadrature(1.0, 2 * math.log(0.5)), abs=1e-6)


def test_halving_sigma_costs_nearly_one_bit_once_it_is_small() -> None:
    halved = 0.5 ** np.arange(7)  # 1, 1/2, …, 1/64
    bits = np.diff([of_std(std) for std in halved]) / math.log(2)
    np.testing.assert_allclose(bits, 1 - 3 / 8 * halved[:-1] ** 2 / math.log(2))
    np.testing.assert_allclose(bits, [0.459, 0.865, 0.966, 0.992, 0.998, 0.999], atol=6e-4)


def test_the_field_points_inwards_everywhere() -> None:
    """At the prior it vanishes; the pull on a narrow code is ½, on a wide one it grows."""
    mean, log_variance = np.meshgrid(np.linspace(-4, 4, 161), np.linspace(-6, 2.6, 173))
    inward = -(mean**2) - 0.5 * np.expm1(log_variance) * log_variance
    assert np.all(inward[np.hypot(mean, log_variance) > 1e-9] < 0)
    for std, pull in ((1 / 20, 0.5), (1, 0), (3, -4)):
        log_var = torch.tensor([2 * math.log(std)], requires_grad=True)
        gaussian_kl(torch.zeros(1), log_var).backward()
        assert -log_var.grad.item() == pytest.approx(pull, abs=0.002)


def test_a_map_onto_the_interval_changes_nothing() -> None:
    q, p = Normal(1.0, 0.5), Normal(0.0, 1.0)
    bent = [TransformedDistribution(normal, SigmoidTransform()) for normal in (q, p)]
    in_interval = quadrature_kl(*bent, low=1e-6, high=1 - 1e-6)
    assert abs(quadrature_kl(q, p, low=-12, high=12) - in_interval) < 1e-6


def test_200_random_affine_maps_change_nothing() -> None:
    with seeded(0):
        means, factors = torch.randn(2, 200, 5), torch.randn(2, 200, 5, 5)
        shift, matrix = torch.randn(200, 5), torch.randn(200, 5, 5)
    covs = factors @ factors.mT + 0.1 * torch.eye(5)
    moved_means = shift + (matrix @ means[..., None])[..., 0]
    moved_covs = matrix @ covs @ matrix.mT

    def between(means: Tensor, covs: Tensor) -> Tensor:
        lower = torch.linalg.cholesky(covs)
        return gaussian_kl_full(means[0], lower[0], means[1], lower[1])

    change = between(moved_means, moved_covs) / between(means, covs) - 1
    assert change.abs().max() < 1e-5


def test_a_trainable_prior_is_absorbed_by_two_layers() -> None:
    images = load_digits().test.images.double()
    with seeded(0):
        m, log_tau = torch.randn(4), 0.5 * torch.randn(4)
        with_prior = VAE((1, 8, 8), 4, network=MLP((32,)), prior=DiagonalGaussian(m, 2 * log_tau))
        standard = VAE((1, 8, 8), 4, network=MLP((32,)))
    standard.load_state_dict(with_prior.state_dict())
    terms = []
    with torch.no_grad():
        last, first, tau = standard.encoder[-1], standard.decoder[0], log_tau.exp()
        last.weight[:4] /= tau[:, None]
        last.bias[:4] = (last.bias[:4] - m) / tau
        last.bias[4:] -= 2 * log_tau
        first.bias += first.weight @ m
        first.weight *= tau
        for model in (with_prior, standard):
            with seeded(1):
                terms.append(model.elbo(images))
    torch.testing.assert_close(terms[0].elbo, terms[1].elbo)
    torch.testing.assert_close(terms[0].rate, terms[1].rate)


def test_the_package_s_function_is_the_line_of_the_chapter() -> None:
    mu, std = torch.tensor([1.0, -2.0, 0.3, 1.5]), torch.tensor([0.5, 0.1, 2.0, 0.05])
    log_var = 2 * std.log()
    line = -0.5 * (1 + log_var - mu**2 - log_var.exp())
    torch.testing.assert_close(gaussian_kl(mu[:, None], log_var[:, None]), line)
    torch.testing.assert_close(line, kl_divergence(Normal(mu, std), Normal(0.0, 1.0)))
    assert gaussian_kl(torch.zeros(1), torch.zeros(1)) == 0


def test_the_variance_of_one_draw_does_not_grow_with_the_divergence() -> None:
    def one_draw(mu: float, std: float) -> Tensor:
        q = DiagonalGaussian(torch.tensor([mu]), torch.tensor([2 * math.log(std)]))
        return kl_monte_carlo.single_sample_variance(q)

    assert one_draw(0.0, 0.01) < one_draw(1.0, 1.0)
    assert of_std(0.01) > 8 * of_std(1.0, mu=1.0)


# ---------------------------------------------------------------- the other direction


def two_bumps(weights: list[float], centres: list[float], std: float) -> MixtureSameFamily:
    return MixtureSameFamily(
        Categorical(torch.tensor(weights)), Normal(torch.tensor(centres), torch.tensor(std))
    )


def price(q: Distribution, p: Distribution, num_points: int = 8001) -> Tensor:
    return quadrature_kl(q, p, low=-40, high=40, num_points=num_points)


def fitted(target: Distribution, mean: float, sd: float, *, reverse: bool) -> Normal:
    """The normal of least divergence, searched from a mean and an sd."""

    def divergence(at: np.ndarray) -> float:
        q = Normal(at[0], math.exp(at[1]))
        return (price(q, target) if reverse else price(target, q)).item()

    found = minimize(
        divergence,
        [mean, math.log(sd)],
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-10},
    )
    assert found.success
    return Normal(*torch.tensor([found.x[0], math.exp(found.x[1])]))


def share_of_the_valley(q: Distribution) -> float:
    return q.cdf(torch.tensor([-1.0, 1.0])).diff().item()


def test_reverse_kl_has_three_minima_and_the_least_is_on_the_larger_bump() -> None:
    target = two_bumps([0.6, 0.4], [-2.0, 2.0], 0.7)
    starts = {"left": (-2.0, 0.6), "between": (-0.1, 2.0), "right": (2.0, 0.6)}
    prices = {}
    for name, start in starts.items():
        found = fitted(target, *start, reverse=True)
        prices[name] = price(found, target).item()
        curved = torch.autograd.functional.hessian(
            lambda at: price(Normal(at[0], at[1].exp()), target).sum(),
            torch.stack([found.mean, found.stddev.log()]),
        )
        assert torch.linalg.eigvalsh(curved).min() > 0.1, name  # upwards on all sides
    assert min(prices, key=lambda name: prices[name]) == "left"
    assert prices["left"] < -math.log(0.6)  # nats of saying "this one"
    assert prices["right"] < -math.log(0.4)


def test_forward_kl_matches_moments_and_fills_the_valley() -> None:
    target = two_bumps([0.6, 0.4], [-2.0, 2.0], 0.7)
    forward = fitted(target, -1.0, 1.5, reverse=False)
    left = fitted(target, -2.0, 0.6, reverse=True)
    assert abs(forward.mean - target.mean) < 1e-4
    assert abs(forward.stddev - target.stddev) < 1e-4
    assert 0.3 < share_of_the_valley(forward) < 0.4
    assert f"{share_of_the_valley(target):.2f}" == "0.08"
    assert price(target, forward) < price(target, left)
    assert price(left, target) < price(forward, target)


@pytest.mark.parametrize("c", [1.0, 2.0, 2.6, 2.7, 2.9, 3.5])
def test_picking_one_bump_pays_from_2_8_standard_deviations_on(c: float) -> None:
    bumps = two_bumps([0.5, 0.5], [-c, c], 1.0)

    def nats(at: tuple[float, float]) -> float:
        return price(Normal(at[0], math.exp(at[1])), bumps, num_points=1601).item()

    covering = minimize_scalar(lambda log_std: nats((0.0, log_std)), bounds=(-0.5, 1.5)).fun
    picking = minimize(nats, [c, 0.1], method="Nelder-Mead", tol=1e-6).fun
    assert (picking < covering - 1e-4) == (c > 2.8)
    assert picking < math.log(2) + 1e-6


# ---------------------------------------------------------------- versions in the wild


def chosen_std(version: Callable[[np.ndarray], np.ndarray], curvature: float) -> float:
    """Where the version and noise that costs curvature · σ² / 2 are least together."""
    std = np.geomspace(1e-4, 10, 1_000_001)
    return std[np.argmin(version(std) + 0.5 * curvature * std**2)]


def test_what_each_version_chooses_against_a_decoder() -> None:
    def kl(std: np.ndarray) -> np.ndarray:
        return 0.5 * (std**2 - 1) - np.log(std)

    def half_a_wall(std: np.ndarray) -> np.ndarray:  # E
        return 0.5 * (std - 1 - np.log(std))

    assert abs(chosen_std(kl, 24) - 0.2) < 1e-4
    assert 0.13 < chosen_std(half_a_wall, 24) < 0.14
    assert 0.04 < chosen_std(lambda std: kl(std) / 20, 24) < 0.05  # H
    assert chosen_std(lambda std: -0.5 * (1 + std - np.exp(std)), 0) < 0.001  # F
    assert abs(chosen_std(lambda std: std**2 - np.log(std) - 1, 0) - 0.5**0.5) < 1e-4  # G
    assert f"{of_std(0.1, mu=2.0):.2f}" == "3.81"


@pytest.mark.parametrize(("mu", "std"), [(2.0, 0.1), (0.0, 1.0), (-1.0, 2.5)])
def test_version_g_is_the_kl_to_another_prior_less_a_constant(mu: float, std: float) -> None:
    version = std**2 + mu**2 - math.log(std) - 1
    to_half = gaussian_kl_diagonal(
        torch.tensor([mu]),
        torch.tensor([2 * math.log(std)]),
        torch.zeros(1),
        torch.tensor([math.log(0.5)]),
    )
    assert version == pytest.approx(to_half.item() - 0.5 * (1 - math.log(2)))
    with_log_variance = std**2 + mu**2 - math.log(std**2) - 1
    assert with_log_variance == pytest.approx(2 * of_std(std, mu))


def test_a_code_drawn_without_the_half_is_never_paid_in_full() -> None:
    s = torch.linspace(-5, 2, 141)[:, None]
    zero = torch.zeros_like(s)
    unpaid = gaussian_kl(zero, 2 * s) - gaussian_kl(zero, s)
    elsewhere = s[:, 0].abs() > 1e-9
    assert (unpaid[elsewhere] > 0).all()
    assert unpaid[~elsewhere].abs().max() < 1e-12


# ---------------------------------------------------------------- what readers ask


def test_a_pixel_on_its_mean_earns_1_38_nats() -> None:
    assert f"{-Normal(0.0, 0.1).log_prob(torch.tensor(0.0)):.2f}" == "-1.38"
    assert 0.39 < 1 / math.sqrt(2 * math.pi) < 0.4


def test_one_rotation_does_not_serve_three_posteriors() -> None:
    def gap(degrees: float) -> float:
        """Nats between a normal posterior and the best diagonal normal, after a rotation."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        rotation = np.array([[cos, -sin], [sin, cos]])
        precision = rotation @ np.diag([1.0, 1 / 0.2**2]) @ rotation.T
        return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])

    turns, angles = (0, 60, 120), range(180)
    own = [min(gap(angle + turn) for angle in angles) for turn in turns]
    shared = min(np.mean([gap(angle + turn) for turn in turns]) for angle in angles)
    assert max(own) < 1e-9
    assert f"{shared:.2f}" == "0.56"


def test_codes_of_diagonal_posteriors_may_be_correlated() -> None:
    with seeded(0):
        common = torch.randn(10_000, 1)
        codes = common + 0.2 * torch.randn(10_000, 2)
    assert f"{torch.corrcoef(codes.T)[0, 1]:.2f}" == "0.96"


# ---------------------------------------------------------------- exercises


def test_a_decimal_digit_costs_log_10() -> None:
    assert of_std(0.001) - of_std(0.01) == pytest.approx(math.log(10), abs=1e-4)


def test_the_kl_of_a_laplace_posterior() -> None:
    q, p = Laplace(torch.tensor(0.7), torch.tensor(0.4)), Normal(0.0, 1.0)
    exact = 0.5 * math.log(2 * math.pi) - 1 - math.log(2 * 0.4) + 0.5 * 0.7**2 + 0.4**2
    assert abs(quadrature_kl(q, p, low=-20, high=20, num_points=200_001) - exact) < 1e-6
    with seeded(0):
        sampled = monte_carlo_kl(q, p, 200_000)
    assert abs(sampled.estimate - exact) < 4 * sampled.standard_error


def test_the_force_on_a_full_covariance() -> None:
    with seeded(0):
        mu = torch.randn(4)
        factor = torch.randn(4, 4).tril(-1) + torch.diag(torch.rand(4) + 0.3)
    value = gaussian_kl_full(mu, factor, torch.zeros(4), torch.eye(4))
    sigma = (factor @ factor.T).requires_grad_()
    of_sigma = 0.5 * (sigma.trace() + mu @ mu - 4 - torch.logdet(sigma))
    (by_sigma,) = torch.autograd.grad(of_sigma, sigma)
    torch.testing.assert_close(value, of_sigma.detach())
    torch.testing.assert_close(by_sigma, 0.5 * (torch.eye(4) - torch.linalg.inv(sigma)).detach())
    standard = MultivariateNormal(torch.zeros(4), torch.eye(4))
    torch.testing.assert_close(
        value, kl_divergence(MultivariateNormal(mu, scale_tril=factor), standard)
    )


@pytest.mark.parametrize(("reverse", "variance"), [(True, 1 - 0.9**2), (False, 1.0)])
def test_both_directions_pay_the_total_correlation(reverse: bool, variance: float) -> None:
    posterior = torch.linalg.cholesky(torch.tensor([[1.0, 0.9], [0.9, 1.0]]))
    zero, cost = torch.zeros(2), -0.5 * math.log(1 - 0.9**2)

    def nats(log_variances: np.ndarray) -> float:
        own = torch.diag(torch.exp(0.5 * torch.as_tensor(log_variances)))
        q, p = (own, posterior) if reverse else (posterior, own)
        return gaussian_kl_full(zero, q, zero, p).item()

    best = minimize(nats, [0.3, -0.3])
    assert f"{cost:.2f}" == "0.83"
    assert best.fun == pytest.approx(cost, abs=1e-6)
    np.testing.assert_allclose(np.exp(best.x), variance, atol=1e-3)
    assert gaussian_kl_full(zero, posterior, zero, torch.eye(2)).item() == pytest.approx(cost)


@pytest.mark.parametrize(("std", "better"), [(0.9, True), (0.3, False)])
def test_the_estimate_that_is_never_negative_is_better_near_the_prior_only(
    std: float, better: bool
) -> None:
    q, p = Normal(0.0, std), Normal(0.0, 1.0)
    with seeded(0):
        z = q.sample((1000, 400))
    log_t = p.log_prob(z) - q.log_prob(z)
    usual, proposed = -log_t.mean(0), (torch.expm1(log_t) - log_t).mean(0)
    assert ((proposed - of_std(std)).norm() < (usual - of_std(std)).norm()) == better
