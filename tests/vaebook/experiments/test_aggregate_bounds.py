"""Bounds of how far codes are from N(0, I): cases with a known answer, and a small record."""

import math
from typing import Any

import pandas as pd
import pytest
import torch

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.distributions import DiagonalGaussian
from vaebook.experiments.ch08_what_the_kl_does import aggregate_bounds
from vaebook.experiments.ch08_what_the_kl_does.aggregate_bounds import (
    PLANTED,
    bound_of,
    heaps_divergence,
    measure_codes,
    planted_codes,
    two_heaps,
)
from vaebook.experiments.propositions.c3_forced_gaussian import BETAS, NATS, NUM_SEEDS, PROPOSITIONS
from vaebook.training import seeded

(C3,) = PROPOSITIONS
SMALL: dict[str, Any] = {"num_images": 96, "num_judged": 200, "num_components": 2, "scale": 0.01}


def test_heaps_are_as_far_as_quadrature_and_chance_say() -> None:
    assert heaps_divergence(0.0) == pytest.approx(0, abs=1e-9)
    heaps = two_heaps(0.8)
    with seeded(1000, "heaps"):
        drawn = heaps.sample((100_000,))
    log_p = -0.5 * drawn**2 - 0.5 * math.log(2 * math.pi)
    ratio = heaps.log_prob(drawn) - log_p
    error = float(ratio.std()) / len(drawn) ** 0.5
    assert float(ratio.mean()) == pytest.approx(heaps_divergence(0.8), abs=4 * error)


def test_planted_codes_have_the_moments_of_a_normal() -> None:
    with seeded(1000, "planted"):
        codes = planted_codes(50_000, 4)
    # standard errors of 0.0045 and 0.0063
    torch.testing.assert_close(codes.mean(0), torch.zeros(4), rtol=0, atol=0.025)
    torch.testing.assert_close(torch.cov(codes.T), torch.eye(4), rtol=0, atol=0.025)


def test_a_planted_distance_is_seen_and_none_is_not() -> None:
    with seeded(1000, "planted"):
        planted = planted_codes(8000, 4, num_directions=1)
        null = torch.randn(8000, 4)
    bound, error = bound_of(planted, seed=1, num_components=3)
    assert PLANTED / 2 < bound < PLANTED + 3 * error
    bound, error = bound_of(null, seed=1, num_components=3)
    assert -0.05 < bound < 3 * error


def test_posteriors_whose_aggregate_is_the_prior_are_at_the_null() -> None:
    """q(z | x) = N(√(1 − s²) u, s² I) with u ~ N(0, I): R is 2 nats, and nothing is to be found."""
    std, latent_dim, number = 0.6, 4, 8000
    with seeded(1000, "means"):
        means = math.sqrt(1 - std**2) * torch.randn(number, latent_dim)
    posterior = DiagonalGaussian(means, torch.full_like(means, 2 * math.log(std)))
    with seeded(1000, "codes"):
        codes, null = posterior.sample(), torch.randn(number, latent_dim)
    found = measure_codes(codes, seed=1000, name="known", num_components=3)
    at_null, null_error = bound_of(null, seed=1, num_components=3)
    error = math.hypot(found["bound_error"], null_error)
    assert found["kl_bound"] == pytest.approx(at_null, abs=4 * error + 0.005)
    assert found["classifier_p"] > 0.01
    narrow = measure_codes(means, seed=1000, name="means", num_components=3)
    assert narrow["kl_bound"] > at_null + 4 * error  # a variance of 0.64 does not pass


def test_the_record_can_be_judged() -> None:
    with begun() as seeds:
        rows = aggregate_bounds.run(1000, **SMALL)
    assert not shared(seeds)
    with begun() as others:
        aggregate_bounds.run(1001, betas=(1.0,), **SMALL)
    assert not set(seeds) & set(others) - set(DATA)
    assert tuple(row["beta"] for row in rows) == aggregate_bounds.BETAS == BETAS["beta"]
    assert PLANTED == NATS
    assert not any(row["failed"] for row in rows)
    assert len({row["planted_bound"] for row in rows}) == 1
    assert len({row["kl_bound"] for row in rows}) == len(rows)
    table = pd.DataFrame([{"seed": seed, **row} for seed in range(NUM_SEEDS) for row in rows])
    assert C3.decide(C3.table_of(table)).answer != "depends"


def test_a_training_that_breaks_down_is_no_support(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("the loss became nan in epoch 0")

    known = {"planted_bound": 0.15, "null_bound": -0.05}
    monkeypatch.setattr(aggregate_bounds, "train_reference", broken)
    monkeypatch.setattr(aggregate_bounds, "controls", lambda *_: known)
    rows = aggregate_bounds.run(1000, num_judged=4)
    assert all("nan" in row["failed"] for row in rows)
    good = [row | {"rate": 5.0, "kl_bound": -0.05} for row in rows]

    def record(num_failed: int) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"seed": seed, **row, "kl_bound": row["kl_bound"] + 1e-3 * (seed % 3)}
                for seed in range(NUM_SEEDS)
                for row in (rows if seed < num_failed else good)
            ]
        )

    assert C3.decide(record(0)).answer == "holds"
    assert C3.decide(record(1)).answer == "undecided"
