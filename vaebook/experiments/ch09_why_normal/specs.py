"""The models of chapter 09: one network, one budget, and every kind of code."""

from collections.abc import Callable
from typing import TypedDict, Unpack

from torch.distributions import Distribution

from vaebook.data import ImageData
from vaebook.distributions import (
    DiagonalGaussian,
    FlowPrior,
    GaussianLikelihood,
    HypersphericalUniform,
    LearnedGaussianPrior,
    MixturePrior,
    Prior,
    VampPrior,
    standard_normal,
    unit_laplace,
    unit_uniform,
)
from vaebook.experiments.settings import DOG_DEEP, DOG_LATENT_DIM
from vaebook.models import VAE, VQVAE, Autoencoder, LatentVariableModel, WassersteinAutoencoder
from vaebook.models.posteriors import PosteriorFamily

SIGMA = 0.2  # of a pixel
NUM_COMPONENTS = 50  # of the mixture prior, and pseudo-inputs of the VampPrior
D = DOG_LATENT_DIM


def normal_at(place: float) -> DiagonalGaussian:
    """N(place · 1, I): the normal prior somewhere else than at zero."""
    unit = standard_normal(D)
    return DiagonalGaussian(unit.mu + place, unit.log_var)


class Options(TypedDict, total=False):
    """In what the VAEs of the trial differ."""

    prior: Distribution | Prior
    posterior: PosteriorFamily
    beta: float


def vae(data: ImageData, **options: Unpack[Options]) -> VAE:
    """The VAE of the trial with another prior, posterior or weight of the rate."""
    pixels = GaussianLikelihood(SIGMA)
    return VAE(data.image_shape, D, network=DOG_DEEP, likelihood=pixels, **options)


Build = Callable[[ImageData], LatentVariableModel]

# Trained once per seed; priors.generators says how each of them makes pictures.
MODELS: dict[str, Build] = {
    "normal": lambda data: vae(data),
    "normal at 3": lambda data: vae(data, prior=normal_at(3.0)),
    "normal, full posterior": lambda data: vae(data, posterior="full"),
    "learned normal": lambda data: vae(data, prior=LearnedGaussianPrior(D)),
    "Laplace": lambda data: vae(data, prior=unit_laplace(D)),
    "uniform": lambda data: vae(data, prior=unit_uniform(D), posterior="beta"),
    "sphere": lambda data: vae(data, prior=HypersphericalUniform(D), posterior="power spherical"),
    "mixture": lambda data: vae(data, prior=MixturePrior(D, NUM_COMPONENTS)),
    "VampPrior": lambda data: vae(data, prior=VampPrior(data.train.images[:NUM_COMPONENTS], D)),
    "flow": lambda data: vae(data, prior=FlowPrior(D)),
    "discrete codes": lambda data: VQVAE(
        data.image_shape, 16, 32, network=DOG_DEEP, likelihood=GaussianLikelihood(SIGMA)
    ),
    "Wasserstein": lambda data: WassersteinAutoencoder(
        data.image_shape, D, network=DOG_DEEP, likelihood=GaussianLikelihood(SIGMA)
    ),
    "autoencoder": lambda data: Autoencoder(
        data.image_shape, D, network=DOG_DEEP, likelihood=GaussianLikelihood(SIGMA)
    ),
}
