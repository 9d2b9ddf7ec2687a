"""A likelihood strong enough to do without a code: each pixel sees the ones before it."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from vaebook._checks import as_image_shape, check_share
from vaebook.distributions.likelihoods import BernoulliLikelihood, Likelihood
from vaebook.distributions.made import MADE


class AutoregressiveImage(Distribution):
    r"""Pixels one after the other, each given the ones before it.

    .. math:: \log p(x) = \sum_i \log p(x_i \mid \text{output}_i + g_i(x_1, \dots, x_{i-1}))
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)

    def __init__(
        self, output: Float[Tensor, "*batch c h w"], pixels: Likelihood, context: nn.Module
    ) -> None:
        self.output, self.pixels, self.context = output, pixels, context
        super().__init__(output.shape[:-3], output.shape[-3:], validate_args=False)

    def _given(self, images: Tensor) -> Distribution:
        seen = self.context(images.flatten(-3)).unflatten(-1, self.event_shape)
        return self.pixels(self.output + seen)

    @property
    def mean(self) -> Tensor:
        """Not available.

        Raises:
            NotImplementedError: always: the mean over all ways of drawing has no closed form.
        """
        raise NotImplementedError(
            "an autoregressive image has no mean in closed form; draw one with sample()."
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, summed over the image, ``[...]``: all pixels at once."""
        return self._given(value).log_prob(value)

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw images pixel by pixel: as many passes through the context as there are pixels."""
        images = self.output.new_zeros(self._extended_shape(torch.Size(sample_shape)))
        flat = images.view(*images.shape[:-3], -1)
        for pixel in range(flat.shape[-1]):
            flat[..., pixel] = self._given(images).sample().flatten(-3)[..., pixel]
        return images


class AutoregressiveLikelihood(Likelihood):
    """Adds to the decoder's output what the earlier pixels of the same image say.

    With it p(x | z) can be a good model of images for a constant z: the code is not needed, and a
    VAE is free to collapse (chapter 08).

    Args:
        image_shape: ``(channels, height, width)``; pixels come in that order, row by row.
        hidden: widths of the masked network's hidden layers.
        pixels: the likelihood of one pixel given its parameter; black-or-white by default.
        dropout: share of the earlier pixels hidden in training, which weakens the context (Bowman
            et al. 2016 do so with words).

    Raises:
        ValueError: if the shape is none, or ``dropout`` is not in [0, 1).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        hidden: tuple[int, ...] = (256,),
        pixels: Likelihood | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_share("dropout", dropout)
        channels, height, width = as_image_shape(image_shape)
        self.pixels = pixels if pixels is not None else BernoulliLikelihood()
        network = MADE(channels * height * width, hidden)
        self.context = nn.Sequential(nn.Dropout(dropout), *network.layers)

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> AutoregressiveImage:
        """Images around ``output``, each pixel given the ones before it."""
        return AutoregressiveImage(output, self.pixels, self.context)

    def check(self, images: Float[Tensor, "*batch c h w"]) -> None:
        """Raise a ``ValueError`` on what a single pixel's likelihood cannot give."""
        self.pixels.check(images)
