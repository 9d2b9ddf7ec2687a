"""Precision and recall against sets whose answer is known."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from vaebook.metrics import precision_recall


def gaussian(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed)) + shift


def test_agrees_with_a_second_implementation() -> None:
    real, generated = gaussian(300, 0), gaussian(200, 1, shift=1.0)

    def share(points: np.ndarray, centres: np.ndarray) -> float:
        radius = NearestNeighbors(n_neighbors=4).fit(centres).kneighbors(centres)[0][:, -1]
        distance = np.linalg.norm(points[:, None] - centres[None], axis=-1)
        return float((distance <= radius).any(1).mean())

    found = precision_recall(real, generated)
    # The shares are counts over 200 and 300; one borderline point may round the other way.
    assert found.precision == pytest.approx(share(generated.numpy(), real.numpy()), abs=0.006)
    assert found.recall == pytest.approx(share(real.numpy(), generated.numpy()), abs=0.006)


def test_separates_quality_from_variety() -> None:
    two_modes = torch.cat([gaussian(300, 0, -10.0), gaussian(300, 1, 10.0)])
    one_mode = gaussian(300, 2, 10.0)
    found = precision_recall(two_modes, one_mode)
    assert found.precision > 0.9  # every sample looks real
    assert 0.4 < found.recall < 0.52  # and half of the kinds are missing


def test_far_samples_score_nothing() -> None:
    assert precision_recall(gaussian(50, 0), gaussian(50, 1, 100.0)) == (0.0, 0.0)


def test_takes_images_and_refuses_what_it_cannot_compare() -> None:
    images = torch.rand(20, 1, 4, 4)
    assert precision_recall(images, images) == (1.0, 1.0)
    with pytest.raises(ValueError, match="16 numbers per item, generated 25"):
        precision_recall(images, torch.rand(20, 1, 5, 5))
    with pytest.raises(ValueError, match="more than num_neighbours"):
        precision_recall(images, images[:3])
