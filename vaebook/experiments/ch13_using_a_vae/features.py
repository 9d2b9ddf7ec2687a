"""Codes as features: how many labels does a linear classifier need on them? (chapter 13)"""

from typing import Any

import torch
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from torch import Tensor

from vaebook.data import load_fashion
from vaebook.experiments.ch13_using_a_vae.anomalies import LATENT_DIM, train_autoencoder, train_vae
from vaebook.experiments.ch13_using_a_vae.class_conditional import linear_classifier
from vaebook.metrics import posterior_parameters
from vaebook.training import seeded

NUM_DRAWS = 10
NUM_CLASSES = 10


def few_labels(labels: Int[Tensor, " n"], each: int, seed: int) -> Int[Tensor, " m"]:
    """Places of ``each`` random pictures of every class."""
    with seeded(1_000_003 + seed):
        order = torch.randperm(len(labels))
    chosen = [order[labels[order] == c][:each] for c in range(NUM_CLASSES)]
    return torch.cat(chosen)


def accuracy(
    train: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    tests: list[Float[Tensor, "m d"]],
    truth: Int[Tensor, " m"],
) -> float:
    """Logistic regression on standardised features; probabilities are averaged over ``tests``."""
    probe = linear_classifier(train, labels, max_iter=300)
    chance = sum(torch.as_tensor(probe.predict_proba(test.numpy())) for test in tests)
    return float((torch.as_tensor(chance).argmax(1) == truth).float().mean())


def run(
    seed: int, *, num_epochs: int = 6, sizes: tuple[int, ...] = (1, 10, 100)
) -> list[dict[str, Any]]:
    """Train without labels on all pictures, then classify with a few.

    Args:
        sizes: labels of each class.

    Returns:
        A row per kind of features and number of labels: ``accuracy`` on the test pictures.
    """
    data = load_fashion()
    assert data.train.labels is not None
    assert data.test.labels is not None
    model = train_vae(data.train.images, seed=seed, num_epochs=num_epochs)
    autoencoder = train_autoencoder(data.train.images, seed=seed, num_epochs=num_epochs)
    known, unknown = (
        posterior_parameters(model, split.images) for split in (data.train, data.test)
    )
    with seeded(seed), torch.no_grad():
        drawn, draws = known.sample(), list(unknown.sample((NUM_DRAWS,)))
        codes = [autoencoder.encode(split.images) for split in (data.train, data.test)]
    pixels = [split.images.flatten(1) for split in (data.train, data.test)]
    features: dict[str, tuple[Tensor, list[Tensor]]] = {
        "VAE, mean": (known.mu, [unknown.mu]),
        "VAE, one sample": (drawn, draws[:1]),
        "VAE, mean, then 10 samples averaged": (known.mu, draws),
        "autoencoder": (codes[0], [codes[1]]),
        "pixels": (pixels[0], [pixels[1]]),
    }
    for size in (LATENT_DIM, 64):
        pca = PCA(size, random_state=0).fit(pixels[0].numpy())
        parts = [torch.as_tensor(pca.transform(part.numpy())) for part in pixels]
        features[f"PCA {size}"] = (parts[0], [parts[1]])
    rows = []
    for each in sizes:
        chosen = few_labels(data.train.labels, each, seed)
        for name, (train, tests) in features.items():
            score = accuracy(train[chosen], data.train.labels[chosen], tests, data.test.labels)
            rows.append({"features": name, "labels": each * NUM_CLASSES, "accuracy": score})
    return rows
