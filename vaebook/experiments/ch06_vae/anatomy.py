"""From autoencoder to VAE, one change at a time, on one network (chapter 06)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import ImageData, load_fashion
from vaebook.data.dogs import load_dogs
from vaebook.distributions import GaussianLikelihood, LearnedGaussianLikelihood, fit_gaussian
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.experiments.settings import DOG_LATENT_DIM, DOG_NETWORK, DOG_TRAINING
from vaebook.metrics import (
    Reference,
    evaluate_elbo,
    importance_weighted_nll,
    measure_samples,
    posterior_parameters,
)
from vaebook.models import MLP, VAE, LatentVariableModel
from vaebook.training import fit, seeded

FIXED_SIGMA = 0.1


class Variant(NamedTuple):
    """What is switched on. All have the same encoder with both heads, and the same decoder."""

    sample_codes: bool  # draw z from q(z | x), or put it at the mean
    beta: float  # weight of the rate in the loss
    sigma: float | None = FIXED_SIGMA  # of a pixel; None learns it


VARIANTS: dict[str, Variant] = {
    "autoencoder": Variant(sample_codes=False, beta=0.0),
    "noise": Variant(sample_codes=True, beta=0.0),
    "kl": Variant(sample_codes=False, beta=1.0),
    "vae": Variant(sample_codes=True, beta=1.0),
    "vae, learned σ": Variant(sample_codes=True, beta=1.0, sigma=None),
}
NUM_KEPT = 24  # pictures of each kind that the record keeps


def load(data_name: str) -> ImageData:
    """The data set of that name, ``"dogs"`` or ``"fashion"``."""
    if data_name not in ("dogs", "fashion"):
        raise ValueError(f"data_name is {data_name!r}; expected 'dogs' or 'fashion'.")
    return load_dogs() if data_name == "dogs" else load_fashion()


def train_variant(
    variant: str, data: ImageData, *, seed: int, latent_dim: int, num_epochs: int
) -> tuple[VAE, float]:
    """One of the four models, trained; and the seconds that took."""
    network = DOG_NETWORK if data.name == "dogs" else MLP((512,))
    options = VARIANTS[variant]
    with seeded(seed):
        model = VAE(
            data.image_shape,
            latent_dim,
            network=network,
            likelihood=LearnedGaussianLikelihood(FIXED_SIGMA)
            if options.sigma is None
            else GaussianLikelihood(options.sigma),
            sample_codes=options.sample_codes,
            beta=options.beta,
        )
    settings = DOG_TRAINING | {"num_epochs": num_epochs}
    history = fit(model, data.train.images, seed=seed, **settings)
    return model, history.seconds


def fitted_gaussian(model: VAE, images: Tensor) -> Distribution:
    """A Gaussian with the moments of the codes that the decoder was trained on.

    Those are samples of q(z | x) where codes are sampled, and its means where they are not.
    """
    posterior = posterior_parameters(model, images)
    with seeded(0):
        return fit_gaussian(posterior.sample() if model.sample_codes else posterior.mu)


def draw_images(
    model: LatentVariableModel, codes: Distribution, num_images: int, seed: int
) -> Tensor:
    """Decoded means of codes from a distribution."""
    with torch.no_grad(), seeded(seed):
        return model.decode(codes.sample((num_images,)))


def decode_sources(model: VAE, data: ImageData, num_images: int, seed: int) -> dict[str, Tensor]:
    """Pictures of codes of test images, of codes from the prior, and from a Gaussian fitted."""
    fitted = fitted_gaussian(model, data.train.images)
    return {
        "reconstruction": model.reconstruct(data.test.images[:num_images]),
        "prior": draw_images(model, model.prior, num_images, seed),
        "fitted": draw_images(model, fitted, num_images, seed),
    }


def code_measures(model: VAE, data: ImageData) -> dict[str, float]:
    """Where codes lie and what they cost, on the test images."""
    images = data.test.images
    assert isinstance(model.likelihood, OneSigmaLikelihood)
    posterior = posterior_parameters(model, images)
    terms = evaluate_elbo(model, images)
    measures = {
        "sigma": model.likelihood.sigma,
        "reconstruction_rmse": reconstruction_rmse(model, images),
        "rate": float(terms.rate.mean()),
        "code_spread": float(posterior.mu.var(0).mean().sqrt()),
        "posterior_std": float(posterior.log_var.mean().mul(0.5).exp()),
        "nll": float("nan"),
    }
    if model.sample_codes and model.beta > 0:
        measures["nll"] = float(importance_weighted_nll(model, images[:500]).mean())
    return measures


def run(
    seed: int,
    *,
    latent_dim: int = DOG_LATENT_DIM,
    num_epochs: int = 12,
    num_images: int = 40,
    data_name: str = "dogs",
    variants: tuple[str, ...] = tuple(VARIANTS),
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each variant and judge what it decodes from three sources of codes.

    Args:
        pictures: filled with the first images of each row, under ``"variant/source"``.

    Returns:
        A row per variant and source: ``reconstruction`` (codes of test images),
        ``prior`` (N(0, I)), ``fitted`` (a Gaussian fitted to the codes). ``sharpness`` is relative
        to that of the test images.
    """
    data = load(data_name)
    if pictures is not None:
        pictures["data"] = data.test.images[:num_images][:NUM_KEPT]
    rows = []
    for variant in variants:
        model, seconds = train_variant(
            variant, data, seed=seed, latent_dim=latent_dim, num_epochs=num_epochs
        )
        common = {"variant": variant, **code_measures(model, data), "seconds": seconds}
        for source, images in decode_sources(model, data, num_images, seed).items():
            rows.append({**common, "source": source, **judge(images, data)})
            if pictures is not None:
                pictures[f"{variant}/{source}"] = images[:NUM_KEPT]
    return rows


def judge(images: Tensor, data: ImageData) -> dict[str, float]:
    """The measures of a set of pictures against the test images."""
    measures = ["sharpness", "pixels", *(["dogs"] if data.name == "dogs" else [])]
    return measure_samples(images, Reference(data.test.images), measures)
