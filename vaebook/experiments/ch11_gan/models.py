"""Small GANs of small dogs, and what is watched while they train (chapter 11).

Dogs of 16 by 16 pixels, three passes over them in batches of 32: less than a minute of one core, so
that many recipes can have five seeds each.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Uniform

from vaebook.data import ImageData
from vaebook.data.breeds import SIZE
from vaebook.distributions import GaussianLikelihood
from vaebook.metrics import precision_recall
from vaebook.models import GAN, VAE, Conv
from vaebook.models.gan import discriminator_loss, non_saturating_loss
from vaebook.training import Callback, Step, WeightAverage, fit, seeded

LATENT_DIM = 16
GENERATOR = Conv((16, 32), 256, background=0.95, blank=0.95)  # also the VAE's decoder
DISCRIMINATOR = Conv((16, 32), 256, "leaky relu", background=0.95)
MODEL: dict[str, Any] = {"gradient_penalty": 0.3, "betas": (0.0, 0.99)}
TRAINING: dict[str, Any] = {"num_epochs": 3, "batch_size": 32, "lr": 2e-3}
# The VAE with the same generator, for about as many seconds.
SIGMA = 0.2
VAE_TRAINING: dict[str, Any] = {"num_epochs": 9, "batch_size": 64, "lr": 2e-3}
WATCH_SEED = 1_000_003  # of the noise whose pictures are watched
NUM_WATCHED = 500


@dataclass(frozen=True)
class Recipe:
    """What differs from the reference: in the model, and in its training."""

    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def uniform_noise() -> Independent:
    """Uniform in a box, with mean 0 and variance 1 like the normal."""
    edge = torch.full((LATENT_DIM,), 3.0**0.5)
    return Independent(Uniform(-edge, edge), 1)


REFERENCE, BASELINE = "reference", "vae"
RECIPES: dict[str, Recipe] = {
    REFERENCE: Recipe(),
    "no penalty": Recipe({"gradient_penalty": 0.0}),
    "spectral norm instead": Recipe({"gradient_penalty": 0.0, "spectral_norm": True}),
    "momentum 0.9": Recipe({"betas": (0.9, 0.99)}),
    "saturating, no penalty": Recipe({"loss": "minimax", "gradient_penalty": 0.0}),
    "twice the rate": Recipe(training={"lr": 4e-3}),
    "batches of 8": Recipe(training={"batch_size": 8, "num_epochs": 1}),  # more steps
    "uniform noise": Recipe({"prior": uniform_noise()}),
}


def build(name: str, *, seed: int) -> GAN | VAE:
    """An untrained model by the name of its recipe, or the VAE with the same generator."""
    shape = (1, SIZE, SIZE)
    with seeded(seed):
        if name == BASELINE:
            return VAE(shape, LATENT_DIM, network=GENERATOR, likelihood=GaussianLikelihood(SIGMA))
        settings = MODEL | dict(RECIPES[name].model)
        return GAN(shape, LATENT_DIM, network=GENERATOR, discriminator=DISCRIMINATOR, **settings)


class TrainingMonitor(Callback):
    """Measure the game every so many steps, on held-out pictures and noise that stays the same.

    A row has ``step``, and of the weights as they are ``precision``, ``recall`` and ``drift``, the
    RMSE between the pictures of the same noise now and at the row before. Of a GAN also the same of
    the averaged generator (``average_…``), the ``accuracy`` of the discriminator on as many real as
    generated pictures, its mean logits ``logit_real`` and ``logit_generated``, and what the two
    players pay in nats, without penalty and by the non-saturating loss.

    Args:
        held_out: pictures that the model does not train on.
        average: the callback that averages the generator, if there is one.
        every: steps between two rows.
        keep: steps at which a copy of the model with the averaged generator is kept.
    """

    def __init__(
        self,
        held_out: Float[Tensor, "n c h w"],
        average: WeightAverage | None = None,
        *,
        every: int = 125,
        keep: tuple[int, ...] = (),
    ) -> None:
        self.held_out = held_out[:NUM_WATCHED]
        self.average = average
        self.every = every
        self.keep = keep
        self.rows: list[dict[str, float]] = []
        self.kept: dict[int, GAN | VAE] = {}
        self._before: dict[str, Tensor] = {}

    def before_step(self, step: Step) -> None:
        """Measure, if it is time."""
        assert isinstance(step.model, GAN | VAE)
        if step.step in self.keep:
            self.kept[step.step] = self._averaged(step.model)
        if step.step % self.every == 0 and step.step > 0:
            self.measure(step.model, step.step)

    def after_training(self, step: Step) -> None:
        """Measure once more, before an average takes the weights' place."""
        assert isinstance(step.model, GAN | VAE)
        self.measure(step.model, step.step)
        self.kept[step.step] = copy.deepcopy(step.model)

    def _averaged(self, model: GAN | VAE) -> GAN | VAE:
        model = copy.deepcopy(model)
        average = self.average.average if self.average is not None else None
        if isinstance(model, GAN) and average is not None:
            model.generator.load_state_dict(average.state_dict())
        return model

    @torch.no_grad()
    def measure(self, model: GAN | VAE, step: int) -> None:
        """Add a row."""
        row = {"step": float(step)}
        kinds = {"": model}
        if self.average is not None:
            kinds["average_"] = self._averaged(model)
        for kind, watched in kinds.items():
            pictures = watched.sample(len(self.held_out), seed=WATCH_SEED)
            for name, value in precision_recall(self.held_out, pictures)._asdict().items():
                row[f"{kind}{name}_pixels"] = value
            if kind in self._before:
                change = (pictures - self._before[kind]).square().mean().sqrt()
                row[kind + "drift"] = float(change)
            self._before[kind] = pictures
        if isinstance(model, GAN):
            real, generated = model.logits(self.held_out), model.logits(self._before[""])
            right = (real > 0).float().mean() + (generated <= 0).float().mean()
            row["accuracy"] = float(right) / 2
            row["logit_real"], row["logit_generated"] = float(real.mean()), float(generated.mean())
            row["discriminator_loss"] = float(discriminator_loss(real, generated).mean())
            row["generator_loss"] = float(non_saturating_loss(generated).mean())
        self.rows.append(row)


def train(
    name: str,
    data: ImageData,
    *,
    seed: int,
    num_epochs: int | None = None,
    keep: tuple[int, ...] = (),
) -> tuple[GAN | VAE, TrainingMonitor, float]:
    """A model by the name of its recipe, the watch, and the seconds of training.

    Args:
        name: one of ``RECIPES``, or ``BASELINE``.
        data: what it is trained on; the validation images are watched.
        num_epochs: in place of the recipe's.
        keep: steps at which the watch keeps a copy.
    """
    model = build(name, seed=seed)
    if name == BASELINE:
        settings, average = dict(VAE_TRAINING), None
    else:
        settings, average = TRAINING | dict(RECIPES[name].training), WeightAverage()
    if num_epochs is not None:
        settings["num_epochs"] = num_epochs
    watch = TrainingMonitor(data.validation.images, average, keep=keep)
    callbacks = [watch] if average is None else [watch, average]
    history = fit(
        model, data.train.images, seed=seed, callbacks=callbacks, progress=False, **settings
    )
    return model, watch, history.seconds
