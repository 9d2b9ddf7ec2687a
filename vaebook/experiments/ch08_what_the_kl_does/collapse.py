"""Posterior collapse made on purpose, and three cures for it (chapter 08)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from vaebook.data import ImageData, Split
from vaebook.data.dogs import load_dogs
from vaebook.distributions import AutoregressiveLikelihood, BernoulliLikelihood
from vaebook.experiments.ch08_what_the_kl_does.beta_sweep import rate_measures
from vaebook.metrics import (
    active_units,
    importance_weighted_nll,
    posterior_parameters,
    rate_per_dimension,
    split_rate,
)
from vaebook.models import MLP, VAE
from vaebook.training import Callback, Step, WarmUp, fit, seeded

LATENT_DIM = 8
NUM_EPOCHS = 20
LR = 1e-2  # high, so that the context is learned as fast as the code
LARGE_BETA = 20.0
HOLD = 4  # epochs at the full weight between two cycles
FREE_BITS = 0.25  # nats per dimension: 2 in all


class Variant(NamedTuple):
    """A decoder, a weight of the rate, and what is done against collapse."""

    context: tuple[int, ...] | None = (256,)  # hidden layers; None leaves the context out
    dropout: float = 0.0  # of the context
    beta: float = 1.0
    warm_up: int = 0  # epochs of one rise
    cycles: int = 1
    free_bits: float = 0.0


STRONG = Variant()
PLAIN = Variant(context=None)
VARIANTS: dict[str, Variant] = {
    "plain decoder": PLAIN,
    "strong decoder": STRONG,
    "warm-up": STRONG._replace(warm_up=10),
    "two cycles": STRONG._replace(warm_up=5, cycles=2),
    "free bits": STRONG._replace(free_bits=FREE_BITS),
    "context dropout": STRONG._replace(dropout=0.5),
    "linear context": STRONG._replace(context=()),
    "large beta": PLAIN._replace(beta=LARGE_BETA),
    "large beta, warm-up": PLAIN._replace(beta=LARGE_BETA, warm_up=10),
}


def silhouettes(num_train: int = 5000) -> ImageData:
    """Dogs of 8×8 pixels in black and white: what is darker than 0.8 becomes 1."""
    dogs = load_dogs(num_train, 500, 1000, size=8)
    train, validation, test = (Split((split.images < 0.8).float()) for _, split in dogs.splits())
    return ImageData("silhouettes", train, validation, test)


def build(variant: Variant, data: ImageData, *, seed: int) -> VAE:
    """The model of a variant, not trained."""
    with seeded(seed):
        return VAE(
            data.image_shape,
            LATENT_DIM,
            network=MLP((128,)),
            likelihood=BernoulliLikelihood()
            if variant.context is None
            else AutoregressiveLikelihood(
                data.image_shape, hidden=variant.context, dropout=variant.dropout
            ),
            beta=variant.beta,
            free_bits=variant.free_bits,
        )


class WatchCodes(Callback):
    """Adds rate, mutual information and active units to each epoch of the history."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
        """Measure, without touching the random numbers of the training."""
        model = step.model
        assert isinstance(model, VAE)
        posterior = posterior_parameters(model, self.images)
        return {
            "rate": float(rate_per_dimension(model, self.images).sum()),
            "mutual_information": split_rate(posterior, num_samples=300).mutual_information,
            "active": float(active_units(model, self.images).sum()),
            "beta": float(model.beta),
        }


def train(
    variant: Variant, data: ImageData, *, seed: int, num_epochs: int = NUM_EPOCHS
) -> tuple[VAE, list[dict[str, float]]]:
    """The trained model, and its codes epoch by epoch."""
    model = build(variant, data, seed=seed)
    callbacks: list[Callback] = [WatchCodes(data.train.images[:1000])]
    if variant.warm_up:
        callbacks.insert(0, WarmUp(variant.warm_up, num_cycles=variant.cycles, hold=HOLD))
    history = fit(
        model,
        data.train.images,
        num_epochs=num_epochs,
        batch_size=64,
        lr=LR,
        seed=seed,
        callbacks=callbacks,
    )
    return model, history.rows


def run(
    seed: int,
    *,
    variants: tuple[str, ...] = tuple(VARIANTS),
    num_epochs: int = NUM_EPOCHS,
    num_train: int = 5000,
) -> list[dict[str, Any]]:
    """Train each variant and follow its codes.

    Args:
        num_epochs: passes over the pictures, warm-up included; more than a warm-up takes.

    Returns:
        A row per variant and epoch with ``rate``, ``mutual_information`` and ``active`` of 1,000
        training pictures and the ``beta`` of that epoch. The last epoch's row has more: ``nelbo``
        (at β = 1, without free bits), ``distortion``, ``test_rate`` and ``nll`` by 100 importance
        samples, all of the test pictures.
    """
    data = silhouettes(num_train)
    rows = []
    for name in variants:
        model, history = train(VARIANTS[name], data, seed=seed, num_epochs=num_epochs)
        found = rate_measures(model, data.test.images, pictures=False)
        for epoch in history:
            row = {"variant": name, "epoch": int(epoch["epoch"]) + 1}
            row |= {key: epoch[key] for key in ("rate", "mutual_information", "active", "beta")}
            rows.append(row)
        rows[-1] |= {
            "nelbo": -found["elbo"],
            "distortion": found["distortion"],
            "test_rate": found["rate"],
            "nll": float(importance_weighted_nll(model, data.test.images).mean()),
        }
    return rows
