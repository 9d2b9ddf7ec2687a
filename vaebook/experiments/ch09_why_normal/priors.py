"""The trial of the priors: one VAE, one budget, another distribution of codes (chapter 09).

This record holds the priors that are fixed; ``priors_learned`` those that are trained with the
model, and ``priors_afterwards`` codes without a KL term, whose density is fitted afterwards.
:func:`vaebook.experiments.ch09_why_normal.records.load_trial` reads all three.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import fit_codes, fit_mixture
from vaebook.experiments.ch02_holes import holes
from vaebook.experiments.ch06_vae.anatomy import draw_images
from vaebook.experiments.ch09_why_normal.specs import MODELS, vae
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.experiments.settings import DOG_DEEP_TRAINING
from vaebook.metrics import Reference, evaluate_elbo, importance_weighted_nll, measure_samples
from vaebook.models import VAE, VQVAE, LatentVariableModel
from vaebook.models.latent_variable import DrawsImages
from vaebook.training import fit, seeded

NUM_KEPT = 8  # pictures of each kind that the record keeps
NUM_WEIGHTS = 100  # K, codes per picture behind −log p(x)
# Not a small number: load_dogs draws its splits from seeds 0, 1 and 2, and noise from the same
# stream would depend on the dogs.
CODE_SEED = 1_000_003
NUM_HELD_OUT = 500  # test images for −log p(x)
NUM_FITTED = 10  # components of the mixtures fitted afterwards
REFITTED = ("normal", "Wasserstein", "autoencoder")  # models that get one
FIXED = ("normal", "normal at 3", "normal, full posterior", "Laplace", "uniform", "sphere")
# Where −log p(x) comes from: an estimate, an upper bound, or nothing.
IMPORTANCE, BOUND, NONE = "importance-weighted", "bound", "none"


class Generator(NamedTuple):
    """A way to draw pictures, and what it says about the probability of given ones."""

    name: str
    draw: Callable[[int, int], Float[Tensor, "n c h w"]]  # from a number and a seed
    likelihood: dict[str, float | str]  # of the test images
    seconds: float  # to train and to fit


def train(
    name: str, data: ImageData, *, seed: int, num_epochs: int
) -> tuple[LatentVariableModel, float]:
    """One of ``MODELS``, trained; and the seconds that took."""
    with seeded(seed):
        model = MODELS[name](data)
    settings = DOG_DEEP_TRAINING | {"num_epochs": num_epochs}
    return model, fit(model, data.train.images, seed=seed, **settings).seconds


def codes_of(model: LatentVariableModel, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """A draw of q(z | x) per image; of an autoencoder its code."""
    return holes.codes_of(model, images, seed=CODE_SEED)


def with_prior(model: VAE, prior: Distribution, data: ImageData) -> VAE:
    """The same trained model under another p(z)."""
    other = vae(data, prior=prior)
    other.load_state_dict(model.state_dict())
    return other


def vae_likelihood(model: VAE, images: Float[Tensor, "n c h w"]) -> dict[str, float | str]:
    """ELBO and its terms, and −log p(x) with ``NUM_WEIGHTS`` importance weights per image."""
    terms = evaluate_elbo(model, images, num_samples=4)
    nll = importance_weighted_nll(model, images, num_samples=NUM_WEIGHTS)
    return {
        "nll_kind": IMPORTANCE,
        "nll": float(nll.mean()),
        "neg_elbo": -float(terms.elbo.mean()),
        "distortion": float(terms.distortion.mean()),
        "rate": float(terms.rate.mean()),
    }


def code_generators(model: VQVAE, data: ImageData, seconds: float) -> Iterator[Generator]:
    """Codes from the frequencies at each place, and place after place given those before."""
    codes = model.encode(data.train.images)
    for name, in_turn in (("discrete codes, independent", False), ("discrete codes", True)):
        start = time.perf_counter()
        prior = fit_codes(codes, model.codebook_size, autoregressive=in_turn)
        fitting = time.perf_counter() - start
        with torch.no_grad():
            terms = model.elbo(data.test.images[:NUM_HELD_OUT], prior=prior)
        likelihood: dict[str, float | str] = {"nll_kind": BOUND, "nll": -float(terms.elbo.mean())}
        likelihood |= {
            "neg_elbo": -float(terms.elbo.mean()),
            "distortion": float(terms.distortion.mean()),
            "rate": float(terms.rate.mean()),
        }
        draw = partial(_draw_codes, model, prior)
        yield Generator(name, draw, likelihood, seconds + fitting)


def _draw_codes(model: VQVAE, prior: Distribution, num_images: int, seed: int) -> Tensor:
    return model.sample(num_images, prior=prior, seed=seed)


def _sampler(model: DrawsImages) -> Callable[[int, int], Tensor]:
    """The model's own way to draw pictures."""
    return lambda num_images, seed: model.sample(num_images, seed=seed)


def generators(
    name: str, model: LatentVariableModel, data: ImageData, seconds: float
) -> Iterator[Generator]:
    """Every way in which the trial draws pictures from a trained model.

    From its own prior, and for three of the models also from a mixture fitted to their codes.
    """

    def likelihood() -> dict[str, float | str]:
        if isinstance(model, VAE):
            return vae_likelihood(model, data.test.images[:NUM_HELD_OUT])
        return {"nll_kind": NONE}

    if isinstance(model, VQVAE):
        yield from code_generators(model, data, seconds)
        return
    if isinstance(model, DrawsImages):
        yield Generator(name, _sampler(model), likelihood(), seconds)
    if name not in REFITTED:
        return
    start = time.perf_counter()
    mixture = fit_mixture(codes_of(model, data.train.images), NUM_FITTED)
    seconds += time.perf_counter() - start
    if isinstance(model, VAE):
        model = with_prior(model, mixture, data)
    draw = partial(draw_images, model, mixture)
    yield Generator(f"{name} + mixture", draw, likelihood(), seconds)


def run(
    seed: int,
    *,
    models: tuple[str, ...] = FIXED,
    num_epochs: int = 12,
    num_images: int = 100,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each model, draw pictures in each of its ways, and judge them.

    A model whose training breaks down has a row all the same: ``failed`` says why.

    Args:
        num_images: pictures judged per generator; a share s of dogs among them has a binomial
            standard error of √(s (1 − s) / num_images).
        pictures: filled with the first images of each generator, under its name.

    Returns:
        A row per generator: ``nll_kind``, ``nll`` (−log p(x) in nats), ``neg_elbo``,
        ``distortion`` and ``rate`` of held-out dogs, ``reconstruction_rmse``, :func:`judge` of the
        pictures, and ``seconds``.
    """
    data = load_dogs()
    rows = []
    for name in models:
        try:
            rows += measure_model(name, data, seed, num_epochs, num_images, pictures)
        except ValueError as error:  # what fit raises when a loss is no number any more
            rows.append({"model": name, "failed": str(error)})
    return rows


def measure_model(
    name: str,
    data: ImageData,
    seed: int,
    num_epochs: int,
    num_images: int,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """The rows of one model of one seed; see :func:`run`."""
    model, seconds = train(name, data, seed=seed, num_epochs=num_epochs)
    error = reconstruction_rmse(model, data.test.images)
    rows = []
    for generator in generators(name, model, data, seconds):
        images = generator.draw(num_images, seed).clamp(0, 1)
        if pictures is not None:
            pictures[generator.name] = images[:NUM_KEPT]
        rows.append(
            {"model": generator.name, "failed": "", **generator.likelihood}
            | {"reconstruction_rmse": error}
            | measure_samples(images, Reference(data.test.images), ["dogs", "sharpness"])
            | {"seconds": generator.seconds}
        )
    return rows
