"""The optimal decoder against brute force, quadrature and its limits; the Pythagorean split."""

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.integrate import quad
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from tests.properties import a_few, generator, normal, seeds, uniform
from vaebook.distributions import DiagonalGaussian
from vaebook.metrics.samples.sharpness import gradient_energy
from vaebook.models.optimal_decoder import OptimalDecoder


def some(seed: int, n: int = 6, d: int = 3) -> tuple[DiagonalGaussian, Tensor]:
    """Posteriors of very different widths, and pictures."""
    posterior = DiagonalGaussian(normal(seed, n, d), normal(seed + 1, n, d) - 1)
    return posterior, uniform(seed + 2, n, 1, 4, 5)


@a_few
@given(seeds)
def test_it_by_brute_force(seed: int) -> None:
    """One code and one picture at a time, densities by torch.distributions, no logarithms."""
    posterior, images = some(seed)
    codes = normal(seed + 3, 4, 3)
    expected = []
    for z in codes:
        density = torch.stack(
            [
                torch.exp(Normal(m, torch.exp(0.5 * s)).log_prob(z)).prod()
                for m, s in zip(posterior.mu, posterior.log_var, strict=True)
            ]
        )
        mean = sum(p * x for p, x in zip(density, images, strict=True)) / density.sum()
        expected.append(mean)
    found = OptimalDecoder(posterior, images).decode(codes, batch_size=3)
    torch.testing.assert_close(found, torch.stack(expected))


def test_no_other_decoder_does_better_in_one_dimension() -> None:
    """The risk of f at each z, by quadrature; perturbations of f* all raise it."""
    posterior = DiagonalGaussian(
        torch.tensor([[-1.0], [0.5], [2.0]]).double(),
        torch.tensor([[-2.0], [0.0], [-1.0]]).double(),
    )
    images = torch.tensor([0.1, 0.9, 0.4]).double().reshape(3, 1, 1, 1)
    best = OptimalDecoder(posterior, images)

    def risk(shift: float, wiggle: float) -> float:
        def integrand(z: float) -> float:
            code = torch.tensor([[z]], dtype=torch.float64)
            guess = float(best.decode(code)) + shift * np.sin(wiggle * z)
            density = torch.exp(posterior.log_prob(code))  # [3]
            return float((density * (images.flatten() - guess) ** 2).mean())

        return quad(integrand, -10, 10, limit=200)[0]

    least = risk(0.0, 1.0)
    for wiggle in (0.5, 1.0, 3.0):
        for shift in (-0.05, 0.05):
            # E (f* − f)² over the aggregate: what Pythagoras says the perturbation costs
            extra = quad(
                lambda z, s=shift, w=wiggle: (s * np.sin(w * z)) ** 2
                * float(torch.exp(posterior.log_prob(torch.tensor([[z]]).double())).mean()),
                -10, 10, limit=200,
            )[0]  # fmt: skip
            assert risk(shift, wiggle) == pytest.approx(least + extra, rel=1e-6)


@a_few
@given(seeds)
def test_its_limits(seed: int) -> None:
    posterior, images = some(seed)
    points = OptimalDecoder(
        DiagonalGaussian(posterior.mu, torch.full_like(posterior.mu, -18)), images
    )
    torch.testing.assert_close(points.decode(posterior.mu), images)
    prior = OptimalDecoder(DiagonalGaussian(torch.zeros(6, 3), torch.zeros(6, 3)), images)
    everywhere = prior.decode(normal(seed + 5, 4, 3))
    torch.testing.assert_close(everywhere, images.mean(0).expand_as(everywhere))


def test_narrow_posteriors_keep_their_digits() -> None:
    """σ = 1e-4, thirty thousand σ from zero, in single precision."""
    mu = torch.tensor([[3.0], [3.0001], [3.0002]])
    best = OptimalDecoder(
        DiagonalGaussian(mu, torch.full((3, 1), 2 * np.log(1e-4))), uniform(0, 3, 1, 2, 2).float()
    )
    z = torch.tensor([[3.00005]])
    expected = torch.softmax(-0.5 * ((z.double() - mu.double().T) / 1e-4) ** 2, dim=1)
    torch.testing.assert_close(best.weights(z), expected.float(), atol=1e-6, rtol=1e-4)


def test_a_wide_posterior_is_low_at_a_narrow_ones_centre() -> None:
    """The log-determinant: at the centre of both, densities are as 1/σ."""
    log_var = torch.tensor([[0.0], [-4.0]]).double()
    best = OptimalDecoder(
        DiagonalGaussian(torch.zeros(2, 1).double(), log_var), uniform(0, 2, 1, 2, 2)
    )
    ratio = best.weights(torch.zeros(1, 1).double())[0]
    assert (ratio[1] / ratio[0]).item() == pytest.approx(np.exp(2.0))


def test_a_picture_left_out_has_no_weight() -> None:
    posterior, images = some(7)
    codes, own = posterior.mu, torch.arange(6)
    best = OptimalDecoder(posterior, images)
    weights = best.weights(codes, leave_out=own)
    assert (weights[own, own] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(6).double())
    for i in range(6):
        rest = torch.arange(6) != i
        others = DiagonalGaussian(posterior.mu[rest], posterior.log_var[rest])
        torch.testing.assert_close(
            best.decode(codes, leave_out=own, batch_size=4)[i],
            OptimalDecoder(others, images[rest]).decode(codes[i : i + 1])[0],
        )


@pytest.mark.parametrize("energy", ["squared error", "gradient energy"])
def test_the_error_of_any_decoder_splits_in_two(energy: str) -> None:
    """Pythagoras over every picture and many draws: overlap + the decoder's own limit."""

    def measure(difference: Tensor) -> Tensor:
        if energy == "gradient energy":
            return gradient_energy(difference)
        return difference.square().sum((1, 2, 3))

    posterior, images = some(11, n=8, d=2)
    best = OptimalDecoder(posterior, images)
    # a grid carries the expectation over z: for Gaussians the trapezoid rule has many digits
    axis = torch.linspace(-12, 12, 241).double()
    grid = torch.cartesian_prod(axis, axis)
    density = torch.exp(posterior.log_prob(grid[:, None])) * (axis[1] - axis[0]) ** 2  # [z, n]
    assert density.sum(0) == pytest.approx(np.ones(8), abs=1e-3)
    ideal = best.decode(grid, batch_size=5000)
    other = torch.sigmoid(grid @ normal(1, 2, 20)).reshape(-1, 1, 4, 5)
    total = sum((density[:, i] * measure(images[i] - other)).sum() for i in range(8)) / 8
    overlap = sum((density[:, i] * measure(images[i] - ideal)).sum() for i in range(8)) / 8
    own = (density.mean(1) * measure(ideal - other)).sum()
    torch.testing.assert_close(total, overlap + own)  # exact on the grid too: f* is its mean there
    # the law of total variance: what overlap costs is just what the mean pictures lack
    lacking = sum(density[:, i].sum() * measure(images[i : i + 1]) for i in range(8)) / 8
    lacking = lacking - (density.mean(1) * measure(ideal)).sum()
    torch.testing.assert_close(overlap, lacking.squeeze())


def test_fresh_pictures_are_bracketed() -> None:
    """Itself included is too good, left out not good enough; a linear model knows the truth."""
    # One pixel x = 0.1 z + noise, z ~ N(0, 1), exact posterior: E Var[x | z] is the noise's.
    noise, n = 0.05, 1500
    z = torch.randn(n, 1, generator=generator(0), dtype=torch.float64)
    x = 0.1 * z + noise * torch.randn(n, 1, generator=generator(1), dtype=torch.float64)
    slope = 0.1 / (0.1**2 + noise**2)
    variance = noise**2 / (0.1**2 + noise**2)
    images = (0.5 + x).clamp(0, 1).reshape(n, 1, 1, 1)
    posterior = DiagonalGaussian(slope * x, torch.full_like(x, np.log(variance)))
    codes = posterior.mu + variance**0.5 * torch.randn(n, 1, generator=generator(2)).double()
    best, own = OptimalDecoder(posterior, images), torch.arange(n)
    low = (images - best.decode(codes)).square().mean()
    high = (images - best.decode(codes, leave_out=own)).square().mean()
    # the truth within 5 %: 1,500 squared normal numbers have a relative error of √(2/1500) = 0.037
    assert low < high
    assert low.item() == pytest.approx(noise**2, rel=0.1)
    assert high.item() == pytest.approx(noise**2, rel=0.1)
    few = OptimalDecoder(DiagonalGaussian(posterior.mu[:20], posterior.log_var[:20]), images[:20])
    short = (images[:20] - few.decode(codes[:20])).square().mean()
    far = (images[:20] - few.decode(codes[:20], leave_out=own[:20])).square().mean()
    assert short < far
    assert far - short > 3 * (high - low)  # the bracket closes as pictures are added


def test_wrong_input_says_what_to_do() -> None:
    posterior, images = some(0)
    with pytest.raises(ValueError, match="6 images but posteriors of batch shape \\(5,\\)"):
        OptimalDecoder(DiagonalGaussian(posterior.mu[:5], posterior.log_var[:5]), images)
    full = MultivariateNormal(posterior.mu, torch.eye(3).double().expand(6, 3, 3))
    with pytest.raises(ValueError, match="expected a DiagonalGaussian"):
        OptimalDecoder(full, images)  # type: ignore[arg-type]
    best = OptimalDecoder(posterior, images)
    with pytest.raises(ValueError, match=r"expected a tensor \[n, 3\]"):
        best.decode(normal(0, 4, 2))
    with pytest.raises(ValueError, match="one index for each code"):
        best.decode(normal(0, 4, 3), leave_out=torch.arange(3))
    with pytest.raises(ValueError, match="batch_size"):
        best.decode(normal(0, 4, 3), batch_size=0)


def test_laplace_pixels() -> None:
    from torch.distributions import Laplace

    from vaebook.distributions.laplace_pixels import LaplaceLikelihood

    output, images = normal(0, 3, 1, 4, 4), uniform(1, 3, 1, 4, 4)
    likelihood = LaplaceLikelihood(0.2)
    density = likelihood(output)
    by_hand = Independent(Laplace(torch.sigmoid(output), torch.tensor(0.2).double()), 3)
    torch.testing.assert_close(density.log_prob(images), by_hand.log_prob(images))
    # −log p is the absolute error over b, plus a constant
    cost = (images - torch.sigmoid(output)).abs().sum((1, 2, 3)) / 0.2 + 16 * np.log(0.4)
    torch.testing.assert_close(-density.log_prob(images), cost)
    torch.testing.assert_close(density.mean, torch.sigmoid(output))
    default = LaplaceLikelihood()(output)
    torch.testing.assert_close(default.variance, torch.full_like(output, 0.01))
    total = quad(lambda x: float(torch.exp(-abs(torch.tensor(x)) / 0.2) / 0.4), -6, 6, points=[0])[
        0
    ]
    assert total == pytest.approx(1, abs=1e-6)
    assert "scale=0.2" in repr(likelihood)
    with pytest.raises(ValueError, match="scale"):
        LaplaceLikelihood(0.0)


def test_no_weight_is_subnormal() -> None:
    """Sums of a thousand of them change no mean, and a processor takes ten times as long."""
    posterior = DiagonalGaussian(torch.linspace(-20, 20, 500)[:, None], torch.zeros(500, 1))
    best = OptimalDecoder(posterior, torch.ones(500, 1, 1, 1))
    weights = best.weights(torch.zeros(1, 1))
    exact = torch.softmax(posterior.log_prob(torch.zeros(1)).double(), 0)
    tiny = torch.finfo(torch.float32).tiny
    subnormal = (exact > 0) & (exact < tiny)
    assert subnormal.sum() > 50
    assert (weights[0][subnormal] == 0).all()
    assert (weights[0][exact > 2 * tiny] > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(1))
    torch.testing.assert_close(weights[0].double(), exact, atol=tiny, rtol=1e-5)
