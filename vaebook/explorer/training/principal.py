"""A plan of networks whose outer layers are principal components, fixed: small, and shared."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaebook._checks import ImageShape
from vaebook.explorer.plane_models import linear


@dataclass(frozen=True, eq=False)
class PrincipalMLP:
    """Encoder and decoder that see a picture through its principal components.

    Only the small layers between code and components are trained; the last layer, which draws the
    picture, is one for all models of a page, so that a page carries it once.

    Args:
        mean: picture that the components are deviations from.
        basis: orthonormal components, one a row.
        hidden: widths of the layers between components and code.
    """

    mean: Float[Tensor, " p"]
    basis: Float[Tensor, "c p"]
    hidden: tuple[int, ...] = (64, 64)

    def encoder(self, image_shape: ImageShape, num_outputs: int) -> nn.Module:
        """Images ``[n, c, h, w]`` to ``[n, num_outputs]``."""
        project = _fixed(self.basis, -self.basis @ self.mean)
        return nn.Sequential(
            nn.Flatten(), project, *_layers((len(self.basis), *self.hidden, num_outputs))
        )

    def decoder(self, latent_dim: int, image_shape: ImageShape) -> nn.Module:
        """Codes ``[n, latent_dim]`` to ``[n, c, h, w]``."""
        layers = _layers((latent_dim, *reversed(self.hidden), len(self.basis)))
        return nn.Sequential(*layers, _fixed(self.basis.T, self.mean), nn.Unflatten(1, image_shape))


def principal_components(
    images: Float[Tensor, "n c h w"], count: int
) -> tuple[Float[Tensor, " p"], Float[Tensor, "c p"]]:
    """Mean and first components of pictures, rounded to half precision, as they are kept."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    basis = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:count]
    return mean.half().float(), basis.half().float()


def _layers(widths: tuple[int, ...]) -> list[nn.Module]:
    pairs: list[tuple[nn.Module, ...]] = [
        (nn.Linear(fan_in, fan_out), nn.SiLU()) for fan_in, fan_out in pairwise(widths)
    ]
    return [layer for pair in pairs for layer in pair][:-1]


def _fixed(weight: Tensor, bias: Tensor) -> nn.Linear:
    return linear(weight, bias).requires_grad_(False)
