"""pythae 0.1.2 in an environment of its own, beside the package's."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
import torch

from benchmarks.task import BATCH_SIZE, Outcome, Task

ENVIRONMENT = Path(__file__).parents[1] / ".venv-pythae"
PACKAGES = ("torch==2.13.0", "pythae==0.1.2")


def pythae_python(*, install: bool = False) -> Path | None:
    """The interpreter of pythae's environment, made first if ``install``; ``None`` if not there."""
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = ENVIRONMENT / folder / "python"
    installed = ENVIRONMENT / ".installed"
    if not installed.exists() and install:
        print(f"installing pythae 0.1.2 into {ENVIRONMENT.name} …", flush=True)
        venv.create(ENVIRONMENT, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        installed.touch()
    return python if installed.exists() else None


def by_pythae(task: Task, *, python: Path) -> Outcome:
    """``BaseTrainer.train`` of the same VAE; the conversion to floats is done before its clock."""
    script = Path(__file__).with_name("pythae_trainer.py")
    with tempfile.TemporaryDirectory() as folder:
        images_file, weights_file = Path(folder) / "images.npy", Path(folder) / "weights.pt"
        np.save(images_file, task.pixels)
        command = [python, script, images_file, weights_file, task.num_epochs, BATCH_SIZE]
        finished = subprocess.run(
            [*map(str, command), str(task.seed)], capture_output=True, text=True, check=False
        )
        if finished.returncode:
            raise RuntimeError(f"pythae failed:\n{finished.stderr[-2000:]}")
        return Outcome(float(finished.stdout.split("seconds")[-1]), torch.load(weights_file))
