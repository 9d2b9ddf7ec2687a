"""Every way in which the ladder of budgets draws pictures: controls, and models trained for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import ImageShape
from vaebook.data import render, sample_factors
from vaebook.distributions import (
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    fit_mixture,
    truncate,
)
from vaebook.experiments.ch12_vae_versus_gan.specs import SIGMA
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.reference import BLANK, LATENT_DIM, train_reference
from vaebook.experiments.reference_gan import AVERAGED, NETWORK, reference_gan
from vaebook.models import GAN, VAE, Autoencoder
from vaebook.models.networks import Network
from vaebook.training import Callback, Step, seeded, stream_seed

Model = GAN | VAE | Autoencoder
NUM_COMPONENTS = 10  # of the mixtures
REAL, TRAINING = "real", "training pictures"
CONTROLS = (REAL, TRAINING)


def _autoencoder(shape: ImageShape, network: Network) -> Autoencoder:
    return Autoencoder(shape, LATENT_DIM, network=network, likelihood=GaussianLikelihood(SIGMA))


def _vae(shape: ImageShape, network: Network) -> VAE:
    return VAE(shape, LATENT_DIM, network=network, likelihood=GaussianLikelihood(SIGMA))


def _learned(shape: ImageShape, network: Network) -> VAE:
    return VAE(shape, LATENT_DIM, network=network, likelihood=LearnedGaussianLikelihood())


BUILD: dict[str, Callable[[ImageShape, Network], Model]] = {
    "GAN": reference_gan,
    "autoencoder": _autoencoder,
    "VAE": _vae,
    "VAE, learned σ": _learned,
}


class Way(NamedTuple):
    """A way to draw pictures."""

    trained: str  # one of ``BUILD``
    fitted: bool  # from a mixture fitted to the training pictures' codes, not from N(0, I)


WAYS = {
    "GAN": Way("GAN", False),
    "autoencoder + mixture": Way("autoencoder", True),
    "VAE": Way("VAE", False),
    "VAE + mixture": Way("VAE", True),
    "VAE, learned σ": Way("VAE, learned σ", False),
    "VAE, learned σ + mixture": Way("VAE, learned σ", True),
}
VAE_WAYS = tuple(name for name, way in WAYS.items() if way.trained.startswith("VAE"))


def _kind(name: str, images: Float[Tensor, "n c h w"]) -> str:
    """What pictures are called in streams: those of another size share no random numbers."""
    return f"{name}, {images.shape[-1]} pixels"


@dataclass(frozen=True)
class Drawn:
    """Pictures, and where they come from."""

    data: str  # the pictures' name in the package
    model: str  # one of ``WAYS`` or ``CONTROLS``
    images: Float[Tensor, "n c h w"]
    budget: str = ""
    truncation: float = 1.0
    steps: float = float("nan")  # of the optimiser
    seconds: float = float("nan")  # of one core, for training and mixture
    failed: str = ""  # why the training broke down; the pictures are then empty

    @property
    def stream(self) -> str:
        """What these pictures are called, unlike any others under a seed."""
        budget = self.budget or "any budget"
        kind = _kind(self.data, self.images)
        return f"{kind}: {self.model} at {budget}, truncated at {self.truncation:g}"

    def labels(self) -> dict[str, Any]:
        """All but the pictures, as columns of a record."""
        return {
            "budget": self.budget,
            "model": self.model,
            "truncation": self.truncation,
            "num_pictures": len(self.images),
            "steps": self.steps,
            "seconds": self.seconds,
            "failed": self.failed,
        }


class CountSteps(Callback):
    """Remembers how many optimiser steps a training took."""

    def __init__(self) -> None:
        self.steps = 0

    def after_training(self, step: Step) -> None:
        """Note them."""
        self.steps = step.step


def control(name: str, data: PictureData, num_images: int, seed: int) -> Float[Tensor, "n c h w"]:
    """Pictures that no model drew: dogs drawn anew, photographs kept back, training pictures."""
    stream = f"{_kind(data.name, data.test.images)}: {name}"
    if name == REAL and data.name == "dogs":
        factors = sample_factors(num_images, seed=stream_seed(seed, stream))
        with torch.no_grad():
            return render(factors, size=data.image_shape[-1])
    source = data.fresh if name == REAL else data.train.images
    with seeded(seed, stream):
        return source[torch.randperm(len(source))[:num_images]]


def train(
    name: str,
    data: PictureData,
    *,
    seed: int,
    budget: str,
    scale: float = 1.0,
    adapt: Callable[[Network], Network] = lambda network: network,
) -> tuple[Model, int]:
    """One of ``BUILD`` by the reference recipe, and the steps that it took."""
    is_gan, count = name == "GAN", CountSteps()
    model = train_reference(
        lambda network: BUILD[name](data.image_shape, adapt(network)),
        data.train.images,
        data_name=data.name,
        seed=seed,
        stream=f"{_kind(data.name, data.test.images)}: {name} at {budget}",
        network=NETWORK if is_gan else "convolutional",
        budget=budget,
        average=AVERAGED if is_gan else "",
        scale=scale,
        callbacks=[count],
    )
    return model, count.steps


def density_of(
    name: str, model: Model, data: PictureData, *, seed: int, budget: str
) -> Distribution:
    """Where a way draws its codes, or its noise, from."""
    if not WAYS[name].fitted:
        assert not isinstance(model, Autoencoder)
        return model.prior
    assert not isinstance(model, GAN)
    stream = f"{_kind(data.name, data.test.images)}: {name} at {budget}"
    with torch.no_grad(), seeded(seed, f"{stream}: codes"):
        images = data.train.images
        codes = model.posterior(images).sample() if isinstance(model, VAE) else model.encode(images)
    # scikit-learn's seeds have 32 bits
    return fit_mixture(codes, NUM_COMPONENTS, seed=stream_seed(seed, f"{stream}: k-means") % 2**32)


def draw_all(
    data: PictureData,
    *,
    seed: int,
    models: Sequence[str],
    budgets: Sequence[str],
    truncations: Sequence[float],
    num_images: int,
    scale: float = 1.0,
    adapt: Callable[[Network], Network] = lambda network: network,
) -> Iterator[Drawn]:
    """Train each model once on each budget, and draw in each of the ways that are asked for.

    Args:
        data: what they are trained on.
        seed: of the trial.
        models: names in ``CONTROLS`` or ``WAYS``.
        budgets: names in :data:`vaebook.experiments.reference.BUDGETS`.
        truncations: factors for :func:`vaebook.distributions.truncate`.
        num_images: of each way and truncation.
        scale: of the number of epochs.
        adapt: what the reference network becomes, for pictures of another size.
    """
    kind = _kind(data.name, data.test.images)
    for name in CONTROLS:
        if name in models:
            yield Drawn(data.name, name, control(name, data, num_images, seed))
    for budget in budgets:
        for trained in BUILD:
            ways = [name for name in models if name in WAYS and WAYS[name].trained == trained]
            if not ways:
                continue
            empty = torch.full((num_images, *data.image_shape), BLANK[data.name])
            start = time.process_time()
            try:
                model, steps = train(
                    trained, data, seed=seed, budget=budget, scale=scale, adapt=adapt
                )
            except ValueError as error:  # what fit raises when a loss is no number any more
                for name in ways:
                    for factor in truncations:
                        yield Drawn(data.name, name, empty, budget, factor, failed=str(error))
                continue
            trained_in = time.process_time() - start
            for name in ways:
                start = time.process_time()
                try:
                    density = density_of(name, model, data, seed=seed, budget=budget)
                except ValueError as error:  # of codes that are all the same
                    for factor in truncations:
                        yield Drawn(data.name, name, empty, budget, factor, failed=str(error))
                    continue
                seconds = trained_in + time.process_time() - start
                for factor in truncations:
                    with seeded(seed, f"{kind}: samples of {name} at {budget}, {factor:g}"):
                        codes = truncate(density, factor).sample((num_images,))
                    images = model.decode_all(codes).clamp(0, 1)
                    yield Drawn(data.name, name, images, budget, factor, steps, seconds)
