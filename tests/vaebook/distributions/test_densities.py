"""Every density of the package in single precision, where a trained network may put it.

Each has rows in ``CASES``: the distribution, points, and the share of space that each point stands
for. The log-densities there must add up to a mass of 1 and have finite gradients, by the points and
by whatever the encoder, the decoder or the optimiser sets. A new one without a row fails.
"""

import importlib
import inspect
import itertools
import math
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional as F

from vaebook import distributions as d
from vaebook.distributions.fixed_priors import HALF_WIDTH
from vaebook.models.posteriors import POSTERIORS
from vaebook.training import seeded

LOGITS = (-100.0, -20.0, 0.0, 20.0, 100.0)  # of trained decoders: some pixels are always black


class Case(NamedTuple):
    """A density, and where to add it up."""

    density: Distribution
    points: Tensor  # [n, *event]
    weights: Tensor  # [n], in double precision: lengths, areas; ones for probabilities
    leaves: Iterable[Tensor] = ()  # what a gradient is asked of
    tolerance: float = 1e-4


# --- points and their weights -------------------------------------------------------------------


def trapezoids(x: Tensor) -> Tensor:
    """The weights of points at ``x``, in the order of the line."""
    steps = x.double().diff()
    nothing = steps.new_zeros(1)
    return (torch.cat([nothing, steps]) + torch.cat([steps, nothing])) / 2


def line(centre: float, reach: float, n: int = 20_001) -> tuple[Tensor, Tensor]:
    """Points in single precision; the weights know where they were rounded to."""
    x = (centre + torch.linspace(-reach, reach, n, dtype=torch.float64)).float()
    return x, trapezoids(x)


def plane(reach: float, n: int = 301) -> tuple[Tensor, Tensor]:
    x, weights = line(0.0, reach, n)
    return torch.cartesian_prod(x, x), torch.cartesian_prod(weights, weights).prod(1)


def from_both_ends(side: float, n: int = 100_001) -> tuple[Tensor, Tensor]:
    """From −side to side by steps that grow from a step of float32 at each end.

    ∫ p dz = ∫ p r d(log r) with r the distance to an end, so that a power of r is smooth. The last
    numbers of float32 cannot be told apart: one of them stands for one and a half steps.
    """
    step = float(np.float32(side) - np.nextafter(np.float32(side), np.float32(0)))
    log_r = torch.linspace(math.log(1.5 * step), math.log(side), n, dtype=torch.float64)
    r = torch.cat([torch.tensor([step]).double(), log_r.exp()])
    weights = torch.cat([torch.tensor([1.5 * step]), trapezoids(log_r) * log_r.exp()])
    side = float(np.float32(side))
    return torch.cat([r - side, side - r]).float(), weights.repeat(2)


def all_codes(num_codes: int, codebook_size: int) -> tuple[Tensor, Tensor]:
    """All rows of codes; pictures, with a codebook of two."""
    every = torch.tensor(list(itertools.product(range(codebook_size), repeat=num_codes)))
    return every, torch.ones(len(every)).double()


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, requires_grad=True)


def vectors(density: Distribution, points: tuple[Tensor, Tensor], *leaves: Tensor) -> Case:
    """Of one number each."""
    return Case(density, points[0][:, None], points[1], leaves)


def pixel(likelihood: d.Likelihood, points: tuple[Tensor, Tensor], *output: float) -> Case:
    """A picture of one pixel."""
    raw = leaf(*output)
    density = likelihood(raw[:, None, None])
    return Case(density, points[0][:, None, None, None], points[1], [raw, *likelihood.parameters()])


# --- likelihoods --------------------------------------------------------------------------------


def black_or_white(context: bool, largest: float) -> Case:
    """Four pixels, all sixteen pictures."""
    output = leaf(-largest, -largest / 5, largest / 5, largest)
    likelihood: d.Likelihood = d.BernoulliLikelihood()
    if context:
        with seeded(0):
            likelihood = d.AutoregressiveLikelihood((1, 2, 2), hidden=(8,))
        for weight in likelihood.parameters():
            weight.data *= 20
    pictures, weights = all_codes(4, 2)
    leaves = [output, *likelihood.parameters()]
    density = likelihood(output.reshape(1, 2, 2))
    return Case(density, pictures.float().reshape(-1, 1, 2, 2), weights, leaves)


def grey(logit: float) -> Case:
    ends = from_both_ends(0.5)
    return pixel(d.ContinuousBernoulliLikelihood(), (ends[0] + 0.5, ends[1]), logit)


def round_the_mean(
    likelihood: d.Likelihood, sigma: float, *output: float, reach: float = 8
) -> Case:
    centre = 1 / (1 + math.exp(-output[0]))
    return pixel(likelihood, line(centre, reach * sigma, 100_001), *output)


def of_a_place(log_sigma: float, sigma: float) -> Case:
    likelihood = d.PixelGaussianLikelihood((1, 1, 1))
    likelihood.log_sigma.data.fill_(log_sigma)
    return round_the_mean(likelihood, sigma, 20.0)


def levels(scale: float, logit: float) -> Case:
    every = torch.arange(256) / 255
    likelihood = d.DiscretizedLogisticLikelihood(scale)
    return pixel(likelihood, (every, torch.ones(256).double()), logit)


# --- codes --------------------------------------------------------------------------------------


def gaussian(mu: float, log_var: float) -> Case:
    leaves = leaf(mu), leaf(log_var)
    return vectors(d.DiagonalGaussian(*leaves), line(mu, 10 * math.exp(log_var / 2)), *leaves)


def posterior(family: str, points: tuple[Tensor, Tensor], *output: float) -> Case:
    """Of a code of one number."""
    raw = leaf(*output)
    return vectors(POSTERIORS[family].build(raw[None], 1).expand((1,)), points, raw)


def beta(concentration: float, logit: float) -> Case:
    """On the box of the uniform prior; logarithms beyond the bounds are cut there."""
    raw = leaf(logit, concentration)
    density = POSTERIORS["beta"].build(raw[None], 1)
    # a rounded point on a density that grows as r^(−0.95) is off by a thousandth
    return vectors(density, from_both_ends(HALF_WIDTH), raw)._replace(tolerance=2e-3)


def full(spread: float, correlation: float) -> Case:
    """Of a code of two; in coordinates in which it is N(0, I)."""
    raw = leaf(2.0, -3.0, spread, correlation, 0.0)
    density = POSTERIORS["full"].build(raw[None], 2)
    t, weights = plane(7.0, 201)
    factor = density.scale_tril[0].detach().double()
    points = (density.mean[0].detach().double() + t.double() @ factor.T).float()
    return Case(density, points, weights * torch.linalg.det(factor), [raw], 1e-3)


def sphere(dim: int, length: float | None) -> Case:
    """Round a direction, by the angle to it; in three dimensions round the axis as well."""
    raw = torch.arange(1.0, dim + 1)
    raw = (raw / raw.norm() * (length or 1.0)).requires_grad_()
    density: Distribution = d.HypersphericalUniform(dim)
    width = math.pi
    if length is not None:
        density = POSTERIORS["power spherical"].build(raw[None], dim)
        width = min(math.pi, 40 / float(density.concentration.detach()) ** 0.5)
    axes = torch.eye(dim).double()
    axes[0] = F.normalize(raw.detach().double(), dim=0)
    axes = torch.linalg.qr(axes.T)[0].T * torch.linalg.qr(axes.T)[1].diagonal().sign()[:, None]
    angle = torch.linspace(-width if dim == 2 else 0, width, 4001, dtype=torch.float64)
    weights = trapezoids(angle)
    points = angle.cos()[:, None] * axes[0] + angle.sin()[:, None] * axes[1]
    if dim == 3:
        turn = torch.arange(8).double() * math.pi / 4
        ring = turn.cos()[:, None] * axes[1] + turn.sin()[:, None] * axes[2]
        points = angle.cos()[:, None, None] * axes[0] + angle.sin()[:, None, None] * ring
        weights = (weights * angle.sin() * math.pi / 4)[:, None].expand(-1, 8)
    return Case(density, points.float().reshape(-1, dim), weights.flatten(), [raw])


def mixture() -> Case:
    """A narrow component, a wide one, one of no weight."""
    logits, mu = leaf(0.0, 2.0, -100.0), leaf(0.0, 3.0, 1.0)
    log_var = leaf(-12.0, 4.0, -20.0)
    components = d.DiagonalGaussian(mu[:, None], log_var[:, None])
    x = torch.cat([line(0.0, 0.03)[0], line(3.0, 80.0)[0]]).sort().values
    density = d.Mixture(torch.log_softmax(logits, 0), components)
    return vectors(density, (x, trapezoids(x)), logits, mu, log_var)


def learned(
    make: Callable[[], d.Prior], points: tuple[Tensor, Tensor], shake: float, encode: Any = None
) -> Case:
    with seeded(0), torch.no_grad():
        prior = make()
        for parameter in prior.parameters():
            parameter += shake * torch.randn_like(parameter)
    x, weights = points
    x = x if x.ndim == 2 else x[:, None]
    # the splines of a flow have kinks, which trapezoids feel
    return Case(prior(encode), x, weights, list(prior.parameters()), 1e-3)


def learned_gaussian(log_std: float) -> Case:
    prior = d.LearnedGaussianPrior(1)
    prior.log_std.data.fill_(log_std)
    return learned(lambda: prior, line(0.0, 10 * math.exp(log_std)), 0.0)


def vamp() -> Case:
    """Pictures of two pixels, which are the codes' means and log-variances."""

    def encode(pictures: Tensor) -> d.DiagonalGaussian:
        mu, log_var = pictures.flatten(1).split(1, 1)
        return d.DiagonalGaussian(6 * mu - 3, 24 * log_var - 20)

    pictures = torch.tensor([[0.1, 0.1], [0.5, 0.5], [0.9, 0.95]]).reshape(3, 1, 1, 2)
    x = torch.cat([line(-2.4, 2e-3)[0], line(0.0, 0.2)[0], line(2.4, 40.0)[0]]).sort().values
    return learned(lambda: d.VampPrior(pictures, 1), (x, trapezoids(x)), 0.0, encode)


# --- codes after training -----------------------------------------------------------------------


def thin_codes(n: int = 200) -> Tensor:
    """A long and thin sheet away from zero, with a gap."""
    with seeded(0):
        first = torch.randn(n) + 2 * torch.randn(n).sign()
        return torch.stack([30 + 5 * first, 0.02 * torch.randn(n) - 3], 1)


def fitted(fit: Callable[..., Distribution], **options: Any) -> Case:
    """In coordinates in which the sheet is round."""
    codes = thin_codes()
    factor = torch.linalg.cholesky(torch.cov(codes.double().T))
    t, weights = plane(5.0, 251)
    points = (codes.double().mean(0) + t.double() @ factor.T).float()
    return Case(fit(codes, **options), points, weights * torch.linalg.det(factor))


def fitted_line() -> Case:
    """One number; the solver makes no gradients."""
    codes = thin_codes()[:, :1]
    density = d.fit_flow_matching(codes, num_epochs=20, hidden=16, num_steps=100)
    return vectors(density, line(30.0, 50.0, 2001))._replace(tolerance=1e-3)


def boxed(fit: Callable[..., Distribution]) -> Case:
    codes = thin_codes()
    low, high = codes.double().aminmax(dim=0)
    middle = (torch.arange(100) + 0.5) / 100
    points = low + (high - low) * torch.cartesian_prod(middle, middle).double()
    area = float((high - low).prod()) / len(points)
    return Case(fit(codes), points.float(), torch.full((len(points),), area).double())


def corners() -> Case:
    codes = thin_codes()
    return Case(d.BoxCorners(codes), torch.cartesian_prod(*torch.stack(codes.aminmax(dim=0)).T),
                torch.ones(4).double())  # fmt: skip


def discrete(fit: bool, **options: Any) -> Case:
    points, weights = all_codes(3, 4)
    if fit:  # ever the same row
        fixed = torch.tensor([[0, 3, 1]]).expand(40, 3)
        return Case(d.fit_codes(fixed, 4, **options), points, weights)
    with seeded(0):
        network = d.MADE(3, (8, 8), num_values=4)
    for weight in network.parameters():
        weight.data *= 10
    return Case(d.AutoregressiveCodes(network), points, weights, list(network.parameters()))


def carried() -> Case:
    """N(0, 1) to N(2, 0.1²) by the exact velocity; no gradients pass through the solver."""
    velocity = d.gaussian_velocity(torch.tensor([2.0]), torch.tensor([0.1]))
    density = d.ContinuousFlow(velocity, d.standard_normal(1), num_steps=200)
    # Heun's method is off by the square of its step
    return vectors(density, line(2.0, 0.8, 401))._replace(tolerance=1e-3)


# --- what each density must hold for ------------------------------------------------------------

WITHOUT_GRADIENT = ("ContinuousFlow", "fit_flow_matching")  # of log_prob, by their docstrings
SPLINE = {"hidden": (8,), "num_transforms": 2}
CASES: dict[str, list[partial[Case]]] = {
    # likelihoods
    "BernoulliLikelihood": [partial(black_or_white, False, x) for x in (0.5, 20.0, 100.0)],
    "AutoregressiveLikelihood": [partial(black_or_white, True, x) for x in (0.5, 100.0)],
    "ContinuousBernoulliLikelihood": [partial(grey, logit) for logit in LOGITS],
    "GaussianLikelihood": [
        partial(round_the_mean, d.GaussianLikelihood(sigma), sigma, logit)
        for sigma in (1e-3, 0.1, 1.0)
        for logit in LOGITS
    ],
    "LearnedGaussianLikelihood": [
        partial(round_the_mean, d.LearnedGaussianLikelihood(sigma), sigma, 1.0)
        for sigma in (1e-4, 10.0)
    ],
    "PixelGaussianLikelihood": [partial(of_a_place, -20.0, 1 / 255), partial(of_a_place, 2.0, 7.4)],
    "PredictedGaussianLikelihood": [
        partial(round_the_mean, d.PredictedGaussianLikelihood(), sigma, logit, spread)
        for logit in LOGITS
        for spread, sigma in ((-20.0, 1 / 255), (0.0, 0.1), (8.0, 298.0))
    ],
    "LaplaceLikelihood": [
        partial(round_the_mean, d.LaplaceLikelihood(scale), scale, logit, reach=20)
        for scale in (1e-3, 0.07, 10.0)
        for logit in LOGITS
    ],
    "DiscretizedLogisticLikelihood": [
        partial(levels, scale, logit) for scale in (2e-3, 0.05, 1e4) for logit in LOGITS
    ],
    # posteriors, at what an encoder may put out
    "posterior diagonal": [
        partial(gaussian, mu, v) for mu in (0.0, 30.0) for v in (-20.0, 0.0, 20.0)
    ],
    "posterior full": [partial(full, *x) for x in ((-12.0, 0.0), (0.0, 3.0), (100.0, -5.0))],
    "posterior laplace": [
        partial(posterior, "laplace", line(3.0, 20 * math.exp(s)), 3.0, s)
        for s in (-10.0, 0.0, 10.0)
    ],
    # both parameters small, ordinary, far apart, at a bound and 1, both large
    "posterior beta": [
        partial(beta, *x)
        for x in (
            *((-100.0, 0.0), (-1.2, 0.0), (0.0, 0.0), (5.0, 6.0), (0.0, -32.0), (0.0, 26.0)),
            *((13.0, -26.0), (13.0, 26.0), (-1.2, 29.0), (100.0, 0.0)),
        )
    ],
    "posterior power spherical": [
        partial(sphere, dim, length) for dim in (2, 3) for length in (1e-6, 0.3, 10.0, 1000.0)
    ],
    # priors
    "standard_normal": [lambda: vectors(d.standard_normal(1), line(0.0, 10.0))],
    "unit_laplace": [lambda: vectors(d.unit_laplace(1), line(0.0, 20.0))],
    "unit_uniform": [lambda: vectors(d.unit_uniform(1), from_both_ends(HALF_WIDTH))],
    "FixedPrior": [lambda: vectors(d.FixedPrior(d.unit_laplace(1))(), line(0.0, 20.0))],
    "HypersphericalUniform": [partial(sphere, 2, None), partial(sphere, 3, None)],
    "LearnedGaussianPrior": [
        partial(learned_gaussian, -7.0),
        partial(learned_gaussian, 5.0),
        partial(learned, partial(d.LearnedGaussianPrior, 2, covariance="full"), plane(20.0), 0.5),
    ],
    "MixturePrior": [partial(learned, partial(d.MixturePrior, 2, 5), plane(30.0), 1.0)],
    "VampPrior": [vamp],
    "FlowPrior": [
        partial(learned, partial(d.FlowPrior, 1, **SPLINE), line(0.0, 20.0, 100_001), 1.0),
        partial(learned, partial(d.FlowPrior, 2, **SPLINE), plane(7.0), 0.3),
    ],
    "Mixture": [mixture],
    "truncate": [
        lambda: vectors(d.truncate(d.standard_normal(1), 0.5), line(0.0, 5.0)),
        lambda: vectors(d.truncate(d.unit_laplace(1), 0.1), line(0.0, 2.0)),
    ],
    # codes after training
    "fit_gaussian": [partial(fitted, d.fit_gaussian)],
    "fit_diagonal_gaussian": [partial(fitted, d.fit_diagonal_gaussian)],
    "fit_mixture": [partial(fitted, d.fit_mixture, num_components=3)],
    "fit_flow": [partial(fitted, d.fit_flow, num_epochs=3)],
    "fit_flow_matching": [fitted_line],
    "fit_box": [partial(boxed, d.fit_box)],
    "BoxCorners": [corners],
    "fit_codes": [partial(discrete, True), partial(discrete, True, autoregressive=True)],
    "AutoregressiveCodes": [partial(discrete, False)],
    "ContinuousFlow": [carried],
}


@cache
def case(name: str, index: int) -> Case:
    return CASES[name][index]()


ALL = pytest.mark.parametrize(
    ("name", "index"), [(name, i) for name, rows in CASES.items() for i in range(len(rows))]
)


@ALL
def test_the_mass_is_one(name: str, index: int) -> None:
    density, points, weights, _, tolerance = case(name, index)
    with torch.no_grad():
        log_density = density.log_prob(points)
    assert points.dtype in (torch.float32, torch.long)
    assert log_density.dtype == torch.float32
    assert not log_density.isnan().any()
    mass = float(log_density.double().flatten().exp() @ weights)
    assert mass == pytest.approx(1, abs=tolerance)


@ALL
def test_gradients_are_finite(name: str, index: int) -> None:
    density, points, _, leaves, _ = case(name, index)
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    if points.is_floating_point() and name not in WITHOUT_GRADIENT:
        points = points.clone().requires_grad_()
        asked.append(points)
    total = density.log_prob(points).sum()
    if total.requires_grad:  # a uniform density does not move
        for gradient in torch.autograd.grad(total, asked, allow_unused=True, retain_graph=True):
            assert gradient is None or gradient.isfinite().all()


@ALL
def test_codes_may_come_in_stacks(name: str, index: int) -> None:
    """Several for each of several pictures; the density of each is its own."""
    density, points, _, _, _ = case(name, index)
    some = points[:: max(1, len(points) // 6)][:6]
    if density.batch_shape or len(some) < 6:
        some = points[:1].expand(6, *points.shape[1:])
    with torch.no_grad():
        alone = density.log_prob(some)
        stacked = density.log_prob(some.unflatten(0, (2, 3)))
    assert stacked.shape == (2, 3, *alone.shape[1:])
    torch.testing.assert_close(stacked.flatten(0, 1), alone)


# The mean is the location that is shown; the moments are torch's, NaN or rounded to 0.
OTHER_MEAN = ("DiscretizedLogisticLikelihood", "fit_codes", "BernoulliLikelihood")


@ALL
def test_mean_and_variance_are_the_integrals(name: str, index: int) -> None:
    density, points, weights, _, _ = case(name, index)
    found = {}
    for moment in ("mean", "variance"):
        try:
            found[moment] = getattr(density, moment)
        except NotImplementedError:
            continue
    if not found or name in OTHER_MEAN:
        return
    with torch.no_grad():
        mass = density.log_prob(points).double().exp() * weights
    share = (mass / mass.sum())[(..., *[None] * len(density.event_shape))]
    mean = (share * points.double()).sum(0)
    variance = (share * (points.double() - mean).square()).sum(0)
    # float32 knows a place to some 1e-7 of itself, and a density to some 1e-6
    slack = 2e-3 * variance.sqrt() + 1e-6 * points.double().abs().amax(0) + 1e-9
    if "mean" in found:
        assert found["mean"].shape == density.batch_shape + density.event_shape
        assert ((found["mean"].double() - mean).abs() <= slack).all()
    if "variance" in found:
        assert (found["variance"].double().sqrt() - variance.sqrt()).abs().le(5 * slack).all()


@ALL
def test_draws_lie_where_the_density_says_that_it_lives(name: str, index: int) -> None:
    density, points, _, _, _ = case(name, index)
    with seeded(0):
        draws = density.sample((7,))
    assert not draws.requires_grad
    assert draws.dtype == points.dtype
    assert draws.shape[1:] == density.batch_shape + density.event_shape
    with torch.no_grad():
        assert density.log_prob(draws).isfinite().all()
    if density.has_rsample:
        assert density.rsample((7,)).shape == draws.shape
    else:  # monte_carlo_kl and the models ask for it
        with pytest.raises(NotImplementedError):
            density.rsample((7,))
    try:
        support = density.support
    except NotImplementedError:
        return
    if support is not None:
        assert support.check(draws).all()


# --- none is left out ---------------------------------------------------------------------------


def members() -> Iterator[tuple[str, Any]]:
    """The classes and functions that the modules of ``vaebook.distributions`` define."""
    for module in pkgutil.iter_modules(d.__path__, f"{d.__name__}."):
        for name, member in vars(importlib.import_module(module.name)).items():
            if getattr(member, "__module__", None) == module.name and not name.startswith("_"):
                yield name, member


def test_every_density_has_rows() -> None:
    classes = {name: member for name, member in members() if inspect.isclass(member)}
    functions = {name: member for name, member in members() if inspect.isfunction(member)}
    asked = {f"posterior {family}" for family in POSTERIORS}
    for name, kind in classes.items():
        if issubclass(kind, d.Likelihood | d.Prior) and not inspect.isabstract(kind):
            asked.add(name)
    for name, function in functions.items():
        returned = get_type_hints(function).get("return")
        if inspect.isclass(returned) and issubclass(returned, Distribution):
            asked.add(name)
    built = [case(name, i).density for name, rows in CASES.items() for i in range(len(rows))]
    kinds = {type(density) for density in built}
    kinds |= {type(getattr(density, "base_dist", None)) for density in built}
    families = {kind for kind in classes.values() if issubclass(kind, Distribution)}
    assert families - kinds == set(), "distributions that no row is an instance of"
    assert asked - set(CASES) == set(), "without a row"
    named = {kind.__name__ for kind in families}
    assert set(CASES) - asked - named == set(), "rows of what is no more"
