"""The models of chapter 12: one decoder, one data set, one budget of seconds."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from vaebook._checks import ImageShape
from vaebook.distributions import GaussianLikelihood, LearnedGaussianLikelihood
from vaebook.experiments.settings import DOG_LATENT_DIM
from vaebook.models import GAN, VAE, VAEGAN, Autoencoder, Conv, GenerativeModel
from vaebook.models.vae_gan import Judged

D = DOG_LATENT_DIM
SIGMA = 0.2  # of a pixel, where it is not learned
BATCH_SIZE = 32  # the GAN does best with small batches
PENALTY = 0.3  # γ of R1
ADVERSARIAL_WEIGHT = 30.0  # nats of the ELBO for a nat of −log D, in the VAE-GAN
BACKGROUND = {"dogs": 0.95, "fashion": 0.0}  # an empty pixel, from which decoders start
GAN_NAME = "GAN"


def network_of(data_name: str) -> Conv:
    """The plan of every encoder and every decoder."""
    blank = BACKGROUND[data_name]
    return Conv((16, 32), 256, background=blank, blank=blank)


def judge_of(data_name: str) -> Conv:
    """The plan of every discriminator: an encoder with leaky units."""
    return Conv((16, 32), 256, "leaky relu", background=BACKGROUND[data_name])


class Spec(NamedTuple):
    """How a model is built and trained."""

    build: Callable[[ImageShape, str], GenerativeModel]  # from the pictures' shape, the data's name
    epochs: Mapping[str, int]  # by data set: all take the same seconds of one processor core
    average: str = ""  # the part whose weights are averaged while it trains; "" is all of it
    at_equal_steps: bool = False  # look also when it has taken as many steps as the GAN
    lr: float = 2e-3


def _autoencoder(shape: ImageShape, data_name: str) -> Autoencoder:
    likelihood = GaussianLikelihood(SIGMA)
    return Autoencoder(shape, D, network=network_of(data_name), likelihood=likelihood)


def vae(shape: ImageShape, data_name: str) -> VAE:
    """The VAE with a fixed σ."""
    return VAE(shape, D, network=network_of(data_name), likelihood=GaussianLikelihood(SIGMA))


def _learned(shape: ImageShape, data_name: str) -> VAE:
    return VAE(shape, D, network=network_of(data_name), likelihood=LearnedGaussianLikelihood())


def vae_gan(
    shape: ImageShape,
    data_name: str,
    *,
    adversarial_weight: float = ADVERSARIAL_WEIGHT,
    judged: Judged = "both",
) -> VAEGAN:
    """The same VAE with a discriminator, and what that sees."""
    return VAEGAN(
        shape,
        D,
        network=network_of(data_name),
        discriminator=judge_of(data_name),
        likelihood=GaussianLikelihood(SIGMA),
        adversarial_weight=adversarial_weight,
        judged=judged,
        gradient_penalty=PENALTY,
        betas=(0.0, 0.99),
    )


def _gan(shape: ImageShape, data_name: str) -> GAN:
    return GAN(
        shape,
        D,
        network=network_of(data_name),
        discriminator=judge_of(data_name),
        gradient_penalty=PENALTY,
        betas=(0.0, 0.99),
    )


# Seconds of one core for 10,000 dogs (or clothes), measured once: autoencoder 3.8 (3.1), VAE 4.0
# (3.2), VAE-GAN 14.7 (11.9), GAN 10.4 (8.4). There are 8,000 clothes. All get about 84 s (40 s).
SPECS: dict[str, Spec] = {
    "autoencoder": Spec(_autoencoder, {"dogs": 22, "fashion": 16}, at_equal_steps=True),
    "VAE": Spec(vae, {"dogs": 21, "fashion": 16}, at_equal_steps=True),
    "VAE, learned σ": Spec(_learned, {"dogs": 21, "fashion": 16}, at_equal_steps=True),
    "VAE-GAN": Spec(vae_gan, {"dogs": 6, "fashion": 4}),
    GAN_NAME: Spec(_gan, {"dogs": 8, "fashion": 6}, average="generator"),
}
