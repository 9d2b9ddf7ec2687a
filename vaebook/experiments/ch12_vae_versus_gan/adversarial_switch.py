"""What a discriminator, switched on in a trained VAE, does to reconstructions (chapter 12)."""

from typing import Any

from torch import Tensor

from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.ch12_vae_versus_gan.specs import (
    ADVERSARIAL_WEIGHT,
    BATCH_SIZE,
    vae,
    vae_gan,
)
from vaebook.experiments.pictures import load_pictures_of
from vaebook.experiments.pixel_errors import rmse
from vaebook.metrics import frechet_distance, relative_sharpness
from vaebook.metrics.samples.measure import Features
from vaebook.models import VAE
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

    def train_and_look(stage: str, model: VAE, epochs: int, seed: int) -> None:
        fit(
            model,
            train,
            num_epochs=epochs,
            batch_size=BATCH_SIZE,
            lr=LR,
            seed=seed,
            callbacks=[WeightAverage("")],
        )
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

    with seeded(seed):
        plain = vae(data.image_shape, "dogs")
    train_and_look(BEFORE, plain, num_epochs, seed)
    if pictures is not None:
        pictures["dogs"] = test[:NUM_KEPT]
    with seeded(seed):
        judged = vae_gan(
            data.image_shape,
            "dogs",
            adversarial_weight=adversarial_weight,
            judged="reconstructions",
        )
    # what the VAE has learned; the discriminator is new
    judged.load_state_dict(judged.state_dict() | plain.state_dict())
    for stage, model in ((WITHOUT, plain), (WITH, judged)):
        train_and_look(stage, model, num_more, 1_000_003 + seed)
    return rows
