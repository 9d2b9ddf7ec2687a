"""The nearest dog: exact on dogs, honest on everything else."""

import pytest
import torch

from vaebook.data.dogs import FACTOR_NAMES, factor_range, load_dogs, render, sample_factors
from vaebook.metrics.dogs import DOG_THRESHOLD, factor_overlap, nearest_dog, validity


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
