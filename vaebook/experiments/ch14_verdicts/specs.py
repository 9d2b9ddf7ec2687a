"""What chapter 14 tries: encoders with and without a KL term, and distributions for their codes."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook.data import ImageData
from vaebook.distributions import (
    fit_flow,
    fit_flow_matching,
    fit_gaussian,
    fit_mixture,
    standard_normal,
    unit_laplace,
    unit_uniform,
)
from vaebook.experiments.ch09_why_normal.specs import MODELS, vae
from vaebook.experiments.settings import DOG_DEEP_TRAINING, DOG_LATENT_DIM
from vaebook.models import LatentVariableModel
from vaebook.training import fit, seeded

TINY_BETA = 1e-6  # the weight of the KL term in the autoencoders of latent diffusion
# What the three encoders are trained with: a KL term, hardly one, none.
ENCODERS: dict[str, float | None] = {"β = 1": 1.0, "β = 1e-6": TINY_BETA, "autoencoder": None}

Codes = Float[Tensor, "n d"]
Fit = Callable[[Codes, int], Distribution]  # from codes and a seed
NOISE = {"flow matching from uniform": unit_uniform, "flow matching from Laplace": unit_laplace}
PRIORS: dict[str, Fit] = {
    "N(0, I)": lambda codes, seed: standard_normal(codes.shape[1]),
    "normal": lambda codes, seed: fit_gaussian(codes),
    "mixture": lambda codes, seed: fit_mixture(codes, 10, seed=seed),
    "spline flow": lambda codes, seed: fit_flow(codes, seed=seed),
    "flow matching": lambda codes, seed: fit_flow_matching(codes, seed=seed),
    **{
        name: partial(
            lambda codes, seed, base: fit_flow_matching(codes, base=base, seed=seed),
            base=base(DOG_LATENT_DIM),
        )
        for name, base in NOISE.items()
    },
}


def train(
    beta: float | None, data: ImageData, *, seed: int, num_epochs: int
) -> LatentVariableModel:
    """A VAE of the trial of chapter 09 with another weight of the KL term, or the autoencoder."""
    with seeded(seed):
        model = MODELS["autoencoder"](data) if beta is None else vae(data, beta=beta)
    fit(model, data.train.images, seed=seed, **DOG_DEEP_TRAINING | {"num_epochs": num_epochs})
    return model
