"""The rules of claims C2 and C5, on records made up for every outcome."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.claims.c2_no_need_for_normal import OTHERS, no_need_for_normal
from vaebook.experiments.claims.c5_another_distribution import CHOSEN, another_distribution
from vaebook.experiments.record.statistics import paired_differences

SEEDS = range(5)
JITTER = (-0.01, -0.005, 0.0, 0.005, 0.01)  # of a difference, between seeds


def write_priors(
    folder: Path, nll: dict[str, float], dogs: dict[str, float], *, failed: tuple[str, ...] = ()
) -> None:
    """Differences from the normal prior, in nats and in shares; zero where none is given."""
    names = ("normal", "normal at 3", *CHOSEN)
    rows = []
    for seed in SEEDS:
        level = 3.0 * seed  # what seeds share must not count
        for name in names:
            row = {"seed": seed, "model": name, "nll": -650 + level + nll.get(name, 0.0)}
            row["validity"] = 0.6 + 0.02 * seed + dogs.get(name, 0.0)
            if name != "normal":
                row["nll"] += JITTER[seed]
                row["validity"] += JITTER[seed]
            if name in failed and seed == 3:
                row["nll"] = row["validity"] = np.nan
            rows.append(row)
    frame = pd.DataFrame(rows)
    parts = (
        frame["model"].isin(EXPERIMENTS["priors_learned"].settings["models"]),
        frame["model"].isin(("discrete codes",)),
    )
    frame[parts[0]].to_csv(folder / "priors_learned.csv", index=False)
    frame[parts[1]].to_csv(folder / "priors_afterwards.csv", index=False)
    frame[~parts[0] & ~parts[1]].to_csv(folder / "priors.csv", index=False)


def write_pushforward(folder: Path, gap: float) -> None:
    rows = [{"seed": seed, "elbo_gap": gap, "trained_gap": gap / 2} for seed in SEEDS]
    pd.DataFrame(rows).to_csv(folder / "prior_pushforward.csv", index=False)


def to_all(names: tuple[str, ...], value: float) -> dict[str, float]:
    return dict.fromkeys(names, value)


@pytest.mark.parametrize(
    ("nll", "dogs", "gap", "outcome"),
    [
        # a normal at 3 costs something, and the flow is as good
        ({"normal at 3": 2.0} | to_all(OTHERS, 5.0) | {"flow": -3.0}, {}, 1e-12, "holds"),
        # the centre does not matter
        ({"flow": -3.0}, {}, 1e-12, "holds in part"),
        # nothing is as good for certain, nor worse for certain
        ({"normal at 3": 2.0} | to_all(OTHERS, 1.0), {}, 1e-12, "holds in part"),
        # better in nats, but no dogs
        ({"normal at 3": 2.0} | to_all(OTHERS, -3.0), to_all(OTHERS, -0.3), 0.0, "does not hold"),
        ({"normal at 3": 2.0} | to_all(OTHERS, 5.0), {}, 1e-12, "does not hold"),
        # the theorem fails in the code
        ({"normal at 3": 2.0}, {}, 1e-3, "does not hold"),
    ],
)
def test_no_need_for_normal(
    nll: dict[str, float], dogs: dict[str, float], gap: float, outcome: str, tmp_path: Path
) -> None:
    write_priors(tmp_path, nll, dogs)
    write_pushforward(tmp_path, gap)
    found = no_need_for_normal(tmp_path)
    assert found.outcome == outcome
    assert f"{nll.get('normal at 3', 0.0):+.1f} ± 0.0 nats" in found.evidence


@pytest.mark.parametrize(
    ("dogs", "outcome"),
    [
        ({}, "holds"),
        (to_all(CHOSEN, -0.05), "holds"),
        ({"sphere": -0.5}, "holds in part"),
        (to_all(CHOSEN, -0.1), "holds in part"),  # at the margin: nothing is certain
        (to_all(CHOSEN, -0.2), "does not hold"),
    ],
)
def test_another_distribution(dogs: dict[str, float], outcome: str, tmp_path: Path) -> None:
    write_priors(tmp_path, {}, dogs)
    found = another_distribution(tmp_path)
    assert found.outcome == outcome
    assert f"sphere {100 * dogs.get('sphere', 0):+.0f} ± 1" in found.evidence


def test_a_model_that_broke_down_is_no_success(tmp_path: Path) -> None:
    write_priors(tmp_path, {}, {}, failed=("uniform",))
    assert another_distribution(tmp_path).outcome == "holds in part"


def test_paired_differences_forget_what_seeds_share() -> None:
    frame = pd.DataFrame(
        [
            {"seed": seed, "model": model, "nll": 100.0 * seed + more + noise}
            for seed, noise in enumerate((0.1, -0.1, 0.0))
            for model, more in (("a", 0.0), ("b", 2.0 + noise))
        ]
    )
    found = paired_differences(frame, "model", "a", ["nll"]).set_index("model")
    assert found.loc["a", ["mean", "sd"]].tolist() == [0.0, 0.0]
    assert found.loc["b", "mean"] == pytest.approx(2.0)
    assert found.loc["b", "sd"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="no row has model = 'c'"):
        paired_differences(frame, "model", "c", ["nll"])


def test_pairs_are_found_by_seed_wherever_their_rows_stand() -> None:
    values = {"a": {0: 10.0, 1: 20.0, 3: 40.0}, "b": {3: 43.0, 2: 35.0, 1: 21.0, 0: 12.0}}
    frame = pd.DataFrame(
        [
            {"seed": seed, "model": model, "nll": value}
            for model, by_seed in values.items()
            for seed, value in by_seed.items()
        ]
    )
    found = paired_differences(frame, "model", "a", ["nll"]).set_index("model").loc["b"]
    assert found["seeds"] == 3, "the second seed has no partner"
    assert found["mean"] == pytest.approx(2.0)
    interval = stats.ttest_rel([12.0, 21.0, 43.0], [10.0, 20.0, 40.0]).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx(tuple(interval))
