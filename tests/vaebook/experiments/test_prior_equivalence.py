"""The priors once more: the record at small settings, and the normal under another name."""

from typing import Any

import pandas as pd
import pytest
import torch

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.experiments.ch09_why_normal import prior_equivalence
from vaebook.experiments.ch09_why_normal.prior_equivalence import MODELS, OPTIONS
from vaebook.experiments.propositions.c5_another_distribution import (
    MODELS as LEVELS,
)
from vaebook.experiments.propositions.c5_another_distribution import NUM_SEEDS, PROPOSITIONS, VALUES
from vaebook.experiments.record.inference import mean_interval, pairs
from vaebook.experiments.reference import train_reference
from vaebook.metrics.dogs import NearestDog, nearest_dog

(C5,) = PROPOSITIONS
SMALL: dict[str, Any] = {"num_images": 96, "scale": 0.01}


def as_record(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"seed": seed, **row, "num_pictures": C5.num_pictures}
            for seed in range(NUM_SEEDS)
            for row in rows
        ]
    )


def test_the_record_can_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    with begun() as seeds:
        rows = prior_equivalence.run(1000, num_judged=2, **SMALL)
    assert not shared(seeds)
    monkeypatch.setattr(prior_equivalence, "measure_samples", lambda *_: {})
    with begun() as others:
        prior_equivalence.run(1001, num_judged=2, **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    assert tuple(row["model"] for row in rows) == MODELS == LEVELS["model"]
    assert not any(row["failed"] for row in rows)
    for row in rows:
        assert row["validity_at_0.5"] <= row["validity"] <= row["validity_at_2"]
        assert row["num_pictures"] == 2
    # every prior has two pictures that are no dogs: none could have fewer
    assert C5.decide(C5.table_of(as_record(rows))).answer == "undecided"


def test_the_normal_under_another_name_is_no_other() -> None:
    """Five short trainings see no difference there, and see that of a prior on a sphere."""

    def nothing(*_: object) -> dict[str, float]:
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_equivalence, "measure_samples", nothing)
        rows = [
            {"seed": seed, **row}
            for seed in range(1000, 1005)
            for row in prior_equivalence.run(
                seed,
                models=("normal", "normal again", "sphere"),
                network="MLP",
                num_images=512,
                num_judged=1,
                scale=0.1,
            )
        ]
    table = pd.DataFrame(rows)
    assert table["neg_elbo"].notna().all()
    same, other = (
        mean_interval(pairs(table, "model", name, "normal", "neg_elbo"), unit="seed", level=0.99)
        for name in ("normal again", "sphere")
    )
    assert same.low < 0 < same.high
    # 82 nats after so short a training, 18 of a seed's noise
    assert other.low > 0


def test_all_samples_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are asked for, and not the same for two priors."""
    seen: list[torch.Tensor] = []

    def judge(images: torch.Tensor) -> NearestDog:
        seen.append(images)
        return nearest_dog(images[:1])

    monkeypatch.setattr("vaebook.metrics.samples.measure.nearest_dog", judge)
    prior_equivalence.run(1000, models=("normal", "normal again"), num_judged=5, **SMALL)
    first, second = seen
    assert len(first) == len(second) == 5
    assert not torch.equal(first, second)


def test_a_training_that_breaks_down_is_as_bad_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(*args: Any, stream: str, **options: Any) -> Any:
        if not stream.startswith("normal"):
            raise ValueError("the loss became nan in epoch 0")
        return train_reference(*args, stream=stream, **options)

    monkeypatch.setattr(prior_equivalence, "train_reference", broken)
    rows = prior_equivalence.run(1000, num_judged=2, **SMALL)
    assert [bool(row["failed"]) for row in rows] == [False, *[True] * 6]
    assert set(rows[0]) == set(rows[1])
    assert all(row["neg_elbo"] > rows[0]["neg_elbo"] for row in rows[1:])
    good = rows[0] | dict.fromkeys(VALUES, 0.5)
    assert C5.decide(C5.table_of(as_record([good, *rows[1:]]))).answer == "does not hold"


def test_each_name_has_options() -> None:
    assert set(MODELS) < set(OPTIONS)
