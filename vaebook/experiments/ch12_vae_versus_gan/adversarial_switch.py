"""What a discriminator, switched on in a trained VAE, does to reconstructions (chapter 12)."""

from typing import Any

from torch import Tensor

from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.ch12_vae_versus_gan.specs import (
    ADVERSARIAL_WEIGHT,
    BATCH_SIZE,
    PENALTY,
    SIGMA,
    D,
    judge_of,
    network_of,
)
from vaebook.experiments.pictures import load_pictures_of
from vaebook.experiments.pixel_errors import rmse
from vaebook.metrics import frechet_distance, relative_sharpness
from vaebook.metrics.samples.measure import Features
from vaebook.models import VAE, VAEGAN
from vaebook.training import WeightAverage, fit, seeded

BEFORE, WITHOUT, WITH = "before", "an epoch more, without", "an epoch more, with"
NUM_KEPT = 16
LR = 1e-3  # half of that of the comparison: the models are trained already


def run(
    seed: int,
    *,
    num_epochs: int = 6,
    num_more: int = 1,
    num_train: int = 10_000,
    adversarial_weight: float = ADVERSARIAL_WEIGHT,
    features: Features | None = None,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a VAE, go on from it with and without a discriminator, and look at reconstructions.

    Args:
        num_more: epochs of either continuation, on the same batches.
        adversarial_weight: nats of the ELBO for a nat of −log D of a reconstruction.
        features: of pictures; those of the record ``feature_networks`` by default.
        pictures: filled with the first reconstructions, and with the dogs themselves.

    Returns:
        A row per stage: ``rmse`` of the reconstructed test dogs, their relative ``sharpness``,
        and ``frechet``, their Fréchet distance in features from the test dogs themselves.
    """
    data = load_pictures_of("dogs")
    train, test = data.train.images[:num_train], data.test.images
    features = features or recorded_features("dogs")
    rows = []

    def look(stage: str, model: VAE) -> None:
        rebuilt = model.reconstruct(test).clamp(0, 1)
        rows.append(
            {
                "stage": stage,
                "rmse": rmse(rebuilt, test),
                "sharpness": relative_sharpness(rebuilt, test),
                "frechet": frechet_distance(features(test), features(rebuilt)),
            }
        )
        if pictures is not None:
            pictures[stage] = rebuilt[:NUM_KEPT]

    network, shape = network_of("dogs"), data.image_shape
    with seeded(seed):
        vae = VAE(shape, D, network=network, likelihood=GaussianLikelihood(SIGMA))
    average = WeightAverage("")
    fit(
        vae,
        train,
        num_epochs=num_epochs,
        batch_size=BATCH_SIZE,
        lr=LR,
        seed=seed,
        callbacks=[average],
    )
    look(BEFORE, vae)
    if pictures is not None:
        pictures["dogs"] = test[:NUM_KEPT]
    with seeded(seed):
        judged = VAEGAN(
            shape,
            D,
            network=network,
            discriminator=judge_of("dogs"),
            likelihood=GaussianLikelihood(SIGMA),
            adversarial_weight=adversarial_weight,
            judged="reconstructions",
            gradient_penalty=PENALTY,
            betas=(0.0, 0.99),
        )
    # what the VAE has learned; the discriminator is new
    judged.load_state_dict(judged.state_dict() | vae.state_dict())
    for stage, model in ((WITHOUT, vae), (WITH, judged)):
        fit(
            model,
            train,
            num_epochs=num_more,
            batch_size=BATCH_SIZE,
            lr=LR,
            seed=1_000_003 + seed,
            callbacks=[WeightAverage("")],
        )
        look(stage, model)
    return rows
