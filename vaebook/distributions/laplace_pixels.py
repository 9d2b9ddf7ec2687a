"""Laplace pixels: the likelihood whose distortion is the absolute error (chapter 10)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Laplace

from vaebook._checks import check_positive
from vaebook.distributions.likelihoods import IndependentPixels, Likelihood


class LaplaceLikelihood(Likelihood):
    """Independent Laplace pixels with a fixed scale: absolute error with a stated weight.

    The weight of the summed absolute error is 1 / scale. The best output for a code is each
    pixel's median over all pictures that the code may stand for, where squared error wants their
    mean. ``mean`` is that output, the picture to show.

    Args:
        scale: b of the density exp(−|x − m| / b) / 2b, above 0. Its standard deviation is √2 · b;
            the default gives a pixel the standard deviation 0.1.
    """

    def __init__(self, scale: float = 0.1 / math.sqrt(2)) -> None:
        super().__init__()
        check_positive("scale", scale)
        self.scale = scale

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> IndependentPixels:
        """Laplace pixels round ``sigmoid(output)``."""
        location = torch.sigmoid(output)
        scale = location.new_full((), self.scale)
        base = Laplace(location, scale, validate_args=False)
        return IndependentPixels(base, 3, validate_args=False)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"scale={self.scale:.4g}"
