"""The nearest dog: exact on dogs, honest on everything else."""

import pytest
import torch
from torch.func import jacfwd

from vaebook.data.dogs import FACTOR_NAMES, factor_range, load_dogs, render, sample_factors
from vaebook.metrics.dogs import DOG_THRESHOLD, factor_overlap, nearest_dog, validity
from vaebook.metrics.dogs._fit import Fit, _box_step, improve, start
from vaebook.metrics.dogs._starts import _bank, likely_starts, other_limbs
from vaebook.training import seeded


def test_held_out_dogs_are_found() -> None:
    dogs = render(sample_factors(24, seed=77))
    found = nearest_dog(dogs)
    assert found.distance.median() < 0.003
    assert (found.distance < 0.01).float().mean() > 0.9
    # the distance is that of the picture returned, and the picture that of the factors
    assert torch.allclose(found.images, render(found.factors), atol=1e-5)
    rmse = (found.images - dogs).square().mean((1, 2, 3)).sqrt()
    assert torch.allclose(found.distance, rmse, atol=1e-6)
    low, high = factor_range()
    assert ((found.factors >= low - 1e-4) & (found.factors <= high + 1e-4)).all()


def test_it_is_no_farther_than_a_dog_that_is_known_to_be_near() -> None:
    dogs = render(sample_factors(8, seed=78))
    generator = torch.Generator().manual_seed(0)
    noisy = (dogs + 0.02 * torch.randn(dogs.shape, generator=generator)).clamp(0, 1)
    known = (noisy - dogs).square().mean((1, 2, 3)).sqrt()
    assert (nearest_dog(noisy).distance <= known + 1e-4).float().mean() >= 0.875


def test_what_is_no_dog_is_far() -> None:
    generator = torch.Generator().manual_seed(1)
    assert (nearest_dog(torch.rand(3, 1, 32, 32, generator=generator)).distance > 0.3).all()
    assert validity(torch.full((2, 1, 32, 32), 0.95)) == 0.0  # empty paper
    assert validity(load_dogs().test.images[:4]) == 1.0
    assert pytest.approx(0.04) == DOG_THRESHOLD


def test_an_image_is_fitted_on_its_own() -> None:
    dogs = load_dogs().test.images[:3]
    together, alone = nearest_dog(dogs), nearest_dog(dogs[1:2])
    assert torch.allclose(together.distance[1:2], alone.distance, atol=1e-4)


def test_overlap_of_all_and_of_one_kind() -> None:
    many, one = sample_factors(20_000, seed=3), sample_factors(1, seed=4)
    assert torch.allclose(factor_overlap(many), torch.ones(len(FACTOR_NAMES)), atol=0.02)
    assert torch.allclose(factor_overlap(one.repeat(50, 1)), torch.full((16,), 0.1))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="square grey"):
        nearest_dog(torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"expected \[n, 16\]"):
        factor_overlap(torch.rand(3, 5))
    with pytest.raises(ValueError, match="threshold"):
        validity(torch.rand(1, 1, 32, 32), threshold=0.0)


# --- the parts of the search --------------------------------------------------------------------


@pytest.fixture(scope="module")
def guesses() -> tuple[torch.Tensor, torch.Tensor]:
    """Three dogs, and others that are nearly right; factors in [0, 1]."""
    low, high = (bound.double() for bound in factor_range())
    with seeded(1):
        units = 0.2 + 0.6 * torch.rand(3, len(FACTOR_NAMES), dtype=torch.double)
        near = (units + 0.02 * torch.randn(units.shape)).clamp(0, 1)
    images = render((low + (high - low) * units).float(), size=32).detach()
    return images, near


def residuals(units: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    low, high = (bound.double() for bound in factor_range())
    return (render((low + (high - low) * units)[None]) - image[None]).flatten()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of forward derivatives
def test_a_guess_knows_its_cost_and_the_derivatives_of_half_of_it(guesses) -> None:
    """Against automatic differentiation of the picture."""
    images, units = guesses
    fit = start(images, units)
    for row, (image, unit) in enumerate(zip(images, units, strict=True)):
        differences = residuals(unit, image)
        slopes = jacfwd(residuals)(unit, image)
        cost = differences.square().sum()
        torch.testing.assert_close(fit.cost[row], cost, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(fit.gradient[row], differences @ slopes, rtol=1e-3, atol=1e-3)
        curvature = slopes.T @ slopes
        largest = float(curvature.max())
        torch.testing.assert_close(fit.curvature[row], curvature, rtol=0, atol=1e-3 * largest)
        rmse = differences.square().mean().sqrt()
        torch.testing.assert_close(fit.distance(32 * 32)[row], rmse, rtol=1e-4, atol=1e-6)
    assert fit.running.all()


def test_steps_never_lead_uphill_and_end_at_the_dog(guesses) -> None:
    images, units = guesses
    fit, last = start(images, units), torch.full((3,), torch.inf, dtype=torch.double)
    for _ in range(12):
        improve(fit, images, 1)
        assert (fit.cost <= last).all()
        assert ((fit.unit >= 0) & (fit.unit <= 1)).all()
        # what is known of a fit is known of where it stands, also after a step that was refused
        torch.testing.assert_close(fit.cost, start(images, fit.unit).cost)
        last = fit.cost.clone()
    assert (fit.distance(32 * 32) < 1e-3).all()
    improve(fit, images, 20)
    assert not fit.running.any()
    done = fit.unit.clone()
    improve(fit, images, 5)
    assert torch.equal(fit.unit, done), "a fit that is done stays where it is"


def fit_at(unit: list[float], gradient: list[float], curvature: list[list[float]], damping: float):
    rows = [torch.tensor([values]).double() for values in (unit, [0.0], gradient, curvature)]
    return Fit(
        rows[0], rows[1][0], *rows[2:], torch.tensor([damping]).double(), torch.tensor([True])
    )


def test_inside_the_box_a_step_without_damping_is_newtons() -> None:
    matrix = [[3.0, 1.0], [1.0, 2.0]]
    step = _box_step(fit_at([0.5, 0.5], [0.3, -0.2], matrix, 0.0))
    newton = -torch.linalg.solve(torch.tensor(matrix), torch.tensor([0.3, -0.2]))
    torch.testing.assert_close(step[0], newton.double(), atol=1e-6, rtol=0)


def test_much_damping_makes_a_short_step_downhill() -> None:
    """In units of the curvature of each factor: about −g / (damping · H)."""
    step = _box_step(fit_at([0.5, 0.5], [0.3, -0.2], [[3.0, 1.0], [1.0, 2.0]], 1e6))
    short = -torch.tensor([0.3 / 3, -0.2 / 2]).double() / 1e6
    torch.testing.assert_close(step[0], short, rtol=2e-3, atol=0)


@pytest.mark.parametrize(
    ("unit", "gradient", "expected"),
    [
        ([0.1, 0.5], [1.0, 0.1], [-0.1, -0.1]),  # the first stops at its lower end
        ([0.9, 0.5], [-1.0, 0.1], [0.1, -0.1]),  # or at the upper one
        ([0.0, 0.5], [1.0, 0.1], [0.0, -0.1]),  # where it stays if it is there already
        ([1.0, 0.5], [-1.0, 0.1], [0.0, -0.1]),
        ([0.0, 0.5], [-0.2, 0.1], [0.2, -0.1]),  # but may leave it
        ([1.0, 0.5], [0.2, 0.1], [-0.2, -0.1]),
        ([0.1, 0.1], [1.0, 1.0], [-0.1, -0.1]),
    ],
)
def test_at_the_walls_of_the_box(unit, gradient, expected) -> None:
    step = _box_step(fit_at(unit, gradient, [[1.0, 0.0], [0.0, 1.0]], 0.0))
    torch.testing.assert_close(step[0], torch.tensor(expected).double(), atol=1e-7, rtol=0)


def test_who_stops_at_a_wall_changes_what_the_others_do() -> None:
    """The minimum of g·s + s·H s / 2 on the wall s₁ = −0.1: s₂ = −(g₂ + H₁₂ s₁) / H₂₂."""
    step = _box_step(fit_at([0.1, 0.5], [2.0, 0.2], [[2.0, 1.0], [1.0, 4.0]], 0.0))
    expected = torch.tensor([-0.1, -(0.2 - 0.1) / 4]).double()
    torch.testing.assert_close(step[0], expected, atol=1e-7, rtol=0)


def test_other_limbs_are_the_two_angles_farthest_away() -> None:
    names = list(FACTOR_NAMES)
    dog = torch.full((1, len(names)), 0.2).double()
    dog[0, names.index("ear_angle")] = 0.95
    variants = other_limbs(dog)
    assert variants.shape == (1, 4, len(names))
    for limb, which, angles in (("tail", (0, 1), {0.9, 0.5}), ("ear", (2, 3), {0.1, 0.5})):
        angle, length = names.index(f"{limb}_angle"), names.index(f"{limb}_length")
        assert {round(float(variants[0, k, angle]), 6) for k in which} == angles
        for k in which:
            assert float(variants[0, k, length]) == pytest.approx(0.4)
            same = [i for i in range(len(names)) if i not in (angle, length)]
            assert torch.equal(variants[0, k, same], dog[0, same])


def test_each_of_the_drawn_dogs_and_its_mirror_image_is_its_own_likeliest_start() -> None:
    units, _ = _bank()
    assert len(units) == 10_000
    low, high = (bound.double() for bound in factor_range())
    rows = [3, 4999, 5003, 9999]
    for size in (32, 64):  # a smaller picture is too blurred for it
        images = render((low + (high - low) * units[rows]).float(), size=size).detach()
        starts = likely_starts(images, 2)
        assert starts.shape == (4, 2, len(FACTOR_NAMES))
        torch.testing.assert_close(starts[:, 0], units[rows])
    seen, mirrored = (render((low + (high - low) * units[r : r + 1]).float()) for r in (3, 5003))
    torch.testing.assert_close(mirrored, seen.flip(3), atol=1e-3, rtol=0)
