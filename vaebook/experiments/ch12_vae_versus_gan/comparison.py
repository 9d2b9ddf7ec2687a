"""VAE against GAN, fair: one decoder, one data set, one budget of seconds (chapter 12, dogs).

This record holds the models trained by likelihood and the controls; ``comparison_adversarial``
those with a discriminator, and ``comparison_fashion`` and ``comparison_fashion_adversarial`` the
same on photographs. :func:`.records.load_comparison` reads them.

The protocol, fixed before any seed but 0 was looked at:

* Every model has the same convolutional decoder from 16 numbers, and the same encoder if it has
  one; a discriminator is an encoder with one output. The training pictures, the size of a batch
  and the learning rate are the same.
* Equal compute: every model is trained for the number of epochs that takes it the same seconds of
  one processor core. The numbers were measured once and are part of the settings, so that a record
  does not depend on how busy a machine is; ``seconds`` says what they took. Beside it, the models
  without a discriminator are looked at after as many steps as the GAN takes (``budget`` is
  ``"equal steps"``): then they have had less.
* What a model draws is what its ``sample`` gives: of a VAE the mean picture of a code from N(0, I).
  An autoencoder draws from a mixture fitted to its codes, and so does the VAE once more.
* No choosing: 2,000 samples of one seed, of which the first 100 are given their nearest dog, and
  the first 64 of seed 0 are shown.
* Two controls that are no models: real pictures that nobody was trained on, and training pictures
  handed back, which is what a perfect copyist would draw.
* Settings were chosen on seed 0, and the GAN's far longest: its penalty, momentum, batch, and
  learning rate over about twenty runs. The others share its batch and learning rate; σ is that of
  chapter 09, and the weight of the VAE-GAN's discriminator was set once.
* Every model ends with an average of its weights over the last steps, since the GAN needs one.
"""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook.distributions import fit_mixture
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.ch12_vae_versus_gan.specs import BATCH_SIZE, GAN_NAME, SPECS
from vaebook.experiments.pictures import PictureData, load_pictures_of
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import Reference, measure_samples
from vaebook.metrics.samples.measure import Features
from vaebook.models import GAN, VAE, GenerativeModel, LatentVariableModel
from vaebook.models.latent_variable import DrawsImages
from vaebook.training import Callback, Step, WeightAverage, fit, seeded

# Not a small number: the dogs are drawn from seeds 0, 1 and 2, and noise from the same stream
# would depend on them.
SAMPLE_SEED = 1_000_003
NUM_COMPONENTS = 10  # of the mixtures
WEIGHTS_KEPT = ("VAE", "GAN")  # of seed 0, for chapters to go on from
NUM_KEPT = 64  # pictures of each kind that the record keeps
CONTROLS = ("real, fresh", "training pictures")
LIKELIHOOD = ("autoencoder", "VAE", "VAE, learned σ")  # without a discriminator
SECONDS, STEPS = "equal seconds", "equal steps"
MEASURED = ("dogs", "sharpness", "spectrum", "pixels", "features", "novelty")


class Sampler(NamedTuple):
    """A way to draw pictures."""

    name: str
    draw: Callable[[int, int], Float[Tensor, "n c h w"]]  # from a number and a seed
    seconds: float  # of one core, for what was fitted after training


class Trained(NamedTuple):
    """A model at the end of a budget."""

    model: GenerativeModel
    budget: str
    steps: int
    seconds: float  # of one core


class KeepAt(Callback):
    """Keeps the average of the weights as it is after so many epochs."""

    def __init__(self, num_epochs: int, average: WeightAverage) -> None:
        self.num_epochs, self.average = num_epochs, average
        self.kept: nn.Module | None = None
        self.at = 0.0  # seconds of the processor when it was kept

    def after_epoch(self, step: Step, row: object) -> None:
        """Keep it, if this was the epoch."""
        if step.epoch + 1 == self.num_epochs and self.average.average is not None:
            self.kept, self.at = copy.deepcopy(self.average.average).eval(), time.process_time()


def samplers(
    name: str, model: GenerativeModel, train: Float[Tensor, "n c h w"]
) -> Iterator[Sampler]:
    """Every way in which the comparison draws pictures from a trained model."""
    if isinstance(model, DrawsImages):
        yield Sampler(name, lambda n, seed: model.sample(n, seed=seed), 0.0)
    if name not in ("VAE", "autoencoder"):
        return
    assert isinstance(model, LatentVariableModel)
    start = time.process_time()
    with torch.no_grad(), seeded(SAMPLE_SEED):
        codes = model.posterior(train).sample() if isinstance(model, VAE) else model.encode(train)
    mixture = fit_mixture(codes, NUM_COMPONENTS)
    seconds = time.process_time() - start
    yield Sampler(f"{name} + mixture", lambda n, seed: decode(model, mixture, n, seed), seconds)


@torch.no_grad()
def decode(model: GenerativeModel, density: Distribution, num_images: int, seed: int) -> Tensor:
    """The pictures of codes drawn from ``density``."""
    with seeded(seed):
        return model.decode(density.sample((num_images,)))


def run(
    seed: int,
    *,
    models: tuple[str, ...] = (*CONTROLS, *LIKELIHOOD),
    data_name: str = "dogs",
    epochs: float = 1.0,
    num_images: int = 2000,
    num_judged: int = 100,
    features: Features | None = None,
    pictures: dict[str, Tensor] | None = None,
    weights: dict[str, nn.Module] | None = None,
) -> list[dict[str, Any]]:
    """Train each model, draw pictures in each of its ways, and measure them.

    A model whose training breaks down has a row all the same: ``failed`` says why.

    Args:
        models: names in ``CONTROLS`` or ``SPECS``: one name is one row's command.
        epochs: a part of the full number of epochs, at least one is trained.
        num_judged: how many of them get their nearest dog; a share s of dogs among them has a
            binomial standard error of √(s (1 − s) / num_judged).
        features: of pictures; those of the record ``feature_networks`` by default.
        pictures: filled with the first samples of each way, under its name.
        weights: filled with what draws the pictures of ``WEIGHTS_KEPT``: decoder or generator.

    Returns:
        A row per sampler and budget with all columns of :func:`vaebook.metrics.measure_samples`
        (``dogs`` of dogs only), ``reconstruction_rmse`` of the test pictures, ``steps`` and
        ``seconds`` of one core.
    """
    data = load_pictures_of(data_name)
    measures = [name for name in MEASURED if data_name == "dogs" or name != "dogs"]
    features = features or recorded_features(data_name)
    reference = Reference(data.test.images, data.train.images, features)

    def judged(name: str, budget: str, images: Tensor) -> dict[str, Any]:
        if pictures is not None and budget == SECONDS:
            pictures[name] = images[:NUM_KEPT]
        found = measure_samples(images, reference, measures, num_judged=num_judged)
        return {"model": name, "budget": budget, "failed": "", **found}

    rows = []
    for name in models:
        if name in CONTROLS:
            rows.append(judged(name, SECONDS, control(name, data, num_images, seed)))
            continue
        try:
            for model, budget, steps, seconds in train(name, data, epochs, seed):
                error = float("nan")
                if isinstance(model, LatentVariableModel):
                    error = reconstruction_rmse(model, data.test.images)
                for sampler in samplers(name, model, data.train.images):
                    images = sampler.draw(num_images, SAMPLE_SEED + seed).clamp(0, 1)
                    rows.append(
                        judged(sampler.name, budget, images)
                        | {"reconstruction_rmse": error, "steps": steps}
                        | {"seconds": seconds + sampler.seconds}
                    )
        except ValueError as error:  # what fit raises when a loss is no number any more
            rows.append({"model": name, "budget": SECONDS, "failed": str(error)})
            continue
        if weights is not None and name in WEIGHTS_KEPT:
            decoder = model.generator if isinstance(model, GAN) else model.decoder
            assert isinstance(decoder, nn.Module)
            weights[name] = decoder
    return rows


def control(name: str, data: PictureData, num_images: int, seed: int) -> Float[Tensor, "n c h w"]:
    """Pictures that no model drew."""
    source = data.fresh if name == CONTROLS[0] else data.train.images
    with seeded(SAMPLE_SEED + seed):
        return source[torch.randperm(len(source))[:num_images]]


def train(name: str, data: PictureData, epochs: float, seed: int) -> list[Trained]:
    """One of ``SPECS`` at the end of each budget it is looked at in."""
    spec = SPECS[name]
    num_epochs, as_gan = (
        max(1, round(epochs * SPECS[n].epochs[data.name])) for n in (name, GAN_NAME)
    )
    steps_per_epoch = -(-len(data.train) // BATCH_SIZE)
    start = time.process_time()
    average = WeightAverage(spec.average)
    halfway = KeepAt(as_gan, average)
    watched = spec.at_equal_steps and as_gan < num_epochs
    with seeded(seed):
        model = spec.build(data.image_shape, data.name)
    fit(
        model,
        data.train.images,
        num_epochs=num_epochs,
        batch_size=BATCH_SIZE,
        lr=spec.lr,
        seed=seed,
        callbacks=[average, halfway] if watched else [average],
    )
    trained = [Trained(model, SECONDS, num_epochs * steps_per_epoch, time.process_time() - start)]
    if isinstance(halfway.kept, GenerativeModel):
        kept = Trained(halfway.kept, STEPS, as_gan * steps_per_epoch, halfway.at - start)
        trained.insert(0, kept)
    return trained
