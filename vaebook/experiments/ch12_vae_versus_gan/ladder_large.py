"""GAN against VAE on dogs of 64 by 64 pixels, once (chapter 12).

The reference network is given one more halving in front, so that the maps inside stay as large as
they are for 32 by 32 pixels; recipe and passes over the pictures are the same. Sharpness, spectrum,
precision and recall of pixels, novelty, the classifier and the nearest dog are those of the large
pictures. Features are those of 32 by 32 pixels, samples and real pictures averaged down alike. The
nearest dog is not sought there: averaged real dogs lie 0.02 from the dogs that are drawn small,
half of what counts as a dog.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from vaebook.data import load_dogs
from vaebook.experiments.ch12_vae_versus_gan.ladder import NUM_KEPT, WORST
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.ch12_vae_versus_gan.ways_to_draw import CONTROLS, draw_all
from vaebook.experiments.pictures import PictureData
from vaebook.metrics import MEASURES, Reference, measure_samples
from vaebook.models import Conv
from vaebook.models.networks import Network
from vaebook.training import stream_seed

SIZE, SMALL = 64, 32
NUM_TOLD_APART = 500  # of the samples the classifier sees, which takes four times as long as on 32
FEATURES = ("features", "neighbours", "kernel")  # of the pictures averaged down


def deeper(network: Network) -> Network:
    """The network with one more halving in front."""
    assert isinstance(network, Conv)
    return replace(network, channels=(network.channels[0], *network.channels))


def averaged(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c s s"]:
    """Means over squares, 32 by 32 of them."""
    return avg_pool2d(images, images.shape[-1] // SMALL)


def large_dogs() -> PictureData:
    """The data set of dogs in 64 by 64 pixels."""
    data = load_dogs(size=SIZE)
    # the controls draw fresh dogs themselves
    return PictureData("dogs", data.train, data.test, torch.empty(0, *data.image_shape))


def run(
    seed: int,
    *,
    models: Sequence[str] = (*CONTROLS, "GAN", "VAE + mixture"),
    budget: str = "× 3",
    num_images: int = 2000,
    num_judged: int = 100,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train, draw and measure as the ladder does, without truncation.

    Args:
        models: names in ``CONTROLS`` or ``WAYS`` of :mod:`.ways_to_draw`.
        budget: a name in :data:`vaebook.experiments.reference.BUDGETS`: as many passes over the
            pictures as there, which takes about twice the seconds.
        num_images: samples of each.
        num_judged: how many of them get their nearest dog.
        scale: of the number of epochs, for trials.
        pictures: filled with the first samples of each.

    Returns:
        A row for each ``model`` with all columns of :func:`vaebook.metrics.measure_samples`, where
        ``told_apart`` is that of ``NUM_TOLD_APART`` samples, so not to be compared with the ladder;
        ``data`` is ``"dogs, 64 × 64"``, and the other columns are those of the record ``ladder``.
    """
    data = large_dogs()
    features = recorded_features(data.name)
    large = Reference(data.test.images, data.train.images)
    small = Reference(averaged(data.test.images), features=features)
    rows = []
    for drawn in draw_all(
        data,
        seed=seed,
        models=models,
        budgets=(budget,),
        truncations=(1.0,),
        num_images=num_images,
        scale=scale,
        adapt=deeper,
    ):
        if pictures is not None:
            pictures[drawn.model] = drawn.images[:NUM_KEPT]
        found = measure_samples(
            drawn.images,
            large,
            [name for name in MEASURES if name not in FEATURES],
            num_judged=num_judged,
            num_told_apart=NUM_TOLD_APART,
            seed=stream_seed(seed, f"classifier: {drawn.stream}"),
        )
        found |= measure_samples(averaged(drawn.images), small, FEATURES)
        if drawn.failed:
            found |= {name: WORST[name] for name in found.keys() & WORST}
        labels = {"data": f"dogs, {SIZE} × {SIZE}", **drawn.labels(), "num_judged": num_judged}
        rows.append(labels | found)
    return rows
