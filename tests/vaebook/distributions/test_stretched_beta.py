"""The Beta distribution on a box, against SciPy, integrals and samples."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import special, stats
from torch.distributions import Beta, Independent, Normal, Uniform, kl_divergence

from tests.properties import a_few, normal, seeds, uniform
from vaebook.distributions import StretchedBeta, kl, monte_carlo_kl, quadrature_kl, unit_uniform
from vaebook.distributions.fixed_priors import HALF_WIDTH
from vaebook.distributions.stretched_beta import END_STEPS
from vaebook.models.posteriors import LOG_BETA_PARAMETERS, POSTERIORS
from vaebook.training import seeded

close = torch.testing.assert_close


def some(seed: int, *batch: int, d: int = 2, largest: float = 20.0) -> StretchedBeta:
    alpha, beta = 1 + largest * uniform(seed, *batch, d), 1 + largest * uniform(seed + 1, *batch, d)
    low = normal(seed + 2, d)
    return StretchedBeta(alpha, beta, low, low + 0.5 + uniform(seed + 3, d))


def scipy_of(q: StretchedBeta):
    return stats.beta(q.alpha.numpy(), q.beta.numpy(), q.low.numpy(), (q.high - q.low).numpy())


@a_few
@given(seeds)
def test_density_moments_and_entropy_are_those_of_scipy(seed: int) -> None:
    q = some(seed, 3)
    reference = scipy_of(q)
    z = q.low + (q.high - q.low) * (0.02 + 0.96 * uniform(seed + 9, 7, 3, 2))
    np.testing.assert_allclose(q.log_prob(z), reference.logpdf(z.numpy()).sum(-1), atol=1e-9)
    np.testing.assert_allclose(q.mean, reference.mean(), atol=1e-10)
    np.testing.assert_allclose(q.variance, reference.var(), atol=1e-10)
    np.testing.assert_allclose(q.entropy(), reference.entropy().sum(-1), atol=1e-8)


SMALL, LARGE = (math.exp(bound) for bound in LOG_BETA_PARAMETERS)
ENDS = [(SMALL, SMALL), (SMALL, 1.0), (0.3, 0.3), (SMALL, LARGE), (1.0, LARGE), (LARGE, LARGE)]


def on_the_box(a: float, b: float, dtype: torch.dtype = torch.float32) -> StretchedBeta:
    """Of one number, on the box of the uniform prior."""
    side = torch.tensor([HALF_WIDTH], dtype=dtype)
    alpha, beta = (torch.tensor([x], dtype=dtype, requires_grad=True) for x in (a, b))
    return StretchedBeta(alpha, beta, -side, side)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 7.0), (0.6, 3.0), (400.0, 90.0), *ENDS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_the_density_integrates_to_one(a: float, b: float, dtype: torch.dtype) -> None:
    """∫ p dz = ∫ p r d(log r), with r the distance to the nearer end, down to the last steps."""
    q = on_the_box(a, b, dtype)
    side = q.high.double().item()
    step = END_STEPS * (q.high - torch.nextafter(q.high, q.low)).item()
    log_r = torch.linspace(math.log(step), math.log(side), 100_001, dtype=torch.float64)
    r = log_r.exp()
    mass = 0.0
    for sign in (-1, 1):
        inside = q.log_prob((sign * (side - r))[:, None]).exp()
        at_end = q.log_prob(torch.tensor([sign * side], dtype=torch.float64)).exp()
        mass += (torch.trapezoid(inside * r, log_r) + at_end * step).item()
    # the mean over the last steps is an expansion, and points in float64 are rounded there
    assert mass == pytest.approx(1, abs=3e-5 if dtype == torch.float32 else 3e-4)


@pytest.mark.parametrize(("a", "b"), [pair[::order] for pair in ENDS for order in (1, -1)])
def test_near_the_ends_values_and_gradients_are_those_of_the_beta(a: float, b: float) -> None:
    """In single precision, from a few steps of floating point on, at either end."""
    q = on_the_box(a, b)
    side, alpha, beta = (x.double().item() for x in (q.high, q.alpha, q.beta))
    r = torch.tensor([3e-7, 1e-6, 1e-4, 0.1])
    z = torch.cat([r + q.low, q.high - r])[:, None].requires_grad_()
    log_prob = q.log_prob(z)
    leaves = (z, q.alpha, q.beta)
    slopes = [torch.autograd.grad(value, leaves, retain_graph=True) for value in log_prob]
    by_z, by_alpha, by_beta = ([g.sum() for g in each] for each in zip(*slopes, strict=True))
    exact_z = z.detach().squeeze(1).double().numpy()
    width = 2 * side
    u, v = (exact_z + side) / width, (side - exact_z) / width
    expected = (alpha - 1) * np.log(u) + (beta - 1) * np.log(v) - np.log(width)
    expected -= special.loggamma(alpha) + special.loggamma(beta) - special.loggamma(alpha + beta)
    np.testing.assert_allclose(log_prob.detach(), expected, rtol=1e-6, atol=1e-6)
    slope = ((alpha - 1) / u - (beta - 1) / v) / width
    np.testing.assert_allclose(by_z, slope, rtol=1e-5, atol=1e-5 * abs(slope).min())
    both = special.digamma(alpha + beta)
    by_first = np.log(u) - special.digamma(alpha) + both
    np.testing.assert_allclose(by_alpha, by_first, rtol=1e-5, atol=1e-6)
    by_second = np.log(v) - special.digamma(beta) + both
    np.testing.assert_allclose(by_beta, by_second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("a", "b"), ENDS)
def test_the_last_steps_share_the_mean_of_the_density(a: float, b: float) -> None:
    q = on_the_box(a, b)
    alpha, beta = q.alpha.item(), q.beta.item()
    width = 2 * q.high.double().item()
    inner = torch.nextafter(q.low, q.high)
    step = END_STEPS * (inner - q.low).double().item()

    def log_mean(alpha: float, beta: float) -> float:
        return math.log(special.betainc(alpha, beta, step / width) / step)

    for z in (q.low, inner):
        z = z.clone().requires_grad_()
        log_prob = q.log_prob(z)
        gradients = torch.autograd.grad(log_prob, (q.alpha, q.beta, z))
        assert gradients[2] == 0
        if (a, b) == (LARGE, LARGE):  # e^(−7e6), beyond SciPy
            assert all(gradient.isfinite() for gradient in (log_prob, *gradients))
            continue
        assert log_prob.item() == pytest.approx(log_mean(alpha, beta), abs=1e-4)
        by_alpha = (log_mean(1.001 * alpha, beta) - log_mean(0.999 * alpha, beta)) / (0.002 * alpha)
        by_beta = (log_mean(alpha, 1.001 * beta) - log_mean(alpha, 0.999 * beta)) / (0.002 * beta)
        assert gradients[0].item() == pytest.approx(by_alpha, rel=1e-3)
        assert gradients[1].item() == pytest.approx(by_beta, rel=1e-3)


@pytest.mark.parametrize(("a", "b"), [pair[::order] for pair in ENDS for order in (1, -1)])
def test_draws_at_the_ends_are_as_many_as_the_density_says(a: float, b: float) -> None:
    q = on_the_box(a, b)
    with seeded(0):
        z = q.rsample((20_000,))
    assert all(x.isfinite().all() for x in torch.autograd.grad(z.sum(), (q.alpha, q.beta)))
    z = z.detach().squeeze(1)
    assert unit_uniform(1).log_prob(z[:, None]).isfinite().all(), "inside the box"
    assert q.log_prob(z[:, None]).isfinite().all()
    width = 2 * q.high.double().item()
    step = (torch.nextafter(q.low, q.high) - q.low).double().item()
    from_low, from_high = z.double() - q.low.double(), q.high.double() - z.double()
    for steps in (1.5, 10.5, 1e4 + 0.5):  # between two numbers of float32
        for r, alpha, beta in ((from_low, a, b), (from_high, b, a)):
            share = special.betainc(alpha, beta, steps * step / width)
            error = math.sqrt(share * (1 - share) / len(z))
            assert abs((r < steps * step).double().mean() - share) < 4.5 * error + 1e-4


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.5, 6.0), (3000.0, 900.0)])
def test_the_sampler_follows_the_density(a: float, b: float) -> None:
    side = torch.tensor([HALF_WIDTH])
    q = StretchedBeta(torch.tensor([a]), torch.tensor([b]), -side, side)
    with seeded(0):
        draws = q.sample((5000,)).squeeze(1).numpy()
    reference = stats.beta(a, b, -HALF_WIDTH, 2 * HALF_WIDTH)
    assert stats.kstest(draws, reference.cdf).pvalue > 1e-3


def test_a_draw_moves_with_its_parameters_as_its_distribution_function_says() -> None:
    """du/dα = −(∂F/∂α) / density, the derivative of F by finite differences in SciPy."""
    alpha = torch.tensor([1.3, 4.0, 60.0, 800.0], dtype=torch.float64, requires_grad=True)
    beta = torch.tensor([2.0, 1.5, 300.0, 700.0], dtype=torch.float64, requires_grad=True)
    ends = torch.zeros(4).double(), torch.full((4,), 2.0).double()
    with seeded(1):
        z = StretchedBeta(alpha, beta, *ends).rsample()
    gradients = torch.autograd.grad(z.sum(), (alpha, beta))
    u, a, b = z.detach().numpy() / 2, alpha.detach().numpy(), beta.detach().numpy()
    step = 1e-5 * a
    density = stats.beta(a, b).pdf(u)
    by_alpha = special.betainc(a + step, b, u) - special.betainc(a - step, b, u)
    by_beta = special.betainc(a, b + step, u) - special.betainc(a, b - step, u)
    # torch's implicit derivative is a series or an expansion, good to about 1e-3
    np.testing.assert_allclose(gradients[0], -2 * by_alpha / (2 * step) / density, rtol=3e-3)
    np.testing.assert_allclose(gradients[1], -2 * by_beta / (2 * step) / density, rtol=3e-3)


def test_the_kl_to_the_uniform_three_ways() -> None:
    q = some(3, 4, d=1)
    p = Independent(Uniform(q.low, q.high, validate_args=False), 1, validate_args=False)
    closed = kl(q, p)
    assert closed.shape == (4,)
    assert (closed > 0).all()
    for i in range(4):
        one = StretchedBeta(q.alpha[i], q.beta[i], q.low, q.high)
        ends = {"low": q.low.item() + 1e-9, "high": q.high.item() - 1e-9}
        # α, β > 1, so the density is 0 at both ends, where the trapezoids lose about 1e-6
        close(quadrature_kl(one, p, **ends, num_points=20_001), closed[i], rtol=0, atol=1e-5)
    unit = Uniform(torch.zeros(4, 1).double(), torch.ones(4, 1).double())
    on_unit = kl_divergence(Beta(q.alpha, q.beta), unit)
    close(on_unit.sum(-1), closed, rtol=0, atol=1e-6)  # torch's entropies, no stretch
    with seeded(0):
        found = monte_carlo_kl(q, p, 20_000)
    assert ((found.estimate - closed).abs() < 4 * found.standard_error).all()


def test_the_stretch_leaves_the_kl_alone() -> None:
    """And cancels only if both densities carry it: a wider box has a lower density."""
    q = some(0, d=2)
    twice = StretchedBeta(q.alpha, q.beta, 2 * q.low, 2 * q.high)
    z = q.low + (q.high - q.low) * uniform(5, 6, 2)
    close(twice.log_prob(2 * z), q.log_prob(z) - 2 * math.log(2))

    def box(b: StretchedBeta) -> Independent:
        return Independent(Uniform(b.low, b.high), 1)

    close(kl(q, box(q)), kl(twice, box(twice)))


def test_kls_that_have_no_closed_form_or_no_end() -> None:
    q = some(0, d=2)
    assert kl(q, Independent(Uniform(q.low + 0.1, q.high), 1)) == math.inf
    wider = Independent(Uniform(q.low - 1, q.high), 1)
    extra = torch.log((q.high - q.low + 1) / (q.high - q.low)).sum()
    close(kl(q, wider), kl(q, Independent(Uniform(q.low, q.high), 1)) + extra)
    with pytest.raises(NotImplementedError):
        kl_divergence(q, Independent(Normal(q.low, q.high - q.low), 1))


def test_in_single_precision_large_concentrations_keep_their_digits() -> None:
    alpha, beta = torch.tensor([[2e5, 30.0]]), torch.tensor([[7e4, 4e4]])
    side = torch.full((2,), HALF_WIDTH)
    q = StretchedBeta(alpha, beta, -side, side)
    reference = stats.beta(alpha.double().numpy(), beta.double().numpy(), -HALF_WIDTH, 2 * HALF_WIDTH)  # noqa: E501 # fmt: skip
    np.testing.assert_allclose(q.entropy(), reference.entropy().sum(-1), atol=1e-4)
    with seeded(0):
        z = q.sample((200,))
    assert q.log_prob(z).dtype == torch.float32
    exact = reference.logpdf(z.double().numpy()).sum(-1)
    # in double precision from the float32 code on
    np.testing.assert_allclose(q.log_prob(z), exact, atol=1e-2)


def test_values_at_and_beyond_the_edges() -> None:
    side = torch.full((2,), HALF_WIDTH)
    q = StretchedBeta(torch.full((2,), 2.0), torch.full((2,), 2.0), -side, side)
    assert torch.isfinite(q.log_prob(side))
    assert torch.isfinite(q.log_prob(-side))
    assert q.log_prob(1.01 * side) == -math.inf
    extreme = StretchedBeta(torch.full((2,), 1e-3), torch.full((2,), 1e-3), -side, side)
    with seeded(0):
        draws = extreme.sample((1000,))
    assert torch.isfinite(unit_uniform(2).log_prob(draws)).all(), "inside the box"
    assert torch.isfinite(extreme.log_prob(draws)).all()


def test_the_family_contains_the_prior_and_stays_finite() -> None:
    family = POSTERIORS["beta"]
    q = family.build(torch.zeros(1, 6), 3)
    close(kl(q, unit_uniform(3)), torch.zeros(1), rtol=0, atol=1e-5)
    tilted = family.build(torch.tensor([[0.7, -2.0, 0.0, 1.0, 1.0, 1.0]]), 3)
    share = (tilted.mean / HALF_WIDTH + 1) / 2
    close(share, torch.sigmoid(torch.tensor([[0.7, -2.0, 0.0]])))
    wild = 100 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    wild.requires_grad_()
    q = family.build(wild, 3)
    with seeded(0):
        z = q.rsample((3,))
    (kl(q, unit_uniform(3)).sum() + z.sum() + q.log_prob(z.detach()).sum()).backward()
    assert torch.isfinite(z).all()
    assert torch.isfinite(wild.grad).all()


def test_wrong_shapes_are_refused() -> None:
    ones = torch.ones(3, 2)
    with pytest.raises(ValueError, match="shapes differ"):
        StretchedBeta(ones, torch.ones(3), torch.zeros(2), torch.ones(2))
    with pytest.raises(ValueError, match="low < high"):
        StretchedBeta(ones, ones, torch.ones(2), torch.ones(2))
    with pytest.raises(ValueError, match=r"expected the vectors \[d\]"):
        StretchedBeta(ones, ones, torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"expected \[..., 2\]"):
        StretchedBeta(ones, ones, torch.zeros(2), torch.ones(2)).log_prob(torch.zeros(3))


@pytest.mark.parametrize("size", [1, 3])
def test_ends_are_as_many_as_the_numbers(size: int) -> None:
    alpha = torch.ones(5, 2)
    with pytest.raises(
        ValueError, match=rf"low and high have shape \({size},\) for alpha \(5, 2\)"
    ):
        StretchedBeta(alpha, alpha, torch.zeros(size), torch.ones(size))
    batch = torch.zeros(5, 2), torch.ones(5, 2)
    with pytest.raises(ValueError, match=r"expected the vectors \[d\] of ends"):
        StretchedBeta(alpha, alpha, *batch)


def test_a_side_holds_more_than_its_two_ends() -> None:
    """Draws stop one step short of the ends, so that two steps in between are the least."""
    alpha, low = torch.ones(1), torch.ones(1)
    up = [low]
    for _ in range(4):
        up.append(torch.nextafter(up[-1], torch.tensor([2.0])))
    for high in up[:3]:
        with pytest.raises(ValueError, match="low < high everywhere"):
            StretchedBeta(alpha, alpha, low, high)
    StretchedBeta(alpha, alpha, low, up[3])


@pytest.mark.parametrize("side", ["low", "high"])
def test_the_last_number_before_an_end_stands_for_a_step_and_a_half(side: str) -> None:
    """For what is rounded to it: its density times that is the mass, by SciPy."""
    a, b = (0.05, 2.0) if side == "low" else (2.0, 0.05)
    low, high = torch.tensor([0.5]), torch.tensor([1.5])
    q = StretchedBeta(torch.tensor([a]), torch.tensor([b]), low, high)
    end, other = (low, high) if side == "low" else (high, low)
    last = torch.nextafter(end, other)
    length = 1.5 * float((last.double() - end.double()).abs())
    mass = float(q.log_prob(last).exp()) * length
    assert mass == pytest.approx(stats.beta(0.05, 2.0).cdf(length), rel=1e-5)
    # the next one is a number like any other
    beyond = torch.nextafter(last, other)
    place = float((beyond.double() - end.double()).abs())
    assert float(q.log_prob(beyond)) == pytest.approx(stats.beta(0.05, 2.0).logpdf(place), rel=1e-5)
