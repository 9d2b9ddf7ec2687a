"""The dogs: repeatable, differentiable, inside the frame, and what their factors say."""

import pytest
import torch
from torch.func import jvp, vmap

from vaebook.data import dog_derivative
from vaebook.data._dog_shapes import capsule_distance, smooth_union
from vaebook.data.dog_derivative import draw_with_jacobian
from vaebook.data.dogs import (
    FACTOR_NAMES,
    FACTORS,
    factor_range,
    load_dogs,
    render,
    sample_factors,
)

INDEX = {name: column for column, name in enumerate(FACTOR_NAMES)}


def test_factors_are_uniform_in_their_ranges_and_follow_the_seed() -> None:
    factors = sample_factors(20_000, seed=0)
    low, high = factor_range()
    place = (factors - low) / (high - low)
    assert ((place >= 0) & (place <= 1)).all()
    # standard errors: 0.29/√20000 = 0.002 of the mean, about 0.0006 of the variance 1/12
    assert torch.allclose(place.mean(0), torch.full((16,), 0.5), atol=0.01)
    assert torch.allclose(place.var(0), torch.full((16,), 1 / 12), atol=0.003)
    assert torch.equal(factors, sample_factors(20_000, seed=0))
    assert not torch.equal(factors, sample_factors(20_000, seed=1))


def test_dogs_are_dark_on_light_paper_and_inside_the_frame() -> None:
    images = render(sample_factors(500, seed=5))
    assert images.shape == (500, 1, 32, 32)
    assert (images >= 0).all()
    assert (images <= 1).all()
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], -1)
    assert border.min() > 0.85  # the paper is 0.95
    assert (images.amin((1, 2, 3)) < 0.85).all()


def test_the_gradient_is_that_of_finite_differences() -> None:
    low, high = factor_range()
    factors = sample_factors(3, seed=6).double().requires_grad_()
    weights = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    (gradient,) = torch.autograd.grad((render(factors) * weights).sum(), factors)
    assert torch.isfinite(gradient).all()
    for column in range(len(FACTORS)):
        step = torch.zeros(16).double()
        step[column] = 1e-6 * float(high[column] - low[column])
        with torch.no_grad():
            ahead, behind = render(factors + step), render(factors - step)
        slope = ((ahead - behind) * weights).sum((1, 2, 3)) / (2 * step[column])
        # second order: the error is of the order of the step squared, and of rounding over step
        assert torch.allclose(slope, gradient[:, column], rtol=1e-3, atol=1e-3), FACTORS[column]


def jacobian_by_differences(factors: torch.Tensor) -> torch.Tensor:
    """The change of every pixel over the range of every factor, [n, pixels, 16], in float64."""
    low, high = (bound.double() for bound in factor_range())
    steps = 1e-6 * torch.diag(high - low)
    ahead, behind = (
        torch.stack([render(factors + sign * step).flatten(1) for step in steps], -1)
        for sign in (1, -1)
    )
    return (ahead - behind) / 2e-6


def test_the_quick_derivative_is_that_of_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = (bound.double() for bound in factor_range())
    factors = sample_factors(6, seed=16).double()
    expected = jacobian_by_differences(factors)
    images, jacobian = draw_with_jacobian(factors, 32)
    assert torch.equal(images, render(factors))
    # pixels far from a rim are left out: a part in a thousand of all there is
    assert (jacobian * (high - low) - expected).norm() < 3e-3 * expected.norm()
    monkeypatch.setattr(dog_derivative, "_NEGLIGIBLE", 0.0)
    _, jacobian = draw_with_jacobian(factors, 32)
    # with none left out there remains the error of differences, of changes of up to 50
    torch.testing.assert_close(jacobian * (high - low), expected, rtol=0, atol=1e-5)


# torch's own forward mode says this on its first use
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_it_works_with_forward_mode_and_vmap() -> None:
    factors, direction = sample_factors(2, seed=19).double(), torch.ones(2, 16).double()
    image, slope = vmap(lambda one, step: jvp(lambda f: render(f[None])[0], (one,), (step,)))(
        factors, direction
    )
    assert torch.allclose(image, render(factors))
    expected = (render(factors + 1e-6 * direction) - render(factors - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-4)  # of changes of up to 70


def test_derivatives_are_finite_where_the_geometry_is_degenerate() -> None:
    low, high = factor_range()
    corners = torch.stack([low, high, (low + high) / 2, low, high])
    corners[3:, INDEX["facing"]] = 0.0  # the paws' axes have no length in the front view
    assert torch.isfinite(draw_with_jacobian(corners, 32)[1]).all()
    corners.requires_grad_()
    (gradient,) = torch.autograd.grad(render(corners).square().sum(), corners)
    assert torch.isfinite(gradient).all()
    assert (render(corners.double()) - render(corners)).abs().max() < 1e-4  # rounding, no more


def test_the_distance_to_capsules_is_that_of_school_geometry() -> None:
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    capsules = torch.tensor([[[0.2, -0.1, 0.2, -0.1, 0.3, 0.3], [-0.5, 0.0, 0.5, 0.0, 0.2, 0.2]]])
    disc, bar = capsule_distance(x, x, capsules.double())[0]
    columns, rows = x[None, :], x[:, None]
    expected = ((columns - 0.2) ** 2 + (rows + 0.1) ** 2).sqrt() - 0.3
    torch.testing.assert_close(disc, expected, rtol=0, atol=1e-5)  # the root is rounded by 1e-6
    expected = ((columns.abs() - 0.5).clamp(min=0) ** 2 + rows**2).sqrt() - 0.2
    torch.testing.assert_close(bar, expected, rtol=0, atol=2e-3)
    # the radius glides: at the middle of a tapered capsule it is the mean of the two
    tapered = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.1, 0.3]]], dtype=torch.float64)
    at = capsule_distance(torch.tensor([0.5]).double(), torch.tensor([0.7]).double(), tapered)
    assert at.item() == pytest.approx(0.7 - 0.2, abs=1e-5)


def test_a_smooth_union_is_the_nearest_part_with_a_fillet() -> None:
    distance = torch.tensor([[[0.3], [-0.2], [5.0]], [[0.1], [0.1], [9.0]]])
    joined = smooth_union(distance, 0.01)
    assert joined[0].item() == pytest.approx(-0.2, abs=1e-6)
    assert joined[1].item() == pytest.approx(0.1 - 0.01 * 0.6931, abs=1e-5)  # log 2


def test_position_moves_the_dog_by_as_many_pixels() -> None:
    factors = sample_factors(20, seed=17)
    factors[:, [INDEX["x"], INDEX["y"]]] = 0.0
    moved = factors.clone()
    moved[:, INDEX["x"]] += 1 / 32  # one pixel to the right
    moved[:, INDEX["y"]] += 1 / 32  # one pixel up
    expected = render(factors).roll((-1, 1), (2, 3))
    torch.testing.assert_close(render(moved), expected, rtol=0, atol=2e-4)  # rounding at the rims


def test_the_colours_are_those_asked_for() -> None:
    factors = sample_factors(20, seed=18)
    factors[:, INDEX["facing"]] = 0.9
    factors[:, [INDEX["coat"], INDEX["patch"]]] = 0.6
    plain = render(factors, size=128)
    same = ((plain - 0.6).abs() < 0.005).float().sum((1, 2, 3))
    assert same.min() > 200, "pixels of the plain coat"
    factors[:, INDEX["patch"]] = 0.2
    change = render(factors, size=128) - plain
    assert change.max() < 1e-6, "a darker patch makes nothing lighter"
    assert change.amin((1, 2, 3)).median() == pytest.approx(-0.4, abs=0.01)


def test_mirrored_factors_give_the_mirror_image() -> None:
    factors = sample_factors(20, seed=7)
    mirrored = factors.clone()
    mirrored[:, [INDEX["x"], INDEX["facing"]]] *= -1
    difference = (render(mirrored) - render(factors).flip(3)).square().mean((1, 2, 3)).sqrt()
    assert difference.max() < 1e-3  # two dogs differ by 0.1; parts too faint to see are left out


def test_a_dog_looks_where_its_facing_says_and_stands_on_its_feet() -> None:
    """Nose and eyes are the only ink on a pale dog: right of the middle, and in the upper half."""
    factors = sample_factors(20, seed=7)
    factors[:, [INDEX["x"], INDEX["y"]]] = 0.0
    factors[:, INDEX["facing"]] = 0.9
    factors[:, [INDEX["coat"], INDEX["patch"]]] = 0.75
    ink = (render(factors, size=64) < 0.2)[:, 0].float()
    columns, rows = ink.sum(1), ink.sum(2)
    place = torch.arange(64) + 0.5 - 32
    assert ((columns @ place) / columns.sum(1) > 8).all(), "pixels right of the middle"
    assert ((rows @ place) / rows.sum(1) < 0).all(), "above the middle"


def test_every_factor_changes_the_picture() -> None:
    low, high = factor_range()
    middle = ((low + high) / 2).repeat(len(FACTORS), 1)
    middle[:, INDEX["facing"]] = 0.8
    moved = middle + 0.2 * torch.diag(high - low)
    change = (render(moved) - render(middle)).square().mean((1, 2, 3)).sqrt()
    assert (change > 0.003).all(), dict(zip(FACTOR_NAMES, change.tolist(), strict=True))


def test_a_large_picture_averaged_looks_like_the_small_one() -> None:
    factors = sample_factors(20, seed=8)
    averaged = torch.nn.functional.avg_pool2d(render(factors, size=128), 4).flatten(1)
    distance = torch.cdist(averaged, render(factors).flatten(1)) / 32  # RMSE, [large, small]
    # softer edges make thin legs fainter, so the two differ, but less than two dogs do
    assert torch.equal(distance.argmin(1), torch.arange(20))
    assert distance.diagonal().max() < 0.07


def test_splits_are_disjoint_repeatable_and_independent_of_their_sizes() -> None:
    small, large = load_dogs(20, 10, 10), load_dogs(30, 10, 10)
    assert torch.equal(load_dogs(20, 10, 10).train.images, small.train.images)
    assert torch.equal(large.train.images[:20], small.train.images)
    assert torch.equal(large.test.images, small.test.images)
    everything = torch.cat([split.factors for _, split in large.splits()])
    assert len(torch.unique(everything, dim=0)) == 50
    assert not torch.equal(load_dogs(20, 10, 10, seed=1).train.images, small.train.images)


def test_every_picture_is_drawn_from_the_factors_beside_it() -> None:
    for _, split in load_dogs(20, 10, 10).splits():
        assert split.factors is not None
        assert torch.equal(split.images, render(split.factors))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="one row per dog"):
        render(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="expected floats"):
        render(torch.zeros(3, 16, dtype=torch.long))
    with pytest.raises(ValueError, match="size"):
        render(sample_factors(1, seed=0), size=4)
    with pytest.raises(ValueError, match="n is"):
        sample_factors(0, seed=0)
