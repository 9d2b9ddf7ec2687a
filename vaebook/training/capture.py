"""Training steps as CUDA graphs: recorded once, then replayed without Python."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vaebook.training.batches import Batch

WARM_UP_STEPS = 2  # libraries find their ways and their memory in them


def make_capturable(optimizer: Optimizer, device: torch.device) -> None:
    """Let an optimiser read its step count and its learning rate from the device, if it can.

    A number in Python would be fixed in the graph: a schedule could not move it.
    """
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True
            group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)


def why_not_captured(
    device: torch.device,
    optimizers: Sequence[Optimizer],
    watches_steps: Sequence[str],
    compiled: bool,
    *,
    wanted: bool | None,
) -> str | None:
    """Why steps are not captured, or ``None``; a ``ValueError`` where they cannot be but should."""
    reason = None
    if wanted is False:
        reason = "capture=False"
    elif device.type != "cuda":
        reason = f"no CUDA graphs on {device.type}"
    elif compiled:
        reason = "the model is compiled"
    elif watches_steps:
        reason = f"{', '.join(watches_steps)} acts before each step"
    else:
        for optimizer in optimizers:
            if not all(group.get("capturable") for group in optimizer.param_groups):
                reason = f"{type(optimizer).__name__} cannot be captured"
    if reason is not None and wanted:
        raise ValueError(f"capture=True cannot be had: {reason}.")
    return reason


class CapturedStep:
    """A training step that is captured at its second batch and replayed for all of that shape.

    The first step is eager: in it the optimisers' states come to be.

    Batches of another shape, such as the last of an epoch, take the step eagerly. If the capture
    fails, because the loss waits for the device or chooses shapes by values, all steps are eager,
    and :attr:`engine` says why. The plain attributes of the model (its ``beta``) are part of the
    graph: when one changes between epochs, the step is captured anew.

    Args:
        step: the step; it returns the players' mean losses.
        required: raise an error if the capture fails.
    """

    def __init__(
        self,
        step: Callable[[Batch], Sequence[Tensor]],
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        *,
        required: bool = False,
    ) -> None:
        self.step, self.model, self.optimizers = step, model, optimizers
        self.required = required
        self.engine = "captured"
        self._shapes: list[torch.Size] | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: Batch = ()
        self._means: Tensor | None = None
        self._attributes: dict[str, Any] = {}

    def __call__(self, batch: Batch) -> Sequence[Tensor] | Tensor:
        """Take the step on a batch."""
        if self._shapes is None:
            self._shapes = [tensor.shape for tensor in batch]
            return self.step(batch)
        if [tensor.shape for tensor in batch] != self._shapes or self.engine != "captured":
            return self.step(batch)
        if self._graph is None:
            try:
                self._capture(batch)
            except Exception as error:
                if self.required:
                    raise
                first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
                self.engine = f"eager: the step cannot be captured ({first_line})"
                return self.step(batch)
        assert self._graph is not None
        assert self._means is not None
        for own, given in zip(self._inputs, batch, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._means

    def refresh(self) -> None:
        """Between epochs: forget the graph if a plain attribute of the model has changed."""
        if self._graph is not None and _plain_attributes(self.model) != self._attributes:
            self._graph = None

    def _capture(self, batch: Batch) -> None:
        self._inputs = tuple(tensor.clone() for tensor in batch)
        before = _plain_attributes(self.model)
        addresses = _addresses(self.model)
        state = _snapshot(self.model, self.optimizers)
        device = batch[0].device
        noise = torch.cuda.get_rng_state(device), torch.get_rng_state()
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        try:
            with _waiting_is_an_error(), torch.cuda.stream(side):
                for _ in range(WARM_UP_STEPS):
                    self.step(self._inputs)
        finally:
            torch.cuda.current_stream(device).wait_stream(side)
            _restore(self.model, self.optimizers, state)
            torch.cuda.set_rng_state(noise[0], device)
            torch.set_rng_state(noise[1])
        self._attributes = _plain_attributes(self.model)
        changed = [name for name in before if before[name] != self._attributes.get(name)]
        if changed:
            _put_back(self.model, before)
            raise RuntimeError(f"the loss changes {changed[0]} of the model in each step")
        if _addresses(self.model) != addresses:
            raise RuntimeError("the loss replaces a buffer of the model instead of filling it")
        self.model.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        generator = torch.cuda.default_generators[device.index or 0]
        outside = generator.clone_state()
        try:
            with torch.cuda.graph(graph):
                self._means = torch.stack(list(self.step(self._inputs)))
        except Exception:
            generator.graphsafe_set_state(outside)  # it believes that the capture goes on
            raise
        finally:
            torch.cuda.set_rng_state(noise[0], device)
            torch.set_rng_state(noise[1])
        if _addresses(self.model) != addresses:
            raise RuntimeError("the loss replaces a buffer of the model instead of filling it")
        self._graph = graph


@contextmanager
def _waiting_is_an_error() -> Iterator[None]:
    """Let operations that wait for the device fail: a graph cannot hold them."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _plain_attributes(model: nn.Module) -> dict[str, Any]:
    return {
        f"{name}.{key}" if name else key: value
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, bool | int | float | str) and key != "training"
    }


def _put_back(model: nn.Module, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        path, _, key = name.rpartition(".")
        setattr(model.get_submodule(path), key, value)


def _addresses(model: nn.Module) -> list[int]:
    return [tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())]


def _snapshot(model: nn.Module, optimizers: Sequence[Optimizer]) -> tuple[Any, Any]:
    weights = [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]
    return weights, [copy.deepcopy(optimizer.state_dict()["state"]) for optimizer in optimizers]


@torch.no_grad()
def _restore(model: nn.Module, optimizers: Sequence[Optimizer], state: tuple[Any, Any]) -> None:
    """Put back, in place, what the warm-up changed."""
    weights, kept = state
    for tensor, value in zip((*model.parameters(), *model.buffers()), weights, strict=True):
        tensor.copy_(value)
    for optimizer, before in zip(optimizers, kept, strict=True):
        numbered = enumerate(p for group in optimizer.param_groups for p in group["params"])
        for index, parameter in numbered:
            for name, value in before.get(index, {}).items():
                if isinstance(value, Tensor):
                    optimizer.state[parameter][name].copy_(value)
