"""Hooks into the training loop."""

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from torch import Tensor, nn

from vaebook._checks import check_count
from vaebook._configuration import Configured
from vaebook.training.description import describe


def _no_run(reason: str) -> None:
    raise RuntimeError(f"no training is under way that could be stopped ({reason}).")


@dataclass(frozen=True)
class Step:
    """Where training stands when a callback is called."""

    model: nn.Module
    epoch: int  # from 0
    step: int  # optimiser steps done so far, over all epochs
    steps_per_epoch: int | None  # None where the data have no length
    num_steps: int | None  # of the whole run
    error: BaseException | None = None  # in after_training: what ended the run, if not its end
    stop: Callable[[str], None] = field(default=_no_run, repr=False)  # end the run after this step
    columns: frozenset[str] | None = None  # of the history, where all are known before training

    @property
    def num_epochs(self) -> int | None:
        """Epochs of the whole run, a started one included."""
        if self.num_steps is None or self.steps_per_epoch is None:
            return None
        return -(-self.num_steps // self.steps_per_epoch)


class Callback(Configured):
    """Override what you need.

    ``fit`` calls :meth:`before_training` first, and :meth:`after_training` last whatever ended the
    run: its end, Ctrl-C, a loss that is NaN, an error in a callback. What a callback draws at
    random comes from a stream of its own, so that watching a run does not change it. A resumed
    run calls the same hooks for what is left.
    """

    def before_training(self, step: Step) -> None:
        """Once at the start: forget what an earlier run left here."""

    def before_step(self, step: Step) -> None:
        """Before each optimiser step: for schedules such as a warm-up of ``model.beta``."""

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float] | None:
        """After each epoch; what is returned joins that epoch's row of the history."""
        return None

    def after_training(self, step: Step) -> None:
        """Once at the end; ``step.error`` says what ended the run if it did not reach its end."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of this callback: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave, when a run is resumed."""

    def settings(self) -> dict[str, Any]:
        """What must be the same when a run is resumed.

        By default these are its public attributes: numbers and texts as they are, and what it was
        built with (lists, tables, functions) as it was given.
        """
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        chosen = {
            name: value if isinstance(value, Real | str | None) else self.configuration[name]
            for name, value in public.items()
            if isinstance(value, Real | str | None) or name in self.configuration
        }
        return {
            inner: plain
            for name, value in chosen.items()
            if not isinstance(value, nn.Module | Tensor)
            for inner, plain in describe(name, value)
        }


class KeepBest(Callback):
    """Put back the weights of the epoch with the lowest value of ``column``.

    They are put back however the run ends.

    Args:
        column: a column of the history, by default the loss on the validation data.
        patience: stop the run when so many epochs in a row were not better; by default never.

    Raises:
        ValueError: if ``patience`` is no whole number of at least 1; in training, if the history
            has no such column.
    """

    def __init__(self, column: str = "validation_loss", *, patience: int | None = None) -> None:
        if patience is not None:
            check_count("patience", patience)
        self.column, self.patience = column, patience
        self._forget()

    def _forget(self) -> None:
        self._best_epoch, self._best = -1, float("inf")
        self._weights: dict[str, Any] | None = None

    @property
    def best_epoch(self) -> int:
        """The best epoch of the last run, −1 before the first."""
        return self._best_epoch

    def before_training(self, step: Step) -> None:
        """Forget the best epoch of an earlier run."""
        self._forget()
        if step.columns is not None:
            self._check_column(step.columns)

    def _check_column(self, columns: Collection[str]) -> None:
        if self.column not in columns:
            raise ValueError(
                f"KeepBest watches {self.column!r}, but an epoch records {sorted(columns)}. "
                "Pass validation data to fit, or name another column."
            )

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
        """Keep a copy if this epoch is the best so far."""
        self._check_column(row)
        if row[self.column] < self._best:
            self._best, self._best_epoch = row[self.column], step.epoch
            self._weights = copy.deepcopy(step.model.state_dict())
        elif self.patience is not None and step.epoch - self._best_epoch >= self.patience:
            step.stop(f"{self.column} was not better for {self.patience} epochs")

    def after_training(self, step: Step) -> None:
        """Load the best weights."""
        if self._weights is not None:
            step.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far and its weights."""
        return {"epoch": self._best_epoch, "value": self._best, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the best epoch of the run that is resumed."""
        self._best_epoch, self._best = state["epoch"], state["value"]
        self._weights = state["weights"]
