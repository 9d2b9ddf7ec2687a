"""Velocity fields: where a point moves at a time, and how its surroundings grow (chapter 14)."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import jacrev, vmap
from torch.nn.functional import silu

from vaebook._checks import check_count, check_function

# Where a point moves: points [n, d] and a time between 0 and 1 for each of them, [n].
Velocity = Callable[[Tensor, Tensor], Tensor]
OF_POINTS = "of points [n, d] and times [n]"
NUM_FREQUENCIES = 4  # waves of time that a velocity network sees beside the time itself


class VelocityNetwork(nn.Module):
    r"""v(x, t) by two hidden layers, with its divergence in closed form.

    .. math:: v = W_3\, a(W_2\, a(W_1 x + C\, \tau(t)) + b_2) + b_3

    with τ the time and a few of its waves. With the slopes a′ of the two layers, D₁ and D₂, the
    divergence is the trace of W₃ D₂ W₂ D₁ W₁, one quadratic form per point: as cheap as v itself.

    Args:
        latent_dim: numbers in a point, d.
        hidden: units of both hidden layers.
    """

    def __init__(self, latent_dim: int, hidden: int = 256) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        check_count("hidden", hidden)
        self.place = nn.Linear(latent_dim, hidden, bias=False)  # W₁
        self.time = nn.Linear(1 + 2 * NUM_FREQUENCIES, hidden)  # C
        self.middle = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, latent_dim)

    def _sums(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the two activations."""
        turns = torch.arange(1, NUM_FREQUENCIES + 1, dtype=x.dtype, device=x.device) * math.pi
        angles = t.to(x).unsqueeze(-1) * turns
        waves = torch.cat([t.to(x).unsqueeze(-1), angles.sin(), angles.cos()], -1)
        first = self.place(x) + self.time(waves)
        return first, self.middle(silu(first))

    def forward(self, x: Float[Tensor, "*n d"], t: Float[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """The velocity at points ``x`` and times ``t``."""
        return self.out(silu(self._sums(x, t)[1]))

    def divergence(self, x: Float[Tensor, "*n d"], t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Σ_j ∂v_j / ∂x_j at each point."""
        first, second = self._sums(x, t)
        around = self.middle.weight * (self.place.weight @ self.out.weight).T  # [h, h]
        return ((_slope(second) @ around) * _slope(first)).sum(-1)


def _slope(value: Tensor) -> Tensor:
    """The derivative of silu(s) = s · sigmoid(s)."""
    gate = torch.sigmoid(value)
    return gate * (1 + value * (1 - gate))


def exact_divergence(velocity: Velocity) -> Velocity:
    """The divergence of any smooth velocity, by automatic differentiation: d passes per point."""
    check_function("velocity", velocity, OF_POINTS)

    def divergence(x: Float[Tensor, "n d"], t: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        def at(point: Tensor, time: Tensor) -> Tensor:
            return velocity(point[None], time[None])[0]

        jacobian: Tensor = vmap(jacrev(at))(x, t.expand(len(x)))  # [n, d, d]
        return jacobian.diagonal(dim1=1, dim2=2).sum(1)

    return divergence
