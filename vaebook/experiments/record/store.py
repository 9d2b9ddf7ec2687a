"""Seeds that are done while a record is in the making: a run that fails loses none of them."""

import hashlib
import inspect
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

import vaebook
from vaebook.experiments.registry import Experiment
from vaebook.training.checkpoint import load_run, save_run


def fingerprint(experiment: Experiment) -> str:
    """Stands for what an experiment runs: the package, its module and settings, and torch.

    A seed that other code gave is not taken up.
    """
    digest = hashlib.sha256(f"{torch.__version__} {experiment.all_settings()}".encode())
    sources = [
        *Path(vaebook.__file__).parent.rglob("*.py"),
        Path(inspect.getfile(experiment.load())),
    ]
    for source in sorted(set(sources)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


class FinishedSeeds:
    """The folder ``.NAME.unfinished`` beside a record, with a file for each seed that is done.

    Args:
        folder: where the record will lie.
        experiment: what is run.
    """

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.place = folder / f".{experiment.name}.unfinished"
        self.fingerprint = fingerprint(experiment)

    def _path(self, seed: int) -> Path:
        return self.place / f"{seed}-{self.fingerprint}.pt"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other recording of this name out of the folder, inside the block.

        Raises:
            RuntimeError: if one is under way.
        """
        self.place.mkdir(exist_ok=True)
        # A lock of sqlite works on every system, and ends with the process that holds it.
        with closing(sqlite3.connect(self.place / "lock", timeout=0)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise RuntimeError(
                    f"{self.place} is in use by another recording ({error}); wait for its end, or "
                    "give another folder."
                ) from error
            yield

    def load(self, seed: int) -> dict[str, Any] | None:
        """What :meth:`save` was given for this seed by the same code, or ``None``."""
        path = self._path(seed)
        if not path.is_file():
            return None
        try:
            kept = load_run(path)
        except ValueError:
            tqdm.write(f"{path} is damaged: seed {seed} is computed again", file=sys.stderr)
            return None
        return kept | {"rows": pd.DataFrame(kept["rows"])}

    def save(self, seed: int, run: dict[str, Any]) -> None:
        """Keep a seed: its ``rows``, a table, and tensors and plain values."""
        self.place.mkdir(exist_ok=True)
        rows = [
            {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
            for row in run["rows"].to_dict("records")
        ]
        save_run(self._path(seed), run | {"rows": rows})

    def clear(self) -> None:
        """Forget all seeds: the record is written."""
        shutil.rmtree(self.place, ignore_errors=True)
