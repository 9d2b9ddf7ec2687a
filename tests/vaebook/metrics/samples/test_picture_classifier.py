"""A coin between real pictures, certain of noise, and better the more samples are spoilt."""

import numpy as np
import pytest
import torch

from vaebook.data import render, sample_factors
from vaebook.experiments.ch12_vae_versus_gan.metric_bias import blurred
from vaebook.metrics import ClassifierTest, picture_classifier_test
from vaebook.metrics.samples.picture_classifier import RealOrSample

NUM = 300


@pytest.fixture(scope="module")
def dogs() -> torch.Tensor:
    """Three sets of small dogs."""
    return render(sample_factors(3 * NUM, seed=5), size=16).detach()


@pytest.fixture(scope="module")
def of_real_ones(dogs: torch.Tensor) -> ClassifierTest:
    """What comes of two sets of real pictures, with seed 0."""
    return picture_classifier_test(dogs[:NUM], dogs[NUM : 2 * NUM])


def test_real_pictures_are_told_apart_as_by_a_coin(
    dogs: torch.Tensor, of_real_ones: ClassifierTest
) -> None:
    found = [of_real_ones, picture_classifier_test(dogs[:NUM], dogs[NUM : 2 * NUM], seed=1)]
    assert all(abs(each.accuracy - 0.5) < 0.12 for each in found)
    assert min(each.p_value for each in found) > 0.001
    assert max(each.kl_bound for each in found) < 0.1


def test_it_finds_more_the_more_is_spoilt(dogs: torch.Tensor, of_real_ones: ClassifierTest) -> None:
    """The power: of the second set a share is blurred, a third of the way to the neighbours."""
    soft = blurred(dogs[NUM : 2 * NUM])
    accuracy = [of_real_ones.accuracy]
    for share in (0.6, 1.0):
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


def test_half_trains_a_fifth_of_it_decides_and_the_other_half_is_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every picture in one part only; 61 of each make 30 and 31, and 6 of the 30 decide."""
    marks = torch.arange(122).float().div(200).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    real, samples = marks[:61], marks[61:]
    seen: dict[str, torch.Tensor] = {}

    def number(images: torch.Tensor) -> torch.Tensor:
        return (images[:, 0, 0, 0] * 200).round()

    def fake_fit(network: torch.nn.Module, data: tuple, *, validation: tuple, **_: object) -> None:
        for name, (images, answers) in (("training", data), ("validation", validation)):
            seen[name] = number(images)
            assert torch.equal(answers, (seen[name] < 61).float()), "1 for a real one"
        # the network as trained: sure of what is real, by what it is
        network.forward = lambda images: torch.where(number(images) < 61, 50.0, -50.0)

    def result(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x, y

    monkeypatch.setattr("vaebook.metrics.samples.picture_classifier.fit", fake_fit)
    monkeypatch.setattr("vaebook.metrics.samples.picture_classifier.classifier_result", result)
    of_real, of_samples = picture_classifier_test(real, samples)
    assert len(seen["validation"]) == 2 * 6
    assert len(seen["training"]) == 2 * 24
    together = torch.cat([*seen.values()])
    assert len(together.unique()) == 60
    assert (together < 61).sum() == 30
    np.testing.assert_allclose(of_real, np.full(31, np.log(9999)), rtol=2e-3)
    np.testing.assert_allclose(of_samples, np.full(31, -np.log(9999)), rtol=2e-3)


def test_a_picture_is_seen_as_it_is_and_less_its_neighbourhood() -> None:
    """The mean of up to nine pixels: of four in a corner."""
    images = torch.rand(2, 3, 5, 5)
    views = RealOrSample.views(images)
    assert views.shape == (2, 6, 5, 5)
    assert torch.equal(views[:, :3], images)
    torch.testing.assert_close(
        views[:, 3:, 2, 2], images[:, :, 2, 2] - images[:, :, 1:4, 1:4].mean((2, 3))
    )
    torch.testing.assert_close(
        views[:, 3:, 0, 0], images[:, :, 0, 0] - images[:, :, :2, :2].mean((2, 3))
    )
    network = RealOrSample(images)
    units = (views - network.mean) / network.scale
    torch.testing.assert_close(units.mean((0, 2, 3)), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(units.std((0, 2, 3)), torch.ones(6), atol=0.02, rtol=0)
    logits, answers = network(images), torch.tensor([1.0, 0.0])
    expected = -torch.stack([logits[0].sigmoid(), 1 - logits[1].sigmoid()]).log()
    torch.testing.assert_close(network.loss(images, answers), expected)


def test_fifty_of_each_are_enough(dogs: torch.Tensor) -> None:
    picture_classifier_test(dogs[:50], dogs[50:100], num_epochs=1)
    with pytest.raises(ValueError, match="expected the same, with at least 50 of each"):
        picture_classifier_test(dogs[:49], dogs[50:99], num_epochs=1)
