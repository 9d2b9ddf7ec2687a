"""Nine likelihoods for the same grey pixels, in units in which they compare (chapter 07)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vaebook.data import ImageData, load_fashion
from vaebook.distributions import (
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
    PixelGaussianLikelihood,
    PredictedGaussianLikelihood,
    grey_level_log_prob,
)
from vaebook.distributions.likelihoods import DiscretizedLogisticImage, GaussianImage
from vaebook.experiments.ch07_scaling.loss_conventions import (
    BATCH_SIZE,
    LATENT_DIM,
    NETWORK,
    GreyCrossEntropyVAE,
)
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import active_units, evaluate_elbo, sharpness
from vaebook.metrics.batches import evaluate_in_batches
from vaebook.models import VAE
from vaebook.training import fit, seeded

SHAPE = (1, 28, 28)
TINY_FLOOR = 1e-4
LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "cross-entropy": ContinuousBernoulliLikelihood,  # trained without its constant
    "continuous Bernoulli": ContinuousBernoulliLikelihood,
    "Gaussian, σ = 1": lambda: GaussianLikelihood(1.0),
    "Gaussian, σ = 0.1": lambda: GaussianLikelihood(0.1),
    "Gaussian, learned σ": LearnedGaussianLikelihood,
    "Gaussian, σ per place": lambda: PixelGaussianLikelihood(SHAPE),
    "Gaussian, predicted σ": PredictedGaussianLikelihood,
    "Gaussian, predicted σ, low floor": lambda: PredictedGaussianLikelihood(floor=TINY_FLOOR),
    "discretised logistic": DiscretizedLogisticLikelihood,
}
NUM_KEPT = 8


def train(name: str, data: ImageData, *, seed: int, num_epochs: int) -> VAE:
    """The VAE of Fashion-MNIST under one likelihood."""
    family = GreyCrossEntropyVAE if name == "cross-entropy" else VAE
    with seeded(seed):
        model = family(
            data.image_shape, LATENT_DIM, network=NETWORK, likelihood=LIKELIHOODS[name]()
        )
    fit(model, data.train.images, num_epochs=num_epochs, batch_size=BATCH_SIZE, seed=seed)
    return model


def level_log_prob(pixels: Distribution, images: Float[Tensor, "n c h w"]) -> Tensor:
    """Log-probability of the 256 grey levels under any of the likelihoods, nats per image."""
    if isinstance(pixels, DiscretizedLogisticImage):
        return pixels.log_prob(images).double()
    if isinstance(pixels, GaussianImage):
        sigma = pixels.log_sigma.exp().expand_as(pixels.mean)
        pixels = Independent(Normal(pixels.mean, sigma, validate_args=False), 3)
    return grey_level_log_prob(pixels, images)


def spread(model: VAE, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The standard deviation that the model states for each pixel of reconstructed images."""
    pixels = model.likelihood_of(model.encode(images))
    if isinstance(pixels, DiscretizedLogisticImage):
        return (pixels.log_scale.exp() * math.pi / math.sqrt(3)).expand_as(images)
    return pixels.variance.sqrt()


def measure(model: VAE, data: ImageData, seed: int) -> dict[str, float]:
    """Rate, errors, and the bound in nats of density and in bits per grey level."""
    images = data.test.images

    def levels(batch: Tensor) -> tuple[Tensor, ...]:
        codes = model.posterior(batch).sample((4,))
        parts = [level_log_prob(model.likelihood_of(code), batch) for code in codes]
        decoded = torch.stack([model.decode(code) for code in codes])
        return torch.stack(parts).mean(0), (decoded - batch).square().mean((0, 2, 3, 4))

    log_levels, squares = evaluate_in_batches(
        model, images, levels, seed=1_000 + seed, batch_size=500
    )
    terms = evaluate_elbo(model, images, num_samples=4, seed=1_000 + seed)
    rate = float(terms.rate.mean())
    with torch.no_grad():
        sigma = spread(model, images)
    samples = model.sample(500, seed=seed)
    return {
        "rate": rate,
        "elbo": float(terms.elbo.mean()),  # nats of density (of probability if discretised)
        "bits": (rate - float(log_levels.mean())) / (images[0].numel() * math.log(2)),
        "rmse": reconstruction_rmse(model, images),
        "rmse_sampled": float(squares.mean().sqrt()),  # codes drawn from q, as in training
        "sigma": float(sigma.square().mean().sqrt()),
        "sigma_low": float(sigma.flatten().sort().values[int(0.05 * sigma.numel())]),
        "at_floor": _share_at_floor(model, sigma),
        "active": int(active_units(model, images).sum()),
        "sharpness": float(sharpness(samples).mean() / sharpness(images).mean()),
    }


def _share_at_floor(model: VAE, sigma: Tensor) -> float:
    floor = getattr(model.likelihood, "floor", None)
    return float("nan") if floor is None else float((sigma <= 1.01 * floor).float().mean())


def run(
    seed: int,
    *,
    num_epochs: int = 12,
    likelihoods: tuple[str, ...] = tuple(LIKELIHOODS),
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train the same network under each likelihood.

    Args:
        pictures: filled with reconstructions and samples, under ``"name/source"``.

    Returns:
        A row per likelihood: ``rate``, ``elbo`` in nats per image, ``bits`` per pixel of the 256
        grey levels (every likelihood integrated over each level), ``rmse`` of reconstructions from
        the posterior's mean and from samples, the stated ``sigma`` (root mean square over pixels),
        its 5 % quantile, the share of pixels ``at_floor``, ``active`` units and ``sharpness`` of
        samples relative to real pictures.
    """
    data = load_fashion()
    rows = []
    for name in likelihoods:
        model = train(name, data, seed=seed, num_epochs=num_epochs)
        rows.append({"likelihood": name, **measure(model, data, seed)})
        if pictures is not None:
            images = data.test.images[:NUM_KEPT]
            with seeded(0):
                pictures["data"] = images
                pictures[f"{name}/reconstruction"] = model.reconstruct(images)
                pictures[f"{name}/sample"] = model.sample(NUM_KEPT)
    return rows
