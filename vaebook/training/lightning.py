"""A model of the book under Lightning's ``Trainer``: several GPUs and machines, loggers, streams.

What goes beyond one process belongs to a library that does it well. :class:`LightningModel` hands
it any model that :func:`vaebook.training.fit` takes; the ``Trainer`` does the rest::

    from lightning import Trainer
    from torch.utils.data import DataLoader, TensorDataset
    from vaebook.training.lightning import LightningModel

    loader = DataLoader(TensorDataset(images), batch_size=128, shuffle=True)
    Trainer(max_epochs=10, devices=8).fit(LightningModel(model), loader)

Install it with ``pip install "vaebook[lightning]"``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaebook._checks import already_checked
from vaebook._random import Stream, alone, check_seed, stream_seed
from vaebook.training.batches import as_batch
from vaebook.training.failures import check_losses
from vaebook.training.optimizers import (
    OptimizerFactory,
    SchedulerFactory,
    make_optimizer,
    make_scheduler,
    rate_of,
)
from vaebook.training.players import players_of
from vaebook.training.settings import check_batch

try:
    from lightning import LightningModule
except ImportError as error:  # pragma: no cover
    raise ImportError(
        'vaebook.training.lightning needs Lightning: pip install "vaebook[lightning]".'
    ) from error

Measure = Callable[..., Mapping[str, float]]


class LightningModel(LightningModule):
    """A ``LightningModule`` round a model with ``loss(*batch)`` or ``players()``.

    A model with one loss is trained by Lightning's automatic optimisation, so that accumulation,
    clipping and mixed precision are set in the ``Trainer``. Several players move by turns on each
    batch (manual optimisation); with several processes they need the strategy
    ``"ddp_find_unused_parameters_true"``.

    The model's noise comes from a stream of its own, with the seed and the rank of the process: in
    one process the weights are those of ``fit`` with the same seed, loader and settings. Losses
    and ``validation_loss`` are logged as means over the examples of all processes.

    Args:
        model: as for :func:`vaebook.training.fit`; on any device, the ``Trainer`` moves it.
        lr, optimizer, scheduler: as for ``fit``; a schedule moves after each step.
        seed: of the model's noise. The order of the data is the loader's.
        measure: called as ``measure(model, *tensors)`` after each validation with the validation
            data of all processes, once each and in their order. The numbers that it returns are
            logged. A mean over processes would be wrong for a precision or a recall, which compare
            whole sets.

    Raises:
        ValueError: if the model cannot be trained, or a setting is unusable.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: float | None = None,
        optimizer: OptimizerFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        seed: int = 0,
        measure: Measure | None = None,
    ) -> None:
        super().__init__()
        self.players_of_model = players_of(model)
        self.model = model
        self._lr = rate_of(lr, optimizer)
        self._optimizer, self._scheduler = optimizer, scheduler
        self._seed = check_seed(seed)
        self._noise: Stream | None = None
        self._kept_noise: dict[str, Any] | None = None
        self._measure = measure
        self._validation: list[tuple[Tensor, ...]] = []
        self.automatic_optimization = len(self.players_of_model) == 1

    # --- training -------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """One optimiser for each player, and its schedule.

        Adam is not the fused one, whose gradients Lightning cannot clip.
        """
        device = self.players_of_model[0].parameters[0].device
        made = [
            make_optimizer(player, self._optimizer, self._lr, device, fused=False)[0]
            for player in self.players_of_model
        ]
        if self._scheduler is None:
            return made
        schedules = [make_scheduler(self._scheduler, optimizer)[0] for optimizer in made]
        return made, [{"scheduler": schedule, "interval": "step"} for schedule in schedules]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """The mean loss of a batch, or a move of each player."""
        tensors = as_batch(batch)
        if self.current_epoch == 0:
            check_batch(self.model, self.players_of_model, *tensors)
        if self.automatic_optimization:
            return self._mean_loss(0, tensors)
        optimizers: Any = self.optimizers()
        for index, optimizer in enumerate(optimizers):
            self.toggle_optimizer(optimizer)  # gradients reach this player's parameters alone
            loss = self._mean_loss(index, tensors)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.untoggle_optimizer(optimizer)
        schedules: Any = self.lr_schedulers() or []
        for schedule in schedules if isinstance(schedules, list) else [schedules]:
            schedule.step()
        return None

    def _mean_loss(self, index: int, batch: tuple[Tensor, ...]) -> Tensor:
        player = self.players_of_model[index]
        with alone, self._own_noise(), already_checked():
            losses = player.loss(*batch)
        check_losses(self.model, losses, batch)
        loss = losses.mean()
        self.log(
            player.column,
            loss.detach(),
            on_step=True,
            on_epoch=True,
            prog_bar=True,
            sync_dist=True,
            batch_size=len(batch[0]),
        )
        return loss

    def _own_noise(self) -> Stream:
        if self._noise is None:
            process = f" of process {self.global_rank}" if self.global_rank else ""
            self._noise = Stream(stream_seed(self._seed, f"noise{process}"), self.device)
            if self._kept_noise is not None:
                self._noise.load_state_dict(self._kept_noise)
        return self._noise

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the stream of noise, that of the process which writes."""
        checkpoint["vaebook_noise"] = self._own_noise().state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the noise; a process of another rank begins a stream of its own."""
        self._kept_noise = checkpoint.get("vaebook_noise") if self.global_rank == 0 else None
        self._noise = None

    # --- validation -----------------------------------------------------------------------------

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the mean loss, and keep the batch if there is something to measure."""
        tensors = as_batch(batch)
        seed = stream_seed(self._seed, f"validation, batch {batch_idx}")
        with alone, Stream(seed, self.device), already_checked():
            for player in self.players_of_model:
                self.log(
                    f"validation_{player.column}",
                    player.loss(*tensors).mean(),
                    on_epoch=True,
                    sync_dist=True,
                    batch_size=len(tensors[0]),
                )
        if self._measure is not None:
            self._validation.append(tensors)

    def on_validation_epoch_end(self) -> None:
        """Measure on the validation data of all processes."""
        if self._measure is None or not self._validation:
            return
        columns = [torch.cat(column) for column in zip(*self._validation, strict=True)]
        self._validation = []
        total = self._num_validation_examples()
        together = [self._gathered(column)[:total] for column in columns]
        with alone, Stream(stream_seed(self._seed, "measure"), self.device):
            numbers = self._measure(self.model, *together)
        for name, value in numbers.items():  # the same in each process
            self.log(name, float(value), sync_dist=False, rank_zero_only=False)

    def _gathered(self, column: Tensor) -> Tensor:
        """The rows of all processes in the order of the data, of which each has every w-th."""
        if self.trainer.world_size == 1:
            return column
        rows: Any = self.all_gather(column)  # [w, n, ...]
        return rows.transpose(0, 1).flatten(0, 1)

    def _num_validation_examples(self) -> int | None:
        """How many there are, without those repeated to give each process as many."""
        loaders: Any = self.trainer.val_dataloaders
        try:
            return len(loaders.dataset)
        except (AttributeError, TypeError):
            return None
