"""Does a model find pictures improbable that it was never shown? Not if they are simple."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaebook.data import load_digits, load_fashion, render, sample_factors
from vaebook.experiments.ch13_using_a_vae.anomalies import (
    Baselines,
    scores_of,
    train_autoencoder,
    train_vae,
)
from vaebook.metrics import auroc
from vaebook.models import VAE, Autoencoder
from vaebook.training import seeded

NUM_KEPT = 6
# The enlarged digits have 64 dimensions, and probabilistic PCA needs some left over.
NUM_COMPONENTS = {"clothes": 64, "digits": 32}
SCORES = (
    *("VAE: NLL", "VAE: reconstruction error", "VAE: rate"),
    *("autoencoder: reconstruction error", "PCA: NLL", "nearest neighbours"),
)
NOISE_SEED = 1_000_003  # not a seed that load_dogs uses


def digits_as_clothes(split: str) -> Float[Tensor, "n 1 28 28"]:
    """scikit-learn's 8×8 digits, enlarged to 28×28: white on black like Fashion-MNIST."""
    images = getattr(load_digits(), split).images
    large: Tensor = F.interpolate(images, size=(28, 28), mode="bilinear", align_corners=False)
    return large.clamp(0, 1)


def strange_pictures(clothes: Float[Tensor, "n 1 28 28"]) -> dict[str, Float[Tensor, "m 1 28 28"]]:
    """Pictures that no training picture resembles, some of them made from real ``clothes``."""
    blurred = F.avg_pool2d(clothes, 5, stride=1, padding=2, count_include_pad=True)
    dogs = 1 - render(sample_factors(500, seed=NOISE_SEED), size=28)  # bright on black
    with seeded(NOISE_SEED):
        noise = torch.rand(500, 1, 28, 28)
        order = torch.stack([torch.randperm(28 * 28) for _ in range(len(clothes))])
    shuffled = clothes.flatten(1).gather(1, order).reshape(clothes.shape)
    return {
        "half as bright": clothes / 2,
        "a tenth as bright": clothes / 10,
        "blurred": blurred,
        "digits": digits_as_clothes("test"),
        "dogs": dogs.clamp(0, 1),
        "inverted": 1 - clothes,
        "pixels shuffled": shuffled,
        "noise": noise,
    }


def run(
    seed: int,
    *,
    num_epochs: int = 6,
    num_images: int = 500,
    num_samples: int = 30,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train on all clothes, then on digits alone, and score what does not belong.

    Args:
        num_epochs: passes over the clothes; over the digits, which are a tenth as many, five times
            as many passes.
        num_images: test pictures of each kind, at most.
        num_samples: codes behind each score of a VAE.
        pictures: filled with examples of each kind.

    Returns:
        A row per training set, kind of strange picture and score: ``auroc`` of strange against
        test pictures, ``mean_normal`` and ``mean_strange``, the mean scores of the two, and
        ``black``, the score of one black picture.
    """
    clothes, digits = load_fashion(), {name: digits_as_clothes(name) for name in ("train", "test")}
    tests = clothes.test.images[:: max(1, len(clothes.test) // num_images)][:num_images]
    strange = strange_pictures(tests)
    if pictures is not None:
        pictures |= {"clothes": tests[:NUM_KEPT]} | {k: v[:NUM_KEPT] for k, v in strange.items()}
    trials = {
        "clothes": (clothes.train.images, tests, strange, num_epochs),
        "digits": (digits["train"], digits["test"], {"clothes": tests}, 5 * num_epochs),
    }
    rows = []
    for trained_on, (known, normal, others, epochs) in trials.items():
        models: dict[str, VAE | Autoencoder] = {
            "VAE": train_vae(known, seed=seed, num_epochs=epochs),
            "autoencoder": train_autoencoder(known, seed=seed, num_epochs=epochs),
        }
        sets = {"": normal[:num_images], "black": torch.zeros(1, 1, 28, 28), **others}
        baselines = Baselines(known, NUM_COMPONENTS[trained_on])
        scores = {
            name: scores_of(images[:num_images], baselines, models, num_samples=num_samples)
            for name, images in sets.items()
        }
        for name in others:
            for score in SCORES:
                reference, value = scores[""][score], scores[name][score]
                rows.append(
                    {"trained_on": trained_on, "strange": name, "score": score}
                    | {"auroc": auroc(reference, value, num_resamples=1).value}
                    | {"mean_normal": float(reference.mean()), "mean_strange": float(value.mean())}
                    | {"black": float(scores["black"][score])}
                )
    return rows
