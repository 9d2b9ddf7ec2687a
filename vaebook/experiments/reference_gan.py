"""The reference GAN: a decoder of :mod:`.reference` as generator, an encoder to judge it."""

from dataclasses import replace
from typing import Any

from vaebook._checks import ImageShape
from vaebook.experiments.reference import LATENT_DIM
from vaebook.models import GAN, MLP, Conv
from vaebook.models.networks import Network

PENALTY = 0.3  # γ of R1
BETAS = (0.0, 0.99)
AVERAGED = "generator"
NETWORK = "GAN"  # its recipe in ``RECIPES``


def reference_gan(image_shape: ImageShape, network: Network, **changes: Any) -> GAN:
    """A GAN whose discriminator is the encoder of the same network, with leaky units.

    Args:
        image_shape: of its pictures.
        network: that of its recipe, or another.
        changes: arguments of :class:`vaebook.models.GAN` that are to differ.
    """
    assert isinstance(network, Conv | MLP)
    settings: dict[str, Any] = {
        "discriminator": replace(network, activation="leaky relu"),
        "gradient_penalty": PENALTY,
        "betas": BETAS,
    }
    return GAN(image_shape, LATENT_DIM, network=network, **settings | changes)
