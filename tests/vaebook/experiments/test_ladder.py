"""The ladder of budgets: rows, streams, what the rules of C8 say of known worlds."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import Split, load_dogs, render, sample_factors
from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.ch12_vae_versus_gan import ladder, ways_to_draw
from vaebook.experiments.ch12_vae_versus_gan.ladder_tables import best_ways, looks, scores
from vaebook.experiments.ch12_vae_versus_gan.ways_to_draw import CONTROLS, VAE_WAYS, WAYS, Drawn
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.propositions.c8_better_images import WITHOUT
from vaebook.experiments.reference import RECIPES
from vaebook.metrics import MEASURES
from vaebook.metrics.dogs import NearestDog
from vaebook.metrics.samples import measure
from vaebook.models import Conv
from vaebook.training import seeded, stream_seed

RULES = {rule.name: rule for rule in PROPOSITIONS if rule.name.startswith("C8")}
WITHOUT_CLASSIFIER = tuple(name for name in MEASURES if name != "classifier")  # it takes seconds
TINY: dict[str, Any] = {"num_images": 60, "num_judged": 4, "scale": 1e-6}


def few_features(images: Tensor) -> Tensor:
    """Eight means over blocks of rows, slightly bent: stands in for a network."""
    return images.mean((1, 3)).unflatten(1, (4, -1)).mean(2).repeat(1, 2).cumsum(1).tanh()


def nothing(images: Tensor) -> NearestDog:
    """An oracle that answers at once: every picture is the same dog."""
    return NearestDog(torch.zeros(len(images)), sample_factors(len(images), seed=1), images)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """192 dogs, also in the place of clothes, and networks of 4 channels."""
    dogs = load_dogs(192, 8, 60)
    small = RECIPES["convolutional"]._replace(
        network=lambda blank: Conv((4, 4), 32, background=blank, blank=blank)
    )

    def load(name: str) -> PictureData:
        return PictureData(name, dogs.train, dogs.test, load_dogs(60, 8, 8, seed=7).train.images)

    monkeypatch.setitem(RECIPES, "convolutional", small)
    monkeypatch.setattr(ladder, "load_pictures_of", load)
    monkeypatch.setattr(ladder, "recorded_features", lambda name: few_features)
    monkeypatch.setattr(ways_to_draw, "NUM_COMPONENTS", 1)
    monkeypatch.setattr(measure, "nearest_dog", nothing)


def recorded(rows: list[dict[str, Any]], num_seeds: int, spread: float = 0.0) -> pd.DataFrame:
    """The rows of one seed as those of several, which differ by a little noise."""
    table = pd.DataFrame(rows)
    numbers = table.select_dtypes("float").columns.drop(["truncation"])
    rng = np.random.default_rng(0)
    copies = []
    for seed in range(num_seeds):
        copy = table.assign(seed=seed)
        copy[numbers] *= 1 + spread * rng.normal(size=(len(copy), len(numbers)))
        copies.append(copy)
    return pd.concat(copies, ignore_index=True)


def test_every_row_is_there_and_the_rules_read_them(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "MEASURES", WITHOUT_CLASSIFIER)
    kept: dict[str, Tensor] = {}
    with begun() as seeds:
        rows = ladder.run(1000, truncations=(1.0, 0.5), pictures=kept, **TINY)
    with begun() as others:
        ladder.run(1001, models=tuple(WAYS)[:3], data_names=("dogs",), **TINY)
    assert not shared(seeds)
    assert not set(seeds) & set(others) - set(DATA)
    table = pd.DataFrame(rows)
    assert set(table["failed"]) == {""}
    assert not table.duplicated(["data", "budget", "model", "truncation"]).any()
    assert len(table) == 2 * (len(CONTROLS) + 2 * 2 * len(WAYS))
    assert len(kept) == 2 * (len(CONTROLS) + 2 * len(WAYS))
    whole, near = table[table["truncation"] == 1], table[table["truncation"] < 1]
    measured = ["precision", "frechet", "neighbour_coverage", "kernel_distance", "sharpness"]
    assert table[measured].notna().all(axis=None)
    assert whole[["novelty", "recall_pixels"]].notna().all(axis=None)
    assert near[["novelty", "recall_pixels"]].isna().all(axis=None)
    assert (set(whole["num_judged"]), set(near["num_judged"])) == ({4}, {2})
    assert (table["validity"].notna() == (table["data"] == "dogs")).all()
    models = table[table["budget"] != ""]
    assert models[["steps", "seconds"]].gt(0).all(axis=None)
    assert models.groupby("budget")["steps"].nunique().eq(1).all()  # an epoch at least
    best = best_ways(recorded(rows, 1))
    assert set(best.values()) <= set(VAE_WAYS)
    assert len(best) == 2 * 7 + 2 * 5  # no oracle for clothes: neither validity nor coverage
    record = recorded(rows, RULES["C8a"].num_units, 0.01)
    for name in ("C8a", "C8c"):
        RULES[name].decide(looks(record, best))
    RULES["C8b"].decide(scores(record, best))


def test_the_classifier_has_streams_of_its_own(few: None) -> None:
    with begun() as seeds:
        rows = ladder.run(1000, models=CONTROLS, data_names=("clothes",), **TINY)
    assert all(0 <= row["told_apart"] <= 1 for row in rows)
    # fit asks about its validation pictures after each epoch, every time with the same stream
    names = (f"classifier: fashion: {name} at any budget, truncated at 1" for name in CONTROLS)
    asked = (stream_seed(1000, name) for name in names)
    assert set(shared(seeds)) == {stream_seed(seed, "validation") for seed in asked}


def test_fewer_draw_less(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "MEASURES", WITHOUT_CLASSIFIER)
    rows = EXPERIMENTS["ladder_long"].run(1000, data_names=("dogs",), truncations=(1.0,), **TINY)
    found = [(row["model"], row["budget"], row["steps"]) for row in rows]
    assert [row[:2] for row in found] == [("GAN", "× 10"), ("VAE + mixture", "× 10")]
    assert all(steps == 6 for *_, steps in found)  # an epoch of 192 dogs


def test_the_gan_has_its_own_average_and_its_own_seconds(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def broken(*args: object, average: str, slower: float, **settings: object) -> None:
        asked.append((average, slower > 2))
        raise ValueError("not trained")

    monkeypatch.setattr(ways_to_draw, "train_reference", broken)
    ladder.run(1000, data_names=("dogs",), budgets=("× 1",), truncations=(), **TINY)
    assert asked == [("generator", True), ("", False), ("", False), ("", False)]


def test_a_training_that_breaks_down_is_the_worst(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise ValueError("the loss became nan")

    monkeypatch.setattr(ways_to_draw, "train_reference", broken)
    few_ways = (*CONTROLS, "GAN", "VAE + mixture")
    rows = ladder.run(
        1000, models=few_ways, data_names=("dogs",), budgets=("× 1",), truncations=(1.0,), **TINY
    )
    table = pd.DataFrame(rows)
    failed = table[table["failed"] != ""]
    assert len(failed) == 2
    assert failed[["validity", "precision", "recall", "sharpness", "novelty"]].eq(0).all(axis=None)
    assert (failed["told_apart"] == 1).all()
    real = table.loc[table["model"] == "real", "frechet"].iloc[0]
    assert (failed["frechet"] > real).all()
    assert np.isfinite(failed["frechet"]).all()


def fine_detail(images: Tensor) -> Tensor:
    """How strong the finest detail is in each of sixteen parts of a picture."""
    mean = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return avg_pool2d((images - mean).abs(), 8).flatten(1)


@cache
def some_dogs() -> Tensor:
    """Dogs of no data set."""
    return render(sample_factors(1500, seed=stream_seed(1000, "some dogs")))


def dogs(seed: int, name: str, blur: float = 0.0) -> Tensor:
    """A hundred of them, each pixel so far on the way to the mean of its neighbourhood."""
    with seeded(seed, name):
        images = some_dogs()[torch.randperm(len(some_dogs()))[:100]]
    mean = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return torch.lerp(images, mean, blur)


@pytest.mark.parametrize(
    ("of_gan", "sharper", "better", "because"),
    [
        (0.0, "holds", "holds", "holds"),  # real dogs as the GAN's
        (0.8, "does not hold", "does not hold", "undecided"),  # it draws as the VAE does
    ],
)
def test_real_dogs_as_the_gans(
    of_gan: float, sharper: str, better: str, because: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blurs = {"GAN": of_gan, "VAE": 0.8, WITHOUT: 0.2}

    def draw_all(data: PictureData, *, seed: int, **settings: object) -> Iterator[Drawn]:
        yield Drawn(data.name, "real", dogs(seed, f"{data.name}: real"))
        for budget in ("× 1", "× 3"):
            for name, blur in blurs.items():
                images = dogs(seed, f"{data.name}: {name} at {budget}", blur)
                yield Drawn(data.name, name, images, budget)

    some = Split(dogs(0, "test"))
    data = {name: PictureData(name, some, some, some.images) for name in ("dogs", "fashion")}
    monkeypatch.setattr(ladder, "draw_all", draw_all)
    monkeypatch.setattr(ladder, "load_pictures_of", data.get)
    monkeypatch.setattr(ladder, "recorded_features", lambda name: fine_detail)
    monkeypatch.setattr(ladder, "MEASURES", ("dogs", "sharpness", "features", "neighbours"))
    monkeypatch.setattr(measure, "nearest_dog", nothing)  # where all are dogs there is no room
    record = pd.DataFrame(
        [{"seed": seed, **row} for seed in range(2000, 2010) for row in ladder.run(seed)]
    )
    best = best_ways(record)
    assert RULES["C8a"].decide(looks(record, best)).answer == sharper
    assert RULES["C8b"].decide(scores(record, best)).answer == better
    assert RULES["C8c"].decide(looks(record, best)).answer == because
