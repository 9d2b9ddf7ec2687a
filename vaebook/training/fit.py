"""The training loop that every chapter uses."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from vaebook._checks import check_count, check_images, check_positive
from vaebook._random import seeded
from vaebook.training.callbacks import Callback, Step
from vaebook.training.checkpoint import fill, load_run, save_run
from vaebook.training.history import History
from vaebook.training.players import Loss, Player, players_of


class Trainable(Protocol):
    """What ``fit`` asks of a model: a ``torch.nn.Module`` with a loss per example.

    A model of several players has ``turns()`` instead (:class:`Turn`).
    """

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The loss of each image, in nats."""
        ...


def fit(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    *,
    num_epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    validation: Float[Tensor, "m c h w"] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str | torch.device | None = None,
) -> History:
    """Train ``model`` with Adam on the mean of ``model.loss`` over each batch.

    A model with ``turns()``, such as a GAN, is trained in turns: one Adam for each player, all of
    them on each batch, and a column ``NAME_loss`` for each in the history.

    All images stay in one tensor on the device and each batch is gathered from it, so that no
    Python runs per image. Shuffling and sampling noise follow ``seed``: the same call on the same
    machine gives the same weights, and torch's global generator is left as it was. Watching the
    validation loss does not change the weights: its noise is drawn apart, the same each epoch.

    Args:
        model: any ``nn.Module`` with a ``loss(images)`` of one value per image, in nats, or with
            ``turns()``.
        images: training images in [0, 1].
        num_epochs: passes over the images; with ``resume``, the total over all runs.
        batch_size: images per step; the last batch of an epoch may be smaller.
        lr: Adam's learning rate, times the turn's ``lr_factor`` where there are turns.
        seed: seed of the shuffling and of the noise in the model.
        validation: images on which the loss is measured after each epoch.
        callbacks: hooks, called in their order.
        progress: show a progress bar; by default only in a terminal.
        checkpoint: file that holds the whole state of the run, rewritten after each epoch.
        resume: continue from ``checkpoint`` if it is there. The result is that of one long run.
        device: where to train; by default where the model is.

    Returns:
        The history, one row per epoch.

    Raises:
        ValueError: if images or a setting are unusable, the loss becomes NaN or infinite, or the
            checkpoint was made with other settings.
    """
    check_count("num_epochs", num_epochs)
    check_count("batch_size", batch_size)
    check_positive("lr", lr)
    check_images(images)
    if validation is not None:
        check_images(validation, name="validation")
    turns = players_of(model)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs a checkpoint file to resume from; pass checkpoint=.")
    if device is not None:
        model.to(device)
    place = turns[0].parameters[0].device
    images = images.to(place)
    settings = {
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "num_images": len(images),
        "callbacks": [type(callback).__name__ for callback in callbacks],
    }
    optimisers = [
        torch.optim.Adam(turn.parameters, lr=lr * turn.lr_factor, betas=turn.betas, fused=True)
        for turn in turns
    ]
    shuffler = torch.Generator().manual_seed(seed)
    history = History()
    first_epoch = 0
    steps_per_epoch = math.ceil(len(images) / batch_size)

    with seeded(seed):
        if resume and checkpoint is not None and Path(checkpoint).is_file():
            state = load_run(checkpoint)
            _check_settings(checkpoint, state["settings"], settings)
            if state["epoch"] > num_epochs:
                raise ValueError(
                    f"{checkpoint} holds {state['epoch']} epochs, more than num_epochs = "
                    f"{num_epochs}. Ask for as many or more, or pass resume=False to start again."
                )
            fill(model, state["model"], checkpoint)
            for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(kept)
            shuffler.set_state(state["shuffler"])
            torch.set_rng_state(state["noise"])
            for callback, kept in zip(callbacks, state["callbacks"], strict=True):
                callback.load_state_dict(kept)
            history.rows = state["history"]
            first_epoch = state["epoch"]
        model.train()
        epoch = first_epoch - 1
        bar = tqdm(
            range(first_epoch, num_epochs),
            desc=type(model).__name__,
            unit="epoch",
            disable=None if progress is None else not progress,
        )
        for epoch in bar:
            start = time.perf_counter()
            totals = _train_epoch(
                model, images, turns, optimisers, shuffler, batch_size, epoch, num_epochs, callbacks
            )
            losses = [total / len(images) for total in totals]
            row = {"epoch": float(epoch)}
            row.update({turn.column: loss for turn, loss in zip(turns, losses, strict=True)})
            row["seconds"] = time.perf_counter() - start
            if validation is not None:
                with seeded(seed):
                    for turn in turns:
                        value = _mean_loss(model, turn.loss, validation.to(place))
                        row[f"validation_{turn.column}"] = value
            step = Step(model, epoch, (epoch + 1) * steps_per_epoch, steps_per_epoch, num_epochs)
            for callback in callbacks:
                new = callback.after_epoch(step, row) or {}
                row.update({name: float(value) for name, value in new.items()})
            history.rows.append(row)
            bar.set_postfix({turn.column: f"{row[turn.column]:.2f}" for turn in turns})
            if checkpoint is not None:
                save_run(
                    checkpoint,
                    {
                        "model": model.state_dict(),
                        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
                        "shuffler": shuffler.get_state(),
                        "noise": torch.get_rng_state(),
                        "callbacks": [callback.state_dict() for callback in callbacks],
                        "history": history.rows,
                        "epoch": epoch + 1,
                        "settings": settings,
                    },
                )
    model.eval()
    step = Step(model, epoch, (epoch + 1) * steps_per_epoch, steps_per_epoch, num_epochs)
    for callback in callbacks:
        callback.after_training(step)
    return history


def _train_epoch(
    model: nn.Module,
    images: Tensor,
    turns: Sequence[Player],
    optimisers: Sequence[torch.optim.Optimizer],
    shuffler: torch.Generator,
    batch_size: int,
    epoch: int,
    num_epochs: int,
    callbacks: Sequence[Callback],
) -> list[float]:
    """One pass over the images in a new order; each turn's sum of losses in nats."""
    order = torch.randperm(len(images), generator=shuffler).to(images.device)
    batches = order.split(batch_size)
    totals = [0.0] * len(turns)
    for index, batch in enumerate(batches):
        if callbacks:
            done = epoch * len(batches) + index
            for callback in callbacks:
                callback.before_step(Step(model, epoch, done, len(batches), num_epochs))
        chosen = images.index_select(0, batch)
        for player, (turn, optimiser) in enumerate(zip(turns, optimisers, strict=True)):
            losses = turn.loss(chosen)  # [b]
            if losses.shape != batch.shape:
                raise ValueError(
                    f"{type(model).__name__}: the loss of each image has shape "
                    f"{tuple(losses.shape)} for {len(batch)} images; expected ({len(batch)},), one "
                    "value for each. Leave the mean to fit."
                )
            loss = losses.mean()  # the one place where a batch is averaged
            optimiser.zero_grad()
            loss.backward(inputs=[p for p in turn.parameters if p.requires_grad])
            optimiser.step()
            totals[player] += float(loss.detach()) * len(batch)
            if not math.isfinite(totals[player]):
                raise ValueError(
                    f"the {turn.column} became {float(loss.detach())} in epoch {epoch}, step "
                    f"{index}. Lower lr, and look at exp(log_var) and at the range of the images; "
                    "a checkpoint written after the last epoch is still good."
                )
    return totals


@torch.no_grad()
def mean_loss(model: nn.Module, images: Float[Tensor, "n c h w"], batch_size: int = 1000) -> float:
    """The mean of ``model.loss`` over ``images`` in nats per example, without training."""
    return _mean_loss(model, model.loss, images, batch_size)  # type: ignore[arg-type]


def _mean_loss(model: nn.Module, loss: Loss, images: Tensor, batch_size: int = 1000) -> float:
    was_training = model.training
    model.eval()
    try:
        total = 0.0
        for batch in images.split(batch_size):
            with torch.no_grad():
                total += float(loss(batch).sum())
    finally:
        model.train(was_training)
    return total / len(images)


def _check_settings(checkpoint: str | Path, stored: dict[str, Any], given: dict[str, Any]) -> None:
    different = {
        name: (stored.get(name), given[name]) for name in given if stored.get(name) != given[name]
    }
    if different:
        raise ValueError(
            f"{checkpoint} was made with other settings: "
            + ", ".join(f"{name} {old} then, {new} now" for name, (old, new) in different.items())
            + ". Use the same ones to resume, or pass resume=False to start again."
        )
