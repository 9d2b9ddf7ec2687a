"""Encoders and decoders, shared by every model: a plan that builds both sides."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

from torch import Tensor, nn

from vaebook._checks import (
    ImageShape,
    as_image_shape,
    check_choice,
    check_count,
    check_real,
    check_widths,
)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky relu": partial(nn.LeakyReLU, 0.2),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Network(Protocol):
    """A plan for a pair of networks. Models take one, so that they can share architectures."""

    def encoder(self, image_shape: ImageShape, num_outputs: int) -> nn.Module:
        """A module that maps images ``[n, c, h, w]`` to ``[n, num_outputs]``."""
        ...

    def decoder(self, latent_dim: int, image_shape: ImageShape) -> nn.Module:
        """A module that maps codes ``[n, latent_dim]`` to ``[n, c, h, w]``, linear at the end."""
        ...


def as_network(network: Network | None) -> Network:
    """The plan that was given, ``MLP()`` by default; a ``ValueError`` if it is none."""
    if network is None:
        return MLP()
    parts = (getattr(network, part, None) for part in ("encoder", "decoder"))
    if isinstance(network, type) or not all(callable(part) for part in parts):
        raise ValueError(
            f"network is {network!r}; expected a plan with methods encoder and decoder, such as "
            "MLP((400,)) or Conv((16, 32))."
        )
    return network


def linear_layer(network: nn.Module) -> nn.Linear:
    """The only linear layer of a network; a ``ValueError`` if it has none, or several."""
    found = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if len(found) != 1:
        raise ValueError(f"the network has {len(found)} linear layers; build with MLP(hidden=()).")
    return found[0]


def _activation(name: str) -> nn.Module:
    check_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


class _Add(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return images + self.value


def _add(value: float) -> list[nn.Module]:
    return [_Add(value)] if value else []


@dataclass(frozen=True)
class MLP:
    """Fully connected layers; the decoder mirrors the encoder.

    Args:
        hidden: widths of the hidden layers from the image to the code. ``()`` gives linear maps.
        activation: ``"relu"``, ``"leaky relu"``, ``"silu"`` or ``"tanh"``.
        background: brightness of an empty pixel, subtracted from what the encoder sees. Where the
            paper is bright, a raw picture is one large constant plus a little dog, and training
            dwells on the constant.
    """

    hidden: tuple[int, ...] = (400,)
    activation: str = "relu"
    background: float = 0.0

    def encoder(self, image_shape: ImageShape, num_outputs: int) -> nn.Module:
        """Images ``[n, c, h, w]`` to ``[n, num_outputs]``."""
        self._check(image_shape, num_outputs)
        widths = (math.prod(image_shape), *self.hidden, num_outputs)
        return nn.Sequential(*_add(-self.background), nn.Flatten(), *self._layers(widths))

    def decoder(self, latent_dim: int, image_shape: ImageShape) -> nn.Module:
        """Codes ``[n, latent_dim]`` to ``[n, c, h, w]``."""
        self._check(image_shape, latent_dim)
        widths = (latent_dim, *reversed(self.hidden), math.prod(image_shape))
        return nn.Sequential(*self._layers(widths), nn.Unflatten(1, image_shape))

    def _check(self, image_shape: ImageShape, num_codes: int) -> None:
        as_image_shape(image_shape)
        check_count("the number of codes", num_codes)
        check_widths("hidden", self.hidden)
        check_real("background", self.background)

    def _layers(self, widths: tuple[int, ...]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), _activation(self.activation)]
        return layers[:-1]


@dataclass(frozen=True)
class Conv:
    """Strided convolutions, each halving the image, then one hidden layer; mirrored in the decoder.

    Where height or width cannot be halved so often, the encoder sees the picture in a frame of
    empty pixels, and the decoder paints the frame too, which is cut off.

    Args:
        channels: channels after each halving.
        hidden: width of the fully connected layer between the feature map and the code.
        activation, background: as in :class:`MLP`.
        blank: added to what the decoder puts out, whose last layer has one bias for all pixels: a
            GAN's generator then starts from a sheet of that brightness. Under a likelihood with a
            sigmoid it is a logit, and 0.95 starts from 0.72 instead of a mid grey of 0.5.
    """

    channels: tuple[int, ...] = (16, 32)
    hidden: int = 256
    activation: str = "relu"
    background: float = 0.0
    blank: float = 0.0

    def encoder(self, image_shape: ImageShape, num_outputs: int) -> nn.Module:
        """Images ``[n, c, h, w]`` to ``[n, num_outputs]``."""
        self._check(image_shape, num_outputs)
        layers: list[nn.Module] = [*_add(-self.background), *self._frame(image_shape)]
        for fan_in, fan_out in pairwise((image_shape[0], *self.channels)):
            layers += [nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1), self._act()]
        features = math.prod(self._inner_shape(image_shape))
        layers += [nn.Flatten(), nn.Linear(features, self.hidden), self._act()]
        return nn.Sequential(*layers, nn.Linear(self.hidden, num_outputs))

    def decoder(self, latent_dim: int, image_shape: ImageShape) -> nn.Module:
        """Codes ``[n, latent_dim]`` to ``[n, c, h, w]``."""
        self._check(image_shape, latent_dim)
        inner = self._inner_shape(image_shape)
        layers: list[nn.Module] = [nn.Linear(latent_dim, self.hidden), self._act()]
        layers += [nn.Linear(self.hidden, math.prod(inner)), self._act(), nn.Unflatten(1, inner)]
        for fan_in, fan_out in pairwise((*reversed(self.channels), image_shape[0])):
            layers += [nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1), self._act()]
        cut = self._frame(image_shape, -1)
        return nn.Sequential(*layers[:-1], *cut, *_add(self.blank))

    def _check(self, image_shape: ImageShape, num_codes: int) -> None:
        as_image_shape(image_shape)
        check_count("the number of codes", num_codes)
        check_widths("channels", self.channels)
        check_count("hidden", self.hidden)
        check_real("background", self.background)
        check_real("blank", self.blank)

    def _act(self) -> nn.Module:
        return _activation(self.activation)

    def _inner_shape(self, image_shape: ImageShape) -> ImageShape:
        _, height, width = image_shape
        factor = 2 ** len(self.channels)
        last = self.channels[-1] if self.channels else image_shape[0]
        return last, math.ceil(height / factor), math.ceil(width / factor)

    def _frame(self, image_shape: ImageShape, sign: int = 1) -> list[nn.ZeroPad2d]:
        """What makes both sides divisible, or with −1 takes it away; nothing where they are."""
        _, height, width = image_shape
        factor = 2 ** len(self.channels)
        rows, columns = -height % factor, -width % factor
        left, top = columns // 2, rows // 2
        sides = (sign * left, sign * (columns - left), sign * top, sign * (rows - top))
        return [nn.ZeroPad2d(sides)] if any(sides) else []
