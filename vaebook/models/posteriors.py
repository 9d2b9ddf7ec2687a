"""Families of q(z | x): how an encoder's output becomes a distribution over codes."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal
from torch.nn import functional as F

from vaebook.distributions import DiagonalGaussian

PosteriorFamily = Literal["diagonal", "full"]
SOFTPLUS_AT_ONE = math.log(math.expm1(1.0))


class PosteriorPlan(NamedTuple):
    """What a family asks of the encoder, and what it makes of the answer."""

    num_outputs: Callable[[int], int]  # from latent_dim to the encoder's width
    build: Callable[[Tensor, int], Distribution]  # from that output [n, width] and latent_dim


def _diagonal(output: Float[Tensor, "n w"], latent_dim: int) -> DiagonalGaussian:
    return DiagonalGaussian(output[:, :latent_dim], output[:, latent_dim:])


def _full(output: Float[Tensor, "n w"], latent_dim: int) -> MultivariateNormal:
    mu, spread = output[:, :latent_dim], output[:, latent_dim:]
    rows, columns = torch.tril_indices(latent_dim, latent_dim)
    factor = mu.new_zeros(len(mu), latent_dim, latent_dim)
    factor[:, rows, columns] = spread
    # The diagonal must be positive: softplus, shifted so that an output of 0 gives 1.
    diagonal = F.softplus(factor.diagonal(dim1=-2, dim2=-1) + SOFTPLUS_AT_ONE) + 1e-6
    factor = factor.tril(-1) + torch.diag_embed(diagonal)
    return MultivariateNormal(mu, scale_tril=factor, validate_args=False)


POSTERIORS: dict[str, PosteriorPlan] = {
    "diagonal": PosteriorPlan(lambda d: 2 * d, _diagonal),
    "full": PosteriorPlan(lambda d: d + d * (d + 1) // 2, _full),
}
