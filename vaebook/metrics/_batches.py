"""Evaluate a model on many images without gradients, in batches, from a seed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vaebook._random import seeded


def evaluate_in_batches(
    model: nn.Module,
    images: Tensor,
    measure: Callable[[Tensor], tuple[Tensor, ...]],
    *,
    seed: int,
    batch_size: int,
) -> tuple[Tensor, ...]:
    """Concatenate ``measure(batch)`` over the batches, with the model in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), seeded(seed):
            parts = [measure(batch) for batch in images.split(batch_size)]
    finally:
        model.train(was_training)
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))
