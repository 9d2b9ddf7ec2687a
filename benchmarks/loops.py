"""The loops that are compared: ``fit``, as it is used, and what else one would write or install.

Each takes a :class:`Task` and gives an :class:`Outcome`. The conversion of bytes to floats is
timed in all of them but pythae's, which is handed floats.
"""

import copy
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import dataloader_loop
from benchmarks.task import BATCH_SIZE, LR, SHAPE, Outcome, Task, as_images, build
from vaebook.models import VAE
from vaebook.training import already_checked, fit, seeded

Loop = Callable[[Task], Outcome]


def by_fit(task: Task, **settings: Any) -> Outcome:
    """``fit``, with whatever settings are given beside the task's."""
    model = build(task.seed)
    start = time.perf_counter()
    _fit(model, as_images(task.pixels), task, **settings)
    return Outcome(time.perf_counter() - start, model.state_dict())


def by_hand(task: Task) -> Outcome:
    """The plainest eager loop of the same operations."""
    model = build(task.seed)
    with seeded(task.seed):
        start = time.perf_counter()
        images = as_images(task.pixels)
        eager_loop(model, images, num_epochs=task.num_epochs, batch_size=BATCH_SIZE)
        seconds = time.perf_counter() - start
    return Outcome(seconds, model.state_dict())


def eager_loop(model: VAE, images: Tensor, *, num_epochs: int, batch_size: int) -> None:
    """``fit``'s operations and nothing else: no look at the loss, no history, no check."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    model.train()
    for _ in range(num_epochs):
        for rows in torch.randperm(len(images)).split(batch_size):
            batch = images.index_select(0, rows)
            with already_checked():
                loss = model.loss(batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def by_fit_compiled(task: Task) -> Outcome:
    """``fit`` of ``torch.compile(model)``; the compilation is done before and not timed."""
    model, compiled = _compiled(len(task.pixels) % BATCH_SIZE)
    model.load_state_dict(build(task.seed).state_dict())
    start = time.perf_counter()
    _fit(compiled, as_images(task.pixels), task)
    return Outcome(time.perf_counter() - start, copy.deepcopy(model.state_dict()))


@cache
def _compiled(last_batch: int) -> tuple[VAE, Any]:
    """A model and itself compiled, for full batches and for the last one of an epoch."""
    model = build()
    compiled: Any = torch.compile(model)
    for size in filter(None, (BATCH_SIZE, last_batch)):
        fit(compiled, torch.rand(size, *SHAPE), num_epochs=2, batch_size=size, progress=False)
    return model, compiled


def by_dataloader(task: Task) -> Outcome:
    """The loop of most examples: a ``DataLoader`` over pictures decoded one by one."""
    return Outcome(
        *dataloader_loop.train(
            task.pixels, num_epochs=task.num_epochs, batch_size=BATCH_SIZE, seed=task.seed
        )
    )


by_fit_bfloat16: Loop = partial(by_fit, precision="bfloat16")


def _fit(model: Any, images: Tensor, task: Task, **settings: Any) -> None:
    standard = {"num_epochs": task.num_epochs, "batch_size": BATCH_SIZE, "seed": task.seed}
    fit(model, images, progress=False, **(standard | settings))
