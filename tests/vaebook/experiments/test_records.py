"""Recorded experiments: running one over seeds, its files, and a live run held against them."""

import collections
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from tests.conftest import ROOT
from vaebook.experiments import (
    EXPERIMENTS,
    Experiment,
    __main__,
    assert_within_spread,
    available,
    load_pictures,
    load_provenance,
    load_recorded,
    load_recorded_weights,
    make_record,
    prediction_interval,
    results_folder,
    run_seeds,
    summarise,
)
from vaebook.experiments.record import run as recording
from vaebook.experiments.registry import TRIAL

TINY = '''
"""A line through the origin with noise.

More text.
"""

import numpy as np


def run(seed, *, slopes=(1.0, 2.0), noise=0.1):
    if seed == 13:
        raise RuntimeError("unlucky")
    numbers = np.random.default_rng(seed)
    return [{"slope": s, "value": s / 3 + noise * numbers.normal()} for s in slopes]
'''


RESULTS = ROOT / "book" / "results"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An experiment of its own in the registry, for the length of a test."""
    place = tmp_path / "more_experiments"
    place.mkdir()
    (place / "tiny.py").write_text(TINY)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setitem(EXPERIMENTS, "tiny", Experiment("tiny", "tiny"))
    yield "tiny"
    sys.modules.pop("tiny", None)


# --- running ------------------------------------------------------------------------------------


def test_experiments_are_the_public_modules(tiny: str) -> None:
    names = available()
    assert tiny in names
    assert list(names) == sorted(names)
    assert not any(name.startswith("_") for name in names)


def test_each_seed_gives_its_rows(tiny: str) -> None:
    frame = run_seeds(tiny, [0, 4])
    assert list(frame.columns) == ["seed", "slope", "value"]
    assert frame["seed"].tolist() == [0, 0, 4, 4]
    pd.testing.assert_frame_equal(run_seeds(tiny, [4]), frame[2:].reset_index(drop=True))
    assert run_seeds(tiny, [0], slopes=(5.0,), noise=0.0)["value"].tolist() == [5 / 3]


def test_a_record_has_its_table_and_its_provenance(tiny: str, tmp_path: Path) -> None:
    path = make_record(tiny, 3, tmp_path)
    assert path == tmp_path / "tiny.csv"
    frame = load_recorded(tiny, tmp_path)
    # six significant digits are kept
    live = run_seeds(tiny, range(3))
    pd.testing.assert_frame_equal(frame, live, rtol=5e-6, check_dtype=False)
    assert "0.345906" in path.read_text()

    provenance = load_provenance(tiny, tmp_path)
    assert provenance["experiment"] == "tiny"
    assert provenance["description"] == "A line through the origin with noise."
    assert provenance["command"] == "python -m vaebook.experiments tiny --seeds 3"
    assert provenance["seeds"] == 3
    assert provenance["rows"] == 6
    assert provenance["settings"] == {"slopes": [1.0, 2.0], "noise": 0.1}
    assert len(provenance["seconds_per_seed"]) == 3
    assert {"python", "torch", "numpy", "vaebook"} == set(provenance["versions"])
    assert str(Path.home()) not in json.dumps(provenance)


def test_a_pilot_has_seeds_that_no_record_has(tiny: str, tmp_path: Path) -> None:
    make_record(tiny, 2, tmp_path, pilot=True)
    frame = load_recorded(tiny, tmp_path)
    assert set(frame["seed"]) == {1000, 1001}
    assert load_provenance(tiny, tmp_path)["command"].endswith("tiny --seeds 2 --pilot")


PICTURES = """
import torch


def run(seed, *, size=2, pictures=None):
    if pictures is not None:
        ramp = torch.linspace(0, 1, size * size).reshape(1, 1, size, size)
        pictures["ramp"] = (ramp + seed).requires_grad_()
        pictures["beyond"] = 3 * ramp - 1
    return [{"value": seed}]
"""


def test_pictures_of_the_first_seed_are_kept(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "more_experiments" / "tiny.py").write_text(PICTURES)
    make_record(tiny, 3, tmp_path)
    pictures = load_pictures(tiny, tmp_path)
    assert set(pictures) == {"ramp", "beyond"}
    ramp = torch.linspace(0, 1, 4).reshape(1, 1, 2, 2)
    # 256 grey levels: half a level off at most
    torch.testing.assert_close(pictures["ramp"], ramp, rtol=0, atol=0.5001 / 255)
    clipped = (3 * ramp - 1).clamp(0, 1)
    torch.testing.assert_close(pictures["beyond"], clipped, rtol=0, atol=0.5001 / 255)
    assert load_provenance(tiny, tmp_path)["settings"] == {"size": 2}
    assert run_seeds(tiny, [5])["value"].tolist() == [5], "none are asked for in a live run"
    with pytest.raises(FileNotFoundError, match=r"other.npz is not recorded; run python -m"):
        load_pictures("other", tmp_path)


def test_a_run_that_fails_leaves_the_old_record(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_record(tiny, 3, tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.glob("tiny.*")}
    with pytest.raises(RuntimeError, match="unlucky"):
        make_record(tiny, 14, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("tiny.*")} == old


UNLUCKY = """
from pathlib import Path


def run(seed):
    place = Path({place!r})
    if seed == 2 and not (place / "mended").exists():
        raise RuntimeError("unlucky")
    with (place / "log").open("a") as log:
        log.write(str(seed))
    return [{{"value": seed / 7, "name": "a", "missing": None if seed else 1.5}}]
"""


def test_a_run_that_failed_goes_on_where_it_stopped(tiny: str, tmp_path: Path) -> None:
    module = tmp_path / "more_experiments" / "tiny.py"
    module.write_text(UNLUCKY.format(place=str(tmp_path)))
    with pytest.raises(RuntimeError, match="unlucky"):
        make_record(tiny, 3, tmp_path)
    (tmp_path / "mended").touch()
    make_record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "012", "no seed ran twice"
    whole = load_recorded(tiny, tmp_path)
    assert not list(tmp_path.glob(".tiny*")), "nothing is left behind"
    make_record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "012012", "a finished record is made anew"
    pd.testing.assert_frame_equal(load_recorded(tiny, tmp_path), whole)


def test_a_seed_that_other_code_gave_is_not_taken_up(tiny: str, tmp_path: Path) -> None:
    module = tmp_path / "more_experiments" / "tiny.py"
    module.write_text(UNLUCKY.format(place=str(tmp_path)))
    with pytest.raises(RuntimeError, match="unlucky"):
        make_record(tiny, 3, tmp_path)
    (tmp_path / "mended").touch()
    module.write_text(module.read_text() + "# changed\n")
    make_record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "01012"
    assert not list(tmp_path.glob(".tiny*")), "old seeds are swept away too"


def stop_at_write(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """What lies on the disk after a kill before the write number ``count``."""
    write, counter = recording.write_atomically, itertools.count()

    def write_or_stop(*arguments: object) -> None:
        if next(counter) == count:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(recording, "write_atomically", write_or_stop)


EVERYTHING = """
import torch


def run(seed, *, pictures=None, weights=None):
    torch.manual_seed(seed)
    line = torch.nn.Linear(2, 1)
    if pictures is not None:
        pictures["noise"] = torch.rand(1, 1, 2, 2)
        weights["line"] = line
    return [{"value": seed}]
"""


@pytest.mark.parametrize("count", range(4))
def test_files_of_two_runs_do_not_load(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A recording of two seeds is killed before it replaces any file of one of three."""
    module = tmp_path / "more_experiments" / "tiny.py"
    module.write_text(EVERYTHING)
    make_record(tiny, 3, tmp_path)
    old = {path: path.read_bytes() for path in tmp_path.glob("tiny.*")}
    assert len(old) == 4
    module.write_text(EVERYTHING.replace("manual_seed(seed)", "manual_seed(7)"))
    sys.modules.pop("tiny")

    with monkeypatch.context() as patch:
        stop_at_write(patch, count)
        with pytest.raises(KeyboardInterrupt):
            make_record(tiny, 2, tmp_path)
    changed = {path.suffix for path, content in old.items() if path.read_bytes() != content}
    assert len(changed) == count
    loaders = {
        ".csv": lambda: load_recorded(tiny, tmp_path),
        ".npz": lambda: load_pictures(tiny, tmp_path),
        ".safetensors": lambda: load_recorded_weights(tiny, "line", nn.Linear(2, 1), tmp_path),
        ".json": lambda: load_provenance(tiny, tmp_path),
    }
    for ending, load in loaders.items():
        if ending in changed or (ending == ".json" and ".csv" in changed):
            with pytest.raises(ValueError, match=r"are not of one run.* Run python -m vaebook"):
                load()
        else:
            load()

    monkeypatch.setattr(recording, "_rows", None)  # no seed is run again
    make_record(tiny, 2, tmp_path)
    for load in loaders.values():
        load()
    assert len(load_recorded(tiny, tmp_path)) == load_provenance(tiny, tmp_path)["seeds"] == 2


@pytest.mark.parametrize("content", ["", "<<<<<<< ours", "{}", '{"sha256": {}}'])
def test_a_provenance_without_checksum_vouches_for_nothing(
    tiny: str, tmp_path: Path, content: str
) -> None:
    make_record(tiny, 1, tmp_path)
    (tmp_path / "tiny.json").write_text(content)
    for load in (load_recorded, load_provenance):
        with pytest.raises(ValueError, match=r"tiny\.csv and tiny\.json are not of one run"):
            load(tiny, tmp_path)
    (tmp_path / "tiny.json").unlink()
    load_recorded(tiny, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"tiny.json is not recorded; run python -m"):
        load_provenance(tiny, tmp_path)


def test_files_that_a_run_no_longer_keeps_are_gone(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "more_experiments" / "tiny.py").write_text(EVERYTHING)
    make_record(tiny, 1, tmp_path)
    (tmp_path / "more_experiments" / "tiny.py").write_text(TINY)
    sys.modules.pop("tiny")
    make_record(tiny, 1, tmp_path)
    assert {path.suffix for path in tmp_path.glob("tiny.*")} == {".csv", ".json"}


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_stored_record_is_whole(path: Path) -> None:
    provenance, table = load_provenance(path.stem, RESULTS), load_recorded(path.stem, RESULTS)
    assert set(provenance["sha256"]) == {
        other.name for other in path.parent.glob(f"{path.stem}.*") if other != path
    }
    assert len(table) == provenance["rows"]
    assert sorted(set(table["seed"])) == list(range(provenance["seeds"]))
    if path.with_suffix(".npz").exists():
        assert load_pictures(path.stem, RESULTS)
    if path.with_suffix(".safetensors").exists():
        with pytest.raises(ValueError, match="holds no 'nothing'"):
            load_recorded_weights(path.stem, "nothing", nn.Linear(1, 1), RESULTS)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_was_made_by_what_the_registry_says(path: Path) -> None:
    experiment = EXPERIMENTS[path.stem]
    stored = json.loads(path.read_text("utf-8"))
    ours = json.loads(json.dumps(experiment.all_settings(), default=str))
    assert stored["settings"].items() <= ours.items()
    assert stored["description"].rstrip(".") == experiment.summary().rstrip(".")
    assert not path.with_suffix(".npz").exists() or "pictures" in experiment.offers()
    assert path.with_suffix(".safetensors").exists() == ("weights" in experiment.offers())


def test_no_stored_file_is_without_provenance() -> None:
    names = {path.stem for path in RESULTS.glob("*.json")}
    assert len(names) >= 40
    assert {path.stem for path in RESULTS.iterdir() if path.suffix in recording.ENDINGS} == names


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_seed_is_computed_again(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    (tmp_path / "more_experiments" / "tiny.py").write_text(UNLUCKY.format(place=str(tmp_path)))
    with pytest.raises(RuntimeError, match="unlucky"):
        make_record(tiny, 3, tmp_path)
    (path,) = (tmp_path / ".tiny.unfinished").glob("1-*")
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = bytes([content[middle] ^ 1])
    damaged = {
        "cut": content[:middle],
        "flipped": content[:middle] + flipped + content[middle + 1 :],
        "empty": b"",
    }
    path.write_bytes(damaged[damage])
    (tmp_path / "mended").touch()
    capsys.readouterr()
    make_record(tiny, 3, tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert line == f"{path} is damaged: seed 1 is computed again"
    assert (tmp_path / "log").read_text() == "0112"


def test_a_folder_that_cannot_be_written_is_noticed_before_the_first_seed(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path, message: str) -> None:
        with pytest.raises(OSError, match=message):
            make_record(tiny, 1, folder)

    monkeypatch.setattr(recording, "_rows", None)
    refused(tmp_path / "missing", "missing does not exist; create it first")
    for ending in (".csv", ".json", ".npz", ".safetensors"):
        (tmp_path / ending / f"tiny{ending}").mkdir(parents=True)
        refused(tmp_path / ending, f"tiny{ending} is a folder")
    if os.name != "nt" and os.getuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        refused(tmp_path / "locked", "locked may not be written")
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100_000))
    refused(tmp_path, "is full: 8.4 MB are needed, 100.0 KB are free")


TWICE = """
from pathlib import Path

from vaebook.experiments import make_record


def run(seed):
    make_record("tiny", 1, Path({place!r})) if not seed else None
    return [{{"value": seed}}]
"""


def test_two_recordings_of_one_name_at_a_time(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "more_experiments" / "tiny.py").write_text(TWICE.format(place=str(tmp_path)))
    with pytest.raises(RuntimeError, match=r"tiny\.unfinished is in use by another recording"):
        make_record(tiny, 1, tmp_path)
    (tmp_path / "more_experiments" / "tiny.py").write_text(TINY)
    sys.modules.pop("tiny")
    make_record(tiny, 1, tmp_path)  # the one that failed holds nothing


COMMAND = """
import sys

sys.path.insert(0, {place!r})
from vaebook.experiments import EXPERIMENTS, Experiment

EXPERIMENTS["tiny"] = Experiment("tiny", "tiny")
if __name__ == "__main__":
    from vaebook.experiments.__main__ import main

    main()
"""
ENDLESS = """
import os
import time
from pathlib import Path


def run(seed):
    place = Path({place!r})
    with (place / "log").open("a") as log:
        log.write(str(seed))
    if seed and not (place / "mended").exists():
        (place / "new").write_text(str(os.getpid()))
        (place / "new").replace(place / f"{{seed}}.pid")
        time.sleep(1000)
    return [{{"value": seed}}]
"""


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # killed, and nobody has noticed yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just ended, or this is not Linux
        return not Path("/proc/self").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_a_recording_that_is_stopped_leaves_no_process(tiny: str, tmp_path: Path, how: str) -> None:
    place = tmp_path / "more_experiments"
    (place / "tiny.py").write_text(ENDLESS.format(place=str(tmp_path)))
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(place=str(place)))
    arguments = (sys.executable, script, tiny, "--seeds", 8, "--jobs", 2, "--folder", tmp_path)
    process = subprocess.Popen(
        [str(argument) for argument in arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = [tmp_path / "1.pid", tmp_path / "2.pid"]
    try:
        while not all(path.exists() for path in pids):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        workers = [int(path.read_text()) for path in pids]
        if how == "Ctrl-C":  # a terminal sends it to all
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.kill()
        start = time.monotonic()
        _, errors = process.communicate(timeout=20)
        while any(map(lives, workers)):
            assert time.monotonic() - start < 20
            time.sleep(0.1)
    finally:
        if process.poll() is None or any(map(lives, workers)):
            os.killpg(process.pid, signal.SIGKILL)
    if how == "kill":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert errors.endswith("stopped; the same command goes on from the seeds that are done\n")
        assert "Traceback" not in errors
    assert not list(tmp_path.glob("tiny.*")), "nothing half-written"

    (tmp_path / "mended").touch()
    make_record(tiny, 8, tmp_path)
    assert (tmp_path / "log").read_text() in ("0121234567", "0211234567"), (
        "the finished seed is taken up"
    )
    assert load_recorded(tiny, tmp_path)["seed"].tolist() == list(range(8))
    assert not list(tmp_path.glob(".tiny*"))


def test_an_experiment_without_description(tiny: str, tmp_path: Path) -> None:
    bare = tmp_path / "more_experiments" / "tiny.py"
    bare.write_text("def run(seed):\n    return [{'value': seed}]\n")
    make_record(tiny, 1, tmp_path)
    assert load_provenance(tiny, tmp_path)["description"] == "tiny"


def test_the_command(
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["experiments", *map(str, arguments)])
        __main__.main()

    command(tiny, "--seeds", 2, "--folder", tmp_path)
    assert f"wrote {tmp_path / 'tiny.csv'}" in capsys.readouterr().out
    assert load_recorded(tiny, tmp_path)["seed"].max() == 1

    monkeypatch.setattr(__main__, "available", lambda: ("tiny",))
    (tmp_path / "tiny.csv").unlink()
    command("all", "--folder", tmp_path)
    assert load_recorded(tiny, tmp_path)["seed"].max() == 4, "five seeds by default"

    for arguments, message in (
        (["nothing"], "invalid choice"),
        ([tiny, "--seeds", 0], "--seeds is 0; expected at least 1"),
        ([tiny, "--jobs", 0], "--jobs is 0; expected at least 1"),
        ([tiny, "--folder", tmp_path / "missing"], "missing does not exist; create it first"),
    ):
        with pytest.raises(SystemExit):
            command("--folder", tmp_path, *arguments)
        assert message in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        command(tiny)
    assert "no folder book/results" in capsys.readouterr().err


def test_seeds_shared_between_processes_give_the_same_table(tmp_path: Path) -> None:
    for jobs in (1, 2):
        (tmp_path / str(jobs)).mkdir()
        make_record("kl_closed_form", 2, tmp_path / str(jobs), jobs=jobs)
    one, two = (load_recorded("kl_closed_form", tmp_path / str(jobs)) for jobs in (1, 2))
    assert two["seed"].tolist() == [0, 1]
    # not exactly: a process of its own may use another number of threads
    pd.testing.assert_frame_equal(one, two, rtol=1e-3, atol=1e-9)
    assert len(load_provenance("kl_closed_form", tmp_path / "2")["seconds_per_seed"]) == 2


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no experiment 'nothing'; expected one of"):
        run_seeds("nothing", [0])
    with pytest.raises(FileNotFoundError, match=r"python -m vaebook.experiments nothing --seeds 5"):
        load_recorded("nothing", tmp_path)


def test_results_are_found_from_the_repository_and_the_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    (tmp_path / "book" / "deep" / "er").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "book", tmp_path / "book" / "deep" / "er", results):
        monkeypatch.chdir(place)
        assert results_folder() == results
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "results").mkdir(parents=True)
    results.rmdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(FileNotFoundError, match="no folder book/results"):
        results_folder()


# --- summaries ----------------------------------------------------------------------------------


def two_conditions() -> pd.DataFrame:
    numbers = np.random.default_rng(0)
    rows = [
        {"seed": seed, "model": model, "size": 3, "nll": 100 + numbers.normal()}
        for seed in range(5)
        for model in ("b", "a")
    ]
    return pd.DataFrame(rows)


def test_a_summary_is_scipys_t_interval() -> None:
    frame = two_conditions()
    table = summarise(frame, ["model"], ["nll"])
    assert table["model"].tolist() == ["b", "a"], "in the order of the record"
    for _, row in table.iterrows():
        sample = frame.loc[frame["model"] == row["model"], "nll"]
        interval = stats.t.interval(0.95, 4, sample.mean(), stats.sem(sample))
        assert (row["low"], row["high"]) == pytest.approx(interval)
        assert row["mean"] == pytest.approx(sample.mean())
        assert row["sd"] == pytest.approx(sample.std())
        assert row["seeds"] == 5
        assert row["value"] == "nll"


def test_all_numbers_are_summarised_by_default() -> None:
    table = summarise(two_conditions(), ["model"])
    assert table["value"].tolist() == ["size", "nll"] * 2
    whole = summarise(two_conditions().query("model == 'a'"), [])
    assert whole["value"].tolist() == ["size", "nll"]


def test_missing_values() -> None:
    frame = two_conditions()
    frame.loc[0, "nll"] = np.nan
    assert summarise(frame, ["model"], ["nll"])["seeds"].tolist() == [4, 5]
    one = summarise(frame[:2], ["model"], ["nll"])
    assert one["seeds"].tolist() == [0, 1]
    assert one[["sd", "low", "high"]].isna().all(axis=None)
    # a condition may be named by a missing value (σ of a model that learns it)
    frame["sigma"] = np.nan
    assert len(summarise(frame, ["sigma", "model"], ["nll"])) == 2


def test_a_condition_has_one_row_per_seed() -> None:
    with pytest.raises(ValueError, match="does not single out one row per seed"):
        summarise(two_conditions(), ["size"])


# --- a live run ---------------------------------------------------------------------------------


def test_the_prediction_interval_holds_the_next_seed_as_often_as_it_says() -> None:
    numbers = np.random.default_rng(0)
    draws = numbers.normal(3.0, 2.0, (2_000, 6))
    inside = 0
    for row in draws:
        low, high = prediction_interval(row[:5], level=0.9)
        inside += low <= row[5] <= high
    # the share has standard error √(0.09 / 2000) = 0.007
    assert inside / 2_000 == pytest.approx(0.9, abs=0.02)


def test_the_prediction_interval_by_hand() -> None:
    sample = [1.0, 2.0, 4.0]
    half = stats.t.ppf(0.995, 2) * np.std(sample, ddof=1) * np.sqrt(1 + 1 / 3)
    assert prediction_interval(sample) == pytest.approx((7 / 3 - half, 7 / 3 + half))
    with pytest.raises(ValueError, match="2 seeds are too few for a prediction interval"):
        prediction_interval([1.0, 2.0])


def test_a_live_run_within_the_spread() -> None:
    recorded = two_conditions()
    live = recorded[recorded["seed"] == 0]
    assert assert_within_spread(live, recorded, ["model"], ["nll", "size"]) == 4


def test_a_live_run_outside_the_spread() -> None:
    recorded = two_conditions()
    live = recorded[recorded["seed"] == 0].copy()
    live["nll"] += 20
    with pytest.raises(AssertionError, match=r"nll = 12.* at \{'model': 'b'\} lies outside"):
        assert_within_spread(live, recorded, ["model"], ["nll"])
    live["nll"] -= 40
    with pytest.raises(AssertionError, match="lies outside the recorded spread"):
        assert_within_spread(live, recorded, ["model"], ["nll"])
    live["nll"] = np.nan
    with pytest.raises(AssertionError, match="nll = nan"):
        assert_within_spread(live, recorded, ["model"], ["nll"])


def test_the_resolution_widens_the_spread() -> None:
    recorded = pd.DataFrame({"seed": range(4), "share": 0.25})
    for value, resolution, inside in (
        (0.25, 0.0, True),
        (0.26, 0.0, False),
        (0.26, 0.011, True),
        (0.23, 0.011, False),
    ):
        live = pd.DataFrame({"seed": [0], "share": [value]})
        if inside:
            assert assert_within_spread(live, recorded, [], ["share"], resolution=resolution) == 1
        else:
            with pytest.raises(AssertionError):
                assert_within_spread(live, recorded, [], ["share"], resolution=resolution)


def test_a_value_that_never_varies_survives_the_rounding_of_the_record(
    tiny: str, tmp_path: Path
) -> None:
    """The record keeps 0.333333 of 1/3."""
    bare = tmp_path / "more_experiments" / "tiny.py"
    bare.write_text("def run(seed):\n    return [{'value': 1 / 3}]\n")
    make_record(tiny, 3, tmp_path)
    live = run_seeds(tiny, [0])
    assert assert_within_spread(live, load_recorded(tiny, tmp_path), [], ["value"]) == 1


def test_comparing_nothing_is_an_error() -> None:
    recorded = two_conditions()
    live = recorded[recorded["seed"] == 0]
    with pytest.raises(ValueError, match="nothing was compared"):
        assert_within_spread(live[:0], recorded, ["model"], ["nll"])
    with pytest.raises(ValueError, match="nothing was compared"):
        assert_within_spread(live, recorded, ["model"], [])
    with pytest.raises(ValueError, match=r"no row with \{'model': 'c'\}"):
        assert_within_spread(live.assign(model="c"), recorded, ["model"], ["nll"])


WEIGHTS = """
from torch import nn


def run(seed, *, weights=None):
    model = nn.Linear(2, 1)
    if weights is not None:
        weights["line"] = model
    return [{"slope": float(model.weight[0, 0].detach())}]
"""


def test_weights_of_the_first_seed_are_kept_in_half_precision(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "more_experiments" / "tiny.py").write_text(WEIGHTS)
    make_record(tiny, 2, tmp_path)
    model = nn.Linear(2, 1)
    load_recorded_weights(tiny, "line", model, tmp_path)
    slope = load_recorded(tiny, tmp_path)["slope"][0]
    weight = model.weight.detach().clone()
    assert float(weight[0, 0]) == pytest.approx(slope, rel=1e-3)  # half precision: 2^-11
    assert "weights" not in load_provenance(tiny, tmp_path)["settings"]
    with pytest.raises(ValueError, match=r"no 'curve'; expected one of line"):
        load_recorded_weights(tiny, "curve", model, tmp_path)
    with pytest.raises(ValueError, match="does not fit this Linear"):
        load_recorded_weights(tiny, "line", nn.Linear(3, 1), tmp_path)
    with pytest.raises(FileNotFoundError, match="not recorded"):
        load_recorded_weights("other", "line", model, tmp_path)
    assert torch.equal(model.weight.detach(), weight)


def test_the_trial_is_no_part_of_what_is_recorded_yet() -> None:
    """Its rules stand before its records: of no seed from 0 on is there one."""
    recorded = {path.stem for path in results_folder().glob("*.json")}
    assert recorded == set(available()) - TRIAL


@pytest.mark.parametrize("path", sorted((RESULTS / "pilots").glob("*.csv")), ids=lambda p: p.stem)
def test_pilots_have_other_seeds_than_records(path: Path) -> None:
    assert path.stem in TRIAL
    assert load_recorded(path.stem, path.parent)["seed"].min() >= recording.PILOT_SEEDS
    assert load_provenance(path.stem, path.parent)["command"].endswith(" --pilot")
