"""By how much the ELBO of the same model changes when its codes get another law (chapter 09)."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Transform

from vaebook.data import load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.ch09_why_normal.prior_pushforward import (
    TRANSFORMS,
    PushedVAE,
    SampledVAE,
)
from vaebook.experiments.ch09_why_normal.specs import SIGMA
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.models import VAE
from vaebook.training import seeded

# By what N(0, I) becomes.
PRIORS: dict[str, Transform] = {
    "uniform": TRANSFORMS["uniform on [0, 1]"],
    "Laplace": TRANSFORMS["Laplace"],
    "nameless": TRANSFORMS["bent, without a name"],
}
# Of a training that broke down: no ELBO is known, so that none is the same.
FAILED = {"log_ratio_gap": 1e3, "elbo_gap": 1e3}


@torch.no_grad()
def gaps(
    model: VAE, pushed: PushedVAE, images: Float[Tensor, "n c h w"], codes: Float[Tensor, "s n d"]
) -> dict[str, float]:
    """Largest differences over the images of two models' log q − log p and ELBO, in nats.

    Each uses nothing but its own densities and its own decoder.

    Args:
        model: a VAE in double precision.
        pushed: the same with other codes.
        images: held out.
        codes: draws of the model's q(z | x); the pushed model's are what its map makes of them.

    Returns:
        ``log_ratio_gap`` and ``elbo_gap``.
    """
    terms = []
    for each, own in ((model, codes), (pushed, pushed.transform(codes))):
        log_ratio = each.posterior(images).log_prob(own) - each.prior.log_prob(own)  # [s, n]
        log_likelihood = each.likelihood_of(own).log_prob(images)
        terms.append((log_ratio, (log_likelihood - log_ratio).mean(0)))
    (ratio, elbo), (pushed_ratio, pushed_elbo) = terms
    return {
        "log_ratio_gap": float((ratio - pushed_ratio).abs().max()),
        "elbo_gap": float((elbo - pushed_elbo).abs().max()),
    }


def run(
    seed: int,
    *,
    num_images: int = 0,
    num_judged: int = 200,
    network: str = "convolutional",
    budget: str = "× 1",
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Train the normal VAE of dogs and push it through maps of code space.

    It is trained in single precision and compared in double. ``prior_pushforward`` trains the
    pushed models further as well.

    Args:
        num_images: training pictures; 0 takes all.
        num_judged: held-out pictures on which the models are compared.
        network, budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.

    Returns:
        A row for each ``prior`` of ``PRIORS``: ``log_ratio_gap`` and ``elbo_gap``, the largest
        difference in nats of log q − log p of a code, and of a picture's ELBO, between the normal
        VAE and itself pushed through that map. ``failed``: why the training broke down, if it did.
    """
    data = load_dogs()
    images = data.test.images[:num_judged].double()
    try:
        model: VAE = train_reference(
            lambda plan: SampledVAE(
                data.image_shape, LATENT_DIM, network=plan, likelihood=GaussianLikelihood(SIGMA)
            ),
            data.train.images[: num_images or None],
            data_name="dogs",
            seed=seed,
            stream="VAE",
            network=network,
            budget=budget,
            scale=scale,
        ).double()
    except ValueError as error:  # what fit raises when a loss is no number any more
        return [{"prior": name, **FAILED, "failed": str(error)} for name in PRIORS]
    with torch.no_grad(), seeded(seed, "codes"):
        codes = model.posterior(images).sample((4,))
    return [
        {"prior": name, **gaps(model, pushed, images, codes), "failed": ""}
        for name, pushed in ((n, PushedVAE(copy.deepcopy(model), t)) for n, t in PRIORS.items())
    ]
