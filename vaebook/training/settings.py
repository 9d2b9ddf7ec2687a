"""What ``fit`` is given, checked and brought into one form; a ``ValueError`` says what is wrong."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vaebook._checks import check_count, check_finite, check_real
from vaebook.training.callbacks import Callback
from vaebook.training.failures import check_signature
from vaebook.training.players import Player

Precision = Literal["float32", "bfloat16"]


def length_of_run(num_epochs: int | None, num_steps: int | None) -> tuple[int | None, int | None]:
    """The two counts, of which one is given."""
    if (num_epochs is None) == (num_steps is None):
        given = "neither num_epochs nor num_steps" if num_epochs is None else "both of them"
        raise ValueError(f"{given} is given; expected one: num_epochs=… or num_steps=….")
    return count_or_none("num_epochs", num_epochs), count_or_none("num_steps", num_steps)


def count_or_none(name: str, value: int | None) -> int | None:
    """A count in Python's own type, which a checkpoint can hold."""
    if value is None:
        return None
    check_count(name, value)
    return int(value)


def positive_or_none(name: str, value: float | None) -> float | None:
    """A number in Python's own type."""
    return None if value is None else check_real(name, value, above=0)


def check_callbacks(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    """The callbacks."""
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        name = callbacks if isinstance(callbacks, type) else type(callbacks)
        raise ValueError(
            f"callbacks is {callbacks!r}; expected a list: callbacks=[{name.__name__}(…)]."
            if issubclass(name, Callback)
            else f"callbacks is {callbacks!r}; expected a list such as callbacks=[KeepBest()]."
        )
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ValueError(
                f"callbacks holds {callback!r}; expected objects of classes that inherit from "
                "vaebook.training.Callback, such as KeepBest()."
            )
    return tuple(callbacks)


def check_batch(model: nn.Module, players: Sequence[Player], *batch: Tensor) -> None:
    """Let the loss and the model, or its ``check``, look at data before training."""
    for player in players:
        check_signature(model, player, batch)
    own = getattr(model, "check", None)
    if callable(own):
        own(*batch)
        return
    for index, tensor in enumerate(batch):
        if tensor.is_floating_point():
            check_finite(f"tensor {index} of the data", tensor)


def autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Makes the context in which losses are computed."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(
            f"precision is {precision!r}; expected 'float32' or 'bfloat16'. For double precision, "
            "convert model and data: model.double()."
        )
    if precision == "float32":
        return nullcontext
    return partial(torch.autocast, device.type, torch.bfloat16)


def move(model: nn.Module, device: str | torch.device) -> None:
    """Move ``model`` to ``device``."""
    try:
        there = torch.empty(0, device=device)
        usable = there.device.type != "meta"
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device is {device!r}, which cannot be used here ({reason}); expected 'cpu', or "
            "'cuda' where torch.cuda.is_available()."
        ) from None
    if not usable:
        raise ValueError("device is 'meta', which holds no numbers; expected 'cpu' or 'cuda'.")
    model.to(device)


def num_bytes(model: nn.Module) -> int:
    """The size of a model's state."""
    return sum(getattr(value, "nbytes", 0) for value in model.state_dict().values())
