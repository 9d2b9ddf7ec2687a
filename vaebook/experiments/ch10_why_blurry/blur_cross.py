"""Which knob moves the blur: code size, likelihood, network, data, training length (chapter 10)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaebook.data import ImageData
from vaebook.data.dogs import load_dogs
from vaebook.distributions import GaussianLikelihood, Likelihood
from vaebook.distributions.laplace_pixels import LaplaceLikelihood
from vaebook.experiments.ch10_why_blurry.blur_causes import NUM_KEPT, measure, steps_of
from vaebook.experiments.settings import DOG_DEEP, DOG_DEEP_TRAINING, DOG_LATENT_DIM
from vaebook.metrics import rate_per_dimension
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

SIGMA = 0.1  # of a pixel, under either likelihood
EPOCHS = 5  # over 10,000 dogs: every recipe but those that change the steps takes as many
KEPT_STEPS = ("reconstruction", "decoder at aggregate", "decoder at prior", "f* at aggregate")


class Recipe(NamedTuple):
    """A model of dogs that differs from the first recipe in one thing."""

    knob: str
    setting: str
    latent_dim: int = DOG_LATENT_DIM
    hidden: tuple[int, ...] = DOG_DEEP.hidden
    laplace: bool = False
    num_train: int = 10_000
    num_epochs: float = EPOCHS  # passes over 10,000 dogs
    kl: bool = True  # False: no KL term and no noise in the codes


RECIPES: tuple[Recipe, ...] = (
    Recipe("reference", "VAE"),
    Recipe("reference", "no KL", kl=False),
    Recipe("code size", "2", latent_dim=2),
    Recipe("code size", "64", latent_dim=64),
    Recipe("likelihood", "Laplace", laplace=True),
    Recipe("width", "128", hidden=(128, 128)),
    Recipe("data", "1,000", num_train=1_000),
    Recipe("data", "40,000", num_train=40_000),
    Recipe("steps", "a fifth", num_epochs=EPOCHS / 5),
    Recipe("steps", "four times", num_epochs=EPOCHS * 4),
    Recipe("steps", "four times, no KL", num_epochs=EPOCHS * 4, kl=False),
)


def train(recipe: Recipe, data: ImageData, *, seed: int) -> VAE:
    """A VAE by the recipe: as many steps on fewer or more dogs, but passes are whole."""
    likelihood: Likelihood = GaussianLikelihood(SIGMA)
    if recipe.laplace:
        likelihood = LaplaceLikelihood(SIGMA / 2**0.5)  # the same standard deviation
    with seeded(seed):
        model = VAE(
            data.image_shape,
            recipe.latent_dim,
            network=MLP(recipe.hidden, background=DOG_DEEP.background),
            likelihood=likelihood,
            beta=1.0 if recipe.kl else 0.0,
            sample_codes=recipe.kl,
        )
    num_epochs = max(1, round(recipe.num_epochs * 10_000 / recipe.num_train))
    fit(model, data.train.images, seed=seed, **DOG_DEEP_TRAINING | {"num_epochs": num_epochs})
    return model


def run(
    seed: int,
    *,
    recipes: tuple[Recipe, ...] = RECIPES,
    num_codes: int = 1000,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train by each recipe and measure reconstructions, samples and the optimal decoder.

    Args:
        num_codes: pictures measured for each step.
        pictures: filled with the first images of each row, under ``"knob/setting/step"``.

    Returns:
        A row per recipe and step, with the measures of :func:`measure`; for the Laplace likelihood
        ``absolute`` is what it minimises: the summed absolute error.
    """
    rows = []
    for recipe in recipes:
        data = load_dogs(recipe.num_train)
        model = train(recipe, data, seed=seed)
        common = {
            "knob": recipe.knob,
            "setting": recipe.setting,
            "rate": float(rate_per_dimension(model, data.test.images).sum()),
        }
        steps = steps_of(model, data, seed=seed, num_codes=num_codes, num_fresh=0)
        for name in KEPT_STEPS:
            if name not in steps:  # the optimal decoder of point posteriors has no blur
                continue
            step = steps[name]
            absolute = float("nan")
            if step.paired:
                with torch.no_grad():
                    absolute = float((step.images - step.real).abs().sum((1, 2, 3)).mean())
            measures = {k: v for k, v in measure(step).items() if not k.startswith("power_")}
            rows.append({**common, "step": name, "absolute": absolute, **measures})
            if pictures is not None:
                pictures[f"{recipe.knob}/{recipe.setting}/{name}"] = step.images[:NUM_KEPT]
    return rows
