"""Read records, summarise them over seeds, and hold a live run against them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from scipy import stats
from torch import Tensor, nn

from vaebook.training.checkpoint import fill

# Records keep six significant digits: the last may be off by half a unit.
ROUNDING = 5e-6


def results_folder() -> Path:
    """The folder of the records: ``book/results`` of the repository one is in.

    Raises:
        FileNotFoundError: outside the repository.
    """
    here = Path.cwd()
    for place in (here, *here.parents):
        for candidate in (place / "results", place / "book" / "results"):
            if candidate.is_dir() and candidate.parent.name == "book":
                return candidate
    raise FileNotFoundError(
        f"no folder book/results at {here} or above. Run from the book's repository, or name a "
        "folder."
    )


def _file(name: str, ending: str, folder: Path | None) -> Path:
    """A file of a record, which the provenance, where there is one, names with its checksum.

    Raises:
        FileNotFoundError: if it was never recorded.
        ValueError: if the file and the provenance are not of one run.
    """
    path = (folder or results_folder()) / f"{name}{ending}"
    provenance = path.with_suffix(".json")
    command = f"python -m vaebook.experiments {name} --seeds 5"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not recorded; run {command}.")
    if path != provenance and provenance.is_file():
        try:
            expected = json.loads(provenance.read_bytes())["sha256"][path.name]
        except (ValueError, KeyError):
            expected = None
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ValueError(
                f"{path} and {provenance.name} are not of one run: a recording was cut short, or "
                f"one of them was changed. Run {command}, which takes up the seeds that are done, "
                "or copy both again from where they came from."
            )
    return path


def load_recorded(name: str, folder: Path | None = None) -> pd.DataFrame:
    """The table of experiment ``name``, one row per measurement, with a column ``seed``.

    Raises:
        FileNotFoundError: if it was never recorded.
        ValueError: if it is not the table that its provenance was written for.
    """
    return pd.read_csv(_file(name, ".csv", folder))


def load_provenance(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Versions, settings and seconds of a record.

    Raises:
        FileNotFoundError: if it was never recorded.
        ValueError: if it was written for another table than the one that is there.
    """
    _file(name, ".csv", folder)
    provenance: dict[str, Any] = json.loads(_file(name, ".json", folder).read_bytes())
    return provenance


def load_pictures(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The images that seed 0 of experiment ``name`` kept, ``[n, c, h, w]`` in [0, 1].

    Raises:
        FileNotFoundError: if it recorded none.
        ValueError: if they are not of the run that the provenance tells of.
    """
    with np.load(_file(name, ".npz", folder)) as stored:
        return {key: torch.from_numpy(stored[key]).float() / 255 for key in stored.files}


def load_recorded_weights(
    name: str, key: str, model: nn.Module, folder: Path | None = None
) -> None:
    """Fill ``model`` with the weights that seed 0 of experiment ``name`` kept under ``key``.

    They were kept in half precision, so a model is the recorded one to about three digits.

    Raises:
        FileNotFoundError: if the experiment kept no weights.
        ValueError: if it kept none under that key, or those of a model of another shape, or if
            they are not of the run that the provenance tells of; ``model`` is then unchanged.
    """
    path = _file(name, ".safetensors", folder)
    stored = load_file(path)
    weights = {
        parameter.removeprefix(f"{key}/"): value.float() if value.is_floating_point() else value
        for parameter, value in stored.items()
        if parameter.startswith(f"{key}/")
    }
    if not weights:
        keys = sorted({parameter.split("/")[0] for parameter in stored})
        raise ValueError(f"{path.name} holds no {key!r}; expected one of {', '.join(keys)}.")
    fill(model, weights, path)


def summarise(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str] | None = None
) -> pd.DataFrame:
    """Mean over seeds with its spread, in long form.

    Args:
        frame: rows with a column ``seed``.
        by: columns that name a condition; every condition has one row per seed.
        values: columns to summarise; all other numeric ones by default.

    Returns:
        One row per condition and value: ``by`` columns, ``value``, ``mean``, ``sd`` over the
        seeds, ``seeds``, and the 95 % confidence interval of the mean by Student's t,
        ``low`` to ``high``.

    Raises:
        ValueError: if a condition has several rows of one seed.
    """
    by = list(by)
    if values is None:
        numeric = frame.select_dtypes("number").columns
        values = [column for column in numeric if column not in (*by, "seed")]
    if frame.duplicated([*by, "seed"]).any():
        raise ValueError(f"{by} does not single out one row per seed; add a column to `by`.")
    rows = []
    for key, group in frame.groupby(by, sort=False, dropna=False) if by else [((), frame)]:
        condition = dict(zip(by, key, strict=True))
        for value in values:
            sample = group[value].dropna().to_numpy(float)
            mean, sd, half = _mean_sd_half(sample)
            rows.append(
                {**condition, "value": value, "mean": mean, "sd": sd, "seeds": len(sample)}
                | {"low": mean - half, "high": mean + half}
            )
    return pd.DataFrame(rows)


def _mean_sd_half(sample: np.ndarray) -> tuple[float, float, float]:
    if len(sample) < 2:
        return (float(sample.mean()) if len(sample) else float("nan")), float("nan"), float("nan")
    sd = float(sample.std(ddof=1))
    half = float(stats.t.ppf(0.975, len(sample) - 1)) * sd / len(sample) ** 0.5
    return float(sample.mean()), sd, half


def prediction_interval(sample: Sequence[float], level: float = 0.99) -> tuple[float, float]:
    """Where one more seed should fall, if seeds are independent and normal.

    mean ± t · sd · √(1 + 1/n), the classical prediction interval.

    Raises:
        ValueError: with fewer than three values, which say too little about spread.
    """
    data = np.asarray(sample, float)
    if len(data) < 3:
        raise ValueError(f"{len(data)} seeds are too few for a prediction interval; record 5.")
    quantile = stats.t.ppf(0.5 + level / 2, len(data) - 1)
    half = quantile * data.std(ddof=1) * (1 + 1 / len(data)) ** 0.5
    return float(data.mean() - half), float(data.mean() + half)


def assert_within_spread(
    live: pd.DataFrame,
    recorded: pd.DataFrame,
    by: Sequence[str],
    values: Sequence[str],
    *,
    resolution: float = 0.0,
) -> int:
    """Assert that each live value lies in the 99 % prediction interval of the recorded seeds.

    Args:
        live: rows of a run made now, usually of seed 0.
        recorded: the record, at least three seeds.
        by: columns that name a condition; each condition in ``live`` must be recorded.
        values: columns to compare.
        resolution: half-width added to the interval, in the values' unit, for counts so coarse
            that all recorded seeds may agree (a share of 100 images has a resolution of 0.01).

    Returns:
        How many values were compared.

    Raises:
        AssertionError: if a value lies outside; the message names it.
        ValueError: if there is nothing to compare.
    """
    by = list(by)
    compared = 0
    for _, row in live.iterrows():
        match = recorded
        for column in by:
            match = match[match[column] == row[column]]
        if match.empty:
            raise ValueError(f"the record has no row with {dict(row[by])}.")
        for value in values:
            low, high = prediction_interval(match[value].tolist())
            slack = resolution + ROUNDING * max(abs(low), abs(high))
            inside = low - slack <= row[value] <= high + slack
            assert inside, (
                f"{value} = {row[value]:.6g} at {dict(row[by])} lies outside the recorded spread "
                f"[{low:.6g}, {high:.6g}] (± {resolution:g})"
            )
            compared += 1
    if not compared:
        raise ValueError("nothing was compared: live rows or values are empty.")
    return compared
