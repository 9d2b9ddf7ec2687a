"""The ladder of budgets: rows, streams, what the rules of C8 say of known worlds."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs, sample_factors
from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.ch12_vae_versus_gan import ladder, ways_to_draw
from vaebook.experiments.ch12_vae_versus_gan.ways_to_draw import CONTROLS, VAE_WAYS, WAYS
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.propositions.c8_better_images import CHOSEN, SHARPEST, chosen, sharpest
from vaebook.experiments.propositions.c8_better_images import MEASURES as SCORED
from vaebook.experiments.record.load import load_recorded, results_folder
from vaebook.experiments.reference import RECIPES
from vaebook.metrics import MEASURES
from vaebook.metrics.dogs import NearestDog
from vaebook.metrics.samples import measure
from vaebook.models import Conv
from vaebook.training import stream_seed

RULES = {rule.name: rule for rule in PROPOSITIONS if rule.name.startswith("C8")}
WITHOUT_CLASSIFIER = tuple(name for name in MEASURES if name != "classifier")  # it takes seconds
SCORES = tuple(name for name in map(str, SCORED["measure"]) if name != "fit")
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
    monkeypatch.setitem(RECIPES, "GAN", small)
    monkeypatch.setattr(ladder, "load_pictures_of", load)
    monkeypatch.setattr(ladder, "recorded_features", lambda name: few_features)
    monkeypatch.setattr(ways_to_draw, "NUM_COMPONENTS", 1)
    monkeypatch.setattr(measure, "nearest_dog", nothing)


def recorded(
    rows: list[dict[str, Any]] | pd.DataFrame, num_seeds: int, spread: float = 0.0
) -> pd.DataFrame:
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
    told = [row | ({"told_apart": 0.9} if row["truncation"] == 1 else {}) for row in rows]
    table = pd.DataFrame(told)
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
    assert chosen(table).keys() == CHOSEN.keys()
    assert sharpest(table) in VAE_WAYS
    record = recorded(told, RULES["C8a"].num_units, 0.01)
    drawn_in = record[record["truncation"] == 0.5]
    others = [drawn_in.assign(truncation=factor) for factor in (0.85, 0.7)]
    for name in ("C8a", "C8b", "C8c"):
        RULES[name].decide(RULES[name].table_of(pd.concat([record, *others])))


def test_the_way_nearest_to_real_pictures_is_chosen_by_its_mean() -> None:
    """By hand: the GAN drawn in a little, a VAE in its third way; clothes do not count."""
    rows = [
        {
            "seed": seed,
            "budget": budget,
            "data": data,
            "model": model,
            "truncation": truncation,
            "sharpness": 0.5 + 0.1 * model.endswith("learned σ"),
            "frechet": 1 - gain if gain < 1 else 1.0,
            **dict.fromkeys(SCORES, seed / 10_000 + (gain if data == "dogs" else -gain)),
        }
        for seed in (1000, 1001)
        for budget in ("× 1", "× 3")
        for data in ("dogs", "clothes")
        for model, truncation, gain in [
            ("real", 1.0, 0.5),
            ("GAN", 1.0, 0.0),
            ("GAN", 0.7, 0.1),
            ("GAN", 0.5, 1.2),  # far beyond real pictures
            ("VAE", 1.0, 0.0),
            ("VAE", 0.7, 0.2),
            ("VAE, learned σ", 1.0, 0.2 + 0.1 * (budget == "× 1")),
        ]
    ]
    pilot = pd.DataFrame(rows)
    best = chosen(pilot)
    assert {best["GAN", measure] for measure in (*SCORES, "fit")} == {("GAN", 0.7)}
    found = {best[role, measure] for role, measure in best if role != "GAN"}
    assert found == {("VAE, learned σ", 1.0)}
    assert sharpest(pilot) == "VAE, learned σ"


def test_what_the_rules_read_was_chosen_on_the_pilot() -> None:
    pilot = load_recorded("ladder", results_folder() / "pilots")
    assert pilot["seed"].min() >= 1000
    assert chosen(pilot) == CHOSEN
    assert sharpest(pilot) == SHARPEST
    long = EXPERIMENTS["ladder_long"].settings["models"]
    assert long == ("GAN", SHARPEST)


@pytest.mark.parametrize(("as_real", "expected"), [(True, "holds"), (False, "does not hold")])
def test_beside_the_pilots_vaes_real_pictures_win(as_real: bool, expected: str) -> None:
    """As the GAN's: the VAEs leave room on few measures, and the rule must not ask for more."""
    pilot = load_recorded("ladder", results_folder() / "pilots").fillna({"budget": ""})
    if as_real:
        scored = ["sharpness", "frechet", *SCORES]
        for data, rows in pilot.groupby("data"):
            real = rows.loc[rows["model"] == "real", scored].iloc[0]
            gan = (pilot["data"] == data) & (pilot["model"] == "GAN")
            pilot.loc[gan, scored] = real.to_numpy()
    record = recorded(pilot, RULES["C8b"].num_units, 0.02)
    assert RULES["C8b"].decide(RULES["C8b"].table_of(record)).answer == expected


def test_the_classifier_has_streams_of_its_own(few: None) -> None:
    with begun() as seeds:
        rows = ladder.run(1000, models=CONTROLS, data_names=("clothes",), **TINY)
    assert all(0 <= row["told_apart"] <= 1 for row in rows)
    # fit asks about its validation pictures after each epoch, every time with the same stream
    names = (
        f"classifier: fashion, 32 pixels: {name} at any budget, truncated at 1" for name in CONTROLS
    )
    asked = (stream_seed(1000, name) for name in names)
    assert set(shared(seeds)) == {stream_seed(seed, "validation") for seed in asked}


def test_fewer_draw_less(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "MEASURES", WITHOUT_CLASSIFIER)
    rows = EXPERIMENTS["ladder_long"].run(1000, data_names=("dogs",), truncations=(1.0,), **TINY)
    found = [(row["model"], row["budget"], row["steps"]) for row in rows]
    assert [row[:2] for row in found] == [("GAN", "× 10"), (SHARPEST, "× 10")]
    assert all(steps == 6 for *_, steps in found)  # an epoch of 192 dogs


def test_the_gan_has_its_own_average_and_its_own_recipe(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def broken(*args: object, average: str, network: str, **settings: object) -> None:
        asked.append((average, network))
        raise ValueError("not trained")

    monkeypatch.setattr(ways_to_draw, "train_reference", broken)
    ladder.run(1000, data_names=("dogs",), budgets=("× 1",), truncations=(), **TINY)
    assert asked == [("generator", "GAN"), *[("", "convolutional")] * 3]


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
