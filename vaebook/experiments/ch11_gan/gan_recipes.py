"""Eight ways to train a GAN of two breeds of dogs, beside the VAE (chapter 11)."""

from typing import Any

import torch
from jaxtyping import Float
from scipy.stats import kstest
from torch import Tensor, nn

from vaebook.data import FACTOR_NAMES, ImageData, factor_range
from vaebook.data.breeds import CHANGED, breeds, shares
from vaebook.experiments.ch11_gan.models import BASELINE, RECIPES, REFERENCE, train
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import Reference, invert, measure_samples
from vaebook.metrics.dogs import DOG_THRESHOLD, nearest_dog
from vaebook.models import GAN, VAE

NUM_KEPT = 10  # pictures of each recipe that the record keeps
NUM_INVERTED = 100  # held-out dogs whose noise is searched
RAW = "no averaging"  # the reference with the weights as they are at the end
STAGES = (250, 500, 750)  # steps at which the reference is judged on the way
NUM_STAGE = 60  # pictures judged then
UNIFORM = tuple(name for name in FACTOR_NAMES if name not in CHANGED)  # in the data


def judge(images: Float[Tensor, "n 1 s s"], data: ImageData) -> dict[str, float]:
    """How many are dogs, of which kinds, how sharp, and how each factor is distributed.

    Returns:
        ``dogs`` and ``sharpness`` of :func:`vaebook.metrics.measure_samples`, the coverage over
        the factors that are uniform in the data; the kinds' :func:`shares` among the dogs, and
        ``ks_NAME``: the largest difference between a factor's distribution function among the dogs
        and the uniform one, with ``ks``, their mean. What needs dogs is missing where fewer than
        ten are.
    """
    found = nearest_dog(images)
    dogs = found.factors[found.distance <= DOG_THRESHOLD]
    reference = Reference(data.test.images, factors=UNIFORM)
    measures = measure_samples(images, reference, ["dogs", "sharpness"], found=found)
    if len(dogs) < 10:
        del measures["coverage"]
        return measures
    low, high = factor_range()
    place = ((dogs - low) / (high - low)).double().numpy()
    each = {
        f"ks_{name}": float(kstest(place[:, FACTOR_NAMES.index(name)], "uniform").statistic)
        for name in UNIFORM
    }
    return measures | shares(dogs) | {"ks": sum(each.values()) / len(each), **each}


@torch.no_grad()
def pictures_of(model: GAN | VAE, num_images: int, seed: int) -> Float[Tensor, "n 1 s s"]:
    """Samples of a GAN or a VAE, cut to what paper can show."""
    return model.sample(num_images, seed=seed).clamp(0, 1)


def run(
    seed: int,
    *,
    recipes: tuple[str, ...] = (*RECIPES, BASELINE),
    num_epochs: int | None = None,
    num_images: int = 150,
    pictures: dict[str, Tensor] | None = None,
    weights: dict[str, nn.Module] | None = None,
) -> list[dict[str, Any]]:
    """Train by each recipe, watch on the way, and judge the pictures at the end.

    Args:
        recipes: names in ``RECIPES``, or the VAE.
        num_epochs: in place of the recipes' own.
        pictures: filled with the first pictures of each recipe, and of the reference on its way.
        weights: filled with the trained reference.

    Returns:
        Rows of each ``recipe`` at every so many steps, as :class:`TrainingMonitor` measures them;
        ``last`` marks the one at the end, which has :func:`judge` and ``seconds``. The reference
        is judged at ``STAGES`` too, with fewer pictures, and at the end a second time as ``no
        averaging``; ``data`` is as many real pictures. The last rows of the reference and the VAE
        have ``inversion``, the RMSE of held-out dogs to the nearest picture that an inversion
        finds, and that of the VAE its ``reconstruction``.
    """
    data = breeds()
    held_out = data.test.images[:NUM_INVERTED]
    rows: list[dict[str, Any]] = []
    for name in recipes:
        keep = STAGES if name == REFERENCE else ()
        model, watch, seconds = train(name, data, seed=seed, num_epochs=num_epochs, keep=keep)
        at_end = int(watch.rows[-1]["step"])
        images = pictures_of(model, num_images, seed)
        last = judge(images, data) | {"seconds": seconds}
        if name in (REFERENCE, BASELINE):
            distance = invert(model, held_out, seed=seed).distance
            last["inversion"] = float(distance.square().mean().sqrt())
        if isinstance(model, VAE):
            last["reconstruction"] = reconstruction_rmse(model, held_out)
        judged = {at_end: last}
        for step in STAGES:
            if step in watch.kept:
                staged = pictures_of(watch.kept[step], NUM_STAGE, seed)
                judged[step] = judge(staged, data)
                if pictures is not None:
                    pictures[f"{name}/{step}"] = staged[:NUM_KEPT]
        for row in watch.rows:
            step = int(row["step"])
            rows.append(
                {"recipe": name, **row, "step": step, "last": step == at_end} | judged.get(step, {})
            )
        if name == REFERENCE:
            raw = judge(pictures_of(watch.kept[at_end], num_images, seed), data)
            rows.append({"recipe": RAW, **watch.rows[-1], "step": at_end, "last": True, **raw})
        if pictures is not None:
            pictures[name] = images[:NUM_KEPT]
        if weights is not None and name == REFERENCE:
            weights[REFERENCE] = model
    real = data.test.images[NUM_INVERTED : NUM_INVERTED + num_images]
    rows.append({"recipe": "data", "last": True, **judge(real, data)})
    if pictures is not None:
        pictures["data"] = held_out[:NUM_KEPT]
    return rows
