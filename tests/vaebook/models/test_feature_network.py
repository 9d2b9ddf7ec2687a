"""Networks that read answers off pictures: scaled losses, features, training."""

import pytest
import torch

from vaebook.models.feature_network import ClassClassifier, FactorRegressor
from vaebook.training import fit


def test_factors_are_scaled_to_their_ranges() -> None:
    low, high = torch.tensor([0.0, -80.0]), torch.tensor([1.0, 80.0])
    network = FactorRegressor((1, 8, 8), low, high)
    images = torch.rand(5, 1, 8, 8)
    read = network.factors(images).detach()
    # a factor is read right exactly where its loss is 0
    assert network.loss(images, read).max() < 1e-9
    # and a miss of half the range of one of two factors costs 1² / 2
    off = read + torch.tensor([0.0, 80.0])
    torch.testing.assert_close(network.loss(images, off), torch.full((5,), 0.5))
    assert not {"low", "high"} & set(network.state_dict()), "the ranges are part of the plan"


def test_cross_entropy_is_minus_the_log_probability() -> None:
    network = ClassClassifier((1, 12, 12), 3)
    images, labels = torch.rand(4, 1, 12, 12), torch.tensor([0, 2, 1, 2])
    chosen = network(images).softmax(1)[torch.arange(4), labels]
    torch.testing.assert_close(network.loss(images, labels), -chosen.log())


@pytest.mark.parametrize("size", [28, 32])
def test_features_are_what_the_answers_are_a_linear_map_of(size: int) -> None:
    network = ClassClassifier((1, size, size), 10, num_features=20, background=0.5)
    images = torch.rand(3, 1, size, size)
    features = network.features(images)
    assert features.shape == (3, 20)
    torch.testing.assert_close(
        features @ network.head.weight.T + network.head.bias, network(images)
    )


def test_training_learns_and_repeats() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(256, 1, 8, 8, generator=generator)
    images[:, :, :4] *= torch.rand(256, 1, 1, 1, generator=generator)  # the answer: how bright
    answers = images[:, :, :4].mean((1, 2, 3))[:, None]
    losses, weights = [], []
    for _ in range(2):
        torch.manual_seed(1)
        network = FactorRegressor((1, 8, 8), torch.zeros(1), torch.ones(1))
        before = float(network.loss(images, answers).detach().mean())
        fit(network, (images, answers), num_epochs=15, batch_size=32, lr=2e-3, seed=3)
        losses.append(float(network.loss(images, answers).detach().mean()) / before)
        weights.append(network.head.weight.detach().clone())
    assert losses[0] < 0.05
    assert torch.equal(*weights)


def test_an_answer_for_each_image() -> None:
    network = ClassClassifier((1, 8, 8), 2)
    with pytest.raises(ValueError, match="one row for each example"):
        fit(network, (torch.rand(3, 1, 8, 8), torch.zeros(2).long()), num_epochs=1)


@pytest.mark.parametrize("shape", [(4, 1), (1, 3), (3,), (4,), (4, 1, 3)])
def test_no_answer_is_broadcast(shape: tuple[int, ...]) -> None:
    images = torch.rand(4, 1, 8, 8)
    regressor = FactorRegressor((1, 8, 8), torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"answers have shape .* expected \(4, 3\)"):
        regressor.loss(images, torch.rand(shape))
    classifier = ClassClassifier((1, 8, 8), 3)
    with pytest.raises(ValueError, match=r"answers are torch\.float32"):
        classifier.loss(images, torch.rand(shape))
    if shape != (4,):
        with pytest.raises(ValueError, match=r"expected whole numbers \(torch.long\) \[4\]"):
            classifier.loss(images, torch.zeros(shape).long())


def test_channels_come_first() -> None:
    with pytest.raises(ValueError, match="with the channels at the end"):
        ClassClassifier((8, 8, 3), 3)
