"""A weight of the rate that rises in training."""

from typing import Protocol, runtime_checkable

from vaebook._checks import check_count
from vaebook.training.callbacks import Callback, Step


@runtime_checkable
class Weighted(Protocol):
    """A model whose loss has a weight of the rate."""

    beta: float


class WarmUp(Callback):
    """Let ``model.beta`` rise from 0 to its own value, linearly and step by step.

    Step k of S has the weight β k / S, with S the optimiser steps in ``num_epochs``; from there on
    the weight is β. What is minimised at the end is the model's own loss, so compare runs with and
    without it only if they end at one β. Validation losses of the first epochs are measured at a
    smaller β: do not choose an epoch by them (``KeepBest``).

    Args:
        num_epochs: epochs of one rise.
        num_cycles: rises in all; each begins again at 0.
        hold: epochs at the full weight between two rises.

    Raises:
        ValueError: if a count is no positive integer (``hold``: at least 0); in training, if the
            run is too short for all rises, or the model has no ``beta``.

    Source:
        Bowman et al. (2016), section 3.1; Fu et al. (2019) for the cycles.
    """

    def __init__(self, num_epochs: int, *, num_cycles: int = 1, hold: int = 0) -> None:
        check_count("num_epochs", num_epochs)
        check_count("num_cycles", num_cycles)
        check_count("hold", hold, minimum=0)
        self.num_epochs, self.num_cycles, self.hold = num_epochs, num_cycles, hold
        self._end: float | None = None

    def share(self, step: int, steps_per_epoch: int) -> float:
        """The share of the full weight at an optimiser step, counted from 0 over all epochs."""
        rise = self.num_epochs * steps_per_epoch
        cycle = rise + self.hold * steps_per_epoch
        if step >= self.num_cycles * cycle:
            return 1.0
        return min(1.0, step % cycle / rise)

    def before_training(self, step: Step) -> None:
        """Take the model's own weight as the one that the rise ends at."""
        model = step.model
        if not (isinstance(model, Weighted) and isinstance(model.beta, int | float)):
            raise ValueError(
                f"WarmUp raises model.beta, and {type(model).__name__} has no number of that "
                "name. Give the model one that its loss uses, or leave WarmUp out."
            )
        if step.steps_per_epoch is None or step.num_steps is None:
            raise ValueError(
                "WarmUp counts in epochs, and these data have no length; pass steps_per_epoch."
            )
        needed = self.num_cycles * self.num_epochs + (self.num_cycles - 1) * self.hold
        if needed * step.steps_per_epoch >= step.num_steps:
            raise ValueError(
                f"the warm-up takes {needed} of {step.num_epochs} epochs, so hardly any is "
                "trained at the model's own beta. Train for more epochs, or warm up for fewer."
            )
        self._end = float(model.beta)

    def before_step(self, step: Step) -> None:
        """Set the weight of this step."""
        assert self._end is not None
        assert step.steps_per_epoch is not None
        assert isinstance(step.model, Weighted)
        step.model.beta = self._end * self.share(step.step, step.steps_per_epoch)

    def after_training(self, step: Step) -> None:
        """Give the model its own weight back, however the run ended."""
        if self._end is not None and isinstance(step.model, Weighted):
            step.model.beta = self._end
