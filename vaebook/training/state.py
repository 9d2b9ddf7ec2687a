"""What a training run is: everything that a checkpoint holds, in one object."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from vaebook._random import Stream, alone, stream_seed
from vaebook.training.batches import Batch, Batches
from vaebook.training.callbacks import Callback, KeepBest, Step
from vaebook.training.checkpoint import fill, first_of, load_run, save_run, size_of_run
from vaebook.training.description import differences
from vaebook.training.failures import bad_loss, bad_number, bad_weights, explain
from vaebook.training.history import History
from vaebook.training.interrupts import interrupts_wait, torch_modes_kept
from vaebook.training.losses import EpochLosses
from vaebook.training.modes import still_training
from vaebook.training.players import Player

STREAMS = ("noise", "order", "callbacks")  # of random numbers, by their names
RUN_KEYS = {
    *("model", "optimizers", "schedulers", "callbacks"),
    *("history", "streams", "position", "settings"),
}


class Run:
    """A run of ``fit``: model, optimisers, data, random numbers, callbacks, and where it stands.

    Args:
        model, players, batches, callbacks, num_epochs, …: as in ``fit``.
        optimizers: one for each player.
        schedulers: one for each player, or none.
        seed: of the order of the data, of the model's noise and of the callbacks' noise, each of
            which is a stream of its own.
        settings: what a resumed run must share with the run that it goes on with.
        checkpoint_every: steps between two of its versions; by default one after each epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        players: Sequence[Player],
        optimizers: Sequence[Optimizer],
        schedulers: Sequence[LRScheduler],
        batches: Batches,
        *,
        callbacks: Sequence[Callback] = (),
        seed: int = 0,
        num_epochs: int | None = None,
        num_steps: int | None = None,
        steps_per_epoch: int | None = None,
        settings: Mapping[str, Any],
        checkpoint: Path | None = None,
        checkpoint_every: int | None = None,
    ) -> None:
        self.model, self.players, self.batches = model, players, batches
        self.optimizers, self.schedulers, self.callbacks = optimizers, schedulers, callbacks
        self.device = players[0].parameters[0].device
        self.num_epochs, self.num_steps = num_epochs, num_steps
        self.epoch_length = steps_per_epoch
        frozen = [name for name, each in model.named_parameters() if not each.requires_grad]
        self.settings = {**settings, "frozen": frozen}
        self.checkpoint, self.checkpoint_every = checkpoint, checkpoint_every

        self.history = History()
        self.epoch, self.step = 0, 0  # epochs and steps behind us
        self.stopped: str | None = None  # why a callback ended the run
        self.noise, self.order, self.callback_noise = (
            Stream(stream_seed(seed, name), self.device) for name in STREAMS
        )
        self._new_epoch()
        self._pass: Iterator[Batch] | None = None  # over the data
        self._pass_start: dict[str, Any] = {}  # where the order stood when it began
        self._taken = 0  # batches of it
        self._batch: Batch | None = None  # the last one
        self._started: list[Callback] = []
        self._columns = self._known_columns()
        self._nan_buffers = {
            name for name, buffer in model.named_buffers() if bool(buffer.isnan().any())
        }
        self.watches_steps = [
            type(callback).__name__
            for callback in callbacks
            if type(callback).before_step is not Callback.before_step
        ]

    # --- from start to end ----------------------------------------------------------------------

    @contextmanager
    def underway(self, *, resume: bool) -> Iterator[None]:
        """The run owns torch's generators, the model trains, and callbacks have their start.

        However the block ends, callbacks have their end, and the model is in evaluation mode. An
        error carries the history.
        """
        ended_by: BaseException | None = None
        with alone, self.noise:
            try:
                with torch_modes_kept(self.device):
                    self.model.train()
                    self._start_callbacks()
                    if resume and self.checkpoint is not None and self.checkpoint.is_file():
                        self.load_state_dict(load_run(self.checkpoint, RUN_KEYS))
                    elif self.checkpoint is not None:
                        size_of_run(self.state_dict())  # what cannot be kept is said before work
                    yield
            except BaseException as error:
                ended_by = error
                explain(error, self._batch)
                vars(error)["history"] = self.history
                if self.step:
                    error.add_note(
                        f"Training ended after {self.step} steps, in epoch {self.epoch}. This "
                        "error has the history so far (at a prompt: sys.last_value.history)."
                    )
                raise
            finally:
                self._end(ended_by)

    def _end(self, ended_by: BaseException | None) -> None:
        """Evaluation mode, and the callbacks' end. One Ctrl-C waits for it, so that it is whole."""
        try:
            with interrupts_wait(at_most=1):
                self._pass = None  # and with it the processes of a loader
                self.model.eval()
                self._end_callbacks(ended_by)
        except KeyboardInterrupt as late:
            if ended_by is None:
                vars(late)["history"] = self.history
            elif late is not ended_by:
                ended_by.add_note("Ctrl-C came once more while the callbacks had their end.")
                return
            raise

    @property
    def finished(self) -> bool:
        """Whether the last epoch is closed, and all steps are done or a callback ended the run."""
        if self._epoch_steps:
            return False
        if self.stopped is not None:
            return True
        if self.num_steps is not None:
            return self.step >= self.num_steps
        return self.num_epochs is not None and self.epoch >= self.num_epochs

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run, if that is known."""
        length = self.epoch_length or self.batches.length
        if self.num_steps is not None or length is None or self.num_epochs is None:
            return self.num_steps
        return self.num_epochs * length

    # --- batches --------------------------------------------------------------------------------

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches that are left of the epoch."""
        while not self._epoch_is_full():
            batch = self._next_batch()
            if batch is None and self.epoch_length is not None and self._taken:
                batch = self._next_batch()  # of a new pass
            if batch is None:
                break
            self._batch = batch
            self._before_step()
            yield batch
        if not self._epoch_steps:
            raise ValueError(
                f"the data gave no batch in epoch {self.epoch}; give at least one, and a stream "
                "that can be read anew in each pass."
            )

    def _epoch_is_full(self) -> bool:
        if self.stopped is not None or (self.num_steps is not None and self.step >= self.num_steps):
            return True
        return self._epoch_steps == (self.epoch_length or self.batches.length)

    def _next_batch(self) -> Batch | None:
        if self._pass is None:
            self._pass_start, self._taken = self.order.state_dict(), 0
            self._pass = self.batches.one_pass(self.order)
        batch = next(self._pass, None)
        if batch is None:
            self._pass = None
        else:
            self._taken += 1
        return batch

    # --- steps and epochs -----------------------------------------------------------------------

    def _new_epoch(self) -> None:
        self.losses = EpochLosses(len(self.players), self.device)
        self._epoch_steps, self._seconds = 0, 0.0
        self._clock = time.perf_counter()

    def _before_step(self) -> None:
        if self.watches_steps:
            step = self._here(self.epoch)
            with self.callback_noise, still_training(self.model):
                for callback in self.callbacks:
                    callback.before_step(step)

    def after_step(self, means: Sequence[Tensor] | Tensor, batch: Batch) -> None:
        """Take in a step's mean loss of each player; let the rates move, and write what is due."""
        try:
            self.losses.add(means, len(batch[0]))
        except FloatingPointError as error:
            raise self._bad_loss(error, batch) from None
        self._epoch_steps += 1
        self.step += 1
        for scheduler in self.schedulers:
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
        if self.checkpoint_every is not None and self.step % self.checkpoint_every == 0:
            self._check_numbers()
            self.save()

    def end_epoch(self, validation_losses: Mapping[str, float]) -> dict[str, float]:
        """Close the epoch: its row of the history, the callbacks' look at it, the checkpoint.

        An epoch that the end of the run cuts short is saved as it stands, open: if the run is
        resumed for longer, the epoch goes on.
        """
        length = self.epoch_length or self.batches.length
        whole = self._pass is None or self._epoch_steps == length
        if self.checkpoint is not None and not whole:
            self.save()
        row: dict[str, float] = {"epoch": float(self.epoch)}
        for player, mean in zip(self.players, self.losses.means(), strict=True):
            row[player.column] = mean
        row["seconds"] = self._seconds
        self.history.rows.append(row)
        row |= validation_losses
        columns = getattr(self.model, "epoch_columns", None)
        if callable(columns):
            row |= {name: float(value) for name, value in columns().items()}
        step = self._here(self.epoch)
        if self.callbacks:
            with self.callback_noise, still_training(self.model):
                for callback in self.callbacks:
                    new = callback.after_epoch(step, row) or {}
                    row.update({name: float(value) for name, value in new.items()})
        for player, scheduler in zip(self.players, self.schedulers, strict=False):
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(row.get(f"validation_{player.column}", row[player.column]))
        if self.epoch_length is None:
            self._pass = None
        self.epoch += 1
        self._new_epoch()
        if whole and self.checkpoint is not None and (not self.checkpoint_every or self.finished):
            self.save()
        self._clock = time.perf_counter()
        return row

    def settle(self) -> None:
        """Wait for the epoch's steps, and see that losses and weights are numbers."""
        self._check_numbers()
        self._seconds += time.perf_counter() - self._clock

    def _check_numbers(self) -> None:
        try:
            self.losses.collect()
        except FloatingPointError as error:
            raise self._bad_loss(error, None) from None
        bad = bad_number(self.model, self.optimizers, from_the_start=self._nan_buffers)
        if bad is not None:
            raise bad_weights(bad, self.epoch, self._epoch_steps - 1)

    def _bad_loss(self, error: FloatingPointError, batch: Batch | None) -> ValueError:
        step, player, value = error.args
        return bad_loss(self.model, self.players[player], value, self.epoch, step, batch)

    # --- callbacks ------------------------------------------------------------------------------

    def _here(self, epoch: int, error: BaseException | None = None) -> Step:
        length = self.epoch_length or self.batches.length
        return Step(
            self.model, epoch, self.step, length, self.total_steps, error, self._stop, self._columns
        )

    def _known_columns(self) -> frozenset[str] | None:
        """The columns of the history; ``None`` where model or callbacks may add some."""
        others = [type(each) for each in self.callbacks if not isinstance(each, KeepBest)]
        if callable(getattr(self.model, "epoch_columns", None)) or any(
            kind.after_epoch is not Callback.after_epoch for kind in others
        ):
            return None
        losses = [player.column for player in self.players]
        if self.settings.get("validation") is not None:
            losses += [f"validation_{column}" for column in losses]
        return frozenset({"epoch", "seconds", *losses})

    def _stop(self, reason: str) -> None:
        self.stopped = str(reason)

    def _start_callbacks(self) -> None:
        with self.callback_noise, still_training(self.model):
            for callback in self.callbacks:
                callback.before_training(self._here(self.epoch))
                self._started.append(callback)
        self.settings["callbacks"] = [
            {"callback": type(callback).__name__, **callback.settings()}
            for callback in self.callbacks
        ]

    def _end_callbacks(self, ended_by: BaseException | None) -> None:
        epoch = self.epoch if self._epoch_steps else self.epoch - 1
        first = ended_by
        with self.callback_noise:
            for callback in self._started:
                try:
                    callback.after_training(self._here(epoch, ended_by))
                except BaseException as failure:  # the others must have their end as well
                    if first is None:
                        first = failure
                        vars(first)["history"] = self.history
                    else:
                        first.add_note(f"A callback failed at the end, too: {failure!r}")
        if first is not None and first is not ended_by:
            raise first

    # --- checkpoints ----------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint."""
        assert self.checkpoint is not None
        with interrupts_wait():
            save_run(self.checkpoint, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on, as tensors and plain values."""
        self.losses.collect()
        seconds = self._seconds + (time.perf_counter() - self._clock if self._epoch_steps else 0)
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "history": self.history.rows,
            "streams": {
                "noise": self.noise.state_dict(),
                "order": self.order.state_dict(),
                "callbacks": self.callback_noise.state_dict(),
            },
            "position": {
                "epoch": self.epoch,
                "step": self.step,
                "epoch_steps": self._epoch_steps,
                "seconds": seconds,
                "losses": self.losses.state_dict(),
                "pass_start": self._pass_start if self._pass is not None else None,
                "taken": self._taken,
                "stopped": self.stopped,
            },
            "settings": self.settings,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was.

        Raises:
            ValueError: naming what differs, if it is the state of another run; nothing is changed
                then.
        """
        position = state["position"]
        _check_settings(str(self.checkpoint), state["settings"], self.settings)
        for name, done, wanted in (
            ("epochs", position["epoch"], self.num_epochs),
            ("steps", position["step"], self.num_steps),
        ):
            if wanted is not None and done > wanted:
                raise ValueError(
                    f"{self.checkpoint} holds {done} {name}, more than num_{name} = {wanted}. "
                    "Ask for as many or more, or pass resume=False to start again."
                )
        fill(self.model, state["model"], str(self.checkpoint))
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            _load_optimizer(optimizer, kept)
        for scheduler, kept in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        for callback, kept in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(kept)
        self.history.rows = list(state["history"])
        self.epoch, self.step = position["epoch"], position["step"]
        self.stopped = position["stopped"]
        self._new_epoch()
        self._epoch_steps, self._seconds = position["epoch_steps"], position["seconds"]
        self.losses.load_state_dict(position["losses"])
        self.noise.load_state_dict(state["streams"]["noise"])
        self.callback_noise.load_state_dict(state["streams"]["callbacks"])
        if position["pass_start"] is None:
            self.order.load_state_dict(state["streams"]["order"])
        else:  # in the middle of a pass: begin it again, and leave out what is done
            self._pass_start, self._taken = position["pass_start"], position["taken"]
            self.order.load_state_dict(self._pass_start)
            self._pass = self.batches.one_pass(self.order, skip=self._taken)


def _load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load a state that may come from another device: how the step is computed stays as it is."""
    own = [dict(group) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, before in zip(optimizer.param_groups, own, strict=True):
        for name in ("fused", "foreach", "capturable"):
            if name in before:
                group[name] = before[name]
        lr = float(group["lr"])
        group["lr"] = before["lr"].fill_(lr) if isinstance(before["lr"], Tensor) else lr


def _check_settings(path: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    different = differences(_flat(stored), _flat(given))
    if different:
        raise ValueError(
            f"{path} was made with other settings: {first_of(different, 6)}. "
            "Use the same ones to resume, or pass resume=False to start again."
        )


def _flat(settings: Any, name: str = "") -> dict[str, Any]:
    """Nested settings as one level, with dotted names."""
    if isinstance(settings, Mapping):
        items: Sequence[tuple[Any, Any]] = list(settings.items())
    elif isinstance(settings, list | tuple) and any(isinstance(i, Mapping) for i in settings):
        items = list(enumerate(settings))
    else:
        return {name: settings}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= _flat(value, f"{name}.{key}" if name else str(key))
    return flat
