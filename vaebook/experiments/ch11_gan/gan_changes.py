"""What each part of the reference GAN is worth: one change at a time (chapter 11).

The base is the GAN of chapter 12's ladder on dogs: non-saturating loss, R1, no momentum, batches of
32, the generator's weights averaged, and a generator that starts from an empty sheet. Every other
row differs from it in one thing, and is trained on as many pictures.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from vaebook._checks import ImageShape
from vaebook.experiments.ch11_gan.models import uniform_noise
from vaebook.experiments.ch12_vae_versus_gan.ladder import NUM_TOLD_APART
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.pictures import load_pictures_of
from vaebook.experiments.reference import train_reference
from vaebook.experiments.reference_gan import AVERAGED, NETWORK, reference_gan
from vaebook.metrics import MEASURES, Reference, measure_samples
from vaebook.models import GAN, MLP, Conv
from vaebook.models.networks import Network
from vaebook.training import Callback, Step, stream_seed

DATA_NAME = "dogs"
BASE, RAW, LARGE = "base", "no averaging", "batch 128"
LARGE_BATCH = 128
NUM_KEPT = 32  # pictures of each row that the record keeps
FAILED = {"validity": 0.0, "coverage": 0.0, "precision": 0.0, "recall": 0.0, "sharpness": 0.0}


def _from_grey(shape: ImageShape, network: Network) -> GAN:
    """The generator starts at brightness 0, as layers without a bias do."""
    assert isinstance(network, Conv)
    return reference_gan(shape, replace(network, blank=0.0))


def _seeing_paper(shape: ImageShape, network: Network) -> GAN:
    """The discriminator sees pictures as they are, with the paper's brightness."""
    assert isinstance(network, Conv | MLP)
    judge = replace(network, activation="leaky relu", background=0.0)
    return reference_gan(shape, network, discriminator=judge)


# What is built. The base gives RAW, too, and LARGE is built as the base is.
CHANGES: dict[str, Callable[[ImageShape, Network], GAN]] = {
    BASE: reference_gan,
    "saturating loss": partial(reference_gan, loss="minimax"),
    "no R1": partial(reference_gan, gradient_penalty=0.0),
    LARGE: reference_gan,
    "momentum 0.5": partial(reference_gan, betas=(0.5, 0.99)),
    "momentum 0.9": partial(reference_gan, betas=(0.9, 0.99)),
    "no background start": _from_grey,
    "paper not taken off": _seeing_paper,
    "spectral norm too": partial(reference_gan, spectral_norm=True),
    "uniform noise": lambda shape, network: reference_gan(shape, network, prior=uniform_noise()),
}


class KeepRaw(Callback):
    """Keeps the generator as it is at the end of the last epoch, before its average replaces it."""

    def __init__(self) -> None:
        self.generator: nn.Module | None = None
        self.steps = 0

    def after_epoch(self, step: Step, row: object) -> None:
        """Keep it."""
        assert isinstance(step.model, GAN)
        self.generator, self.steps = copy.deepcopy(step.model.generator), step.step


def train(
    name: str, images: Float[Tensor, "n c h w"], *, seed: int, budget: str, scale: float
) -> tuple[GAN, KeepRaw]:
    """The GAN with one of ``CHANGES``, and what it was before its weights were averaged."""
    channels, height, width = images.shape[1:]
    stream, raw = f"GAN, {name}", KeepRaw()

    def build(network: Network) -> GAN:
        return CHANGES[name]((channels, height, width), network)

    model = train_reference(
        build,
        images,
        data_name=DATA_NAME,
        seed=seed,
        stream=stream,
        network=NETWORK,
        budget=budget,
        batch_size=LARGE_BATCH if name == LARGE else None,
        average=AVERAGED,
        scale=scale,
        callbacks=[raw],
    )
    return model, raw


def run(
    seed: int,
    *,
    changes: Sequence[str] = (*CHANGES, RAW),
    budget: str = "× 1",
    num_images: int = 2000,
    num_judged: int = 200,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train the GAN with each change, and measure what it draws.

    Args:
        changes: names in ``CHANGES``, and ``RAW``, which takes no training of its own.
        budget: a name in :data:`vaebook.experiments.reference.BUDGETS`.
        num_images: samples of each.
        num_judged: how many of them get their nearest dog.
        scale: of the number of epochs, for trials.
        pictures: filled with the first samples of each.

    Returns:
        A row for each ``change`` with all columns of :func:`vaebook.metrics.measure_samples`,
        ``steps`` of the optimiser, and ``failed``, which says why a training broke down; it then
        has the worst values of ``FAILED`` and no others.
    """
    data = load_pictures_of(DATA_NAME)
    reference = Reference(data.test.images, data.train.images, recorded_features(DATA_NAME))
    rows: list[dict[str, Any]] = []
    for trained in CHANGES:
        shown = [name for name in (trained, RAW) if name in changes]
        if RAW in shown and trained != BASE:
            shown.remove(RAW)
        if not shown:
            continue
        try:
            model, raw = train(trained, data.train.images, seed=seed, budget=budget, scale=scale)
        except ValueError as error:  # what fit raises when a loss is no number any more
            rows += [{"change": name, "failed": str(error), **FAILED} for name in shown]
            continue
        for name in shown:
            if name == RAW:
                assert raw.generator is not None
                model.generator.load_state_dict(raw.generator.state_dict())
            images = model.sample(num_images, seed=stream_seed(seed, f"samples, {name}"))
            images = images.clamp(0, 1)
            if pictures is not None:
                pictures[name] = images[:NUM_KEPT]
            found = measure_samples(
                images,
                reference,
                MEASURES,
                num_judged=num_judged,
                num_told_apart=NUM_TOLD_APART,
                seed=stream_seed(seed, f"classifier, {name}"),
            )
            rows.append({"change": name, "failed": "", "steps": raw.steps, **found})
    return rows
