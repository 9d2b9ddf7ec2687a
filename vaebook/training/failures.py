"""What went wrong in training, said so that it can be mended."""

import inspect
import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vaebook.training.players import Player


def bad_parameter(model: nn.Module) -> str | None:
    """The name of the first parameter that holds a NaN or an infinity; one look at the device."""
    return _first_bad(model.named_parameters())


def bad_number(
    model: nn.Module, optimizers: Sequence[Optimizer], *, from_the_start: Collection[str] = ()
) -> str | None:
    """The first of all that a run carries along that holds a NaN or an infinity, in words.

    Buffers may hold infinities, such as masks, but no NaN. What an optimiser remembers of a
    gradient of 1e20 is infinite, and the parameter would never move again.

    Args:
        from_the_start: names of buffers that may hold a NaN.
    """
    name = bad_parameter(model)
    if name is not None:
        return f"the parameter {name}"
    buffers = (pair for pair in model.named_buffers() if pair[0] not in from_the_start)
    name = _first_bad(buffers, nan_only=True)
    if name is not None:
        return f"the buffer {name}"
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    name = _first_bad(
        (f"{key} of {names.get(id(parameter), 'a parameter')}", value)
        for optimizer in optimizers
        for parameter, kept in optimizer.state.items()
        for key, value in kept.items()
        if isinstance(value, Tensor) and value.shape == parameter.shape
    )
    return None if name is None else f"the optimiser's {name}"


def _first_bad(tensors: Iterable[tuple[str, Tensor]], *, nan_only: bool = False) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity; one look at the device."""
    floats = [(name, t.detach()) for name, t in tensors if t.numel() and t.is_floating_point()]
    if not floats:
        return None
    norms = [torch.linalg.vector_norm(tensor) for _, tensor in floats]
    device = floats[0][1].device
    together = torch.stack([norm.to(device, torch.float32) for norm in norms])
    if bool(together.isfinite().all()):
        return None
    for name, tensor in floats:
        if bool((tensor.isnan() if nan_only else ~tensor.isfinite()).any()):
            return name
    return None  # finite all the same: a norm overflowed


def bad_loss(
    model: nn.Module, player: Player, value: float, epoch: int, step: int, batch: Any
) -> ValueError:
    """The error for a loss that is NaN or infinite, with the term and the parameter if found.

    Args:
        epoch, step: when.
        batch: on which; ``None`` if the model has gone on since, on an accelerator.
    """
    found = []
    parameter = bad_parameter(model)
    if parameter is not None:
        since = "the step before" if batch is not None else "the epoch's steps"
        found.append(f"the parameter {parameter} holds NaN or infinity after {since}")
    elif batch is not None:
        found += [f"its {name} is {value:g}" for name, value in _bad_terms(model, batch)]
    what = f" ({'; '.join(found)})" if found else ""
    return ValueError(
        f"the {player.column} became {value} in epoch {epoch}, step {step}{what}. Lower lr, set "
        "max_grad_norm, and look at exp(log_var) and at the range of the data; a checkpoint "
        "written before is still good."
    )


def bad_weights(name: str, epoch: int, step: int) -> ValueError:
    """The error for a weight or the like that became NaN while the losses were finite."""
    return ValueError(
        f"{name} became NaN or infinite by step {step} of epoch {epoch}, although all losses were "
        "finite: its gradient is not, or is enormous. Look for a square root or a norm at 0 in the "
        "loss, and for exp of something large; nothing was written, and a checkpoint written "
        "before is still good."
    )


def check_signature(model: nn.Module, player: Player, batch: tuple[Tensor, ...]) -> None:
    """Raise a ``ValueError`` if the loss does not take as many tensors as a batch holds."""
    try:
        signature = inspect.signature(player.loss)
    except (TypeError, ValueError):  # a builtin, or compiled: torch will say
        return
    try:
        signature.bind(*batch)
    except TypeError as error:
        raise ValueError(
            f"a batch holds {len(batch)} tensors of shapes {[tuple(t.shape) for t in batch]}, and "
            f"the {player.column} of {type(model).__name__} is called as {signature} ({error}). "
            "Give the data that it takes; to leave labels out, pass the images alone, or a "
            "DataLoader whose collate_fn drops them."
        ) from None


def check_losses(model: nn.Module, losses: Any, batch: tuple[Tensor, ...]) -> None:
    """Raise a ``ValueError`` unless ``losses`` holds one value for each example of the batch."""
    num = len(batch[0])
    if not isinstance(losses, Tensor) or losses.shape != (num,):
        given = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise ValueError(
            f"{type(model).__name__}: the loss has shape {given} for {num} examples; expected "
            f"({num},), one value for each. Leave the mean to fit."
        )


def explain(error: BaseException, batch: tuple[Tensor, ...] | None) -> None:
    """Add to an error of torch what helps."""
    if "does not require grad" in str(error):
        error.add_note(
            "The loss does not depend on the parameters: look for a detach(), a no_grad() or a "
            ".data on the way from them to it, and call fit outside of torch.no_grad()."
        )
    if batch is not None and len(batch[0]) == 1 and "more than 1 value per channel" in str(error):
        cure = (
            "The last batch holds a single example, which batch normalisation cannot take. Pass "
            "drop_last=True, or another batch_size."
        )
        if isinstance(error, ValueError):
            error.args = (f"{error}. {cure}",)
        else:  # of what torch.compile made
            error.add_note(cure)
    if isinstance(error, NotImplementedError) and re.search("'(BFloat16|Half)'", str(error)):
        error.add_note(
            "Not all that the model needs is there in half precision. Leave it in single precision "
            "and pass precision='bfloat16' to fit, which keeps densities there."
        )


def _bad_terms(model: nn.Module, batch: tuple[Tensor, ...]) -> list[tuple[str, float]]:
    """The terms of the model's ELBO on the batch that are not finite; none if it has no ELBO."""
    elbo = getattr(model, "elbo", None)
    if not callable(elbo):
        return []
    try:
        with torch.no_grad():
            terms = elbo(*batch)
        named = terms._asdict().items()
    except Exception:  # the model has trouble enough: the first error is the one to report
        return []
    values = [(name, float(value.mean())) for name, value in named if isinstance(value, Tensor)]
    return [(name, value) for name, value in values if not math.isfinite(value)]
