"""Codes drawn blindly: the record at small settings, and the renderer as decoder."""

from typing import Any

import pandas as pd
import pytest

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import render, sample_factors
from vaebook.experiments.ch02_holes import blind_codes
from vaebook.experiments.ch02_holes.blind_codes import (
    REBUILT,
    SAMPLERS,
    SETTINGS,
    THRESHOLDS,
    count_dogs,
    densities,
)
from vaebook.experiments.propositions.c6_possible_codes import (
    NUM_PICTURES,
    NUM_SEEDS,
    PROPOSITIONS,
)

SMALL: dict[str, Any] = {"num_images": 400, "num_judged": 3, "num_components": 2, "scale": 0.01}


def test_every_code_in_the_renderers_box_is_a_dog() -> None:
    """Its codes are the dogs' factors. A mixture reaches beyond them, and N(0, I) is elsewhere."""
    factors = sample_factors(400, seed=1000)
    fitted = densities(factors, num_components=2, seed=1000)
    assert tuple(fitted) == SAMPLERS
    # at the corners every dog is as odd as can be, and the oracle misses one in ten of these
    some = {name: fitted[name] for name in ("box", "standard normal")}
    rows = count_dogs(
        lambda codes: render(codes).clamp(0, 1),
        some,
        factors[:8],
        num_judged=8,
        seed=1000,
        stream="renderer",
    )
    found = {row["sampler"]: row for row in rows}
    assert found[REBUILT]["num_dogs_at_0.75"] == 8
    assert found["box"]["num_dogs_at_0.75"] == found["box"]["num_dogs"] == 8
    assert found["standard normal"]["num_dogs_at_1.25"] < 8


def as_record(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of one seed as those of all."""
    return pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_SEEDS) for row in rows])


def test_the_record_can_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    with begun() as seeds:
        rows = blind_codes.run(1000, **SMALL)
    assert not shared(seeds)
    # the oracle is deterministic, and has been asked
    monkeypatch.setattr(blind_codes, "count_dogs", lambda *_, **__: [])
    with begun() as others:
        blind_codes.run(1001, **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    assert [(row["network"], row["latent_dim"], row["sampler"]) for row in rows] == [
        (*setting, sampler) for setting in SETTINGS for sampler in (*SAMPLERS, REBUILT)
    ]
    assert not any(row["failed"] for row in rows)
    for row in rows:
        assert row["num_dogs_at_0.75"] <= row["num_dogs"] <= row["num_dogs_at_1.25"] <= 3
    # as many pictures as are planned, and none of them a dog but reconstructions
    found = {True: dict.fromkeys(THRESHOLDS, NUM_PICTURES), False: dict.fromkeys(THRESHOLDS, 0)}
    planned = {"num_pictures": NUM_PICTURES}
    record = as_record([row | planned | found[row["sampler"] == REBUILT] for row in rows])
    nothing = as_record([row | planned | found[False] for row in rows])
    for proposition in PROPOSITIONS:
        assert proposition.decide(proposition.table_of(record)).answer == "holds"
        assert proposition.decide(proposition.table_of(nothing)).answer == "undecided"


def test_a_training_that_breaks_down_is_no_support(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("the loss became nan in epoch 0")

    monkeypatch.setattr(blind_codes, "train_reference", broken)
    rows = blind_codes.run(1000)
    assert all("nan" in row["failed"] for row in rows)
    for proposition in PROPOSITIONS:
        table = proposition.table_of(as_record(rows))
        assert proposition.decide(table).answer == "does not hold"
