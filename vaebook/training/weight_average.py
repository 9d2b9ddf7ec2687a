"""A slow average of a player's weights, which settles where the player itself circles."""

import copy
from typing import Any

import torch
from torch import nn

from vaebook._checks import check_share
from vaebook.training.callbacks import Callback, Step


class WeightAverage(Callback):
    """Follow one part of the model by an exponential moving average, and put it there at the end.

    In a game the weights circle round the solution, and their average lies nearer to it. Training
    itself goes on from the weights, not from the average. In the first steps the average reaches
    back over a tenth of the steps done, so that it does not remember the start.

    Args:
        part: name of the module in the model, such as ``"generator"``.
        decay: share of the old average that is kept in each step, below 1.

    Source:
        Yazıcı et al. (2019), "The unusual effectiveness of averaging in GAN training".
    """

    def __init__(self, part: str = "generator", decay: float = 0.995) -> None:
        check_share("decay", decay)
        self.part = part
        self.decay = decay
        self._average: nn.Module | None = None

    @property
    def average(self) -> nn.Module | None:
        """The averaged part; none before the first run."""
        return self._average

    def before_training(self, step: Step) -> None:
        """Begin the average anew, at the weights as they are."""
        self._average = copy.deepcopy(self._followed(step.model)).requires_grad_(False)

    @torch.no_grad()
    def before_step(self, step: Step) -> None:
        """Take in the weights of the steps so far."""
        assert self._average is not None
        followed = self._followed(step.model)
        decay = min(self.decay, (1 + step.step) / (10 + step.step))
        means, values = [*self._average.parameters()], [*followed.parameters()]
        # Weights that are no numbers would stay in the average for good. A sum has to read each
        # weight but once; in half precision it would leave the range itself.
        sums = [v.sum(dtype=torch.promote_types(v.dtype, torch.float32)) for v in values]
        finite = torch.stack([total.isfinite() for total in sums]).all()
        # counts and statistics of normalisation layers are those of the latest weights
        buffers = zip(self._average.buffers(), followed.buffers(), strict=True)
        if finite.device.type == "cpu":
            if finite:
                for mean, value in zip(means, values, strict=True):
                    mean.lerp_(value, 1 - decay)
                for kept, latest in buffers:
                    kept.copy_(latest)
            return
        # elsewhere to ask would wait for the device
        for mean, value in zip(means, values, strict=True):
            mean.copy_(torch.where(finite, mean.lerp(value, 1 - decay), mean))
        for kept, latest in buffers:
            kept.copy_(torch.where(finite, latest, kept))

    def _followed(self, model: nn.Module) -> nn.Module:
        try:
            return model.get_submodule(self.part)
        except AttributeError:
            names = sorted(name for name, _ in model.named_children())
            raise ValueError(
                f"{type(model).__name__} has no part {self.part!r}; expected one of {names}."
            ) from None

    def after_training(self, step: Step) -> None:
        """Put the average in the place of the weights; after an error, that of the steps before."""
        if step.error is None:
            self.before_step(step)
        assert self._average is not None
        self._followed(step.model).load_state_dict(self._average.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """The average so far."""
        assert self._average is not None
        return {"average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the average of the run that is resumed."""
        assert self._average is not None
        self._average.load_state_dict(state["average"])
