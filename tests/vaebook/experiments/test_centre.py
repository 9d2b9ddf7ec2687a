"""The prior at 3 against the prior at 0: what shifting does, and the record at small settings."""

from itertools import product
from typing import Any

import pandas as pd
import pytest
import torch

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs
from vaebook.experiments.ch09_why_normal import centre
from vaebook.experiments.propositions.c2_no_need_for_normal import (
    CENTRES,
    NUM_SEEDS,
    PROPOSITIONS,
)
from vaebook.experiments.record.inference import mean_interval, pairs
from vaebook.experiments.reference import RECIPES
from vaebook.models import VAE
from vaebook.training import seeded

(C2A,) = (proposition for proposition in PROPOSITIONS if proposition.name == "C2a")
SMALL: dict[str, Any] = {"num_images": 96, "num_judged": 40, "scale": 0.01}
FEW = load_dogs(8, 8, 20)


@pytest.mark.parametrize("network", RECIPES)
def test_a_shifted_model_starts_as_the_same_function(network: str) -> None:
    with seeded(1000, "first"):
        first = centre.vae(FEW, 0.0, RECIPES[network].network(0.95))
        codes = torch.randn(5, 16)
    other = centre.starting_at(first, FEW, 3.0, shifted=True)
    images = FEW.test.images
    torch.testing.assert_close(other.encode(images), first.encode(images) + 3)
    torch.testing.assert_close(other.decode(codes + 3), first.decode(codes), rtol=0, atol=1e-5)
    with torch.no_grad(), seeded(1000, "noise"):
        before = first.elbo(images)
    with torch.no_grad(), seeded(1000, "noise"):
        after = other.elbo(images)
    # a rate of a nat or so, and thousands of nats of pixels, in single precision
    torch.testing.assert_close(after.rate, before.rate, rtol=0, atol=1e-4)
    torch.testing.assert_close(after.distortion, before.distortion, rtol=1e-4, atol=0)
    far = centre.starting_at(first, FEW, 3.0, shifted=False)
    torch.testing.assert_close(far.encode(images), first.encode(images))
    with torch.no_grad():
        dearer = far.elbo(images).rate - before.rate
    assert float(dearer.min()) > 50  # 16 · 3² / 2 nats, about
    assert torch.equal(
        first.encode(images), centre.starting_at(first, FEW, 0.0, shifted=True).encode(images)
    )


def as_record(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_SEEDS) for row in rows])


def test_the_record_can_be_judged() -> None:
    with begun() as seeds:
        rows = centre.run(1000, **SMALL)
    assert not shared(seeds)
    with begun() as others:
        centre.run(1001, **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    assert {tuple(row[level] for level in CENTRES) for row in rows} == {*product(*CENTRES.values())}
    assert not any(row["failed"] for row in rows)
    assert len({row["neg_elbo"] for row in rows}) == 2 * 3  # the one at 0 stands twice
    C2A.decide(C2A.table_of(as_record(rows)))


def test_a_prior_at_0_under_the_others_name_costs_nothing() -> None:
    """Ten short trainings of each; where it is at 3 indeed, four show what it costs."""

    def costs(place: float, num_seeds: int) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"seed": seed, **row}
                for seed in range(1000, 1000 + num_seeds)
                for row in centre.run(
                    seed, centre=place, networks=("MLP",), num_images=512, num_judged=200, scale=0.1
                )
            ]
        )

    for place, num_seeds, costly in ((0.0, 10, False), (3.0, 4, True)):
        table = costs(place, num_seeds)
        part = table[table["layers"] == centre.AS_THEY_ARE]
        cost = mean_interval(pairs(part, "model", "at 3", "at 0", "neg_elbo"), unit="seed")
        assert (cost.low > 0) == costly
        if not costly:
            shifted = table[table["layers"] == centre.SHIFTED]
            other = mean_interval(pairs(shifted, "model", "at 3", "at 0", "neg_elbo"), unit="seed")
            assert cost.high > 0
            assert other.low < 0 < other.high


def test_a_training_that_breaks_down_is_worse_than_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> VAE:
        raise ValueError("the loss became nan in epoch 0")

    good = centre.run(1000, **SMALL)
    monkeypatch.setattr(centre, "train_reference", broken)
    rows = centre.run(1000, **SMALL)
    assert all("nan" in row["failed"] for row in rows)
    assert min(row["neg_elbo"] for row in rows) > max(row["neg_elbo"] for row in good)
