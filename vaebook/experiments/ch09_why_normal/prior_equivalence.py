"""The VAE with another prior and the loss that fits it, beside the normal one (chapter 09)."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import (
    FlowPrior,
    GaussianLikelihood,
    HypersphericalUniform,
    MixturePrior,
    VampPrior,
    unit_laplace,
    unit_uniform,
)
from vaebook.experiments.ch09_why_normal.specs import NUM_COMPONENTS, SIGMA, Options, normal_at
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import Reference, evaluate_elbo, measure_samples
from vaebook.metrics.samples.measure import THRESHOLDS
from vaebook.models import VAE
from vaebook.training import stream_seed

# By the name of the prior: it, and the posterior that fits it.
OPTIONS: dict[str, Callable[[ImageData], Options]] = {
    "normal": lambda data: {},
    "Laplace": lambda data: {"prior": unit_laplace(LATENT_DIM)},
    "uniform": lambda data: {"prior": unit_uniform(LATENT_DIM), "posterior": "beta"},
    "sphere": lambda data: {
        "prior": HypersphericalUniform(LATENT_DIM),
        "posterior": "power spherical",
    },
    "mixture": lambda data: {"prior": MixturePrior(LATENT_DIM, NUM_COMPONENTS)},
    "VampPrior": lambda data: {"prior": VampPrior(data.train.images[:NUM_COMPONENTS], LATENT_DIM)},
    "flow": lambda data: {"prior": FlowPrior(LATENT_DIM)},
    # a control, in no record: what comes out must not depend on the name
    "normal again": lambda data: {"prior": normal_at(0.0)},
}
# How many times as long as the normal VAE's an epoch takes, where it is not about as long.
SLOWER = {
    "convolutional": {"VampPrior": 1.5, "flow": 1.6},
    "MLP": {"VampPrior": 1.3, "flow": 2.2},
}
MODELS = ("normal", "Laplace", "uniform", "sphere", "mixture", "VampPrior", "flow")


def worst(data: ImageData) -> dict[str, float]:
    """What a model counts as whose training broke down: no dogs, and every pixel wrong by 1."""
    num_pixels = math.prod(data.image_shape)
    pixel = math.log(SIGMA * math.sqrt(2 * math.pi)) + 0.5 / SIGMA**2
    none = dict.fromkeys(["validity", *(f"validity_at_{t:g}" for t in THRESHOLDS)], 0.0)
    no_good = {"distance": 1.0, "coverage": 0.0, "novelty": 0.0, "copies": 1.0}
    return {"neg_elbo": num_pixels * pixel, **none, **no_good}


def run(
    seed: int,
    *,
    models: tuple[str, ...] = MODELS,
    network: str = "convolutional",
    budget: str = "× 1",
    num_images: int = 0,
    num_judged: int = 400,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a VAE of dogs with each prior for the same time, and look for dogs in its samples.

    The samples are drawn from the prior; no density is fitted afterwards.

    Args:
        models: names in ``OPTIONS``.
        network, budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.
        num_images: training pictures; 0 takes all.
        num_judged: samples of each model.
        pictures: filled with the first samples of each model, under its name.

    Returns:
        A row per ``model`` with its ``network`` and ``budget``: ``neg_elbo`` of held-out dogs in
        nats; ``validity`` at the oracle's threshold and at its multiples, ``distance``,
        ``coverage``, ``novelty`` and ``copies``, as in :func:`vaebook.metrics.measure_samples`, of
        ``num_pictures``; ``failed``: why the training broke down, if it did; then the model counts
        as drawing no dogs.
    """
    data = load_dogs()
    reference = Reference(data.test.images, data.train.images)
    rows = []
    for name in models:
        row: dict[str, Any] = {"model": name, "network": network, "budget": budget}
        row["num_pictures"] = num_judged
        options = OPTIONS[name]
        try:
            model = train_reference(
                lambda plan, options=options: VAE(  # type: ignore[misc]
                    data.image_shape,
                    LATENT_DIM,
                    network=plan,
                    likelihood=GaussianLikelihood(SIGMA),
                    **options(data),
                ),
                data.train.images[: num_images or None],
                data_name="dogs",
                seed=seed,
                stream=f"{name}, {network}",
                network=network,
                budget=budget,
                slower=SLOWER[network].get(name, 1.0),
                scale=scale,
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            rows.append({**row, **worst(data), "failed": str(error)})
            continue
        elbo_seed = stream_seed(seed, f"noise of the ELBO of {name}, {network}")
        elbo = evaluate_elbo(model, data.test.images, seed=elbo_seed).elbo
        samples = model.sample(num_judged, seed=stream_seed(seed, f"samples of {name}, {network}"))
        row["neg_elbo"] = -float(elbo.mean())
        found = measure_samples(samples, reference, ["dogs", "novelty"])
        rows.append({**row, **found, "failed": ""})
        if pictures is not None:
            pictures[name] = samples[:8]
    return rows
