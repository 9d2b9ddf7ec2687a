"""Two directions and a rare breed: which GANs forget a kind of dog? (chapter 11)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data import FACTOR_NAMES, ImageData, Split, render, sample_factors
from vaebook.experiments._gan_models import BASELINE, REFERENCE, SIZE, train
from vaebook.experiments.gan_recipes import pictures_of
from vaebook.metrics.nearest_dog import DOG_THRESHOLD, nearest_dog
from vaebook.training import seeded

RARE = 0.05  # share of the pale breed
DARK, PALE = (0.10, 0.30), (0.60, 0.75)  # brightness of the coat
SIDEWAYS = 0.5  # |facing| of all dogs is at least this
TRIED = (
    REFERENCE,
    "no penalty",
    "saturating, no penalty",
    "D four times faster",
    "batches of 8",
    BASELINE,
)
NUM_KEPT = 10
# Seeds of the splits; not small ones, which load_dogs uses.
SPLIT_SEEDS = {"train": 1_000_011, "validation": 1_000_012, "test": 1_000_013}


def breed_factors(n: int, *, seed: int) -> Float[Tensor, "n f"]:
    """Factors of two breeds that look to the left or to the right, equally often.

    Dark dogs, and with chance ``RARE`` pale ones; everything else is as in the data set.
    """
    factors = sample_factors(n, seed=seed)
    facing, coat = FACTOR_NAMES.index("facing"), FACTOR_NAMES.index("coat")
    with seeded(seed + 1_000):
        pale = torch.rand(n) < RARE
        place = torch.rand(n)
    turned = factors[:, facing]  # uniform in [-1, 1]: squeeze each half away from 0
    factors[:, facing] = turned.sign() * (SIDEWAYS + (1 - SIDEWAYS) * turned.abs())
    low = torch.where(pale, PALE[0], DARK[0])
    high = torch.where(pale, PALE[1], DARK[1])
    factors[:, coat] = low + (high - low) * place
    return factors


def breeds() -> ImageData:
    """The data set of the two breeds, in 16 by 16 pixels."""

    def split(count: int, name: str) -> Split:
        factors = breed_factors(count, seed=SPLIT_SEEDS[name])
        with torch.no_grad():
            return Split(render(factors, size=SIZE), factors=factors)

    return ImageData(
        "breeds", split(10_000, "train"), split(1_000, "validation"), split(1_000, "test")
    )


def shares(images: Float[Tensor, "n 1 s s"]) -> dict[str, float]:
    """Shares of the kinds among the dogs in ``images``.

    Returns:
        ``validity``; of the dogs: ``pale`` (coat above the middle between the breeds), ``right``
        (facing above 0), and ``between``: neither breed or looking at us, which no dog of the data
        does. The margins are a quarter of the gap on each side.
    """
    found = nearest_dog(images)
    dogs = found.factors[found.distance <= DOG_THRESHOLD]
    measures = {"validity": len(dogs) / len(images)}
    if len(dogs) < 10:
        return measures
    facing, coat = (dogs[:, FACTOR_NAMES.index(name)] for name in ("facing", "coat"))
    margin = (PALE[0] - DARK[1]) / 4
    grey = (coat > DARK[1] + margin) & (coat < PALE[0] - margin)
    frontal = facing.abs() < SIDEWAYS / 2
    measures["pale"] = float((coat > (DARK[1] + PALE[0]) / 2).float().mean())
    measures["right"] = float((facing > 0).float().mean())
    measures["between"] = float((grey | frontal).float().mean())
    return measures


def run(
    seed: int,
    *,
    recipes: tuple[str, ...] = TRIED,
    num_epochs: int | None = None,
    num_images: int = 250,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train on the two breeds by each recipe, and count the kinds in the samples.

    Args:
        seed: of initial weights, shuffling, noise and samples; the data are the same.
        recipes: names of recipes of ``gan_recipes``.
        num_epochs: in place of the recipes' own.
        num_images: samples in which the kinds are counted.
        pictures: filled with the first pictures of each recipe, and ``data``.

    Returns:
        A row per ``recipe`` with :func:`shares`, ``precision`` and ``recall``; and one for
        ``data``, as many held-out pictures read by the same means.
    """
    data = breeds()
    rows: list[dict[str, Any]] = []
    for name in recipes:
        model, watch, _ = train(name, data, seed=seed, num_epochs=num_epochs)
        images = pictures_of(model, num_images, seed)
        watched = {key: watch.rows[-1][key] for key in ("precision", "recall")}
        rows.append({"recipe": name, **shares(images), **watched})
        if pictures is not None:
            pictures[name] = images[:NUM_KEPT]
    start = seed * num_images % (len(data.test) - num_images + 1)
    real = data.test.images[start : start + num_images]
    rows.append({"recipe": "data", **shares(real)})
    if pictures is not None:
        pictures["data"] = real[:NUM_KEPT]
    return rows
