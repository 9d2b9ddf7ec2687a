"""Velocity fields, the ODE, its density, and flow matching: against closed forms and autograd."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, Uniform

from vaebook.distributions import (
    ContinuousFlow,
    DiagonalGaussian,
    VelocityNetwork,
    empirical_velocity,
    exact_divergence,
    fit_flow_matching,
    flow_matching_loss,
    gaussian_velocity,
    integrate,
    standard_normal,
    straight_path,
)
from vaebook.training import seeded

MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)
STD = torch.tensor([0.5, 1.5], dtype=torch.float64)  # whose product is not 1: volumes change


def unit(d: int = 2) -> DiagonalGaussian:
    zeros = torch.zeros(d, dtype=torch.float64)
    return DiagonalGaussian(zeros, zeros)


def draws(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_divergence_in_closed_form_is_that_of_autograd() -> None:
    with seeded(0):
        network = VelocityNetwork(5, 32).double()
    x, t = draws(7, 5), torch.linspace(0, 1, 7, dtype=torch.float64)
    exact = exact_divergence(network)(x, t)
    by_difference = torch.zeros(7, dtype=torch.float64)
    for j in range(5):
        step = torch.zeros(5, dtype=torch.float64)
        step[j] = 1e-5
        by_difference += (network(x + step, t) - network(x - step, t))[:, j] / 2e-5
    torch.testing.assert_close(network.divergence(x, t), exact, rtol=1e-12, atol=1e-14)
    # central differences: an error of the order of the squared step
    torch.testing.assert_close(network.divergence(x, t), by_difference, rtol=1e-6, atol=1e-9)
    assert exact.abs().min() > 1e-4  # nothing is compared with zero


def test_a_network_sees_the_time() -> None:
    with seeded(0):
        network = VelocityNetwork(3, 16)
    x = torch.ones(2, 3)
    first, second = network(x, torch.tensor([0.1, 0.6]))
    assert (first - second).abs().max() > 1e-3


def test_the_path_starts_at_the_noise_and_ends_at_the_code() -> None:
    noise, codes = draws(4, 3), draws(4, 3, seed=2)
    for time, place in ((0.0, noise), (1.0, codes), (0.25, 0.75 * noise + 0.25 * codes)):
        x, target = straight_path(noise, codes, torch.full((4,), time, dtype=torch.float64))
        torch.testing.assert_close(x, place)
        torch.testing.assert_close(target, codes - noise)


def test_the_loss_by_hand() -> None:
    noise, codes = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 2.0]])
    # x = (2.5, 1.5) at t = 3/4; a velocity of x + t is (3.25, 2.25), the target (2, 2)
    loss = flow_matching_loss(lambda x, t: x + t[:, None], noise, codes, torch.tensor([0.75]))
    torch.testing.assert_close(loss, torch.tensor([1.25**2 + 0.25**2]))
    with pytest.raises(ValueError, match="shape"):
        flow_matching_loss(lambda x, t: x, noise, codes[:, :1], torch.tensor([0.75]))


def test_the_gaussian_velocity_is_the_regression_of_the_pairs() -> None:
    noise, codes = draws(400_000, 2), MEAN + STD * draws(400_000, 2, seed=2)
    velocity = gaussian_velocity(MEAN, STD)
    for time in (0.2, 0.5, 0.9):
        x, target = straight_path(noise, codes, torch.full((len(noise),), time).double())
        found = velocity(x, torch.full((len(noise),), time).double())
        error = target - found
        # a regression's residual has mean zero and no correlation with what it regresses on;
        # 5 standard errors of a mean of 400,000
        centred = x - x.mean(0)
        scale = error.std(0)
        assert (error.mean(0).abs() < 5 * scale / len(x) ** 0.5).all()
        slope = (error * centred).mean(0) / (centred.std(0) * scale)
        assert (slope.abs() < 5 / len(x) ** 0.5).all()


def test_the_exact_velocity_has_the_least_loss() -> None:
    noise, codes = draws(20_000, 2), MEAN + STD * draws(20_000, 2, seed=2)
    t = torch.rand(20_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = gaussian_velocity(MEAN, STD)

    def loss(velocity) -> float:  # type: ignore[no-untyped-def]
        return float(flow_matching_loss(velocity, noise, codes, t).mean())

    for other in (
        lambda x, t: 1.1 * exact(x, t),
        lambda x, t: -exact(x, t),
        lambda x, t: exact(x, 1 - t),
        lambda x, t: exact(x, t) + 0.2,
    ):
        assert loss(exact) < loss(other)


def flow(num_steps: int, *, divergence: bool = True) -> ContinuousFlow:
    velocity = gaussian_velocity(MEAN, STD)
    given = exact_divergence(velocity) if divergence else None
    return ContinuousFlow(velocity, unit(), num_steps=num_steps, divergence=given)


def test_it_carries_the_normal_to_the_gaussian() -> None:
    noise = draws(500, 2)
    moved = integrate(gaussian_velocity(MEAN, STD), noise, num_steps=200).points
    # per dimension the only monotone map between two Gaussians is the affine one
    torch.testing.assert_close(moved, MEAN + STD * noise, rtol=1e-3, atol=1e-3)
    back = integrate(gaussian_velocity(MEAN, STD), moved, start=1.0, end=0.0, num_steps=200).points
    torch.testing.assert_close(back, noise, rtol=1e-3, atol=1e-3)


def test_the_log_density_is_that_of_the_gaussian_and_the_solver_of_second_order() -> None:
    z = MEAN + STD * draws(200, 2)
    truth = DiagonalGaussian(MEAN, 2 * STD.log()).log_prob(z)
    errors = [float((flow(steps).log_prob(z) - truth).abs().mean()) for steps in (20, 40, 80)]
    assert errors[2] < 1e-3
    # halving the step of a second-order method quarters the error; 3 leaves room for higher orders
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3
    torch.testing.assert_close(
        flow(20).log_prob(z), flow(20, divergence=False).log_prob(z), rtol=1e-10, atol=1e-10
    )


def test_samples_are_those_of_the_density() -> None:
    with seeded(0):
        samples = flow(40).sample((20_000,))
    assert samples.shape == (20_000, 2)
    # five standard errors of a mean and of a standard deviation
    assert ((samples.mean(0) - MEAN).abs() < 5 * STD / 20_000**0.5).all()
    assert ((samples.std(0) / STD - 1).abs() < 5 / 40_000**0.5 + 1e-3).all()  # and the solver's


def test_shapes_and_errors() -> None:
    made = flow(2)
    assert made.sample().shape == (2,)
    assert made.sample((3, 4)).shape == (3, 4, 2)
    assert made.log_prob(made.sample((3, 4))).shape == (3, 4)
    with pytest.raises(ValueError, match=r"expected \[\.\.\., 2\]"):
        made.log_prob(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="num_steps"):
        flow(0)
    codes = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    for wrong, told in (
        (codes[:10], "at least 20"),
        (codes[0], "at least 20"),
        (codes * math.nan, "NaN"),
        (torch.ones(30, 2), "standard deviation"),
    ):
        with pytest.raises(ValueError, match=told):
            fit_flow_matching(wrong)
    settings = (
        *({"scale": 0.0}, {"lr": -1.0}, {"num_epochs": 0}, {"batch_size": 0}),
        {"base": standard_normal(3)},
    )
    for setting in settings:
        with pytest.raises(ValueError, match=next(iter(setting))):
            fit_flow_matching(codes, **setting)  # type: ignore[arg-type]


def two_clumps(n: int, seed: int = 5) -> Tensor:
    """Two clumps far from zero: one in three codes is in the left one."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.rand(n, generator=generator) < 1 / 3
    centre = torch.where(left, -3.0, 3.0)
    place = torch.stack([centre, torch.zeros(n)], 1) + torch.tensor([10.0, 0.0])
    return place + torch.randn(n, 2, generator=generator) * torch.tensor([0.7, 2.0])


@pytest.fixture(scope="module")
def fitted():  # type: ignore[no-untyped-def]
    return fit_flow_matching(two_clumps(6000), num_epochs=30, hidden=64)


def test_a_fit_finds_both_clumps(fitted) -> None:  # type: ignore[no-untyped-def]
    with seeded(0):
        samples = fitted.sample((4000,))
    left = samples[:, 0] < 10
    # a share of 4,000 has a standard error of 0.0075; the rest is what a small network may miss
    assert abs(float(left.float().mean()) - 1 / 3) < 0.05
    assert abs(float(samples[left, 0].mean()) - 7) < 0.2
    assert abs(float(samples[:, 1].std()) - 2) < 0.15


def test_by_default_the_flow_sees_codes_of_unit_deviation(fitted) -> None:  # type: ignore[no-untyped-def]
    codes = two_clumps(6000)
    deviation = (codes - codes.mean(0)).square().mean().sqrt()
    torch.testing.assert_close(fitted.transforms[0].scale, deviation.expand(2))
    assert not fitted.log_prob(codes[:5]).requires_grad, "it was fitted, and stays so"


def test_its_density_integrates_to_one_and_beats_a_gaussian(fitted) -> None:  # type: ignore[no-untyped-def]
    x, y = torch.linspace(2, 18, 161), torch.linspace(-10, 10, 101)
    grid = torch.cartesian_prod(x, y)
    mass = float(fitted.log_prob(grid).exp().sum() * (x[1] - x[0]) * (y[1] - y[0]))
    assert abs(mass - 1) < 0.02  # of the grid and of 20 steps of the solver
    fresh = two_clumps(2000, seed=6)
    mixture = torch.logsumexp(
        torch.stack(
            [
                math.log(share)
                + DiagonalGaussian(
                    torch.tensor([centre, 0.0]), 2 * torch.tensor([0.7, 2.0]).log()
                ).log_prob(fresh)
                for share, centre in ((1 / 3, 7.0), (2 / 3, 13.0))
            ]
        ),
        0,
    )
    # KL(truth ‖ fit) in nats, never below 0 but for the noise of 2,000 codes
    gap = float((mixture - fitted.log_prob(fresh)).mean())
    assert -0.02 < gap < 0.1


def test_the_seed_decides_and_leaves_no_trace() -> None:
    codes = two_clumps(100)
    state = torch.get_rng_state()
    first = fit_flow_matching(codes, num_epochs=2, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    second = fit_flow_matching(codes, num_epochs=2, seed=3)
    other = fit_flow_matching(codes, num_epochs=2, seed=4)
    z = codes[:5]
    assert torch.equal(first.log_prob(z), second.log_prob(z))
    assert not torch.equal(first.log_prob(z), other.log_prob(z))


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_scale_is_undone(scale: float) -> None:
    codes = two_clumps(4000)
    made = fit_flow_matching(codes, num_epochs=10, hidden=64, scale=scale)
    with seeded(0):
        samples = made.sample((2000,))
        inside = made.base_dist.sample((2000,))
    # a short fit: a tenth of the codes' own spread
    assert (samples.mean(0) - codes.mean(0)).abs().max() < 0.4
    assert abs(float((samples - samples.mean(0)).square().mean().sqrt()) / 2.5 - 1) < 0.1
    assert abs(float(inside.square().mean().sqrt()) / scale - 1) < 0.1


@pytest.mark.parametrize("name", ["uniform", "laplace"])
def test_another_noise_does_as_well(name: str) -> None:
    side = torch.full((2,), 3.0**0.5)
    base = {
        "uniform": Independent(Uniform(-side, side, validate_args=False), 1, validate_args=False),
        "laplace": Independent(Laplace(torch.zeros(2), torch.full((2,), 0.5**0.5)), 1),
    }[name]
    made = fit_flow_matching(two_clumps(4000), base=base, num_epochs=15, hidden=64)
    with seeded(0):
        share = float((made.sample((3000,))[:, 0] < 10).float().mean())
    assert abs(share - 1 / 3) < 0.06  # standard error 0.009, and a small network


def test_the_density_counts_the_scale_in_every_dimension() -> None:
    """By change of variables from the density that the flow itself gives."""
    codes = 0.01 * two_clumps(100)
    made = fit_flow_matching(codes, num_epochs=1, hidden=16, scale=2.0)
    centre = codes.mean(0)
    factor = 2.0 / (codes - centre).square().mean().sqrt()
    inside = made.base_dist.log_prob((codes[:7] - centre) * factor)
    # float32, with the codes scaled by 80
    torch.testing.assert_close(
        made.log_prob(codes[:7]), inside + 2 * factor.log(), rtol=1e-3, atol=1e-3
    )


def test_each_code_has_noise_and_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def watched(velocity: object, noise: Tensor, codes: Tensor, t: Tensor) -> Tensor:
        seen.append((noise, t))
        return flow_matching_loss(velocity, noise, codes, t)  # type: ignore[arg-type]

    monkeypatch.setattr("vaebook.distributions.flow_matching.flow_matching_loss", watched)
    fit_flow_matching(two_clumps(60), num_epochs=2, batch_size=30, hidden=8)
    assert len(seen) == 4
    noise, t = torch.cat([pair[0] for pair in seen]), torch.cat([pair[1] for pair in seen])
    assert len(noise.unique(dim=0)) == len(t.unique()) == 120


def test_the_velocity_to_a_finite_set_by_hand_and_at_both_ends() -> None:
    codes = torch.tensor([[-1.0], [3.0]], dtype=torch.float64)
    velocity = empirical_velocity(codes)
    x, half = torch.tensor([[0.2]], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
    near, far = (math.exp(-0.5 * ((0.2 - 0.5 * z) / 0.5) ** 2) for z in (-1.0, 3.0))
    by_hand = (near * (-1.0 - 0.2) + far * (3.0 - 0.2)) / (near + far) / 0.5
    assert float(velocity(x, half)) == pytest.approx(by_hand)
    # at time 0 nothing is known of the goal: towards the mean of all
    assert float(velocity(x, 0 * half)) == pytest.approx(1.0 - 0.2)
    noise = draws(200, 1)
    ends = integrate(velocity, noise, end=0.999, num_steps=500).points
    # a thousandth of the noise is left
    assert torch.minimum((ends + 1).abs(), (ends - 3).abs()).max() < 0.02
    assert 0.4 < float((ends > 1).double().mean()) < 0.6  # half, within three standard errors


def test_the_velocity_to_many_codes_of_a_gaussian_is_the_gaussians() -> None:
    velocity = empirical_velocity(MEAN + STD * draws(20_000, 2))
    x, t = draws(10, 2, seed=4), torch.full((10,), 0.4, dtype=torch.float64)
    # a mean over the few hundred codes near a point's goal
    torch.testing.assert_close(
        velocity(x, t), gaussian_velocity(MEAN, STD)(x, t), rtol=0.1, atol=0.1
    )


def test_points_of_a_network_may_come_in_stacks() -> None:
    """Several flows at several times: the velocity and its divergence are each point's own."""
    with seeded(0):
        network = VelocityNetwork(3, 8).double()
    x, t = draws(2, 4, 3), torch.linspace(0, 1, 8, dtype=torch.float64).reshape(2, 4)
    velocity, divergence = network(x, t), network.divergence(x, t)
    assert velocity.shape == (2, 4, 3)
    assert divergence.shape == (2, 4)
    flat = x.flatten(0, 1), t.flatten()
    torch.testing.assert_close(velocity.flatten(0, 1), network(*flat))
    torch.testing.assert_close(divergence.flatten(), network.divergence(*flat))
