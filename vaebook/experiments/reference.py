"""The reference model: the network and the recipe of the trial, and a second to check against.

Both were chosen by ``reference_search``: the lowest −ELBO of held-out pictures, with a learned σ,
after 40 seconds of one core, among the convolutional networks and among those whose layers join
every unit with every other. A GAN has the layers of the first, and of ``gan_search`` the units and
the rate with which its pictures have the lowest kernel distance from held-out ones. No proposition
is judged by these measures but C2a, by a difference of −ELBOs: of priors at 3 and at 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from vaebook.models import MLP, Conv
from vaebook.models.networks import Network
from vaebook.training import Callback, WeightAverage, fit, seeded, stream_seed

LATENT_DIM = 16  # as many numbers as a dog has factors
BLANK = {"dogs": 0.95, "fashion": 0.0}  # brightness of an empty pixel
# Times the passes of a recipe over the pictures: of one core that is 26 seconds on dogs and 24 on
# clothes for the convolutional network and for the GAN. Fully connected layers, which are compared
# with nothing but themselves, take 14 and 16.
BUDGETS = {"× 1": 1, "× 3": 3, "× 10": 10}


class Recipe(NamedTuple):
    """A network, and how every model with it is trained."""

    network: Callable[[float], Network]  # from the brightness of an empty pixel
    lr: float
    batch_size: int
    epochs: Mapping[str, float]  # passes over the pictures, by data set, at × 1


RECIPES = {
    "convolutional": Recipe(
        lambda blank: Conv((16, 32), 256, "silu", background=blank, blank=blank),
        lr=2e-3,
        batch_size=32,
        epochs={"dogs": 7, "fashion": 10},
    ),
    "MLP": Recipe(
        lambda blank: MLP((512,), background=blank),
        lr=3e-3,
        batch_size=128,
        epochs={"dogs": 19, "fashion": 27},
    ),
    "GAN": Recipe(
        lambda blank: Conv((16, 32), 256, background=blank, blank=blank),
        lr=1e-3,
        batch_size=32,
        epochs={"dogs": 2.7, "fashion": 4.0},
    ),
}


M = TypeVar("M", bound=nn.Module)


def train_reference(
    build: Callable[[Network], M],
    images: Float[Tensor, "n c h w"],
    *,
    data_name: str,
    seed: int,
    stream: str,
    network: str = "convolutional",
    budget: str = "× 1",
    batch_size: int | None = None,
    average: str = "",
    slower: float = 1.0,
    scale: float = 1.0,
    callbacks: Sequence[Callback] = (),
) -> M:
    """Build and train a model by the recipe of its network.

    Args:
        build: makes the model from its network.
        images: to train on.
        data_name: a key of ``BLANK``.
        seed: of the trial.
        stream: what this training is called: no other training under that seed shares its numbers.
        network: a key of ``RECIPES``.
        budget: a key of ``BUDGETS``.
        batch_size: another than that of the recipe, for as many pictures.
        average: the part whose weights are averaged while it trains; all of it by default.
        slower: how many times as long as the recipe's an epoch of this model takes.
        scale: of the number of passes, for trials; at least one is trained.
        callbacks: in addition.
    """
    recipe = RECIPES[network]
    with seeded(seed, f"{stream}: weights"):
        model = build(recipe.network(BLANK[data_name]))
    batch_size = batch_size or recipe.batch_size
    num_epochs = max(1.0, scale * BUDGETS[budget] * recipe.epochs[data_name] / slower)
    fit(
        model,
        images,
        num_steps=round(num_epochs * math.ceil(len(images) / batch_size)),
        batch_size=batch_size,
        lr=recipe.lr,
        seed=stream_seed(seed, stream),
        callbacks=[WeightAverage(average), *callbacks],
    )
    return model
