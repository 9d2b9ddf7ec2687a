"""Distributions for the codes of one encoder: normal, fitted, a flow from noise (chapter 14)."""

import time
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import ImageData, load_dogs
from vaebook.experiments.ch06_vae.anatomy import draw_images
from vaebook.experiments.ch09_why_normal.priors import codes_of, with_prior
from vaebook.experiments.ch14_verdicts.specs import ENCODERS, NOISE, PRIORS, train
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import Reference, importance_weighted_nll, measure_samples
from vaebook.models import VAE, LatentVariableModel
from vaebook.training import seeded

NUM_KEPT = 8  # pictures of each kind that the record keeps
NUM_COMPARED = 1000  # pictures and as many real ones for precision and recall
NUM_HELD_OUT, NUM_WEIGHTS = 200, 50  # test images for −log p(x), and codes for each
SAMPLE_SEED = 2_000_003  # of the samples, with the seed added; away from the seeds of the dogs
MEASURED_NOISE = "β = 1"  # the encoder whose flow is also started from other noise


def draw(
    model: LatentVariableModel, prior: Distribution, num_images: int, *, seed: int
) -> Float[Tensor, "n c h w"]:
    """New images: codes from ``prior``, decoded."""
    return draw_images(model, prior, num_images, SAMPLE_SEED + seed).clamp(0, 1)


def measure(
    model: LatentVariableModel, prior: Distribution, data: ImageData, *, seed: int, num_images: int
) -> tuple[dict[str, float], Float[Tensor, "n c h w"]]:
    """How good the pictures of a prior are, and how probable it finds codes and pictures.

    Returns:
        The numbers, and the pictures. ``impossible``: the share of held-out codes with density 0,
        which noise in a box gives to some. Where there are none, ``code_nll``: −log p(z) of these
        codes, in nats per code; and of a VAE ``nll``: −log p(x) of held-out images with importance
        weights. Then ``pixels``, ``dogs`` and ``sharpness`` of
        :func:`vaebook.metrics.measure_samples`.
    """
    images = draw(model, prior, max(num_images, NUM_COMPARED), seed=seed)
    real = data.test.images
    log_density = prior.log_prob(codes_of(model, real)[:NUM_COMPARED])
    possible = torch.isfinite(log_density)
    numbers = {"impossible": float((~possible).float().mean())}
    if possible.all():
        numbers["code_nll"] = -float(log_density.mean())
    if possible.all() and isinstance(model, VAE):
        twin = with_prior(model, prior, data)
        nll = importance_weighted_nll(twin, real[:NUM_HELD_OUT], num_samples=NUM_WEIGHTS, seed=seed)
        numbers["nll"] = float(nll.mean())
    numbers |= measure_samples(
        images[:NUM_COMPARED], Reference(real[:NUM_COMPARED]), ["pixels"]
    ) | measure_samples(images[:num_images], Reference(real), ["dogs", "sharpness"])
    return numbers, images


def run(
    seed: int,
    *,
    encoders: tuple[str, ...] = tuple(ENCODERS),
    num_epochs: int = 12,
    num_images: int = 100,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each encoder, fit each distribution to its codes, and judge the samples.

    Args:
        pictures: filled with the first images of each, and of real and reconstructed dogs.

    Returns:
        A row per encoder and prior: the numbers of :func:`measure`, ``fit_seconds``, and of the
        encoder ``rate`` (nats), ``code_std`` and ``second_moment`` (of all numbers of the training
        codes together) and ``reconstruction_rmse``.
    """
    data = load_dogs()
    rows = []
    if pictures is not None:
        pictures["real"] = data.test.images[:NUM_KEPT]
    for name in encoders:
        model = train(ENCODERS[name], data, seed=seed, num_epochs=num_epochs)
        codes = codes_of(model, data.train.images)
        about = {
            "rate": rate_of(model, data.test.images),
            "code_std": float((codes - codes.mean(0)).square().mean().sqrt()),
            "second_moment": float(codes.square().mean()),
            "reconstruction_rmse": reconstruction_rmse(model, data.test.images),
        }
        for kind, fit_prior in PRIORS.items():
            if kind in NOISE and name != MEASURED_NOISE:
                continue
            start = time.perf_counter()
            prior = fit_prior(codes, seed)
            seconds = time.perf_counter() - start
            numbers, images = measure(model, prior, data, seed=seed, num_images=num_images)
            if pictures is not None:
                pictures[f"{name}/{kind}"] = images[:NUM_KEPT]
            rows.append(
                {"encoder": name, "prior": kind, **numbers, **about, "fit_seconds": seconds}
            )
    return rows


@torch.no_grad()
def rate_of(model: LatentVariableModel, images: Float[Tensor, "n c h w"]) -> float:
    """KL(q(z | x) ‖ N(0, I)) in nats, whatever its weight in training; NaN without a posterior."""
    if not isinstance(model, VAE):
        return float("nan")
    with seeded(SAMPLE_SEED):
        return float(model.elbo(images).rate.mean())
