"""``python lightning_processes.py PROCESSES OUT``: train under Lightning, write what came out.

The order of the data is fixed and each process takes its share of the same global batches, so that
the losses must be the same whatever the number of processes.
"""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from vaebook.metrics import evaluate_elbo, precision_recall
from vaebook.models import GAN, MLP, VAE, Autoencoder
from vaebook.training import seeded
from vaebook.training.lightning import LightningModel

SHAPE = (1, 4, 4)
GLOBAL_BATCH = 16
MODELS = ("autoencoder", "VAE at its means", "GAN")


def build(name: str) -> nn.Module:
    """A small model whose loss draws nothing at random."""
    with seeded(0):
        if name == "autoencoder":
            return Autoencoder(SHAPE, 2, network=MLP((8,)))
        if name == "VAE at its means":
            return VAE(SHAPE, 2, network=MLP((8,)), sample_codes=False)
        return SilentGAN(SHAPE, 2, network=MLP((8,), "leaky relu"))


class SilentGAN(GAN):
    """A GAN whose noise is a fixed function of the real pictures."""

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """As in a GAN, with that noise."""
        with torch.no_grad():
            made = self.decode(images.flatten(1)[:, :2])
        return nn.functional.softplus(-self.logits(images)) + nn.functional.softplus(
            self.logits(made)
        )

    def generator_loss(self, images: Tensor) -> Tensor:
        """As in a GAN, with that noise."""
        made = self.decode(images.flatten(1)[:, :2])
        return nn.functional.softplus(-self.logits(made))


def measure(model: nn.Module, images: Tensor) -> dict[str, float]:
    """Measures of the whole validation set; the pictures to judge are made of its own rows."""
    near, far = 0.5 * images[:20].roll(1, 0) + 0.35, 5 + 0.01 * images[20:]
    judged = precision_recall(images, torch.cat([near, far]), num_neighbours=3)
    found = {
        "rows": float(len(images)),
        "first": float(images[1].mean()),
        "precision": float(judged.precision),
        "recall": float(judged.recall),
    }
    if isinstance(model, VAE):
        found["elbo"] = float(evaluate_elbo(model, images, seed=0).elbo.mean())
    return found


class InOrder(LightningDataModule):
    """Every process has every so-manieth row; the last ones are repeated to give each as many."""

    def __init__(self, images: Tensor, held_out: Tensor, batch_size: int) -> None:
        super().__init__()
        self.images, self.held_out, self.batch_size = images, held_out, batch_size

    def _loader(self, images: Tensor, batch_size: int) -> DataLoader:
        data = TensorDataset(images)
        together = torch.distributed.is_initialized()
        sampler = DistributedSampler(data, shuffle=False) if together else None
        return DataLoader(data, batch_size=batch_size, sampler=sampler)

    def train_dataloader(self) -> DataLoader:
        """What is trained on."""
        return self._loader(self.images, self.batch_size)

    def val_dataloader(self) -> DataLoader:
        """What is measured."""
        return self._loader(self.held_out, 8)


class Losses(Callback):
    """Collects the losses of each step, averaged over the processes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, *arguments: object) -> None:
        """Take them from the trainer."""
        del arguments
        metrics = trainer.callback_metrics
        self.rows.append({k: float(v) for k, v in metrics.items() if k.endswith("_step")})


def train(processes: int, name: str) -> dict[str, Any] | None:
    """Two epochs; what came out, in the first process."""
    with seeded(3):
        images, held_out = torch.rand(96, *SHAPE), torch.rand(33, *SHAPE)
    losses = Losses()
    strategy = "auto"
    if processes > 1:
        strategy = "ddp_find_unused_parameters_true" if name == "GAN" else "ddp"
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=processes,
        strategy=strategy,
        callbacks=[losses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # which would shuffle
    )
    module = LightningModel(build(name), lr=1e-2, measure=measure)
    trainer.fit(module, InOrder(images, held_out, GLOBAL_BATCH // processes))
    if not trainer.is_global_zero:
        return None
    weights = nn.utils.parameters_to_vector(module.model.parameters())
    metrics = trainer.callback_metrics.items()
    ends = {name: float(value) for name, value in metrics if not name.endswith("_step")}
    return {"losses": losses.rows, "ends": ends, "weights": weights.tolist()}


def main(processes: int, out: Path) -> None:
    """Train each model; the first process writes the file."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    results = {name: train(processes, name) for name in MODELS}
    if all(result is not None for result in results.values()):
        out.write_text(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
