"""Recorded experiments: running one over seeds, its files, and a live run held against them."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

import vaebook.experiments
from vaebook.experiments import (
    __main__,
    assert_within_spread,
    available,
    load_pictures,
    load_provenance,
    load_recorded,
    load_recorded_weights,
    prediction_interval,
    record,
    results_folder,
    run_seeds,
    summarise,
)

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


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An experiment of its own in the package, for the length of a test."""
    place = tmp_path / "more_experiments"
    place.mkdir()
    (place / "tiny.py").write_text(TINY)
    (place / "_private.py").write_text("")
    monkeypatch.setattr(
        vaebook.experiments, "__path__", [*vaebook.experiments.__path__, str(place)]
    )
    yield "tiny"
    sys.modules.pop("vaebook.experiments.tiny", None)


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
    path = record(tiny, 3, tmp_path)
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
    record(tiny, 3, tmp_path)
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
    record(tiny, 3, tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.glob("tiny.*")}
    with pytest.raises(RuntimeError, match="unlucky"):
        record(tiny, 14, tmp_path)
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
        record(tiny, 3, tmp_path)
    (tmp_path / "mended").touch()
    record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "012", "no seed ran twice"
    whole = load_recorded(tiny, tmp_path)
    assert not list(tmp_path.glob(".tiny*")), "nothing is left behind"
    record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "012012", "a finished record is made anew"
    pd.testing.assert_frame_equal(load_recorded(tiny, tmp_path), whole)


def test_a_seed_that_other_code_gave_is_not_taken_up(tiny: str, tmp_path: Path) -> None:
    module = tmp_path / "more_experiments" / "tiny.py"
    module.write_text(UNLUCKY.format(place=str(tmp_path)))
    with pytest.raises(RuntimeError, match="unlucky"):
        record(tiny, 3, tmp_path)
    (tmp_path / "mended").touch()
    module.write_text(module.read_text() + "# changed\n")
    record(tiny, 3, tmp_path)
    assert (tmp_path / "log").read_text() == "01012"
    assert not list(tmp_path.glob(".tiny*")), "old seeds are swept away too"


def test_an_experiment_without_description(tiny: str, tmp_path: Path) -> None:
    bare = tmp_path / "more_experiments" / "tiny.py"
    bare.write_text("def run(seed):\n    return [{'value': seed}]\n")
    record(tiny, 1, tmp_path)
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
    ):
        with pytest.raises(SystemExit):
            command(*arguments, "--folder", tmp_path)
        assert message in capsys.readouterr().err


def test_seeds_shared_between_processes_give_the_same_table(tmp_path: Path) -> None:
    for jobs in (1, 2):
        (tmp_path / str(jobs)).mkdir()
        record("kl_closed_form", 2, tmp_path / str(jobs), jobs=jobs)
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
    record(tiny, 3, tmp_path)
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
    record(tiny, 2, tmp_path)
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
