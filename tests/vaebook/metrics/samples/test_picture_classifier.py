"""A coin between real pictures, certain of noise, and better the more samples are spoilt."""

import pytest
import torch

from vaebook.data import render, sample_factors
from vaebook.experiments.ch12_vae_versus_gan.metric_bias import blurred
from vaebook.metrics import picture_classifier_test

NUM = 300


@pytest.fixture(scope="module")
def dogs() -> torch.Tensor:
    """Three sets of small dogs."""
    return render(sample_factors(3 * NUM, seed=5), size=16).detach()


def test_real_pictures_are_told_apart_as_by_a_coin(dogs: torch.Tensor) -> None:
    found = [picture_classifier_test(dogs[:NUM], dogs[NUM : 2 * NUM], seed=s) for s in range(2)]
    assert all(abs(each.accuracy - 0.5) < 0.12 for each in found)
    assert min(each.p_value for each in found) > 0.001
    assert max(each.kl_bound for each in found) < 0.1


def test_it_finds_more_the_more_is_spoilt(dogs: torch.Tensor) -> None:
    """The power: of the second set a share is blurred, a third of the way to the neighbours."""
    soft = blurred(dogs[NUM : 2 * NUM])
    accuracy = []
    for share in (0.0, 0.6, 1.0):
        spoilt = torch.cat([soft[: int(share * NUM)], dogs[NUM + int(share * NUM) : 2 * NUM]])
        accuracy.append(picture_classifier_test(dogs[:NUM], spoilt).accuracy)
    assert accuracy[0] < 0.6 < accuracy[1] < 0.87, "the best that can be is 0.8"
    assert accuracy[2] > 0.9


def test_noise_is_known_for_certain(dogs: torch.Tensor) -> None:
    found = picture_classifier_test(dogs[:NUM], torch.rand(NUM, 1, 16, 16))
    assert found.accuracy == 1
    assert found.kl_bound > 1


def test_sets_of_different_size_are_refused(dogs: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="expected the same, with at least 50 of each"):
        picture_classifier_test(dogs[:60], dogs[:50])
    with pytest.raises(ValueError, match="expected the same, with at least 50 of each"):
        picture_classifier_test(dogs[:40], dogs[:40])
