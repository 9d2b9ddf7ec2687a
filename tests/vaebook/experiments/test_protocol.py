"""The stored chances: of the propositions as they are, written whole, refused when they are not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from vaebook.experiments.propositions import PROPOSITIONS, protocol
from vaebook.experiments.propositions.power import TRIES
from vaebook.experiments.propositions.proposition import ANSWERS
from vaebook.experiments.propositions.protocol import load_protocol, registered, write_protocol

COMMAND = [sys.executable, "-m", "vaebook.experiments.propositions"]


def made_up(*names: str, holds: float = 1.0) -> pd.DataFrame:
    """Rows as of ``chances``, without running a world."""
    rows = registered([each for each in PROPOSITIONS if not names or each.name in names])
    return rows.assign(**dict.fromkeys(ANSWERS, 0.0)).assign(holds=holds)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write_protocol(made_up(), tmp_path / "protocol" / "chances.csv")


def test_what_is_written_is_read(stored: Path) -> None:
    table = load_protocol(stored)
    assert table["proposition"].unique().tolist() == [each.name for each in PROPOSITIONS]
    assert (table["holds"] == 1).all()
    assert (table["tries"] == TRIES).all()
    assert [path.name for path in stored.parent.iterdir()] == ["chances.csv"]


def test_some_are_replaced_and_the_others_stay(stored: Path) -> None:
    write_protocol(made_up("C5", holds=0.5), stored)
    table = load_protocol(stored).set_index("proposition")
    assert (table.loc["C5", "holds"] == 0.5).all()
    assert (table.drop("C5")["holds"] == 1).all()
    assert table.index.unique().tolist() == [each.name for each in PROPOSITIONS]


def changed(**parts: object) -> tuple:
    """The propositions with another C5."""
    return tuple(replace(each, **parts) if each.name == "C5" else each for each in PROPOSITIONS)


C5 = next(each for each in PROPOSITIONS if each.name == "C5")


@pytest.mark.parametrize(
    "parts",
    [
        {"num_units": 25},
        {"num_pictures": 401},
        {"margin": 0.06},
        {"name": "C5a"},
        {"worlds": C5.worlds[1:]},
        {"worlds": (C5.worlds[0]._replace(name="another"), *C5.worlds[1:])},
        {"worlds": (C5.worlds[0]._replace(at_least=0.7), *C5.worlds[1:])},
        {"worlds": (C5.worlds[0]._replace(answer="undecided"), *C5.worlds[1:])},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_a_file_that_does_not_fit_the_code_is_refused(
    stored: Path, monkeypatch: pytest.MonkeyPatch, parts: dict
) -> None:
    monkeypatch.setattr(protocol, "PROPOSITIONS", changed(**parts))
    name = parts.get("name", "C5")
    with pytest.raises(ValueError, match=rf"differ in C5.*Write it again: .*--write {name}$"):
        load_protocol(stored)


def test_a_proposition_that_is_gone_leaves_the_file_when_it_is_written(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PROPOSITIONS", PROPOSITIONS[1:])
    with pytest.raises(ValueError, match=f"differ in {PROPOSITIONS[0].name}"):
        load_protocol(stored)
    write_protocol(made_up("C5"), stored)
    assert PROPOSITIONS[0].name not in set(load_protocol(stored)["proposition"])


def test_a_missing_file_column_or_number_of_tries_is_refused(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not there; write it: python -m"):
        load_protocol(tmp_path / "chances.csv")
    table = pd.read_csv(stored)
    table.assign(tries=20).to_csv(stored, index=False)
    with pytest.raises(ValueError, match="differ in C1a, C1b"):
        load_protocol(stored)
    table.drop(columns="depends").to_csv(stored, index=False)
    with pytest.raises(ValueError, match="lacks the column 'depends'"):
        load_protocol(stored)


def test_the_stored_chances_fit_the_code() -> None:
    table = load_protocol()
    assert table[list(ANSWERS)].sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_a_reader_who_has_seen_enough_ends_the_command_quietly() -> None:
    """As ``| head`` does: no traceback."""
    process = subprocess.Popen(
        [*COMMAND, "C1a", "--tries", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


def test_only_all_tries_are_kept() -> None:
    refused = subprocess.run(
        [*COMMAND, "--write", "--tries", "3"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert f"--write keeps {TRIES} tries, not 3" in refused.stderr
