"""Invertible maps of the plane that turn N(0, I) into another prior, and back.

A VAE with prior N(0, I), decoder g and codes z is a VAE with the prior of T(z), decoder g ∘ T⁻¹ and
codes T(z): the same pictures, the same bound (chapter 9). ``latent-plane.js`` has the same maps.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Map = Callable[[Float[Tensor, "n 2"]], Float[Tensor, "n 2"]]
ROOT_TWO = math.sqrt(2)


class PriorMap(NamedTuple):
    """From codes under N(0, I) to codes under another prior, and back."""

    forward: Map
    inverse: Map


def _to_uniform(z: Tensor) -> Tensor:
    return torch.special.ndtr(z)


def _from_uniform(u: Tensor) -> Tensor:
    return torch.special.ndtri(u)


def _to_laplace(z: Tensor) -> Tensor:
    tail = torch.special.ndtr(-z.abs())  # the share beyond
    return -z.sign() * (2 * tail).log() / ROOT_TWO


def _from_laplace(x: Tensor) -> Tensor:
    return -x.sign() * torch.special.ndtri((-ROOT_TWO * x.abs()).exp() / 2)


def _to_no_name(z: Tensor) -> Tensor:
    first = z[:, 0] + 0.7 * (1.4 * z[:, 1]).sin()
    return torch.stack([first, z[:, 1] + 0.9 * (1.3 * first + 0.6).sin()], 1)


def _from_no_name(x: Tensor) -> Tensor:
    second = x[:, 1] - 0.9 * (1.3 * x[:, 0] + 0.6).sin()
    return torch.stack([x[:, 0] - 0.7 * (1.4 * second).sin(), second], 1)


PRIOR_MAPS: dict[str, PriorMap] = {
    "normal": PriorMap(torch.clone, torch.clone),
    "uniform": PriorMap(_to_uniform, _from_uniform),  # on [0, 1]
    "laplace": PriorMap(_to_laplace, _from_laplace),  # of variance 1
    "no name": PriorMap(_to_no_name, _from_no_name),
}
