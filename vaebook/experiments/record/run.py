"""Run an experiment over seeds and write its rows with their provenance."""

import hashlib
import io
import json
import platform
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pandas as pd
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor
from tqdm import tqdm

import vaebook
from vaebook._checks import check_count
from vaebook.experiments.record.store import FinishedSeeds
from vaebook.experiments.record.workers import workers
from vaebook.experiments.registry import KEPT, Experiment, experiment_of
from vaebook.training.files import check_writable, write_atomically

ENDINGS = (".csv", ".npz", ".safetensors", ".json")
ROOM = 2**23  # bytes: more than any record takes
PILOT_SEEDS = 1000  # from here on seeds are for pilots, and no record has them


class SeedRun(NamedTuple):
    """What one seed of an experiment gave."""

    rows: pd.DataFrame
    seconds: float
    pictures: dict[str, Tensor]
    weights: dict[str, Tensor]


def run_seeds(name: str, seeds: Iterable[int], **settings: Any) -> pd.DataFrame:
    """The rows of experiment ``name`` for each seed, with a column ``seed`` in front.

    Args:
        name: one of :func:`~vaebook.experiments.available`.
        seeds: whole numbers.
        settings: passed to the experiment's ``run``; its defaults are what is recorded.
    """
    return _rows(experiment_of(name), seeds, settings)


def _rows(experiment: Experiment, seeds: Iterable[int], settings: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"seed": seed, **row} for seed in seeds for row in experiment.run(seed, **settings)]
    )


def _run_seed(experiment: Experiment, seed: int, unfinished: FinishedSeeds) -> SeedRun:
    """One seed; of seed 0 pictures and weights are kept where they are offered."""
    done = unfinished.load(seed)
    if done is not None:
        return SeedRun(**done)
    kept: dict[str, dict[str, Any]] = {key: {} for key in KEPT}
    keep = {key: kept[key] for key in experiment.offers() if seed == 0}
    start = time.perf_counter()
    rows = _rows(experiment, [seed], keep)
    pictures = {key: images.detach() for key, images in kept["pictures"].items()}
    weights = {
        f"{key}/{parameter}": value.detach().half() if value.is_floating_point() else value
        for key, model in kept["weights"].items()
        for parameter, value in model.state_dict().items()
    }
    run = SeedRun(rows, round(time.perf_counter() - start, 1), pictures, weights)
    unfinished.save(seed, run._asdict())
    return run


def _run_all(
    experiment: Experiment, seeds: range, unfinished: FinishedSeeds, jobs: int
) -> list[SeedRun]:
    """Every seed in its order, ``jobs`` at a time."""
    progress = partial(tqdm, total=len(seeds), desc=experiment.name, unit="seed", disable=None)
    if jobs == 1:
        return list(progress(_run_seed(experiment, seed, unfinished) for seed in seeds))
    with workers(jobs) as pool:
        runs = pool.map(_run_seed, repeat(experiment), seeds, repeat(unfinished))
        return list(progress(runs))


def make_record(
    name: str, num_seeds: int, folder: Path, *, jobs: int = 1, pilot: bool = False
) -> Path:
    """Run seeds 0 to ``num_seeds − 1`` and write ``NAME.csv`` and ``NAME.json`` to ``folder``.

    An experiment whose ``run`` has an argument ``pictures`` gets a dictionary for seed 0, and the
    images that it puts there go to ``NAME.npz`` in 256 grey levels. Models that it puts into an
    argument ``weights`` go to ``NAME.safetensors`` in half precision, for a chapter to go on from.
    The files are written when all seeds are done; a run that fails leaves the old ones alone. The
    seeds that it did finish are kept beside them, and the next run of the same code takes them up.
    The provenance comes last and names the checksums of the others: files of two runs do not load.

    Args:
        name: one of :func:`~vaebook.experiments.available`.
        num_seeds: how many seeds, at least 1.
        folder: where the files go.
        jobs: processes that share the seeds; set OMP_NUM_THREADS=1 with more than one.
        pilot: run seeds from 1000 on, for settings to be chosen and spreads to be seen before the
            record is made.

    Returns:
        The path of the table.

    Raises:
        OSError: before the first seed, if the files cannot be written.
        RuntimeError: if another recording of that name to that folder is under way.
    """
    check_count("num_seeds", num_seeds)
    check_count("jobs", jobs)
    experiment = experiment_of(name)
    for ending in ENDINGS:
        check_writable(folder / f"{name}{ending}", ROOM)
    unfinished = FinishedSeeds(folder, experiment)  # now: the code may be edited while it runs
    with unfinished.alone():
        first = PILOT_SEEDS if pilot else 0
        runs = _run_all(experiment, range(first, first + num_seeds), unfinished, jobs)
        contents = _contents(experiment, runs, pilot=pilot)
        for ending, content in contents.items():
            write_atomically(folder / f"{name}{ending}", content)
        for ending in set(ENDINGS) - set(contents):  # of an older run that kept more
            (folder / f"{name}{ending}").unlink(missing_ok=True)
        unfinished.clear()
    return folder / f"{name}.csv"


def _contents(experiment: Experiment, runs: list[SeedRun], *, pilot: bool) -> dict[str, bytes]:
    """The files of a record by their endings, the provenance last."""
    name, num_seeds = experiment.name, len(runs)
    table = pd.concat([run.rows for run in runs], ignore_index=True)
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    contents = {".csv": text.encode()}
    if runs[0].pictures:
        arrays: dict[str, Any] = {
            key: (images.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
            for key, images in runs[0].pictures.items()
        }
        numpy.savez_compressed(file := io.BytesIO(), **arrays)
        contents[".npz"] = file.getvalue()
    if runs[0].weights:
        contents[".safetensors"] = save_tensors(
            {key: value.contiguous() for key, value in runs[0].weights.items()}
        )
    provenance = {
        "experiment": name,
        "description": experiment.summary(),
        "command": f"python -m vaebook.experiments {name} --seeds {num_seeds}" + " --pilot" * pilot,
        "seeds": num_seeds,
        "rows": len(table),
        "settings": experiment.all_settings(),
        "seconds_per_seed": [run.seconds for run in runs],
        "finished": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "vaebook": vaebook.__version__,
        },
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        "sha256": {
            f"{name}{ending}": hashlib.sha256(content).hexdigest()
            for ending, content in contents.items()
        },
    }
    return contents | {".json": (json.dumps(provenance, indent=2, default=str) + "\n").encode()}
