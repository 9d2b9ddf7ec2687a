"""The same model with its codes in another law: its record at small settings, and another model."""

import copy
from typing import Any

import pandas as pd
import pytest

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs
from vaebook.experiments.ch09_why_normal import pushforward_gaps
from vaebook.experiments.ch09_why_normal.prior_pushforward import Bend, PushedVAE, SampledVAE
from vaebook.experiments.ch09_why_normal.pushforward_gaps import PRIORS, gaps
from vaebook.experiments.propositions.c2_no_need_for_normal import NUM_MODELS, PROPOSITIONS, PUSHED
from vaebook.models import MLP
from vaebook.training import seeded

(C2B,) = (proposition for proposition in PROPOSITIONS if proposition.name == "C2b")
SMALL: dict[str, Any] = {"num_images": 96, "num_judged": 20, "scale": 0.01}


def as_record(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_MODELS) for row in rows])


def test_the_record_can_be_judged() -> None:
    with begun() as seeds:
        rows = pushforward_gaps.run(1000, **SMALL)
    assert not shared(seeds)
    with begun() as others:
        pushforward_gaps.run(1001, **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    assert tuple(row["prior"] for row in rows) == PUSHED["prior"]
    assert not any(row["failed"] for row in rows)
    assert C2B.decide(C2B.table_of(as_record(rows))).answer == "does not hold"


def test_a_map_that_changes_the_model_is_seen() -> None:
    """A decoder that does not undo the map decodes other codes: that is another model."""
    images = load_dogs(8, 8, 6).test.images.double()
    with seeded(0):
        model = SampledVAE((1, 32, 32), 16, network=MLP((8,))).double()
        codes = model.posterior(images).sample((4,))
    for transform in PRIORS.values():
        same = PushedVAE(copy.deepcopy(model), transform)
        assert gaps(model, same, images, codes)["elbo_gap"] < 1e-6
    other = PushedVAE(copy.deepcopy(model), Bend())
    other.decoder = model.decoder
    assert gaps(model, other, images, codes)["elbo_gap"] > 0.01


def test_a_training_that_breaks_down_is_no_support(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> SampledVAE:
        raise ValueError("the loss became nan in epoch 0")

    monkeypatch.setattr(pushforward_gaps, "train_reference", broken)
    rows = pushforward_gaps.run(1000)
    assert all("nan" in row["failed"] for row in rows)
    assert C2B.decide(C2B.table_of(as_record(rows))).answer != "does not hold"
