"""The protocol: rules fixed beforehand, tried on made-up records whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vaebook.experiments.propositions import PROPOSITIONS, Decision, Finding, Proposition, World
from vaebook.experiments.propositions.answers import (
    above,
    always,
    below,
    by_condition,
    everywhere,
    somewhere,
    within,
)
from vaebook.experiments.propositions.power import chances
from vaebook.experiments.propositions.worlds import counted, measured
from vaebook.experiments.record.inference import Interval, mean_interval

NAMED = {proposition.name: proposition for proposition in PROPOSITIONS}
every = pytest.mark.parametrize("proposition", PROPOSITIONS, ids=list(NAMED))
# margin, units, pictures: as registered. Whoever moves one says so here, and in the text.
REGISTERED = {
    "C1a": (1e-3, 5, 0),
    "C1b": (1e-6, 5, 0),
    "C2a": (2.0, 24, 0),
    "C2b": (0.01, 10, 0),
    "C3": (0.1, 10, 0),
    "C4a": (0.05, 20, 400),
    "C4b": (0.05, 20, 400),
    "C4c": (0.1, 20, 400),
    "C5": (0.05, 24, 400),
    "C6a": (0.5, 10, 0),
    "C6b": (0.01, 10, 400),
    "C6c": (0.01, 10, 400),
    "C7a": (0.9, 16, 1000),
    "C7b": (0.5, 16, 1000),
    "C8a": (0.05, 10, 2000),
    "C8b": (0.05, 10, 2000),
    "C8c": (0.0, 10, 2000),
}


def test_margins_and_numbers_are_those_that_were_registered() -> None:
    assert {
        name: (each.margin, each.num_units, each.num_pictures) for name, each in NAMED.items()
    } == REGISTERED


@every
def test_the_rule_gives_in_each_world_what_it_must(proposition: Proposition) -> None:
    found = chances(proposition)
    assert found["good"].all(), found[~found["good"]].T.to_string()


@every
def test_it_has_the_controls_that_a_rule_needs(proposition: Proposition) -> None:
    """Worlds in which it is true or nothing differs, false, and exactly on the margin."""
    worlds = proposition.worlds
    assert any(world.answer == "holds" and world.at_least >= 0.8 for world in worlds)
    assert any(world.answer == "does not hold" and world.at_least >= 0.8 for world in worlds)
    on_the_margin = [world for world in worlds if "margin" in world.name]
    assert on_the_margin
    assert all((world.answer, world.at_most) == ("holds", 0.05) for world in on_the_margin)
    assert all(world.at_least > 0 or world.at_most < 1 for world in worlds), "asks for nothing"
    assert proposition.reason
    assert proposition.seen


@every
def test_a_rule_that_can_give_one_answer_only_is_found_out(proposition: Proposition) -> None:
    for answer in ("holds", "does not hold", "undecided"):
        deaf = replace(proposition, rule=lambda table, answer=answer: Decision(answer, ()))
        assert not chances(deaf, tries=3)["good"].all()


@every
def test_it_reads_its_table_and_nothing_else(proposition: Proposition) -> None:
    """Neither the order of the rows nor other columns matter."""
    table = proposition.worlds[0].draw(np.random.default_rng(0))
    decision = proposition.decide(table)
    shuffled = table.sample(frac=1, random_state=1).assign(other="x")
    again = proposition.decide(shuffled[[*proposition.columns, "other"]])
    assert again.answer == decision.answer
    assert {f.condition for f in again.findings} == {f.condition for f in decision.findings}


@every
def test_a_record_that_is_not_the_planned_one_is_refused(proposition: Proposition) -> None:
    table = proposition.worlds[0].draw(np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"{proposition.name} was planned for"):
        proposition.decide(table[table["seed"] > 0])
    with pytest.raises(ValueError, match="the table lacks"):
        proposition.decide(table.drop(columns=proposition.columns[-1]))


def test_a_missing_seed_under_one_condition_is_refused() -> None:
    table = NAMED["C8a"].worlds[0].draw(np.random.default_rng(0))
    gap = (table["seed"] == 3) & (table["model"] == "GAN") & (table["data"] == "dogs")
    with pytest.raises(ValueError, match=r"cannot be paired: seed \[3\]"):
        NAMED["C8a"].decide(table[~gap])


# --- from intervals to answers ------------------------------------------------------------------


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, "seed", 5, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "answers"),
    [
        (1.1, 2.0, ("holds", "does not hold", "does not hold")),
        (0.5, 0.9, ("does not hold", "holds", "holds")),
        (0.5, 1.5, ("undecided", "undecided", "undecided")),
        (-1.5, -1.1, ("does not hold", "holds", "does not hold")),
        (-1.5, 0.0, ("does not hold", "holds", "undecided")),
        (1.0, 2.0, ("undecided", "undecided", "undecided")),  # on the margin is not beyond it
    ],
)
def test_an_interval_beside_a_margin_of_one(low: float, high: float, answers: tuple) -> None:
    given = interval(low, high)
    assert (above(given, 1), below(given, 1), within(given, 1)) == answers


@pytest.mark.parametrize(
    ("found", "answers"),
    [
        (("holds", "holds"), ("holds", "holds", "holds")),
        (("does not hold",), ("does not hold",) * 3),
        (("holds", "does not hold"), ("depends", "does not hold", "holds")),
        (("holds", "undecided"), ("undecided", "undecided", "holds")),
        (("undecided", "does not hold"), ("undecided", "does not hold", "undecided")),
    ],
)
def test_several_conditions(found: tuple, answers: tuple) -> None:
    findings = [Finding("", interval(0, 1), answer) for answer in found]
    assert (everywhere(findings), always(findings), somewhere(findings)) == answers


def test_no_dependence_is_found_where_there_is_none() -> None:
    """Forty conditions on the margin: neither side is claimed of any, as a rule."""
    rng = np.random.default_rng(0)
    depends = 0
    for _ in range(200):
        table = pd.DataFrame({"c": c, "x": x} for c in range(40) for x in rng.normal(0, 1, 8))

        def find(part: pd.DataFrame, level: float) -> tuple:
            found = mean_interval(part["x"], unit="seed", level=level)
            return found, above(found, 0.0)

        depends += by_condition(table, ("c",), find).answer == "depends"
    assert depends <= 2


# --- the worlds ---------------------------------------------------------------------------------


def test_a_world_has_the_means_and_the_spread_that_it_is_given() -> None:
    table = measured(
        np.random.default_rng(0),
        "x",
        {"a": 2.0, "b": 1.0},
        num_seeds=4000,
        sd=0.3,
        shared_sd=5.0,
        conditions={"size": (1, 2)},
        shifts={2: 0.5},
    )
    wide = table.pivot_table("x", ["size", "seed"], "model")
    difference = wide["a"] - wide["b"]
    assert difference.loc[1].mean() == pytest.approx(1.0, abs=0.03)
    assert difference.loc[2].mean() == pytest.approx(1.5, abs=0.03)
    assert difference.std() == pytest.approx((2 * 0.3**2 + 0.25**2) ** 0.5, rel=0.05)
    assert wide["a"].std() == pytest.approx(5.0, rel=0.05)


def test_counts_spread_as_seeds_do() -> None:
    table = counted(
        np.random.default_rng(0), {"box": 0.4}, num_seeds=4000, sd=0.1, num_pictures=100
    )
    share = table["num_dogs"] / table["num_pictures"]
    assert share.mean() == pytest.approx(0.4, abs=0.01)
    assert share.std() == pytest.approx((0.1**2 + (0.24 - 0.01) / 100) ** 0.5, rel=0.05)


def test_a_world_that_asks_for_too_much_is_missed() -> None:
    hard = World("true", NAMED["C5"].worlds[3].draw, "holds", 0.9)  # all on the margin
    assert not chances(replace(NAMED["C5"], worlds=(hard,)), tries=20)["good"].any()
