"""What the models of the book share: pictures, codes, and the ways between them."""

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook._checks import (
    ImageShape,
    as_image_shape,
    check_codes,
    check_count,
    check_images,
    how_to_convert,
)
from vaebook._configuration import Configured
from vaebook._random import seeded, unseeded
from vaebook.training.modes import evaluating as evaluating

PIXELS_AT_ONCE = 2**20  # of pictures in a block: 4 MiB, and a few times that inside a network


@runtime_checkable
class DrawsImages(Protocol):
    """What draws new pictures: a GAN, a VAE, but no plain autoencoder."""

    def sample(self, num_images: int, *, seed: int | None = None) -> Tensor:
        """New pictures ``[n, c, h, w]``."""
        ...


class GenerativeModel(Configured, nn.Module):
    """What a GAN and a VAE share: a decoder from codes to pictures, and where it is.

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers in a code.

    Raises:
        ValueError: if a size is no positive integer, or the channels come last.
    """

    def __init__(self, image_shape: ImageShape, latent_dim: int) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        self.image_shape: ImageShape = as_image_shape(image_shape)
        self.latent_dim = int(latent_dim)
        self._place: Tensor
        self.register_buffer("_place", torch.zeros(()), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._place.device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return self._place.dtype

    def check(self, images: Tensor) -> None:
        """Raise a ``ValueError`` for images that :meth:`loss` cannot take.

        ``fit`` calls it once for all data, and trusts their values from then on.
        """
        check_images(images, self.image_shape, dtype=self.dtype)
        likelihood = getattr(self, "likelihood", None)
        if likelihood is not None:
            likelihood.check(images)

    def decode(self, *args: Any, **kwargs: Any) -> Tensor:
        """The picture of each code."""
        raise NotImplementedError(f"{type(self).__name__} has no decode; define it.")

    def decode_all(self, codes: Tensor, *given: Tensor) -> Tensor:
        """The pictures of any number of codes, on the model's device; no gradient is kept."""
        return self._in_blocks(self.decode, codes, *given)

    def _in_blocks(self, function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        for value in rows:
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"a {type(value).__name__} is given; expected a torch tensor with a row for "
                    f"each example. {how_to_convert(value)}"
                )
        if len({value.shape[:1] for value in rows}) != 1 or not rows[0].ndim:
            shapes = " and ".join(str(tuple(value.shape)) for value in rows)
            raise ValueError(f"tensors of shape {shapes} are given; expected one row for each.")
        at_once = max(1, PIXELS_AT_ONCE // math.prod(self.image_shape))
        blocks = zip(*(value.split(at_once) for value in rows), strict=True)
        with torch.no_grad(), evaluating(self):
            return torch.cat([function(*(p.to(self.device) for p in block)) for block in blocks])

    def _draw(
        self, distribution: Distribution, num_draws: int, seed: int | None, name: str = "num_images"
    ) -> Tensor:
        """Samples of a distribution over codes, from a seed or torch's global generator."""
        check_count(name, num_draws)
        with torch.no_grad(), seeded(seed) if seed is not None else unseeded():
            return distribution.sample((num_draws,)).to(self.device)

    def _codes(self, codes: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Codes ``[n, d]`` that fit the model, moved to it."""
        check_codes(codes, self.latent_dim)
        return codes.to(self.device)


class LatentVariableModel(GenerativeModel):
    """A model of pictures x by codes z; what a model has of the following has one name everywhere.

    ============================ ==================================================================
    ``prior``                    p(z), where there is one
    ``posterior(x)``             q(z | x)
    ``likelihood_of(z)``         p(x | z)
    ``elbo(x)``                  the bound of log p(x) and its two terms, for each picture
    ``loss(x)``                  what training lowers, in nats, for each picture
    ``check(x)``                 raises an error for data that the loss cannot take
    ``encode(x)``, ``decode(z)`` the code of a picture, the picture of a code, with gradients
    ``model(x)``                 ``decode(encode(x))``, with gradients
    ``encode_all``,              the same for any number of pictures: in blocks, without gradients,
    ``decode_all``,              in evaluation mode; pictures elsewhere are moved to the model block
    ``reconstruct``              by block
    ``sample(n)``                new pictures, likewise
    ============================ ==================================================================

    A conditional model takes its conditions behind x or z in each of them.
    Arguments and errors are those of :class:`GenerativeModel`.
    """

    def forward(self, images: Tensor, *given: Tensor) -> Tensor:
        """Each image after a trip through its code, with gradients."""
        return self.decode(self.encode(images, *given), *given)

    def encode(self, *args: Any, **kwargs: Any) -> Tensor:
        """The code of each image."""
        raise NotImplementedError(f"{type(self).__name__} has no encode; define it.")

    def encode_all(self, images: Tensor, *given: Tensor) -> Tensor:
        """The codes of any number of images, on the model's device; no gradient is kept."""
        return self._in_blocks(self.encode, images, *given)

    def reconstruct(self, images: Tensor, *given: Tensor) -> Tensor:
        """Each image after a trip through its code, where the images are; no gradient is kept."""
        return self._in_blocks(self, images, *given).to(images.device)
