"""Training mode and evaluation mode, put back part by part."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; after it every part is in the mode that it was in."""
    modes = modes_of(model)
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        put_back(modes)


@contextmanager
def still_training(model: nn.Module) -> Iterator[None]:
    """Undo a ``model.eval()`` in the block; a part that is set to evaluation by itself stays so."""
    modes = modes_of(model)
    yield
    if not model.training:
        put_back(modes)


def modes_of(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """Each part, and whether it is in training mode."""
    return [(part, part.training) for part in model.modules()]


def put_back(modes: list[tuple[nn.Module, bool]]) -> None:
    """Put each part into its mode."""
    for part, mode in modes:
        part.training = mode
