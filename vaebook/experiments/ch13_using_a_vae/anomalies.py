"""Which score finds the class of clothes that was held out of training? (chapter 13)"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data import load_fashion
from vaebook.distributions import LearnedGaussianLikelihood, PredictedGaussianLikelihood
from vaebook.metrics import auroc, choose_threshold, flagged, neighbour_distance, vae_anomaly_scores
from vaebook.models import MLP, VAE, Autoencoder, ProbabilisticPCA
from vaebook.training import fit, seeded

NETWORK = MLP((400,))
LATENT_DIM = 16
LR = 2e-3
NUM_COMPONENTS = 64  # of the baselines by PCA
FALSE_ALARMS = 0.05
LIKELIHOODS = {"VAE": LearnedGaussianLikelihood, "VAE, predicted σ": PredictedGaussianLikelihood}


def train_vae(images: Tensor, *, seed: int, num_epochs: int, name: str = "VAE") -> VAE:
    """The VAE of this experiment, with one learned σ or with one predicted for every pixel."""
    with seeded(seed):
        model = VAE((1, 28, 28), LATENT_DIM, network=NETWORK, likelihood=LIKELIHOODS[name]())
    fit(model, images, num_epochs=num_epochs, lr=LR, seed=seed)
    return model


def train_autoencoder(images: Tensor, *, seed: int, num_epochs: int) -> Autoencoder:
    """The plain autoencoder of the same network, trained as long."""
    with seeded(seed):
        model = Autoencoder((1, 28, 28), LATENT_DIM, network=NETWORK)
    fit(model, images, num_epochs=num_epochs, lr=LR, seed=seed)
    return model


class Baselines:
    """Scores that need no network, fitted to the ``known`` training pictures."""

    def __init__(
        self, known: Float[Tensor, "m 1 28 28"], num_components: int = NUM_COMPONENTS
    ) -> None:
        self.known, self.model = known, ProbabilisticPCA.fit(known, num_components)
        self.basis, scales, _ = torch.linalg.svd(self.model.weights, full_matrices=False)
        self.variances = scales**2 + float(self.model.sigma) ** 2

    def __call__(self, images: Float[Tensor, "n 1 28 28"]) -> dict[str, Float[Tensor, " n"]]:
        """The rest after projection on principal components, and three more.

        Inside the components the Mahalanobis distance; −log p(x) of probabilistic PCA, which
        weighs the two together; and the distance to the fifth nearest training picture.
        """
        centred = images.flatten(1).double() - self.model.offset
        inside = centred @ self.basis
        return {
            "PCA: reconstruction error": (centred - inside @ self.basis.T).square().sum(1),
            "PCA: Mahalanobis distance": (inside.square() / self.variances).sum(1).sqrt(),
            "PCA: NLL": -self.model.log_likelihood(images),
            "nearest neighbours": neighbour_distance(images, self.known),
        }


def scores_of(
    images: Tensor, baselines: Baselines, models: dict[str, VAE | Autoencoder], *, num_samples: int
) -> dict[str, Float[Tensor, " n"]]:
    """Every score of every image, by name."""
    scores = baselines(images)
    for name, model in models.items():
        if isinstance(model, Autoencoder):
            difference = model.reconstruct(images) - images
            scores[f"{name}: reconstruction error"] = difference.square().sum((1, 2, 3))
        else:
            found = vae_anomaly_scores(model, images, num_samples=num_samples)
            scores |= {f"{name}: {score}": value for score, value in found.items()}
    return scores


def run(
    seed: int,
    *,
    held_out: tuple[int, ...] = tuple(range(10)),
    num_epochs: int = 5,
    num_samples: int = 20,
) -> list[dict[str, Any]]:
    """Leave out one class of Fashion-MNIST at a time, and look for it among the test pictures.

    Args:
        held_out: classes, each left out of training and validation once.
        num_samples: codes behind each score of a VAE.

    Returns:
        A row per held-out class and score: ``auroc`` on the test pictures with the bootstrap
        interval ``low`` to ``high``; and, above the threshold that flags 5 % of the validation
        pictures of the other classes, the share ``false_alarms`` of the test pictures of those and
        the share ``detected`` of the held-out class.
    """
    data = load_fashion()
    rows = []
    for label in held_out:
        normal = {name: split.images[split.labels != label] for name, split in data.splits()}
        strange = data.test.images[data.test.labels == label]
        known = normal["train"]
        models: dict[str, VAE | Autoencoder] = {
            name: train_vae(known, seed=seed, num_epochs=num_epochs, name=name)
            for name in LIKELIHOODS
        }
        models["autoencoder"] = train_autoencoder(known, seed=seed, num_epochs=num_epochs)
        baselines = Baselines(known)
        validation, ordinary, anomalous = (
            scores_of(images, baselines, models, num_samples=num_samples)
            for images in (normal["validation"], normal["test"], strange)
        )
        for name in ordinary:
            area = auroc(ordinary[name], anomalous[name], num_resamples=200)
            threshold = choose_threshold(validation[name], false_alarms=FALSE_ALARMS)
            rows.append(
                {"held_out": data.label_names[label], "score": name}
                | {"auroc": area.value, "low": area.low, "high": area.high}
                | {"false_alarms": flagged(ordinary[name], threshold)}
                | {"detected": flagged(anomalous[name], threshold)}
            )
    return rows
