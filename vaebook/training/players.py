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


def is_compiled(model: nn.Module) -> bool:
    """Whether ``model`` came from ``torch.compile`` or was compiled by ``model.compile()``."""
    in_place = getattr(model, "_compiled_call_impl", None) is not None
    return in_place or plain_module(model) is not model


def players_of(model: nn.Module, *, to_train: bool = True) -> tuple[Player, ...]:
    """The players of ``model``; of a compiled model, with losses that are compiled the same way.

    Args:
        to_train: refuse a player that has nothing to train.

    Raises:
        ValueError: if the model has neither ``players`` nor ``loss``, or nothing to train.
    """
    module = plain_module(model)
    several, loss = getattr(module, "players", None), getattr(module, "loss", None)
    players: Sequence[Player]
    if callable(several):
        players = several()
    elif callable(loss):
        players = (Player("", list(module.parameters()), loss),)
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
        if to_train and not player.trained:
            raise ValueError(
                f"all parameters of {type(module).__name__}{of} are frozen; there is nothing to "
                "train. Unfreeze some with requires_grad_(True)."
            )
    if not players:
        raise ValueError(f"{type(module).__name__}.players() is empty; there is nothing to train.")
    if is_compiled(model):
        # what torch.compile was asked for: its mode, its backend
        compile_like_it: Callable[[Loss], Loss] = getattr(model, "dynamo_ctx", torch.compile)
        players = [replace(player, loss=compile_like_it(player.loss)) for player in players]
    return tuple(players)
