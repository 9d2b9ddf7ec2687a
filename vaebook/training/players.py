"""Models that one loss does not describe: several players, each with a loss of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaebook.training.description import plain_module

Loss = Callable[..., Float[Tensor, " n"]]


@dataclass(frozen=True)
class Player:
    """One player of a model: its own parameters, which go down its own loss.

    A model that has a method ``players()`` is trained by ``fit`` with one optimiser for each of
    them: in each step they move in their order, on the same batch. A model without one has a
    single player: all of its parameters down ``model.loss``.

    Args:
        name: names the columns of the history: ``NAME_loss``.
        parameters: what this player changes; gradients reach nothing else.
        loss: the tensors of a batch to one value for each example.
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
        """The column of the history that holds this player's loss."""
        return f"{self.name}_loss" if self.name else "loss"

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that are not frozen."""
        return [parameter for parameter in self.parameters if parameter.requires_grad]


def players_of(model: nn.Module) -> tuple[Player, ...]:
    """The players of ``model``; of a model under ``torch.compile``, with compiled losses.

    Raises:
        ValueError: if the model has neither ``players`` nor ``loss``, or nothing to train.
    """
    module = plain_module(model)
    players: Sequence[Player]
    if callable(getattr(module, "players", None)):
        players = module.players()  # type: ignore[operator]
    elif callable(getattr(module, "loss", None)):
        players = (Player("", list(module.parameters()), module.loss),)  # type: ignore[arg-type]
    else:
        raise ValueError(
            f"{type(module).__name__} has no method loss(*batch); expected one that returns a "
            "value in nats for each example, or a method players() for a model of several players."
        )
    for player in players:
        of = f"'s {player.name}" if player.name else ""
        if not player.parameters:
            raise ValueError(
                f"{type(module).__name__}{of} has no parameters; there is nothing to train."
            )
        if not player.trained:
            raise ValueError(
                f"all parameters of {type(module).__name__}{of} are frozen; there is nothing to "
                "train. Unfreeze some with requires_grad_(True)."
            )
    if not players:
        raise ValueError(f"{type(module).__name__}.players() is empty; there is nothing to train.")
    if module is not model:
        players = [replace(player, loss=_compiled(player.loss)) for player in players]
    return tuple(players)


def _compiled(loss: Loss) -> Loss:
    compiled: Loss = torch.compile(loss)
    return compiled
