"""Errors of pictures that many experiments record."""

from jaxtyping import Float
from torch import Tensor

from vaebook.models import LatentVariableModel


def rmse(images: Float[Tensor, "n c h w"], others: Float[Tensor, "n c h w"]) -> float:
    """Root of the mean squared error over all pixels of all images, in units of the pixel."""
    return float((images - others).square().mean().sqrt())


def reconstruction_rmse(model: LatentVariableModel, images: Float[Tensor, "n c h w"]) -> float:
    """RMSE per pixel of encoded and decoded images."""
    return rmse(model.reconstruct(images), images)
