"""The numbers behind the verdicts: what the rules read, and what the last chapter draws."""

import re
from pathlib import Path

import pandas as pd
import pytest

from vaebook.experiments import CLAIMS, Claim, load_provenance, results_folder, scoreboard
from vaebook.experiments.claims.claim import Effect

TRIED = [claim for claim in CLAIMS if claim.judge is not None]


def effects_of(claim: Claim) -> tuple[Effect, ...]:
    assert claim.judge is not None
    return claim.judge(None).effects


@pytest.mark.parametrize("claim", TRIED, ids=lambda claim: claim.name)
def test_each_verdict_has_effects_with_intervals(claim: Claim) -> None:
    effects = effects_of(claim)
    assert effects
    assert len({effect.measure for effect in effects}) == 1  # they share an axis
    assert len({effect.label for effect in effects}) == len(effects)
    for effect in effects:
        assert effect.low <= effect.mean <= effect.high
        assert effect.lines


@pytest.mark.parametrize("claim", TRIED, ids=lambda claim: claim.name)
def test_a_claim_names_the_records_that_its_judge_reads(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = set()
    load = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda path: (read.add(Path(path).stem), load(path))[1])
    effects_of(claim)
    assert read == set(claim.records)


@pytest.mark.parametrize("claim", TRIED, ids=lambda claim: claim.name)
def test_every_record_behind_a_verdict_is_one_command(claim: Claim) -> None:
    assert claim.records
    for name in claim.records:
        provenance = load_provenance(name)
        assert provenance["command"] == f"python -m vaebook.experiments {name} --seeds 5"
        assert len(provenance["seconds_per_seed"]) == provenance["seeds"] == 5
        assert (results_folder() / f"{name}.csv").is_file()


def test_the_effects_are_the_numbers_of_the_evidence() -> None:
    """Where the sentence prints an effect, it prints the same number."""
    told = {claim.name: claim.judge(None) for claim in TRIED if claim.judge is not None}
    moved = told["C2"].effects[0]
    assert f"{moved.mean:+.1f} ± {moved.mean - moved.low:.1f} nats" in told["C2"].evidence
    for effect in told["C5"].effects:
        half = effect.mean - effect.low
        assert f"{effect.label} {effect.mean:+.0f} ± {half:.0f}" in told["C5"].evidence
    shares = [f"{effect.mean:.0%}" for effect in told["C7"].effects]
    printed = re.findall(r"from (-?\d+%)", told["C7"].evidence)
    assert len(printed) == 2
    assert set(printed) <= set(shares)


def test_the_scoreboard_is_what_the_judges_say() -> None:
    board = scoreboard()
    assert list(board.index) == [claim.name for claim in CLAIMS]
    for claim in CLAIMS:
        row = board.loc[claim.name]
        assert (row["claim"], row["rule"]) == (claim.text, claim.rule)
        if claim.judge is None:
            assert (row["verdict"], row["evidence"], row["commands"]) == ("not tried yet", "", ())
        else:
            found = claim.judge(None)
            assert (row["verdict"], row["evidence"]) == (found.outcome, found.evidence)
            assert len(row["commands"]) == len(claim.records)
