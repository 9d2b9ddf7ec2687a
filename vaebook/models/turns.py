"""Whose move it is: models that one loss does not describe are trained in turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

Loss = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, " n"]]


@dataclass(frozen=True)
class Turn:
    """One player's move in each training step: its own parameters down its own loss.

    A model that has a method ``turns()`` is trained by ``fit`` with one Adam for each of them, in
    their order, on the same batch. A model without one has a single turn: all of its parameters
    down ``model.loss``.

    Args:
        name: names the columns of the history: ``NAME_loss``.
        parameters: what this move changes; gradients reach nothing else.
        loss: images to one value for each.
        betas: Adam's decay rates. Players of a game do better with a short memory of the gradient:
            what it held was the answer to an opponent that has moved on.
        lr_factor: this player's learning rate as a multiple of ``fit``'s.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    loss: Loss
    betas: tuple[float, float] = (0.9, 0.999)
    lr_factor: float = 1.0

    @property
    def column(self) -> str:
        """The column of the history that holds this turn's loss."""
        return f"{self.name}_loss" if self.name else "loss"


def turns_of(model: nn.Module) -> tuple[Turn, ...]:
    """The moves of each training step of ``model``.

    Raises:
        ValueError: if the model has neither ``turns`` nor ``loss``, or nothing to train.
    """
    turns: Sequence[Turn]
    if callable(getattr(model, "turns", None)):
        turns = model.turns()  # type: ignore[operator]
    elif callable(getattr(model, "loss", None)):
        turns = (Turn("", list(model.parameters()), model.loss),)  # type: ignore[arg-type]
    else:
        raise ValueError(
            f"{type(model).__name__} has no method loss(images); expected one that returns a "
            "value in nats for each image, or a method turns() for a model of several players."
        )
    if not turns or any(not turn.parameters for turn in turns):
        raise ValueError(f"{type(model).__name__} has no parameters; there is nothing to train.")
    return tuple(turns)
