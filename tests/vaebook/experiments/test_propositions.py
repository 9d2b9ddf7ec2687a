"""The protocol: rules fixed beforehand, tried on made-up records whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vaebook.experiments.propositions import (
    PROPOSITIONS,
    Decision,
    Finding,
    Proposition,
    World,
    answers,
    c1_kl_term,
    c3_forced_gaussian,
    c4_known_distribution,
    c5_another_distribution,
    c6_possible_codes,
    c7_conflict,
    c8_better_images,
)
from vaebook.experiments.propositions.answers import (
    above,
    always,
    below,
    by_condition,
    everywhere,
)
from vaebook.experiments.propositions.power import TRIES, chances
from vaebook.experiments.propositions.proposition import ANSWERS
from vaebook.experiments.propositions.protocol import COMMAND, protocol_file
from vaebook.experiments.propositions.registry import BESIDE
from vaebook.experiments.propositions.worlds import cells, counted, measured
from vaebook.experiments.record import inference
from vaebook.experiments.record.inference import Interval, mean_interval
from vaebook.experiments.registry import TRIAL

NAMED = {proposition.name: proposition for proposition in PROPOSITIONS}
every = pytest.mark.parametrize("proposition", PROPOSITIONS, ids=list(NAMED))
# margin, units, pictures: as registered. Whoever moves one says so here, and in the text.
REGISTERED = {
    "C1a": (1e-3, 5, 0),
    "C1b": (1e-6, 5, 0),
    "C2a": (1.0, 12, 0),
    "C2b": (0.01, 10, 0),
    "C3": (0.2, 8, 0),
    "C4a": (0.05, 16, 400),
    "C4b": (0.05, 16, 400),
    "C4c": (0.05, 16, 400),
    "C4d": (0.1, 16, 400),
    "C5": (0.05, 24, 400),
    "C6a": (0.01, 24, 200),
    "C6b": (0.01, 24, 200),
    "C7a": (0.05, 10, 1000),
    "C7b": (0.0, 10, 1000),
    "C8a": (0.05, 10, 2000),
    "C8b": (0.0, 10, 2000),
    "C8c": (0.0, 10, 2000),
}
LIMITS = {  # what a rule reads beside its margin
    c1_kl_term: {"APART": 0.1},
    c3_forced_gaussian: {"SEEN": 0.05, "LEAST_RATE": 1.0},
    c4_known_distribution: {"POINTS": 0.05, "ROOM": 0.2, "NEW": 0.1},
    c6_possible_codes: {"SURER": 0.4, "ROOM": 0.2},
    c7_conflict: {"MOST": 0.5, "BLURRED": 0.05},
    c8_better_images: {
        "PART": 0.5,
        "ROOM": 0.05,
        "ROOMY": 0.25,
        "SHARPER": 0.05,
        "WORSE": 0.07,
    },
    answers: {"ALPHA": 0.025},
}


def test_margins_and_numbers_are_those_that_were_registered() -> None:
    assert {
        name: (each.margin, each.num_units, each.num_pictures) for name, each in NAMED.items()
    } == REGISTERED
    for module, limits in LIMITS.items():
        assert {name: getattr(module, name) for name in limits} == limits


def test_the_trial_is_planned_whole_and_fits_sixteen_hours_of_a_core() -> None:
    judged = {proposition.table for proposition in PROPOSITIONS}
    searched = {"reference_search", "gan_search"}  # on pilot seeds only
    assert judged | set(BESIDE) | searched == TRIAL
    assert not judged & set(BESIDE)
    paid = [each.table for each in PROPOSITIONS if each.core_minutes]
    assert sorted(paid) == sorted(judged), "each record is paid for by one proposition"
    planned = (*PROPOSITIONS, *BESIDE.values())
    assert sum(each.core_hours for each in planned) <= 16


@every
def test_the_rule_gives_in_each_world_what_it_must(proposition: Proposition) -> None:
    found = chances(proposition)
    assert found["good"].all(), found[~found["good"]].T.to_string()
    # The page of the trial shows what was stored: the same seeds, up to rounding on other machines.
    stored = pd.read_csv(protocol_file()).set_index("proposition").loc[[proposition.name]]
    assert stored["world"].tolist() == found["world"].tolist()
    moved = np.abs(stored[list(ANSWERS)].to_numpy() - found[list(ANSWERS)].to_numpy())
    assert moved.max() < 2.5 / TRIES, f"write them again: {COMMAND} {proposition.name}"


@every
def test_it_has_the_controls_that_a_rule_needs(proposition: Proposition) -> None:
    """Worlds in which it is true or nothing differs, false, and exactly on the margin."""
    worlds = proposition.worlds
    assert any(world.answer == "holds" and world.at_least >= 0.8 for world in worlds)
    assert any(world.answer == "does not hold" and world.at_least >= 0.7 for world in worlds)
    on_the_margin = [world for world in worlds if "margin" in world.name]
    assert on_the_margin
    assert all(world.answer == "undecided" for world in on_the_margin)
    assert all(world.at_least >= 0.5 for world in worlds), "asks for next to nothing"
    assert proposition.reason
    assert proposition.seen


@every
def test_a_rule_that_can_give_one_answer_only_is_found_out(proposition: Proposition) -> None:
    for answer in ("holds", "does not hold", "undecided"):
        deaf = replace(proposition, rule=lambda table, answer=answer: Decision(answer, ()))
        assert not chances(deaf, tries=3)["good"].all()


def without_width(sample: np.ndarray, level: float = 0.95) -> float:
    return 1e-12


@every
def test_a_rule_that_looks_at_means_alone_is_found_out(
    proposition: Proposition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take the width from every interval: on the margin a coin would decide."""
    monkeypatch.setattr(inference, "half_width", without_width)
    monkeypatch.setattr(
        c6_possible_codes,
        "nested_share_intervals",
        lambda hits, trials, level: [
            Interval(*[share] * 3, "seed", 5, level) for share in hits.sum(1) / trials.sum(1)
        ],
    )
    monkeypatch.setattr(
        c5_another_distribution, "holm", lambda p_values: (np.array(p_values) > 0.5) * 1.0
    )
    on_the_margin = tuple(world for world in proposition.worlds if "margin" in world.name)
    assert not chances(replace(proposition, worlds=on_the_margin), tries=20)["good"].all()


def complete(proposition: Proposition) -> pd.DataFrame:
    return proposition.worlds[0].draw(np.random.default_rng(0))


@every
def test_it_reads_its_table_and_nothing_else(proposition: Proposition) -> None:
    """Neither the order of the rows nor other columns matter."""
    table = complete(proposition)
    decision = proposition.decide(table)
    shuffled = table.sample(frac=1, random_state=1).assign(other="x")
    again = proposition.decide(shuffled[[*proposition.columns, "other"]])
    assert again.answer == decision.answer
    assert {f.condition for f in again.findings} == {f.condition for f in decision.findings}


@every
def test_a_record_that_is_not_the_planned_one_is_refused(proposition: Proposition) -> None:
    """A seed, a row or a level too few or too many, a value that is missing, a column."""
    table = complete(proposition)
    with pytest.raises(ValueError, match=f"{proposition.name} was planned for"):
        proposition.decide(table[table["seed"] > 0])
    for wrong in (pd.concat([table, table.tail(1)]), table.drop(index=table.index[-1])):
        with pytest.raises(ValueError, match=r"reads one row for each seed|was planned for"):
            proposition.decide(wrong)
    for column, values in proposition.levels.items():
        with pytest.raises(ValueError, match="reads one row for each seed"):
            proposition.decide(table[table[column] != values[-1]])
    gap = table.assign(**{proposition.values[0]: table[proposition.values[0]].astype(float)})
    gap.loc[gap.index[0], proposition.values[0]] = np.nan
    with pytest.raises(ValueError, match="counts as the worst"):
        proposition.decide(gap)
    with pytest.raises(ValueError, match="the table lacks"):
        proposition.decide(table.drop(columns=proposition.values[-1]))


def test_other_numbers_of_pictures_are_refused() -> None:
    table = complete(NAMED["C6a"])
    with pytest.raises(ValueError, match="planned for 200 pictures"):
        NAMED["C6a"].decide(table.assign(num_pictures=50))


def test_where_no_weight_has_a_rate_nothing_is_decided() -> None:
    table = complete(NAMED["C3"]).assign(rate=0.1)
    assert NAMED["C3"].decide(table) == Decision("undecided", ())


# --- from intervals to answers ------------------------------------------------------------------


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, "seed", 5, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "answers"),
    [
        (1.1, 2.0, ("holds", "does not hold")),
        (0.5, 0.9, ("does not hold", "holds")),
        (0.5, 1.5, ("undecided", "undecided")),
        (1.0, 2.0, ("undecided", "undecided")),  # on the margin is not beyond it
    ],
)
def test_an_interval_beside_a_margin_of_one(low: float, high: float, answers: tuple) -> None:
    given = interval(low, high)
    assert (above(given, 1), below(given, 1)) == answers


YES, NO, OPEN = "holds", "does not hold", "undecided"


@pytest.mark.parametrize(
    ("plain", "strict", "answers"),
    [
        ((YES, YES), (YES, OPEN), (YES, YES)),  # each of them at the plain level is enough
        ((NO, NO), (OPEN, OPEN), (NO, OPEN)),  # one among many must be certain
        ((YES, NO), (YES, NO), ("depends", NO)),
        ((YES, NO), (YES, OPEN), (OPEN, OPEN)),
        ((YES, OPEN), (YES, OPEN), (OPEN, OPEN)),
        ((NO, OPEN), (NO, OPEN), (NO, NO)),  # one is enough to refute, and none speaks for it
        ((NO, OPEN), (OPEN, OPEN), (OPEN, OPEN)),
        ((YES, NO), (OPEN, NO), (NO, NO)),
    ],
)
def test_several_conditions(plain: tuple, strict: tuple, answers: tuple) -> None:
    both = [[Finding("", interval(0, 1), answer) for answer in part] for part in (plain, strict)]
    assert (everywhere(*both), always(*both)) == answers


def test_no_dependence_is_found_where_there_is_none() -> None:
    """Forty conditions on the margin: a side is claimed of some in at most one of twenty."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        table = pd.DataFrame({"c": c, "x": x} for c in range(40) for x in rng.normal(0, 1, 8))

        def find(part: pd.DataFrame, level: float) -> tuple:
            mean = mean_interval(part["x"], unit="seed", level=level)
            return mean, above(mean, 0.0)

        found.append(by_condition(table, ("c",), find).answer)
    assert found.count("depends") + found.count("does not hold") <= 10
    assert found.count("holds") == 0


# --- the worlds ---------------------------------------------------------------------------------

LEVELS = {"model": ("a", "b"), "threshold": (1, 2)}


def test_a_world_has_the_means_and_the_spread_that_it_is_given() -> None:
    rows = cells(4000, LEVELS)
    table = measured(
        np.random.default_rng(0),
        "x",
        ((rows["model"] == "a") + 0.5 * rows["threshold"]).to_numpy(),
        num_seeds=4000,
        levels=LEVELS,
        sd=0.3,
        within=("threshold",),
    )
    wide = table.pivot_table("x", ["threshold", "seed"], "model")
    difference = wide["a"] - wide["b"]
    assert difference.mean() == pytest.approx(1.0, abs=0.03)
    assert difference.std() == pytest.approx(2**0.5 * 0.3, rel=0.05)
    steps = (wide.loc[2] - wide.loc[1]).to_numpy()
    assert steps == pytest.approx(np.full_like(steps, 0.5)), "one training serves both thresholds"


def test_shares_have_the_chance_of_their_pictures_on_top() -> None:
    table = measured(
        np.random.default_rng(0),
        "x",
        np.full(16_000, 0.7),
        num_seeds=4000,
        levels=LEVELS,
        sd=0.05,
        within=(),
        num_pictures=100,
    )
    assert table["x"].mean() == pytest.approx(0.7, abs=0.005)
    assert table["x"].std() == pytest.approx((0.05**2 + 0.21 / 100) ** 0.5, rel=0.05)


def test_counts_spread_as_seeds_do() -> None:
    table = counted(
        np.random.default_rng(0),
        0.4 * (cells(4000, {"model": ("a", "b")})["model"] == "a").to_numpy(),
        num_seeds=4000,
        levels={"model": ("a", "b")},
        sd=0.1,
        num_pictures=100,
    )
    share = (table["num_dogs"] / table["num_pictures"]).groupby(table["model"])
    assert share.mean()["a"] == pytest.approx(0.4, abs=0.01)
    assert share.std()["a"] == pytest.approx((0.1**2 + (0.24 - 0.01) / 100) ** 0.5, rel=0.05)
    assert share.max()["b"] == 0


def test_a_world_that_asks_for_too_much_is_missed() -> None:
    on_the_margin = next(world for world in NAMED["C5"].worlds if "margin" in world.name)
    hard = World("true", on_the_margin.draw, "holds", 0.9)
    assert not chances(replace(NAMED["C5"], worlds=(hard,)), tries=20)["good"].any()
