"""Hooks into the training loop."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Step:
    """Where training stands when a callback is called."""

    model: nn.Module
    epoch: int  # from 0
    step: int  # optimiser steps done so far, over all epochs
    steps_per_epoch: int
    num_epochs: int


class Callback:
    """Override what you need. A resumed run calls the same hooks for the epochs that are left."""

    def before_step(self, step: Step) -> None:
        """Before each optimiser step: for schedules such as a warm-up of ``model.beta``."""

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float] | None:
        """After each epoch; what is returned joins that epoch's row of the history."""
        return None

    def after_training(self, step: Step) -> None:
        """Once at the end."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of this callback: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave, when a run is resumed."""


class KeepBest(Callback):
    """Put back the weights of the epoch with the lowest value of ``column``.

    Args:
        column: a column of the history, by default the loss on the validation images.
    """

    def __init__(self, column: str = "validation_loss") -> None:
        self.column = column
        self.best_epoch = -1
        self._best = float("inf")
        self._weights: dict | None = None

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
        """Keep a copy if this epoch is the best so far.

        Raises:
            ValueError: if the history has no such column.
        """
        if self.column not in row:
            raise ValueError(
                f"KeepBest watches {self.column!r}, but the epoch recorded {sorted(row)}. "
                "Pass validation images to fit, or name another column."
            )
        if row[self.column] < self._best:
            self._best, self.best_epoch = row[self.column], step.epoch
            self._weights = copy.deepcopy(step.model.state_dict())

    def after_training(self, step: Step) -> None:
        """Load the best weights."""
        if self._weights is not None:
            step.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far and its weights."""
        return {"epoch": self.best_epoch, "value": self._best, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the best epoch of the run that is resumed."""
        self.best_epoch, self._best = state["epoch"], state["value"]
        self._weights = state["weights"]
