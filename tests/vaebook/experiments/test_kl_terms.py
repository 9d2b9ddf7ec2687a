"""The KL term of a trained VAE: its record at small settings, and cases with a known answer."""

import math
from typing import Any

import pandas as pd
import pytest
import torch

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs
from vaebook.distributions import DiagonalGaussian
from vaebook.experiments.ch04_gaussian_kl import kl_terms
from vaebook.experiments.propositions.c1_kl_term import NUM_SEEDS, PROPOSITIONS
from vaebook.models import MLP, VAE
from vaebook.training import seeded

SMALL: dict[str, Any] = {"num_images": 96, "num_judged": 20, "scale": 0.01}


def test_one_picture_diverges_as_the_line_knows() -> None:
    """From N(1, 4) in one dimension and N(0, 1) in the other: (4 + 1 − 1 − log 4) / 2."""
    posterior = DiagonalGaussian(torch.tensor([[1.0, 0.0]]), torch.tensor([[math.log(4), 0.0]]))
    assert kl_terms.divergences(posterior).tolist() == pytest.approx([2 - math.log(2)], abs=1e-6)


def test_collapsed_codes_are_told_apart_from_nothing() -> None:
    model = VAE((1, 32, 32), 16, network=MLP((4,)))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()  # q(z | x) is N(0, I) for every dog
    found = kl_terms.measure(model, load_dogs(8, 8, 30).test.images, seed=1000)
    assert found["apart"] < 1e-6
    assert found["picture_gap"] < 1e-6


def test_a_term_that_compared_all_codes_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the loss charged for the aggregate instead, the gaps would change places."""
    with seeded(0):
        model = VAE((1, 32, 32), 16, network=MLP((4,)))
    with torch.no_grad():
        linear = list(model.encoder.modules())[-1]
        assert isinstance(linear, torch.nn.Linear)
        linear.weight.mul_(20)
    images = load_dogs(8, 8, 30).test.images
    right = kl_terms.measure(model, images, seed=1000)
    assert right["picture_gap"] < 1e-5 < 0.1 < right["aggregate_gap"]
    together = torch.tensor(right["rate"] - right["aggregate_gap"])
    monkeypatch.setattr(VAE, "rate", lambda self, posterior, codes: together.expand(codes.shape[1]))
    wrong = kl_terms.measure(model, images, seed=1000)
    assert wrong["aggregate_gap"] < 1e-5 < 0.1 < wrong["picture_gap"]


def test_the_record_can_be_judged() -> None:
    with begun() as seeds:
        rows = kl_terms.run(1000, **SMALL)
    assert not shared(seeds)
    with begun() as others:
        kl_terms.run(1001, **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    (row,) = rows
    assert row["failed"] == ""
    table = pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_SEEDS)])
    for proposition in PROPOSITIONS:
        assert proposition.decide(proposition.table_of(table)).answer in ("holds", "undecided")


def test_a_training_that_breaks_down_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> VAE:
        raise ValueError("the loss became nan in epoch 0")

    monkeypatch.setattr(kl_terms, "train_reference", broken)
    (row,) = kl_terms.run(1000)
    assert "nan" in row["failed"]
    table = pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_SEEDS)])
    assert PROPOSITIONS[0].decide(PROPOSITIONS[0].table_of(table)).answer == "undecided"
