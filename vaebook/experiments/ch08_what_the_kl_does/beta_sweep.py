"""Rate, distortion, samples and the aggregate posterior against the weight β (chapter 08)."""

from typing import Any

import torch
from torch import Tensor

from vaebook.data import ImageData
from vaebook.data.dogs import load_dogs
from vaebook.distributions import DiagonalGaussian, GaussianLikelihood
from vaebook.experiments.ch06_vae.anatomy import FIXED_SIGMA, NUM_KEPT
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.experiments.settings import DOG_DEEP, DOG_DEEP_TRAINING, DOG_LATENT_DIM
from vaebook.metrics import (
    Reference,
    active_units,
    classifier_test,
    draw_aggregate,
    evaluate_elbo,
    kolmogorov_smirnov,
    measure_samples,
    mmd_test,
    posterior_parameters,
    split_rate,
)
from vaebook.models import VAE
from vaebook.training import fit, seeded

# With σ = 0.1 the effective noise σ√β runs from 0.05 to 2; the largest standard deviation of the
# dogs along any direction is 1.7.
BETAS = (0.25, 1.0, 4.0, 9.0, 16.0, 36.0, 81.0, 196.0, 400.0)
NUM_TESTED = 4000  # held-out pictures whose codes are tested, one code each
NUM_EPOCHS = 8


def load() -> ImageData:
    """The dogs, with more test pictures: a longer split begins with the shorter one."""
    return load_dogs(num_test=NUM_TESTED)


def train(
    beta: float,
    data: ImageData,
    *,
    seed: int,
    num_epochs: int = NUM_EPOCHS,
    num_train: int = 0,
    latent_dim: int = DOG_LATENT_DIM,
    sigma: float = FIXED_SIGMA,
) -> VAE:
    """A VAE of dogs with that β; ``num_train`` 0 takes all pictures."""
    pixels = GaussianLikelihood(sigma)
    with seeded(seed):
        model = VAE(data.image_shape, latent_dim, network=DOG_DEEP, likelihood=pixels, beta=beta)
    images = data.train.images[: num_train or None]
    fit(model, images, seed=seed, **DOG_DEEP_TRAINING | {"num_epochs": num_epochs})
    return model


def rate_measures(model: VAE, images: Tensor, *, pictures: bool = True) -> dict[str, float]:
    """Rate, distortion, ELBO and active units; with ``pictures`` the reconstruction error too."""
    terms = evaluate_elbo(model, images, seed=1_000_003)
    measures = {
        "rate": float(terms.rate.mean()),
        "distortion": float(terms.distortion.mean()),
        "elbo": float(terms.elbo.mean()),
        "active": float(active_units(model, images).sum()),
    }
    if pictures:
        measures["reconstruction_rmse"] = reconstruction_rmse(model, images)
    return measures


def aggregate_measures(
    train: DiagonalGaussian, held_out: DiagonalGaussian, *, seed: int, num_samples: int = 500
) -> dict[str, float]:
    """The split rate of training pictures, and three tests of held-out codes against N(0, I).

    Args:
        train: q(z | x) of the training pictures.
        held_out: q(z | x) of other pictures, of which each gives one code to the tests.
        num_samples: codes that the mutual information is a mean over.
    """
    parts = split_rate(train, num_samples=num_samples, seed=seed)
    codes = draw_aggregate(held_out, len(held_out.mu), seed=seed)
    with seeded(9_000_011 + seed):
        prior = torch.randn_like(codes)
    marginal = kolmogorov_smirnov(codes, prior)
    classifier = classifier_test(codes, prior, seed=seed)
    some = min(1000, len(codes))
    mmd = mmd_test(codes[:some], prior[:some], seed=seed)
    return {
        "train_rate": parts.rate,
        "mutual_information": parts.mutual_information,
        "aggregate_kl": parts.aggregate_kl,
        "split_error": parts.standard_error,
        "total_correlation": parts.total_correlation,
        "marginal_kl": float(parts.dimension_kl.sum()),
        "ks_statistic": float(marginal.statistic.max()),
        "ks_p": marginal.corrected,
        "accuracy": classifier.accuracy,
        "classifier_p": classifier.p_value,
        "kl_bound": classifier.kl_bound,
        "mmd": mmd.statistic,
        "mmd_p": mmd.p_value,
    }


def run(
    seed: int,
    *,
    betas: tuple[float, ...] = BETAS,
    num_epochs: int = NUM_EPOCHS,
    num_images: int = 60,
    num_train: int = 0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a VAE for each β and measure what the rate buys.

    Args:
        pictures: filled with the first pictures, under ``"β/prior"``, ``"β/aggregate"`` and
            ``"β/reconstruction"``.

    Returns:
        A row per β: ``rate``, ``distortion``, ``active``, ``reconstruction_rmse`` of 2,000 test
        pictures; :func:`aggregate_measures`; and for codes from the ``prior`` and from the
        ``aggregate`` of the training pictures ``validity``, ``coverage``, ``distance`` and
        ``sharpness`` of what they decode to.
    """
    data = load()
    real = data.test.images[:2000]
    reference = Reference(real)
    rows = []
    for beta in betas:
        model = train(beta, data, seed=seed, num_epochs=num_epochs, num_train=num_train)
        codes_of_training = posterior_parameters(model, data.train.images[: num_train or None])
        row = {"beta": beta, "noise": FIXED_SIGMA * beta**0.5, **rate_measures(model, real)}
        row |= aggregate_measures(
            codes_of_training, posterior_parameters(model, data.test.images), seed=seed
        )
        with seeded(7_000_003 + seed):
            prior = model.prior.sample((num_images,))
        sources = {
            "prior": prior,
            "aggregate": draw_aggregate(codes_of_training, num_images, seed=seed),
            "reconstruction": posterior_parameters(model, real[:NUM_KEPT]).mu,
        }
        for source, codes in sources.items():
            images = model.decode_all(codes)
            asked = ["sharpness"] if source == "reconstruction" else ["sharpness", "dogs"]
            found = measure_samples(images, reference, asked)
            row |= {f"{source}_{name}": value for name, value in found.items()}
            if pictures is not None:
                pictures[f"{beta:g}/{source}"] = images[:8]
        rows.append(row)
    if pictures is not None:
        pictures["data"] = real[:8]
    return rows
