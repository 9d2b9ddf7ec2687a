"""Distributions on the sphere: areas, integrals over the cosine, samples, KL."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from scipy.integrate import quad
from torch.distributions import Beta, kl_divergence
from torch.nn import functional as F

from tests.properties import a_few, normal, seeds, uniform
from vaebook.distributions import HypersphericalUniform, PowerSpherical, kl, monte_carlo_kl
from vaebook.distributions.spherical import log_sphere_area
from vaebook.models.posteriors import POSTERIORS
from vaebook.training import seeded

close = torch.testing.assert_close
CASES = [(2, 0.7), (3, 0.0), (3, 5.0), (5, 40.0), (16, 300.0)]


def some(d: int, kappa: float, seed: int = 0) -> PowerSpherical:
    """Around a random direction, in double precision."""
    return PowerSpherical(F.normalize(normal(seed, d), dim=-1), torch.tensor(kappa).double())


def at_cosine(q: PowerSpherical, t: float) -> torch.Tensor:
    """A unit vector with mᵀz = t."""
    d = q.event_shape[0]
    other = normal(99, d)
    other = F.normalize(other - (other @ q.direction) * q.direction, dim=-1)
    return t * q.direction + math.sqrt(1 - t * t) * other


def cosine_integral(q: PowerSpherical, f) -> float:
    """∫ f(t) over the sphere, for a function of the cosine t = cos θ to the direction.

    The points at angle θ are a sphere in d − 1 dimensions of radius sin θ, so an integral over the
    surface is one over θ with the weight area(d − 1) sin^(d−2) θ.
    """
    d = q.event_shape[0]
    ring = math.exp(log_sphere_area(d - 1))
    value, _ = quad(
        lambda angle: f(math.cos(angle)) * ring * math.sin(angle) ** (d - 2),
        0, math.pi, points=[0.1, 0.3, 1.0], limit=200,
    )  # fmt: skip
    return value


def test_areas_that_everybody_knows() -> None:
    assert math.exp(log_sphere_area(1)) == pytest.approx(2)  # two points
    assert math.exp(log_sphere_area(2)) == pytest.approx(2 * math.pi)
    assert math.exp(log_sphere_area(3)) == pytest.approx(4 * math.pi)
    assert math.exp(log_sphere_area(4)) == pytest.approx(2 * math.pi**2)


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_the_density_integrates_to_one_over_the_sphere(d: int, kappa: float) -> None:
    q = some(d, kappa)
    mass = cosine_integral(q, lambda t: q.log_prob(at_cosine(q, t)).exp().item())
    # the cosine is cut a millionth before −1, and a point on the sphere is one to 1e-16
    assert mass == pytest.approx(1, abs=1e-6)


def test_the_uniform_density_integrates_to_one_too() -> None:
    p = HypersphericalUniform(5)
    q = some(5, 1.0)
    mass = cosine_integral(q, lambda t: p.log_prob(at_cosine(q, t)).exp().item())
    assert mass == pytest.approx(1, abs=1e-9)
    assert p.entropy().item() == pytest.approx(log_sphere_area(5), rel=1e-6)


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_entropy_and_kl_are_the_integrals(d: int, kappa: float) -> None:
    q, p = some(d, kappa), HypersphericalUniform(d)

    def integrand(t: float) -> float:
        log_q = q.log_prob(at_cosine(q, t)).item()
        return math.exp(log_q) * log_q

    negative_entropy = cosine_integral(q, integrand)
    assert q.entropy().item() == pytest.approx(-negative_entropy, abs=1e-5)
    assert kl(q, p).item() == pytest.approx(negative_entropy + log_sphere_area(d), abs=1e-5)


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_the_sampler_follows_the_density(d: int, kappa: float) -> None:
    """The cosine by a KS test against the integrated density; its sign says where the mass is."""
    q = some(d, kappa)
    with seeded(0):
        draws = q.sample((4000,))
    close(draws.norm(dim=-1), torch.ones(4000).double())
    cosines = (draws @ q.direction).numpy()

    # the density of the cosine, integrated on a fine grid of angles
    angles = np.linspace(0, math.pi, 4001)
    points = torch.stack([at_cosine(q, math.cos(angle)) for angle in angles])
    ring = math.exp(log_sphere_area(d - 1))
    weights = q.log_prob(points).exp().numpy() * ring * np.sin(angles) ** (d - 2)
    steps = 0.5 * (weights[1:] + weights[:-1]) * np.diff(angles)
    cumulative = np.concatenate([[0], np.cumsum(steps)])

    def cdf(t: np.ndarray) -> np.ndarray:
        return 1 - np.interp(np.arccos(np.clip(t, -1, 1)), angles, cumulative)

    assert stats.kstest(cosines, cdf).pvalue > 1e-3
    # round the direction, every way alike: the rest has mean zero
    rest = draws - (draws @ q.direction)[:, None] * q.direction
    assert (rest.mean(0).abs() < 5 * rest.std(0) / math.sqrt(4000) + 1e-12).all()
    close(draws.mean(0), q.mean, rtol=0, atol=5 / math.sqrt(4000))


def test_samples_of_the_uniform_have_no_direction() -> None:
    p = HypersphericalUniform(6)
    with seeded(0):
        draws = p.sample((20_000,))
    close(draws.norm(dim=-1), torch.ones(20_000))
    # (1 + z_1) / 2 is Beta((d − 1)/2, (d − 1)/2)
    for j in range(6):
        halves = (1 + draws[:, j].numpy()) / 2
        assert stats.kstest(halves, stats.beta(2.5, 2.5).cdf).pvalue > 1e-3
    close(draws.var(0), p.variance, rtol=0.05, atol=0)
    close(draws.mean(0), p.mean, rtol=0, atol=4 * math.sqrt(1 / 6 / 20_000))
    assert p.sample().shape == (6,)
    assert p.sample((2, 3)).shape == (2, 3, 6)


@a_few
@given(seeds)
def test_the_kl_is_positive_grows_and_knows_no_direction(seed: int) -> None:
    p = HypersphericalUniform(4)
    kappas = torch.sort(0.1 + 50 * uniform(seed, 5)).values
    q = PowerSpherical(F.normalize(normal(seed, 5, 4), dim=-1), kappas)
    divergences = kl(q, p)
    assert (divergences > 0).all()
    assert (divergences.diff() >= 0).all()
    with seeded(seed):
        found = monte_carlo_kl(q, p, 2000)
    # 200 values within five standard errors
    assert ((found.estimate - divergences).abs() < 5 * found.standard_error).all()


def test_without_concentration_it_is_the_uniform() -> None:
    q, p = some(7, 0.0), HypersphericalUniform(7)
    z = F.normalize(normal(3, 10, 7), dim=-1)
    close(q.log_prob(z), p.log_prob(z))
    assert kl(q, p).item() == pytest.approx(0, abs=1e-10)
    close(q.mean, torch.zeros(7).double())


def test_gradients_of_the_kl_and_of_the_density() -> None:
    direction, kappa = F.normalize(normal(0, 3, 4), dim=-1), 1 + 20 * uniform(1, 3)
    kappa.requires_grad_()
    p = HypersphericalUniform(4)
    assert torch.autograd.gradcheck(lambda k: kl(PowerSpherical(direction, k), p), (kappa,))
    z = F.normalize(normal(2, 3, 4), dim=-1)
    free = normal(3, 3, 4).requires_grad_()

    def log_prob(v: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return PowerSpherical(F.normalize(v, dim=-1), k).log_prob(z)

    assert torch.autograd.gradcheck(log_prob, (free, kappa))


def test_a_draw_moves_with_its_direction() -> None:
    """With the noise held fixed a draw is a smooth function of the direction."""
    free = normal(4, 2, 5).requires_grad_()
    kappa = torch.tensor([2.0, 30.0]).double()

    def draw(v: torch.Tensor) -> torch.Tensor:
        with seeded(0):
            return PowerSpherical(F.normalize(v, dim=-1), kappa).rsample((2,))

    assert torch.autograd.gradcheck(draw, (free,))


def test_a_draw_moves_with_its_concentration() -> None:
    """d E t / dκ from samples is that of the mean; implicit gradients have no noise to hold."""
    kappa = torch.full((20_000,), 12.0, dtype=torch.float64, requires_grad=True)
    direction = F.normalize(normal(0, 6), dim=-1).expand(20_000, 6)
    with seeded(0):
        q = PowerSpherical(direction, kappa)
        (slopes,) = torch.autograd.grad((q.rsample() * direction).sum(), kappa)
    expected = 5 / (12 + 5) ** 2  # E t = κ / (κ + d − 1)
    error = slopes.std().item() / math.sqrt(20_000)
    assert abs(slopes.mean().item() - expected) < 4 * error


def test_the_direction_may_be_the_first_axis_or_its_opposite() -> None:
    axis = torch.eye(4).double()[:1]
    for direction in (axis, -axis):
        q = PowerSpherical(direction, torch.tensor([50.0]).double())
        with seeded(0):
            draws = q.sample((500,))
        assert torch.isfinite(draws).all()
        close(draws.mean(0), q.mean, rtol=0, atol=0.05)


def test_off_the_sphere_there_is_no_density() -> None:
    q, p = some(3, 2.0), HypersphericalUniform(3)
    inside = torch.tensor([0.5, 0.5, 0.5]).double()
    assert q.log_prob(inside) == p.log_prob(inside) == -math.inf


def test_large_concentrations_in_single_precision() -> None:
    kappa = torch.tensor([1e3, 1e5, 4e5])
    q = PowerSpherical(F.normalize(torch.ones(3, 16), dim=-1), kappa)
    exact = PowerSpherical(q.direction.double(), kappa.double())
    close(q.entropy().double(), exact.entropy(), rtol=1e-6, atol=1e-4)
    with seeded(0):
        draws = q.sample((2000,))
    assert torch.isfinite(q.log_prob(draws)).all()
    found = monte_carlo_kl(q, HypersphericalUniform(16), 4000)
    # a float32 cosine near 1 is good to 6e-8, times κ that is 0.02 nats
    tolerance = 4 * found.standard_error + 0.05
    assert ((found.estimate - kl(q, HypersphericalUniform(16))).abs() < tolerance).all()


def test_the_uniform_sphere_says_that_its_samples_carry_no_gradient() -> None:
    """And is at no distance from itself, sampled as torch's protocol has it."""
    found = monte_carlo_kl(HypersphericalUniform(5), HypersphericalUniform(5), 10)
    assert found.estimate == 0
    assert found.standard_error == 0


@pytest.mark.parametrize("d", [2, 3, 16])
@pytest.mark.parametrize("kappa", [1e3, 1e6])
def test_draws_in_single_precision_follow_a_narrow_density(d: int, kappa: float) -> None:
    """(1 − t) / 2 is Beta(b, a), of which a float32 near t = 1 would keep a digit."""
    q = PowerSpherical(F.normalize(torch.ones(d), dim=-1), torch.tensor(kappa))
    with seeded(0):
        draws = F.normalize(q.sample((4000,)).double(), dim=-1)
    far = (draws - F.normalize(torch.ones(d).double(), dim=-1)).square().sum(-1) / 4
    half = 0.5 * (d - 1)
    assert stats.kstest(far.numpy(), stats.beta(half, half + kappa).cdf).pvalue > 1e-3


def test_the_family_of_posteriors_stays_finite() -> None:
    at_prior = POSTERIORS["power spherical"].build(torch.full((1, 3), 1e-6), 3)
    assert kl(at_prior, HypersphericalUniform(3)).item() == pytest.approx(0, abs=1e-5)
    wild = 50 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    wild.requires_grad_()
    q = POSTERIORS["power spherical"].build(wild, 3)
    with seeded(0):
        z = q.rsample((3,))
    (kl(q, HypersphericalUniform(3)).sum() + z.sum() + q.log_prob(z.detach()).sum()).backward()
    assert torch.isfinite(z).all()
    assert torch.isfinite(wild.grad).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \[..., d\] and \[...\]"):
        PowerSpherical(torch.eye(3), torch.ones(2))
    with pytest.raises(ValueError, match="does not have length 1; normalise"):
        PowerSpherical(2 * torch.eye(3), torch.ones(3))
    with pytest.raises(ValueError, match="number of dimensions is 1"):
        PowerSpherical(torch.ones(1), torch.tensor(1.0))
    with pytest.raises(ValueError, match="dim is 1"):
        HypersphericalUniform(1)
    with pytest.raises(ValueError, match=r"expected \[..., 3\]"):
        HypersphericalUniform(3).log_prob(torch.zeros(2))
    with pytest.raises(NotImplementedError):
        kl_divergence(some(3, 1.0), Beta(torch.ones(3), torch.ones(3)))


def test_a_whole_number_is_no_concentration() -> None:
    direction = F.normalize(torch.ones(2, 3), dim=1)
    with pytest.raises((TypeError, ValueError), match="concentration"):
        PowerSpherical(direction, torch.tensor([1, 2]))


def test_what_lies_on_the_sphere_is_so_up_to_a_thousandth() -> None:
    p, q = HypersphericalUniform(3), some(3, 2.0)
    axis = torch.tensor([0.0, 1.0, 0.0]).double()
    lengths = torch.tensor([[0.9985, 0.9995], [1.0005, 1.0015]]).double()
    values = lengths[..., None] * axis  # [2, 2, 3]
    expected = torch.tensor([[False, True], [True, False]])
    for density in (p, q):
        assert torch.equal(density.support.check(values), expected)
        assert torch.equal(density.log_prob(values).isfinite(), expected)
        assert density.support.event_dim == 1, "a vector lies there, not a number"
    with pytest.raises(ValueError, match="a direction does not have length 1"):
        PowerSpherical(1.0015 * axis, torch.tensor(1.0).double())
    # the density is that of the direction: lengths of 1 up to rounding do not count
    close(q.log_prob(1.0005 * axis), q.log_prob(axis))


def test_the_far_side_has_a_density_of_its_own() -> None:
    """At the antipode 1 + t is counted as a millionth, not as 0."""
    q = some(4, 3.0)
    here, far = q.log_prob(q.direction), q.log_prob(-q.direction)
    assert (here - far).item() == pytest.approx(3 * math.log(2 / 1e-6), rel=1e-6)
    loose = q.direction.clone().requires_grad_()
    PowerSpherical(loose, q.concentration).log_prob(-q.direction).backward()
    assert loose.grad is not None
    assert loose.grad.isfinite().all()


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 1e6])
def test_draws_have_gradients_wherever_they_fall(kappa: float) -> None:
    """At κ of a million every draw is the direction itself up to a thousandth."""
    direction = F.normalize(normal(1, 4, 3), dim=-1).requires_grad_()
    concentration = torch.full((4,), kappa).double().requires_grad_()
    with seeded(0):
        draws = PowerSpherical(direction, concentration).rsample((2000,))
    (draws * normal(2, 4, 3)).sum().backward()
    assert direction.grad is not None
    assert direction.grad.isfinite().all()
    assert concentration.grad is not None
    assert concentration.grad.isfinite().all()


def test_moments_of_the_uniform_and_the_mode_of_the_bump() -> None:
    p, q = HypersphericalUniform(5), some(5, 40.0)
    assert torch.equal(p.mean, torch.zeros(5))
    close(p.variance, torch.full((5,), 0.2))
    assert torch.equal(q.mode, q.direction)
    # at most as far from the direction as the mean cosine says
    assert q.mean.norm().item() == pytest.approx(40 / (40 + 4))


def test_the_mirror_that_carries_the_axis_to_a_direction_leaves_the_axis_alone() -> None:
    for sign in (1.0, -1.0):
        direction = torch.tensor([[sign, 0.0, 0.0]]).double()
        with seeded(0):
            draws = PowerSpherical(direction, torch.tensor([1e8]).double()).sample((50,))
        close(draws[:, 0], direction.expand(50, 3), atol=2e-3, rtol=0)


def test_two_numbers_are_a_circle_and_shapes_must_agree() -> None:
    HypersphericalUniform(2)
    PowerSpherical(torch.tensor([0.0, 1.0]), torch.tensor(1.0))
    directions = F.normalize(normal(0, 4, 3), dim=-1)
    for concentration in (torch.ones(3), torch.ones(5), torch.ones(4, 1), torch.ones(())):
        with pytest.raises(ValueError, match=r"expected \[..., d\] and \[...\]"):
            PowerSpherical(directions, concentration.double())
    with pytest.raises(ValueError, match=r"expected \[..., d\] and \[...\]"):
        PowerSpherical(torch.tensor(1.0), torch.tensor(1.0))
