"""Optimisers and schedules, made for each player from what ``fit`` is given."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vaebook.training.capture import make_capturable
from vaebook.training.players import Player

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]

HOW = {"params", "fused", "foreach", "capturable"}  # how a step is computed, not which one


def rate_of(lr: float | None, optimizer: OptimizerFactory | None) -> float | None:
    """Adam's learning rate, 1e-3 by default; ``None``, or a ``ValueError``, beside an optimiser."""
    if optimizer is None:
        return 1e-3 if lr is None else lr
    if lr is not None:
        raise ValueError("lr is given beside optimizer; set it in the optimiser: partial(…, lr=…).")
    return None


def make_optimizer(
    player: Player,
    factory: OptimizerFactory | None,
    lr: float | None,
    device: torch.device,
    *,
    fused: bool = True,
) -> tuple[Optimizer, dict[str, Any]]:
    """The optimiser of a player, and its description for a checkpoint.

    Args:
        factory: makes it from parameters; ``None`` is Adam.
        lr: of Adam, before the player's ``lr_factor``.
        fused: whether that Adam moves all parameters in one kernel.
    """
    if factory is None:
        assert lr is not None
        made: Any = Adam(player.trained, lr=lr, betas=player.betas, fused=fused)
    else:
        _check_factory("optimizer", factory, "partial(torch.optim.AdamW, lr=1e-3)")
        made = factory(player.trained)
        if not isinstance(made, Optimizer):
            raise ValueError(
                f"optimizer made a {type(made).__name__}; expected a torch.optim.Optimizer from "
                "optimizer(parameters), such as partial(torch.optim.AdamW, lr=1e-3)."
            )
        if isinstance(made, LBFGS):
            raise ValueError(
                "optimizer made an LBFGS, which computes the loss several times in a step; "
                "expected one that takes a step from one gradient, such as torch.optim.AdamW."
            )
    for group in made.param_groups:
        group["lr"] *= player.lr_factor
    described = {
        "class": type(made).__name__,
        "groups": [
            {**_plain(group), "parameters": len(group["params"])} for group in made.param_groups
        ],
    }
    if device.type == "cuda":
        make_capturable(made, device)
    return made, described


def make_scheduler(
    factory: SchedulerFactory, optimizer: Optimizer
) -> tuple[LRScheduler, dict[str, Any]]:
    """The schedule of an optimiser, and its description; a ``ValueError`` if none was made."""
    _check_factory("scheduler", factory, "partial(CosineAnnealingLR, T_max=5000)")
    made = factory(optimizer)
    if not isinstance(made, LRScheduler):
        raise ValueError(
            f"scheduler made a {type(made).__name__}; expected a schedule of "
            "torch.optim.lr_scheduler from scheduler(optimizer), such as "
            "partial(CosineAnnealingLR, T_max=5000)."
        )
    functions = getattr(made, "lr_lambdas", [])  # which a state lacks
    state = {**made.state_dict(), "lr_lambdas": functions}
    return made, {"class": type(made).__name__, **_plain(state)}


def _check_factory(name: str, factory: object, example: str) -> None:
    if not callable(factory):
        raise ValueError(
            f"{name} is a {type(factory).__name__}; expected a function that makes one, so that "
            f"each player has its own: {name}={example}."
        )


def _plain(value: Any) -> Any:
    """``value`` in numbers and texts of Python; a function by its name and constants."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items() if name not in HOW}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, FunctionType):
        constants = [c for c in value.__code__.co_consts if isinstance(c, Real | str)]
        return f"{value.__qualname__} {constants}"
    return type(value).__name__
