"""A GAN on eight normals in a circle: how many of them does it find? (chapter 11)."""

from typing import Any

from vaebook.data.ring import count_modes, ring_images
from vaebook.models import GAN, MLP
from vaebook.training import fit, seeded

RING_SHAPE = (1, 1, 2)
NETWORK = MLP((64, 64))
DISCRIMINATOR = MLP((64, 64), "leaky relu", background=0.5)
NUM_POINTS = 2_000
TRAINING: dict[str, Any] = {"num_epochs": 80, "batch_size": 128, "lr": 2e-3}
MODEL: dict[str, Any] = {"gradient_penalty": 0.3, "betas": (0.0, 0.99)}

# What differs from the reference, in the model and in its training.
RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reference": ({}, {}),
    "no penalty": ({"gradient_penalty": 0.0}, {}),
    "momentum 0.5": ({"betas": (0.5, 0.99)}, {}),
    "momentum 0.9": ({"betas": (0.9, 0.99)}, {}),
    "momentum 0.5, no penalty": ({"betas": (0.5, 0.99), "gradient_penalty": 0.0}, {}),
    "momentum 0.9, no penalty": ({"betas": (0.9, 0.99), "gradient_penalty": 0.0}, {}),
    "saturating loss": ({"loss": "minimax"}, {}),
    "batches of 8": ({}, {"batch_size": 8, "num_epochs": 5}),  # about as many steps
    "five times the rate": ({}, {"lr": 1e-2}),
}


def train(recipe: str, *, seed: int, **overrides: Any) -> GAN:
    """A GAN of the ring by one of ``RECIPES``."""
    changed, other = RECIPES[recipe]
    with seeded(seed):
        model = GAN(RING_SHAPE, 2, network=NETWORK, discriminator=DISCRIMINATOR, **MODEL | changed)
    points = ring_images(NUM_POINTS, seed=1_000_003 + seed)
    fit(model, points, seed=seed, progress=False, **TRAINING | other | overrides)
    return model


def run(seed: int, *, num_samples: int = 2_000) -> list[dict[str, Any]]:
    """Train by each recipe and count.

    Returns:
        A row per ``recipe``: modes ``found`` of 8, the share of samples ``on_modes``, and
        ``divergence``, the KL of the modes' shares to equal ones, in nats.
    """
    return [
        {"recipe": recipe}
        | count_modes(train(recipe, seed=seed).sample(num_samples, seed=seed))._asdict()
        for recipe in RECIPES
    ]
