"""The experiments on the uses of a VAE, in small, and the rule that judges them."""

import pandas as pd
import pytest
import torch
from torch.distributions import MultivariateNormal

from vaebook.data import ImageData, Split, load_fashion, render, sample_factors
from vaebook.experiments.ch13_using_a_vae import class_conditional, inpainting, simple_pictures
from vaebook.experiments.ch13_using_a_vae.rules import USES, Use, compare, per_seed
from vaebook.models import ProbabilisticPCA

close = torch.testing.assert_close


def frame(vae: list[float], plain: list[float], other: float = 0.0) -> pd.DataFrame:
    rows = []
    for seed, values in enumerate(zip(vae, plain, strict=True)):
        for name, value in zip(("v", "p"), values, strict=True):
            rows += [
                {"seed": seed, "m": name, "part": part, "x": value + shift}
                for part, shift in (("a", -1), ("b", 1))
            ]
        rows.append({"seed": seed, "m": "q", "part": "a", "x": other})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("higher", "winner"), [(True, "VAE"), (False, "plain")])
def test_the_better_one_wins(higher: bool, winner: str) -> None:
    use = Use("", "", "m", "v", ("p", "q"), "x", higher)
    worse = -100.0 if higher else 100.0
    found = compare(use, frame([2.0, 2.1, 2.2], [1.0, 1.0, 1.1], worse))
    assert (found.best_plain, found.winner) == ("p", winner)
    assert abs(found.difference) == pytest.approx(1.0667, abs=1e-3)
    assert found.low < found.difference < found.high


def test_overlap_leaves_it_open() -> None:
    use = Use("", "", "m", "v", ("p",), "x", True)
    assert compare(use, frame([2.0, 1.0, 3.0], [1.0, 2.0, 2.0])).winner == "open"


def test_the_best_plain_method_is_taken_and_rows_are_chosen() -> None:
    use = Use("", "", "m", "v", ("p", "q"), "x", True, (("part", "a"),))
    table = frame([2.0, 2.0, 2.0], [1.0, 1.0, 1.0], other=9.0)
    assert compare(use, table).best_plain == "q"
    assert per_seed(table, use).loc[0, "v"] == 1.0  # part "a" alone


def test_every_use_names_its_vae_apart() -> None:
    assert all(use.vae not in use.plain for use in USES)
    assert len({use.name for use in USES}) == len(USES)


# --- inpainting ---------------------------------------------------------------------------------


def some_dogs(size: int = 200) -> ImageData:
    split = Split(render(sample_factors(size, seed=5)))
    return ImageData("some", split, split, split)


def test_half_of_every_picture_is_hidden() -> None:
    halves = torch.tensor([0, 1, 2, 3])
    seen = inpainting.visible_pixels(halves)
    assert seen.flatten(1).sum(1).tolist() == [512] * 4
    assert not seen[0, 0, :, 0].any()  # left
    assert not seen[1, 0, :, -1].any()
    assert not seen[2, 0, 0].any()  # top
    assert not seen[3, 0, -1].any()


def test_the_condition_tells_nothing_of_the_hidden_half() -> None:
    images = some_dogs(4).test.images
    halves = torch.tensor([0, 1, 2, 3])
    other = torch.where(inpainting.visible_pixels(halves), images, torch.rand_like(images))
    first, second = (inpainting.conditions_of(part, halves) for part in (images, other))
    assert torch.equal(first, second)
    assert first.shape == (4, inpainting.CONDITION_DIM)
    close(first[:, -4:], torch.eye(4))


def test_errors_of_guesses_are_those_of_the_hidden_pixels() -> None:
    images = torch.full((2, 1, 32, 32), 0.5)
    halves = torch.tensor([0, 2])
    guesses = torch.stack([images + 0.1, images - 0.1])
    guesses = torch.where(inpainting.visible_pixels(halves), torch.ones(()), guesses)
    found = inpainting.measure(images, halves, guesses)
    assert found["mean"] == pytest.approx(0.0, abs=1e-6)
    assert found["one"] == pytest.approx(0.1, abs=1e-6)
    assert found["best"] == pytest.approx(0.1, abs=1e-6)
    assert found["spread"] == pytest.approx(0.1 * 2**0.5, abs=1e-6)


def test_draws_of_the_right_distribution_are_calibrated() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = 0.5 + 0.1 * torch.randn(400, 1, 32, 32)
        guesses = 0.5 + 0.1 * torch.randn(8, 400, 1, 32, 32)
    found = inpainting.measure(images, torch.zeros(400, dtype=torch.long), guesses)
    assert found["calibration"] == pytest.approx(1.0, abs=0.01)


def test_the_conditional_gaussian_in_other_code() -> None:
    data = some_dogs()
    model = ProbabilisticPCA.fit(data.train.images, 5)
    images = data.test.images[:3]
    halves = torch.tensor([0, 0, 0])
    guess = inpainting.gaussian_guess(model, images, halves, 1, 0)[0].flatten(1).double()
    seen = inpainting.visible_pixels(halves[:1]).flatten()
    joint = MultivariateNormal(
        model.offset, model.weights @ model.weights.T + model.sigma**2 * torch.eye(1024).double()
    )
    cov = joint.covariance_matrix
    rest = images.flatten(1)[:, seen].double() - model.offset[seen]
    expected = cov[~seen][:, seen] @ torch.linalg.solve(cov[seen][:, seen], rest.T)
    close(guess[:, ~seen], model.offset[~seen] + expected.T, atol=1e-5, rtol=0)


def test_the_nearest_neighbour_of_a_training_dog_is_itself() -> None:
    data = some_dogs()
    images, halves = data.train.images[:4], torch.tensor([0, 1, 2, 3])
    guesses = inpainting.nearest_guess(data, images, halves, 2)
    assert guesses.shape == (2, 4, 1, 32, 32)
    close(guesses[0], images)
    completed = inpainting.paste(images, halves, torch.zeros_like(guesses))
    assert torch.equal(completed[0] == 0, ~inpainting.visible_pixels(halves) | (images == 0))


# --- the rest -----------------------------------------------------------------------------------


def test_swapped_labels_are_all_different_from_the_own() -> None:
    labels = load_fashion().test.labels
    assert labels is not None
    other = (labels + 1 + torch.arange(len(labels)) % 9) % 10
    assert not (other == labels).any()
    close(class_conditional.one_hot(labels, 0.5).sum(1), torch.full((len(labels),), 0.5))


def test_strange_pictures_are_pictures_and_differ() -> None:
    clothes = load_fashion().test.images[:5]
    found = simple_pictures.strange_pictures(clothes)
    for images in found.values():
        assert images.shape[1:] == (1, 28, 28)
        assert 0 <= float(images.min()) <= float(images.max()) <= 1
    close(found["half as bright"], clothes / 2)
    sorted_pixels = [part.flatten(1).sort(1).values for part in (clothes, found["pixels shuffled"])]
    assert torch.equal(*sorted_pixels)
