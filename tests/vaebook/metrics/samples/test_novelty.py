"""Distance to the training pictures: copies, new pictures, and blurry ones."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch.nn.functional import avg_pool2d

from vaebook.metrics.samples.novelty import nearest_distance, novelty


def pictures(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_distance_agrees_with_a_search_tree() -> None:
    images, training = pictures(30, 0), pictures(100, 1)
    tree = cKDTree(training.flatten(1).double().numpy())
    expected = tree.query(images.flatten(1).double().numpy())[0] / 8  # √64 pixels
    # float32 sums of 64 squares
    np.testing.assert_allclose(nearest_distance(images, training).numpy(), expected, rtol=1e-5)


def test_a_copy_is_at_zero() -> None:
    training = pictures(50, 2)
    assert nearest_distance(training[:5], training).tolist() == [0.0] * 5
    found = novelty(training, training, nearest_distance(pictures(200, 3), training))
    assert found.relative == 0
    assert found.copies == 1


def test_new_pictures_are_as_far_as_held_out_ones() -> None:
    training = pictures(300, 5)
    held_out = nearest_distance(pictures(400, 6), training)
    found = novelty(pictures(400, 4), training, held_out)
    assert found.relative == pytest.approx(1, abs=0.02)
    # 1 % of 400 is 4; four standard deviations of that count and of the quantile
    assert found.copies < 0.04


def test_blur_looks_like_copying() -> None:
    blurred = avg_pool2d(pictures(100, 7), 3, stride=1, padding=1, count_include_pad=False)
    training = pictures(300, 5)
    held_out = nearest_distance(pictures(200, 6), training)
    assert novelty(blurred, training, held_out).relative < 0.9


def test_shapes_must_agree() -> None:
    with pytest.raises(
        ValueError, match=r"shapes \(2, 1, 8, 8\) and \(2, 1, 8, 7\); expected the same"
    ):
        nearest_distance(pictures(2, 0), pictures(2, 1)[..., :7])
    with pytest.raises(ValueError, match="one distance for each held-out picture"):
        novelty(pictures(2, 0), pictures(2, 1), pictures(2, 2))
