"""The training loop of the book."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from vaebook._checks import already_checked
from vaebook._random import Stream, check_seed, seeded, unseeded
from vaebook.training.batches import Batch, Batches, Data, as_batches
from vaebook.training.callbacks import Callback
from vaebook.training.capture import CapturedStep, why_not_captured
from vaebook.training.description import description, plain_module
from vaebook.training.failures import check_losses
from vaebook.training.files import check_writable
from vaebook.training.history import History
from vaebook.training.interrupts import interrupts_wait
from vaebook.training.modes import evaluating
from vaebook.training.optimizers import (
    OptimizerFactory,
    SchedulerFactory,
    make_optimizer,
    make_scheduler,
    rate_of,
)
from vaebook.training.players import Player, is_compiled, players_of
from vaebook.training.progress import progress_bar
from vaebook.training.settings import (
    Precision,
    autocast,
    check_batch,
    check_callbacks,
    count_or_none,
    length_of_run,
    move,
    num_bytes,
    positive_or_none,
)
from vaebook.training.state import Run


class Trainable(Protocol):
    """What ``fit`` asks of a model: a ``torch.nn.Module`` with a loss per example.

    A model of several players has ``players()`` instead (:class:`Player`). Two more methods are
    used where a model has them: ``check(*batch)``, which raises an error for data that it cannot
    take and is called once for all of them, and ``epoch_columns()``, whose numbers join the row of
    each epoch in the history.
    """

    def loss(self, *batch: Tensor) -> Float[Tensor, " n"]:
        """The loss of each example, in nats."""
        ...


def fit(
    model: nn.Module,
    data: Data,
    *,
    num_epochs: int | None = None,
    num_steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optimizer: OptimizerFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    max_grad_norm: float | None = None,
    drop_last: bool = False,
    steps_per_epoch: int | None = None,
    precision: Precision = "float32",
    seed: int = 0,
    validation: Data | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    device: str | torch.device | None = None,
    capture: bool | None = None,
) -> History:
    """Train ``model`` on the mean of ``model.loss`` over each batch.

    A model with ``players()``, such as a GAN, has one optimiser for each player: all of them move
    on each batch, and the history has a column ``NAME_loss`` for each.

    Shuffling and noise follow ``seed``, in streams of their own (``"order"`` and ``"noise"``, see
    :func:`seeded`): the same call on the same machine gives the same weights, and torch's global
    generators are left as they were. Watching a run does not change it, since the validation loss
    and the callbacks have streams, too.

    Tensors stay on the device and batches are gathered there. On CUDA a step of fixed shape is
    captured as a graph and replayed; ``history.engine`` says whether it was, or why not.

    Args:
        model: any ``nn.Module`` with a ``loss(*batch)`` of one value per example, in nats, or with
            ``players()``; also ``torch.compile(model)``.
        data: a tensor with a row for each example; a tuple of such tensors (images and labels, a
            table and its mask), which are handed to the loss side by side; a torch ``Dataset``; or
            a ``DataLoader``, which then decides on batches and order.
        num_epochs: passes over the data; with ``resume``, the total over all runs.
        num_steps: optimiser steps, instead of ``num_epochs``.
        batch_size: examples per step, by default 128; the last batch of an epoch may be smaller.
        lr: Adam's learning rate, by default 1e-3, times the player's ``lr_factor``.
        optimizer: makes an optimiser from parameters, such as ``partial(torch.optim.AdamW,
            lr=1e-3, weight_decay=0.01)``; by default Adam with ``lr`` and the player's ``betas``.
        scheduler: makes a schedule from an optimiser, such as ``partial(CosineAnnealingLR,
            T_max=5000)``. It moves after each step, ``ReduceLROnPlateau`` after each epoch by the
            validation loss.
        max_grad_norm: the length to which each player's gradient is cut.
        drop_last: leave out the last batch of an epoch if it is smaller.
        steps_per_epoch: steps after which an epoch ends, for data without length; by default an
            epoch is a pass over the data.
        precision: of the networks' arithmetic in training. Under ``"bfloat16"`` weights, losses
            and optimiser stay in single precision (``torch.autocast``).
        seed: of the shuffling and of the noise in the model.
        validation: data on which the loss is measured after each epoch.
        callbacks: hooks, called in their order.
        progress: show a progress bar; by default in a terminal and in a notebook.
        checkpoint: file that holds the whole state of the run, rewritten after each epoch.
        checkpoint_every: rewrite it after so many steps instead.
        resume: continue from ``checkpoint`` if it is there. The result is that of one long run.
        device: where to train; by default where the model is.
        capture: ``False`` never captures a CUDA graph, ``True`` is an error where it cannot be.

    Returns:
        The history, one row per epoch. If the run fails or is interrupted, the error that ends it
        has the history as ``.history``. Ctrl-C lets the step under way come to its end; a second
        one does not.

    Raises:
        ValueError: if data or a setting are unusable, a loss or a weight becomes NaN or infinite,
            or the checkpoint belongs to another run.
        OSError: if the checkpoint cannot be written.
    """
    num_epochs, num_steps = length_of_run(num_epochs, num_steps)
    batch_size = count_or_none("batch_size", batch_size)
    steps_per_epoch = count_or_none("steps_per_epoch", steps_per_epoch)
    checkpoint_every = count_or_none("checkpoint_every", checkpoint_every)
    max_grad_norm = positive_or_none("max_grad_norm", max_grad_norm)
    lr = rate_of(positive_or_none("lr", lr), optimizer)
    seed = check_seed(seed)
    callbacks = check_callbacks(callbacks)
    if checkpoint is None and (resume or checkpoint_every is not None):
        what = "resume=True" if resume else "checkpoint_every"
        raise ValueError(f"{what} needs a checkpoint file; pass checkpoint=.")
    players = players_of(model)
    compiled, model = is_compiled(model), plain_module(model)
    if device is not None:
        move(model, device)
    device = players[0].parameters[0].device
    in_precision = autocast(precision, device)
    if checkpoint is not None:
        checkpoint = check_writable(checkpoint, 4 * num_bytes(model))
    as_source = partial(
        as_batches,
        device=device,
        check=partial(check_batch, model, players),
        fingerprint=checkpoint is not None,
    )
    batches = as_source(data, batch_size=batch_size, drop_last=drop_last)
    watched: Batches | None = None
    if validation is not None:
        size = None if isinstance(validation, DataLoader) else 1000
        watched = as_source(validation, batch_size=size, shuffle=False, name="validation")

    optimizers, optimizer_settings = zip(
        *(make_optimizer(player, optimizer, lr, device) for player in players), strict=True
    )
    made = [make_scheduler(scheduler, each) for each in optimizers] if scheduler is not None else []
    run = Run(
        model,
        players,
        optimizers,
        [each for each, _ in made],
        batches,
        callbacks=callbacks,
        seed=seed,
        num_epochs=num_epochs,
        num_steps=num_steps,
        steps_per_epoch=steps_per_epoch,
        settings={
            "batch_size": batches.batch_size,
            "lr": lr,
            "seed": seed,
            "optimizer": optimizer_settings,
            "scheduler": [settings for _, settings in made],
            "max_grad_norm": max_grad_norm,
            "drop_last": drop_last,
            "steps_per_epoch": steps_per_epoch,
            "precision": precision,
            "data": batches.description,
            "validation": None if watched is None else watched.description,
            "model": description(model) if checkpoint is not None else {},
        },
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_every=checkpoint_every,
    )
    step: Callable[[Batch], Any] = partial(
        train_step, model, players, optimizers, max_grad_norm, in_precision
    )
    reason = why_not_captured(device, optimizers, run.watches_steps, compiled, wanted=capture)
    if reason is None:
        step = CapturedStep(step, model, optimizers, required=capture is True)

    with (
        run.underway(resume=resume),
        progress_bar(type(model).__name__, run.total_steps, run.step, progress) as bar,
    ):
        while not run.finished:
            for batch in run.rest_of_epoch():
                with interrupts_wait(at_most=1):
                    run.after_step(step(batch), batch)
                bar.update()
            run.settle()
            measured = {}
            if watched is not None:
                with seeded(seed, "validation"):
                    for player in players:
                        measured[f"validation_{player.column}"] = _mean_loss(model, player, watched)
            row = run.end_epoch(measured)
            if isinstance(step, CapturedStep):
                step.refresh()
            bar.set_postfix({player.column: f"{row[player.column]:.2f}" for player in players})
    run.history.engine = step.engine if isinstance(step, CapturedStep) else f"eager: {reason}"
    return run.history


def train_step(
    model: nn.Module,
    players: Sequence[Player],
    optimizers: Sequence[Optimizer],
    max_grad_norm: float | None,
    in_precision: Callable[[], AbstractContextManager[Any]],
    batch: Batch,
) -> list[Float[Tensor, ""]]:
    """One step on one batch: each player goes down the mean of its loss. Returns these means.

    On a CPU, where looking costs nothing, a mean that is no number ends the step before it moves
    a weight, and is the last that is returned.
    """
    means: list[Tensor] = []
    for player, optimizer in zip(players, optimizers, strict=True):
        with in_precision(), already_checked():
            losses = player.loss(*batch)  # [b]
        check_losses(model, losses, batch)
        # the one place where a batch is averaged; never in half precision
        loss = losses.to(torch.promote_types(losses.dtype, torch.float32)).mean()
        if loss.device.type == "cpu" and not math.isfinite(loss.detach()):
            return [*means, loss.detach()]
        trained = player.trained
        for parameter in trained:  # also what the optimiser leaves out
            parameter.grad = None
        loss.backward(inputs=trained)
        if max_grad_norm is not None:
            clip_grad_norm_(trained, max_grad_norm)
        optimizer.step()
        means.append(loss.detach())
    return means


@torch.no_grad()
def mean_loss(model: nn.Module, data: Data, *, batch_size: int | None = None) -> float:
    """The mean of ``model.loss`` over ``data`` in nats per example, without training.

    Args:
        model, data: as for :func:`fit`, but a model with one loss.
        batch_size: examples at a time, by default 1000; a ``DataLoader`` has its own.
    """
    players = players_of(model, to_train=False)
    if len(players) > 1:
        names = ", ".join(player.name for player in players)
        raise ValueError(f"{type(model).__name__} has several losses ({names}); expected one.")
    model = plain_module(model)
    if batch_size is None and not isinstance(data, DataLoader):
        batch_size = 1000
    batches = as_batches(
        data,
        batch_size=batch_size,
        device=players[0].parameters[0].device,
        check=partial(check_batch, model, players),
        shuffle=False,
    )
    with unseeded():
        return _mean_loss(model, players[0], batches)


def _mean_loss(model: nn.Module, player: Player, batches: Batches) -> float:
    total, num_examples = 0.0, 0
    with evaluating(model):
        for batch in batches.one_pass(Stream(0)):
            with interrupts_wait(at_most=1), torch.no_grad(), already_checked():
                total += float(player.loss(*batch).sum())
            num_examples += len(batch[0])
    return total / num_examples
