"""How often a code drawn blindly, or from a fitted density, decodes to a dog (chapter 02)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import load_dogs
from vaebook.distributions import (
    BoxCorners,
    fit_box,
    fit_gaussian,
    fit_mixture,
    standard_normal,
)
from vaebook.experiments.reference import train_reference
from vaebook.metrics.dogs import DOG_THRESHOLD, nearest_dog
from vaebook.models import Autoencoder
from vaebook.training import seeded, stream_seed

# Network, and numbers in a code: the first network with three sizes, the second with one.
SETTINGS = (("convolutional", 8), ("convolutional", 16), ("convolutional", 32), ("MLP", 16))
REBUILT = "reconstruction"  # of dogs that no model has seen
SAMPLERS = ("box", "corners", "standard normal", "fitted normal", "mixture")
NUM_COMPONENTS = 10  # of the mixture
# Multiples of DOG_THRESHOLD, an RMSE of 0.04: 0.03 and 0.05 as well.
THRESHOLDS = {"num_dogs": 1.0, "num_dogs_at_0.75": 0.75, "num_dogs_at_1.25": 1.25}

Codes = Float[Tensor, "n d"]
Decode = Callable[[Codes], Float[Tensor, "n c h w"]]


def densities(codes: Codes, *, num_components: int, seed: int) -> dict[str, Distribution]:
    """What a code is drawn from, by the names of ``SAMPLERS``; ``seed`` is of the mixture's fit."""
    return {
        "box": fit_box(codes),
        "corners": BoxCorners(codes),
        "standard normal": standard_normal(codes.shape[1]),
        "fitted normal": fit_gaussian(codes),
        "mixture": fit_mixture(codes, num_components, seed=seed % 2**32),
    }


def count_dogs(
    decode: Decode,
    fitted: Mapping[str, Distribution],
    unseen: Codes,
    *,
    num_judged: int,
    seed: int,
    stream: str,
) -> list[dict[str, Any]]:
    """Draw from each density, decode, and count the dogs.

    Args:
        decode: from codes to pictures.
        fitted: densities of codes by name.
        unseen: codes of dogs that no model has seen, ``num_judged`` of them.
        num_judged: codes drawn from each.
        seed: of the trial.
        stream: the beginning of the streams' names.

    Returns:
        A row per density, and one for ``unseen``; see :func:`run`.
    """
    parts = []
    for name, density in fitted.items():
        with torch.no_grad(), seeded(seed, f"{stream}: codes of the {name}"):
            parts.append(density.sample((num_judged,)).float())
    # all pictures at once, which is quicker
    codes = torch.cat([*parts, unseen])
    distances = nearest_dog(decode(codes)).distance.split(num_judged)
    return [
        {
            "sampler": name,
            "num_pictures": num_judged,
            **{
                column: int((distance <= factor * DOG_THRESHOLD).sum())
                for column, factor in THRESHOLDS.items()
            },
            "distance": float(distance.median()),
        }
        for name, distance in zip((*fitted, REBUILT), distances, strict=True)
    ]


def failed(error: ValueError, num_judged: int) -> list[dict[str, Any]]:
    """Rows of a training that broke down: all pictures count as dogs.

    That is the worst that can be for a claim that there are hardly any.
    """
    counts = dict.fromkeys(THRESHOLDS, num_judged)
    return [
        {"sampler": name, "num_pictures": num_judged, **counts, "distance": 0.0}
        | {"failed": str(error)}
        for name in (*SAMPLERS, REBUILT)
    ]


def run(
    seed: int,
    *,
    settings: Sequence[tuple[str, int]] = SETTINGS,
    num_images: int = 0,
    num_judged: int = 200,
    num_components: int = NUM_COMPONENTS,
    budget: str = "× 1",
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Train autoencoders of dogs, draw codes in five ways, decode them, and look for dogs.

    Reconstructions are counted, too: a decoder that draws no dog of a dog's code draws none at all.

    Args:
        settings: a key of ``RECIPES`` in :mod:`vaebook.experiments.reference`, and how many numbers
            a code has.
        num_images: training pictures, whose codes the densities are fitted to; 0 takes all.
        num_judged: codes drawn in each way.
        num_components: of the mixture.
        budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.

    Returns:
        A row for each ``network``, ``latent_dim`` and ``sampler``, of which ``REBUILT`` is one: of
        ``num_pictures``, how many
        are within an RMSE of 0.04 of the nearest dog, ``num_dogs``, of 0.03, ``num_dogs_at_0.75``,
        and of 0.05, ``num_dogs_at_1.25``; the median ``distance``; ``failed``: why the training
        broke down, if it did; then all its pictures count as dogs.
    """
    data = load_dogs()
    images = data.train.images[: num_images or None]
    rows = []
    for network, latent_dim in settings:
        stream = f"{network}, {latent_dim} numbers"
        build = partial(Autoencoder, data.image_shape, latent_dim)
        try:
            model = train_reference(
                lambda plan, build=build: build(network=plan),  # type: ignore[misc]
                images,
                data_name="dogs",
                seed=seed,
                stream=stream,
                network=network,
                budget=budget,
                scale=scale,
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            found = failed(error, num_judged)
        else:
            fitted = densities(
                model.encode_all(images),
                num_components=num_components,
                seed=stream_seed(seed, f"{stream}: mixture"),
            )
            found = count_dogs(
                model.decode_all,
                fitted,
                model.encode_all(data.test.images[:num_judged]),
                num_judged=num_judged,
                seed=seed,
                stream=stream,
            )
        common = {"network": network, "latent_dim": latent_dim, "budget": budget, "failed": ""}
        rows += [common | row for row in found]
    return rows
