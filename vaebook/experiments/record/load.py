"""Read records."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vaebook.training.checkpoint import fill


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
    return json.loads(_file(name, ".json", folder).read_bytes())


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
