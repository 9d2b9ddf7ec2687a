"""log p(x) from K importance samples, against the truth and where none is known (chapter 13)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import (
    DiagonalGaussian,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
)
from vaebook.experiments.settings import DOG_DEEP, DOG_DEEP_TRAINING, DOG_LATENT_DIM
from vaebook.metrics import (
    effective_sample_size,
    importance_log_weights,
    importance_weighted_nll,
    laplace_proposal,
    log_mean_interval,
    log_mean_weight,
    posterior_parameters,
)
from vaebook.models import VAE, ProbabilisticPCA
from vaebook.training import fit, seeded

LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "σ = 0.2": lambda: GaussianLikelihood(0.2),
    "learned σ": LearnedGaussianLikelihood,
}
# Standard deviations of the proposal, in units of q(z | x)'s.
WIDTHS = {"half as wide": 0.5, "q(z | x)": 1.0, "1.5 times as wide": 1.5}
LAPLACE_WIDTH = 1.1
COMPONENTS = (16, 64, 256)  # of the probabilistic PCA that the VAEs are compared with
NUM_HELD_OUT = 500


def train(name: str, data: ImageData, *, seed: int, num_epochs: int) -> VAE:
    """The dogs' VAE with a fixed or a learned σ."""
    with seeded(seed):
        model = VAE(
            data.image_shape, DOG_LATENT_DIM, network=DOG_DEEP, likelihood=LIKELIHOODS[name]()
        )
    fit(model, data.train.images, seed=seed, **DOG_DEEP_TRAINING | {"num_epochs": num_epochs})
    return model


def linear(data: ImageData, seed: int) -> tuple[VAE, ProbabilisticPCA]:
    """A linear VAE with the best diagonal encoder, and the exact model that it stands for.

    A random rotation of the code, which leaves p(x) alone, makes the true posterior's dimensions
    depend on each other, so that no diagonal q(z | x) can fit it.
    """
    with seeded(seed):
        rotation = torch.linalg.qr(torch.randn(DOG_LATENT_DIM, DOG_LATENT_DIM).double())[0]
    exact = ProbabilisticPCA.fit(data.train.images, DOG_LATENT_DIM).rotated(rotation)
    return exact.as_vae(data.image_shape, posterior="diagonal"), exact


def proposals(model: VAE, images: Tensor) -> dict[str, Distribution]:
    """Where the codes are drawn from: q(z | x), narrower, wider, or a Gaussian fitted anew."""
    posterior = posterior_parameters(model, images)
    found: dict[str, Distribution] = {
        name: DiagonalGaussian(posterior.mu, posterior.log_var + 2 * math.log(factor))
        for name, factor in WIDTHS.items()
    }
    return found | {"Laplace": laplace_proposal(model, images, widen=LAPLACE_WIDTH)}


def estimates(
    log_weights: Float[Tensor, "k n"], truth: Float[Tensor, " n"] | None
) -> list[dict[str, float]]:
    """A row for each number of samples K in an estimate, from groups of the given weights.

    Returns:
        ``log_p``, the mean over groups and images; ``effective`` sample size; ``half_width`` of
        the 95 % interval that the weights suggest; and where the truth is known ``gap``, how far
        the mean is below it, and ``covered``, the share of intervals that hold it.
    """
    rows = []
    size, log_weights = 1, log_weights.double()
    while size <= len(log_weights):
        groups = log_weights[: len(log_weights) // size * size].unflatten(0, (-1, size))
        groups = groups.transpose(0, 1).flatten(1)  # [size, groups · n]
        centre = log_mean_weight(groups)[0]
        low, high = log_mean_interval(groups)
        row = {
            "num_samples": size,
            "log_p": float(centre.mean()),
            "effective": float(effective_sample_size(groups).mean()),
            "half_width": float((high - low).mean() / 2),
        }
        if truth is not None:
            repeated = truth.repeat(len(centre) // len(truth))
            row["gap"] = float((repeated - centre).mean())
            row["covered"] = float(((low <= repeated) & (repeated <= high)).double().mean())
        rows.append(row)
        size *= 10
    return rows


def run(
    seed: int,
    *,
    models: tuple[str, ...] = tuple(LIKELIHOODS),
    num_epochs: int = 10,
    num_images: int = 8,
    num_samples: int = 10_000,
) -> list[dict[str, Any]]:
    """Rows: one for each model, proposal and number of samples, and one for each model's NLL.

    Args:
        models: names in ``LIKELIHOODS``; the linear model comes on top.
        num_images: held-out dogs, the same for all.
        num_samples: codes drawn for each of them and each proposal.

    Returns:
        Rows of :func:`estimates` with ``model`` and ``proposal``. Rows whose proposal is
        ``"500 dogs"`` hold ``log_p`` of 500 held-out dogs with 100 samples each; probabilistic
        PCA has its exact value there.
    """
    data = load_dogs()
    images = data.test.images[:num_images]
    held_out = data.test.images[:NUM_HELD_OUT]
    simple, exact = linear(data, seed)
    trained = {name: train(name, data, seed=seed, num_epochs=num_epochs) for name in models}
    rows: list[dict[str, Any]] = []
    for name, model in {"linear": simple, **trained}.items():
        truth = exact.log_likelihood(images) if name == "linear" else None
        for how, proposal in proposals(model, images).items():
            log_weights = importance_log_weights(
                model, images, num_samples=num_samples, proposal=proposal, seed=seed, batch_size=200
            )
            rows += [
                {"model": name, "proposal": how, **row} for row in estimates(log_weights, truth)
            ]
    for name, model in trained.items():
        nll = importance_weighted_nll(model, held_out, num_samples=100, seed=seed)
        rows.append(
            {"model": name, "proposal": "500 dogs", "num_samples": 100, "log_p": -float(nll.mean())}
        )
    for size in COMPONENTS:
        model_p = ProbabilisticPCA.fit(data.train.images, size)
        rows.append(
            {"model": f"PCA {size}", "proposal": "500 dogs", "num_samples": 0}
            | {"log_p": float(model_p.log_likelihood(held_out).mean())}
        )
    return rows
