"""The dogs: repeatable, differentiable, inside the frame, and what their factors say."""

import pytest
import torch

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


def test_mirrored_factors_give_the_mirror_image() -> None:
    factors = sample_factors(20, seed=7)
    mirrored = factors.clone()
    mirrored[:, [INDEX["x"], INDEX["facing"]]] *= -1
    difference = (render(mirrored) - render(factors).flip(3)).square().mean((1, 2, 3)).sqrt()
    assert difference.max() < 1e-3  # two dogs differ by 0.1; parts too faint to see are left out


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
    assert load_dogs(20, 10, 10) is small
    assert torch.equal(large.train.images[:20], small.train.images)
    assert torch.equal(large.test.images, small.test.images)
    everything = torch.cat([split.factors for _, split in large.splits()])
    assert len(torch.unique(everything, dim=0)) == 50
    assert not torch.equal(load_dogs(20, 10, 10, seed=1).train.images, small.train.images)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="one row per dog"):
        render(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="expected floats"):
        render(torch.zeros(3, 16, dtype=torch.long))
    with pytest.raises(ValueError, match="size"):
        render(sample_factors(1, seed=0), size=4)
    with pytest.raises(ValueError, match="n is"):
        sample_factors(0, seed=0)
