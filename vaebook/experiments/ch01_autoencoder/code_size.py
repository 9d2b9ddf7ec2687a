"""How well dogs are restored from codes of 2 to 64 numbers, by PCA and two autoencoders."""

from typing import Any

import torch
from sklearn.decomposition import PCA

from vaebook.data import load_dogs
from vaebook.experiments.pixel_errors import reconstruction_rmse, rmse
from vaebook.experiments.settings import DOG_NETWORK, DOG_TRAINING
from vaebook.models import Autoencoder, Conv, Network
from vaebook.training import fit, seeded

SIZES = (2, 4, 8, 16, 32, 64)
LATENT_DIMS = {"pca": SIZES, "mlp": SIZES, "conv": (4, 16, 64)}
NETWORKS: dict[str, tuple[Network, dict[str, Any]]] = {
    "mlp": (DOG_NETWORK, DOG_TRAINING),
    # Fewer passes at a smaller rate, for a similar time: a convolution costs more per image.
    "conv": (Conv((8, 16), background=0.95), {"num_epochs": 5, "batch_size": 64, "lr": 1e-3}),
}


def train(model_name: str, latent_dim: int, seed: int) -> Autoencoder:
    """The ``"mlp"`` or the ``"conv"`` autoencoder of dogs."""
    network, training = NETWORKS[model_name]
    dogs = load_dogs()
    with seeded(seed):
        model = Autoencoder(dogs.image_shape, latent_dim, network=network)
    fit(model, dogs.train.images, seed=seed, **training)
    return model


def measure(model: Autoencoder) -> dict[str, float]:
    """Errors on training and held-out dogs, and where the held-out dogs' codes lie.

    Returns:
        ``rmse`` held out, ``rmse_train``, ``loss`` held out in nats; over the numbers of the code,
        ``code_mean``: the mean farthest from 0, ``code_sd_low`` and ``code_sd_high``: smallest and
        largest standard deviation, ``code_lowest`` and ``code_highest``: the extremes;
        ``code_correlation``: largest correlation between two numbers of the code.
    """
    dogs = load_dogs()
    test, some_train = dogs.test.images, dogs.train.images[: len(dogs.test)]
    with torch.no_grad():
        codes = model.encode(test)
        means = codes.mean(0)
        return {
            "rmse": reconstruction_rmse(model, test),
            "rmse_train": reconstruction_rmse(model, some_train),
            "loss": float(model.loss(test).double().mean()),
            "code_mean": float(means[means.abs().argmax()]),
            "code_sd_low": float(codes.std(0).min()),
            "code_sd_high": float(codes.std(0).max()),
            "code_lowest": float(codes.min()),
            "code_highest": float(codes.max()),
            "code_correlation": float(
                (torch.corrcoef(codes.T) - torch.eye(codes.shape[1])).abs().max()
            ),
        }


def measure_pca() -> list[dict[str, Any]]:
    """The same errors for principal component analysis, which has no seed."""
    dogs = load_dogs()
    train_images, test = dogs.train.images.flatten(1), dogs.test.images.flatten(1)
    pca = PCA(max(LATENT_DIMS["pca"]), svd_solver="covariance_eigh").fit(train_images.numpy())
    axes = torch.as_tensor(pca.components_)  # [64, D]
    mean = torch.as_tensor(pca.mean_)
    rows = []
    for latent_dim in LATENT_DIMS["pca"]:
        project = axes[:latent_dim].T @ axes[:latent_dim]
        error, error_train = (
            rmse(images, mean + (images - mean) @ project)
            for images in (test, train_images[: len(test)])
        )
        rows.append(
            {"model": "pca", "latent_dim": latent_dim, "rmse": error, "rmse_train": error_train}
        )
    return rows


def run(seed: int, *, models: tuple[str, ...] = ("mlp", "conv")) -> list[dict[str, Any]]:
    """One row per model and code size; PCA's are the same for every seed."""
    rows = measure_pca()
    for model_name in models:
        for latent_dim in LATENT_DIMS[model_name]:
            measured = measure(train(model_name, latent_dim, seed))
            rows.append({"model": model_name, "latent_dim": latent_dim, **measured})
    return rows
