"""Which network and which rate a VAE does best with in 40 seconds of one core (chapter 06).

The measure is the −ELBO of held-out pictures with a learned σ. No proposition is judged by it; C2a
is by a difference of two, of priors at 3 and at 0, with σ fixed. The epochs are what takes each
candidate 40 seconds of one core, measured once. The convolutional network with the lowest mean over
both data sets is the first recipe of ``reference``, the other kind's the second.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaebook.data import load_dogs, load_fashion
from vaebook.distributions import LearnedGaussianLikelihood
from vaebook.experiments.reference import BLANK, LATENT_DIM
from vaebook.models import MLP, VAE, Conv
from vaebook.models.networks import Network
from vaebook.training import WeightAverage, fit, seeded, stream_seed
from vaebook.training.fit import mean_loss

HELD_OUT = 1000  # of the training pictures


class Candidate(NamedTuple):
    """A network with a batch, a rate, and the passes over 10,000 pictures that fit the budget."""

    network: Callable[[float], Network]
    batch_size: int
    lr: float
    epochs: int


def conv(*channels: int, activation: str = "relu") -> Callable[[float], Network]:
    """A convolutional network, from the brightness of an empty pixel."""
    return lambda blank: Conv(channels, 256, activation, background=blank, blank=blank)


def mlp(*hidden: int, activation: str = "relu") -> Callable[[float], Network]:
    """Layers of all units with all, from the brightness of an empty pixel."""
    return lambda blank: MLP(hidden, activation, background=blank)


CANDIDATES = {
    "conv 16-32": Candidate(conv(16, 32), 32, 2e-3, 7),
    "conv 16-32, batch 64": Candidate(conv(16, 32), 64, 2e-3, 9),
    "conv 32-64": Candidate(conv(32, 64), 64, 2e-3, 5),
    "conv 16-32-64": Candidate(conv(16, 32, 64), 64, 2e-3, 9),
    "conv 16-32-64, lr 1e-3": Candidate(conv(16, 32, 64), 64, 1e-3, 9),
    "conv 16-32-64, batch 32": Candidate(conv(16, 32, 64), 32, 1e-3, 7),
    "conv 16-32-64, silu": Candidate(conv(16, 32, 64, activation="silu"), 64, 2e-3, 9),
    "conv 16-32-64, silu, batch 32": Candidate(conv(16, 32, 64, activation="silu"), 32, 2e-3, 7),
    "conv 16-32, silu": Candidate(conv(16, 32, activation="silu"), 32, 2e-3, 7),
    "conv 16-32, silu, batch 64": Candidate(conv(16, 32, activation="silu"), 64, 2e-3, 9),
    "MLP 512": Candidate(mlp(512), 128, 3e-3, 27),
    "MLP 512-512": Candidate(mlp(512, 512), 128, 2e-3, 19),
    "MLP 512-512, lr 1e-3": Candidate(mlp(512, 512), 128, 1e-3, 19),
    "MLP 512-512, silu": Candidate(mlp(512, 512, activation="silu"), 128, 1e-3, 18),
    "MLP 1024-1024": Candidate(mlp(1024, 1024), 128, 1e-3, 8),
}


def split(images: Tensor, seed: int, data_name: str) -> tuple[Tensor, Tensor]:
    """Training pictures kept back to choose by, and those to train on."""
    with seeded(seed, f"{data_name}: split"):
        order = torch.randperm(len(images))
    return images[order[:HELD_OUT]], images[order[HELD_OUT:]]


def run(
    seed: int,
    *,
    candidates: tuple[str, ...] = tuple(CANDIDATES),
    data_names: tuple[str, ...] = ("dogs", "fashion"),
    epochs: float = 1.0,
) -> list[dict[str, Any]]:
    """Train each candidate on each data set.

    Args:
        candidates: names in ``CANDIDATES``.
        epochs: a part of the full number of epochs, at least one is trained.

    Returns:
        A row for each with ``neg_elbo`` in nats per picture.
    """
    rows = []
    for data_name in data_names:
        data = load_dogs() if data_name == "dogs" else load_fashion()
        held_out, trained = split(data.train.images, seed, data_name)
        for name in candidates:
            candidate, stream = CANDIDATES[name], f"{data_name}: {name}"
            with seeded(seed, f"{stream}: weights"):
                model = VAE(
                    data.image_shape,
                    LATENT_DIM,
                    network=candidate.network(BLANK[data_name]),
                    likelihood=LearnedGaussianLikelihood(),
                )
            fit(
                model,
                trained,
                num_epochs=max(1, round(epochs * candidate.epochs * 10_000 / len(trained))),
                batch_size=candidate.batch_size,
                lr=candidate.lr,
                seed=stream_seed(seed, stream),
                callbacks=[WeightAverage("")],
            )
            with seeded(seed, f"{stream}: held out"):
                loss = mean_loss(model, held_out)
            rows.append({"data": data_name, "candidate": name, "neg_elbo": loss})
    return rows
