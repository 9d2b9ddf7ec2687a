"""Two latent dimensions against twenty: rate, active units, likelihood, dogs (chapter 08)."""

from typing import Any

from vaebook.data.dogs import load_dogs
from vaebook.experiments.ch08_what_the_kl_does.beta_sweep import NUM_EPOCHS, rate_measures, train
from vaebook.metrics import (
    Reference,
    importance_weighted_nll,
    measure_samples,
    posterior_parameters,
    split_rate,
)

SIGMA = 0.3  # of a pixel: the noise at which chapter 06's samples are dogs
LATENT_DIMS = (2, 20)


def run(
    seed: int,
    *,
    latent_dims: tuple[int, ...] = LATENT_DIMS,
    num_epochs: int = NUM_EPOCHS,
    num_images: int = 60,
    num_train: int = 0,
) -> list[dict[str, Any]]:
    """Train the same VAE with codes of each size.

    Returns:
        A row per size: rate, distortion, active units and reconstruction error of the test
        pictures; ``nll`` by 100 importance samples on 500 of them; ``aggregate_kl`` and
        ``mutual_information`` of the training pictures; ``validity``, ``coverage`` and
        ``distance`` of samples from N(0, I), and ``reconstruction_validity``.
    """
    data = load_dogs()
    images = data.train.images[: num_train or None]
    real = data.test.images
    reference = Reference(real)
    size = {"num_epochs": num_epochs, "num_train": num_train}
    rows = []
    for latent_dim in latent_dims:
        model = train(1.0, data, seed=seed, latent_dim=latent_dim, sigma=SIGMA, **size)
        parts = split_rate(posterior_parameters(model, images), num_samples=500, seed=seed)
        drawn = model.sample(num_images, seed=7_000_003 + seed)
        samples = measure_samples(drawn, reference, ["dogs"])
        rebuilt = measure_samples(model.reconstruct(real[:num_images]), reference, ["dogs"])
        rows.append(
            {
                "latent_dim": latent_dim,
                **rate_measures(model, real),
                "nll": float(importance_weighted_nll(model, real[:500]).mean()),
                "mutual_information": parts.mutual_information,
                "aggregate_kl": parts.aggregate_kl,
                **{name: samples[name] for name in ("validity", "coverage", "distance")},
                "reconstruction_validity": rebuilt["validity"],
            }
        )
    return rows
