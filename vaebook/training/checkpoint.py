"""Files that are whole or not there at all: model weights and the state of a training run."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

# What fit writes after each epoch.
RUN_KEYS = {
    "model",
    "optimisers",
    "shuffler",
    "noise",
    "callbacks",
    "history",
    "epoch",
    "settings",
}


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Call ``write(temporary)`` and move the result to ``path``; a failure leaves ``path`` alone.

    Raises:
        FileNotFoundError: if the folder of ``path`` does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist; create it first.")
    # Not mkstemp: its files are readable by their owner only, and stay so when moved.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write a model's weights as safetensors; the file is replaced only when complete."""
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, lambda temporary: temporary.write_bytes(save(weights)))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill ``model`` with weights written by :func:`save_weights`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or belongs to a model of another shape; ``model`` is
            then unchanged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; write them with save_weights.")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no complete safetensors file ({error}).") from error
    fill(model, weights, path)


def fill(model: nn.Module, weights: dict[str, Tensor], path: str | Path) -> None:
    """Load ``weights``, which came from ``path``, all of them or none.

    Raises:
        ValueError: if a name or a shape differs; ``model`` is then unchanged.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    if given != expected:
        names = sorted(set(given.items()) ^ set(expected.items()))
        raise ValueError(
            f"{path} does not fit this {type(model).__name__}: they differ in {names[:4]}. "
            "Build the model with the settings it was saved with."
        )
    model.load_state_dict(weights)


def save_run(path: str | Path, state: dict[str, Any]) -> None:
    """Write the state of a training run, whole or not at all."""
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def load_run(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save_run` wrote; only tensors and plain values are unpickled.

    Raises:
        ValueError: if the file is no checkpoint.
    """
    try:
        state = torch.load(path, weights_only=True)
        missing = RUN_KEYS - set(state)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}). "
            "Delete it, or pass resume=False to start again."
        ) from error
    if missing:
        raise ValueError(f"{path} is no checkpoint of fit: it lacks {sorted(missing)}.")
    return dict(state)
