"""A normal prior at 3 against one at 0, with first layers as they are or shifted (chapter 09)."""

import copy
import math
from typing import Any

import torch
from torch import nn

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.ch09_why_normal.specs import SIGMA, normal_at
from vaebook.experiments.reference import BLANK, LATENT_DIM, RECIPES, train_reference
from vaebook.metrics import evaluate_elbo
from vaebook.models import VAE
from vaebook.models.networks import Network
from vaebook.training import seeded, stream_seed

AS_THEY_ARE, SHIFTED = "as they are", "shifted to match"


def vae(data: ImageData, place: float, plan: Network) -> VAE:
    """A VAE whose prior is N(place · 1, I)."""
    return VAE(
        data.image_shape,
        LATENT_DIM,
        network=plan,
        likelihood=GaussianLikelihood(SIGMA),
        prior=normal_at(place),
    )


@torch.no_grad()
def shift_codes(model: VAE, by: float) -> None:
    """Move the codes of a VAE by so much in each dimension, in place.

    The encoder's last bias moves the mean of q(z | x), the decoder's first one undoes it: what
    decode(z) was is decode(z + by). Under a prior that moves as well the model stays the same.
    """
    last = [part for part in model.encoder.modules() if isinstance(part, nn.Linear)][-1]
    first = next(part for part in model.decoder.modules() if isinstance(part, nn.Linear))
    last.bias[: model.latent_dim] += by
    first.bias.sub_(by * first.weight.sum(1))


def starting_at(first: VAE, data: ImageData, place: float, *, shifted: bool) -> VAE:
    """A VAE with its prior at ``place`` that starts from the weights of another with N(0, I).

    Args:
        first: with the weights, which are copied.
        data: what it is a model of.
        place: of the prior.
        shifted: move its codes to ``place``, so that it starts as the same function.
    """
    model = vae(data, place, first.network)
    model.load_state_dict(copy.deepcopy(first.state_dict()))
    if shifted:
        shift_codes(model, place)
    return model


def worst(data: ImageData) -> float:
    """What a training counts as that broke down: −log p(x | z) with every pixel wrong by 1."""
    pixel = math.log(SIGMA * math.sqrt(2 * math.pi)) + 0.5 / SIGMA**2
    return math.prod(data.image_shape) * pixel


def run(
    seed: int,
    *,
    centre: float = 3.0,
    networks: tuple[str, ...] = ("convolutional", "MLP"),
    budget: str = "× 1",
    num_images: int = 0,
    num_judged: int = 2000,
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Train a VAE of dogs with N(0, I), and two with a normal at 3, from the same first weights.

    Where the layers are shifted to match, the model at 3 starts as the same function as the one at
    0: as large a loss, and the same pictures. Otherwise its first codes lie round 0, far from its
    prior. Order and noise are each training's own. At 0 nothing is to be shifted, so that one
    training stands in both rows.

    Args:
        centre: of the prior that is not at 0; 0 is a control.
        networks: keys of :data:`vaebook.experiments.reference.RECIPES`.
        budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.
        num_images: training pictures; 0 takes all.
        num_judged: held-out pictures.

    Returns:
        A row for each ``network``, ``layers`` and ``model``, "at 3" or "at 0": ``neg_elbo`` of
        held-out dogs, in nats; ``failed``: why the training broke down, if it did; then it counts
        as one that has every pixel wrong.
    """
    data = load_dogs()

    def train(
        network: str, first: VAE, name: str, place: float, *, shifted: bool
    ) -> dict[str, Any]:
        stream = f"{network}, {name}"
        try:
            model = train_reference(
                lambda _: starting_at(first, data, place, shifted=shifted),
                data.train.images[: num_images or None],
                data_name="dogs",
                seed=seed,
                stream=stream,
                network=network,
                budget=budget,
                scale=scale,
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            return {"neg_elbo": worst(data), "failed": str(error)}
        elbo_seed = stream_seed(seed, f"{stream}: noise of the ELBO")
        elbo = evaluate_elbo(model, data.test.images[:num_judged], seed=elbo_seed).elbo
        return {"neg_elbo": -float(elbo.mean()), "failed": ""}

    rows = []
    for network in networks:
        with seeded(seed, f"{network}, first weights"):
            first = vae(data, 0.0, RECIPES[network].network(BLANK["dogs"]))
        at_zero = train(network, first, "at 0", 0.0, shifted=False)
        for layers, shifted in ((AS_THEY_ARE, False), (SHIFTED, True)):
            moved = train(network, first, f"at 3, layers {layers}", centre, shifted=shifted)
            rows += [
                {"network": network, "layers": layers, "model": name, "budget": budget, **found}
                for name, found in (("at 3", moved), ("at 0", at_zero))
            ]
    return rows
