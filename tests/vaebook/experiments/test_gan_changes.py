"""One change of the reference GAN at a time: rows, streams, and that each changes one thing."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs, sample_factors
from vaebook.experiments.ch11_gan import gan_changes
from vaebook.experiments.ch11_gan.gan_changes import BASE, CHANGES, LARGE, RAW, KeepRaw
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.reference import RECIPES, train_reference
from vaebook.experiments.reference_gan import AVERAGED, NETWORK, reference_gan
from vaebook.metrics import MEASURES
from vaebook.metrics.dogs import NearestDog
from vaebook.metrics.samples import measure
from vaebook.models import GAN, Conv

SHAPE = (1, 32, 32)
TINY: dict[str, Any] = {"num_images": 60, "num_judged": 4, "scale": 1e-6}
DOGS = load_dogs(192, 8, 60)


def few_features(images: Tensor) -> Tensor:
    """Four means over blocks of rows: stands in for a network."""
    return images.mean((1, 3)).unflatten(1, (4, -1)).mean(2)


def nothing(images: Tensor) -> NearestDog:
    """An oracle that answers at once: every picture is a dog."""
    return NearestDog(torch.zeros(len(images)), sample_factors(len(images), seed=1), images)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """192 dogs, networks of 4 channels, and no classifier, which takes seconds."""
    data = PictureData("dogs", DOGS.train, DOGS.test, DOGS.test.images)
    small = RECIPES[NETWORK]._replace(
        network=lambda blank: Conv((4, 4), 8, background=blank, blank=blank)
    )
    measures = tuple(name for name in MEASURES if name != "classifier")
    monkeypatch.setitem(RECIPES, NETWORK, small)
    monkeypatch.setattr(gan_changes, "load_pictures_of", lambda name: data)
    monkeypatch.setattr(gan_changes, "recorded_features", lambda name: few_features)
    monkeypatch.setattr(gan_changes, "MEASURES", measures)
    monkeypatch.setattr(measure, "nearest_dog", nothing)


def test_a_row_for_each_change(few: None) -> None:
    kept: dict[str, Tensor] = {}
    with begun() as seeds:
        rows = gan_changes.run(1000, pictures=kept, **TINY)
    with begun() as others:
        gan_changes.run(1001, changes=(BASE, LARGE, RAW), **TINY)
    assert not shared(seeds)
    assert not set(seeds) & set(others) - set(DATA)
    table = pd.DataFrame(rows).set_index("change")
    assert sorted(table.index) == sorted((*CHANGES, RAW)) == sorted(kept)
    assert not table["failed"].any()
    measured = ["validity", "recall", "frechet", "neighbour_coverage", "sharpness", "novelty"]
    assert table[measured].notna().all(axis=None)
    assert table.loc[LARGE, "steps"] == 2  # of 192 dogs
    assert (table["steps"].drop(LARGE) == 6).all()


def test_raw_weights_are_not_the_average_but_of_the_same_training(few: None) -> None:
    model, raw = gan_changes.train(BASE, DOGS.train.images, seed=1000, budget="× 1", scale=1.0)
    assert raw.generator is not None
    parts = zip(model.generator.parameters(), raw.generator.parameters(), strict=True)
    gaps = [float((one - two).abs().max().detach()) for one, two in parts]
    assert 0 < max(gaps) < 0.1  # some hundredths, where the rate is 0.001


def test_only_the_batch_is_changed_where_the_batch_is(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan_changes, "LARGE_BATCH", RECIPES[NETWORK].batch_size)
    ours, _ = gan_changes.train(LARGE, DOGS.train.images, seed=1000, budget="× 1", scale=1.0)
    same = train_reference(
        lambda network: reference_gan(SHAPE, network),
        DOGS.train.images,
        data_name="dogs",
        seed=1000,
        stream=f"GAN, {LARGE}",
        network=NETWORK,
        average=AVERAGED,
        callbacks=[KeepRaw()],
    )
    for one, two in zip(ours.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, two)


def test_each_change_is_one() -> None:
    network = RECIPES[NETWORK].network(0.95)
    base = reference_gan(SHAPE, network)

    def settings(model: GAN) -> dict[str, object]:
        assert isinstance(model.network, Conv)
        norms = sum("original" in name for name, _ in model.discriminator.named_parameters())
        first = next(iter(model.discriminator.children()))
        blank_is_zero = not first(torch.full((1, *SHAPE), 0.95)).any()
        return {
            "loss": model.generator_objective,
            "penalty": model.gradient_penalty,
            "betas": model.betas,
            "start": model.network.blank,
            "paper is taken off": blank_is_zero,
            "norms": norms,
            "prior": type(model.prior).__name__,
        }

    expected = settings(base)
    assert (expected["start"], expected["paper is taken off"]) == (0.95, True)
    for name, build in CHANGES.items():
        found = settings(build(SHAPE, network))
        differing = [key for key in expected if found[key] != expected[key]]
        assert len(differing) == (name not in (BASE, LARGE)), (name, differing)


def test_a_training_that_breaks_down_has_the_worst_values(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise ValueError("the loss became nan")

    monkeypatch.setattr(gan_changes, "train", broken)
    rows = gan_changes.run(1000, changes=(BASE, RAW, "no R1"), **TINY)
    assert [row["change"] for row in rows] == [BASE, RAW, "no R1"]
    assert all(row["failed"] and row["validity"] == row["recall"] == 0 for row in rows)
