"""The distribution at the end of an ordinary differential equation (chapter 14)."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaebook._checks import (
    check_count,
    check_distribution,
    check_event,
    check_function,
    check_real,
    check_tensor,
)
from vaebook.distributions.velocity import OF_POINTS, Velocity, exact_divergence


class FlowState(NamedTuple):
    """Points after a trip along a velocity."""

    points: Float[Tensor, "n d"]
    volume: Float[Tensor, " n"]  # ∫ div v dt along each path: the growth of log-volume


@torch.no_grad()
def integrate(
    velocity: Velocity,
    points: Float[Tensor, "n d"],
    *,
    start: float = 0.0,
    end: float = 1.0,
    num_steps: int = 20,
    divergence: Velocity | None = None,
) -> FlowState:
    """Solve dx/dt = v(x, t) from ``start`` to ``end`` by Heun's method.

    A step of Euler's to see where it leads, then one with the mean of the two velocities: two
    evaluations per step, and an error that falls with the square of the step.

    Args:
        velocity: where points move.
        points: where they are at time ``start``.
        start: from this time.
        end: to this time; smaller than ``start`` to go back.
        num_steps: equal steps.
        divergence: of the velocity; without it ``volume`` stays 0.

    Raises:
        ValueError: if the points are no table, or a setting is unusable.
    """
    check_function("velocity", velocity, OF_POINTS)
    if divergence is not None:
        check_function("divergence", divergence, OF_POINTS)
    check_tensor("points", points, floats=True)
    if points.ndim != 2:
        raise ValueError(f"points has shape {tuple(points.shape)}; expected [n, d].")
    start, end = check_real("start", start), check_real("end", end)
    check_count("num_steps", num_steps)
    step = (end - start) / num_steps
    volume = points.new_zeros(len(points))
    for index in range(num_steps):
        now = points.new_full((len(points),), start + index * step)
        then = now + step
        first = velocity(points, now)
        trial = points + step * first
        moved = points + step * 0.5 * (first + velocity(trial, then))
        if divergence is not None:
            volume = volume + step * 0.5 * (divergence(points, now) + divergence(moved, then))
        points = moved
    return FlowState(points, volume)


class ContinuousFlow(Distribution):
    r"""The distribution of z = x₁ where x₀ has the distribution ``base`` and dx/dt = v(x, t).

    .. math:: \log p_1(x_1) = \log p_0(x_0) - \int_0^1 \nabla\!\cdot v(x_t, t)\, dt

    Args:
        velocity: v, of points ``[n, d]`` and times ``[n]``.
        base: the noise, a distribution over vectors of d numbers.
        num_steps: steps of Heun's method, for samples and densities alike.
        divergence: of v; by automatic differentiation if left out.

    Source:
        Chen et al. (2018), theorem 1.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)
    support = constraints.real_vector

    def __init__(
        self,
        velocity: Velocity,
        base: Distribution,
        *,
        num_steps: int = 20,
        divergence: Velocity | None = None,
    ) -> None:
        check_function("velocity", velocity, OF_POINTS)
        if divergence is not None:
            check_function("divergence", divergence, OF_POINTS)
        check_distribution("base", base)
        check_count("num_steps", num_steps)
        self.velocity, self.base, self.num_steps = velocity, base, num_steps
        self.divergence = divergence if divergence is not None else exact_divergence(velocity)
        super().__init__(event_shape=base.event_shape, validate_args=False)

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw noise and carry it to time 1: ``[*sample_shape, d]``."""
        noise = self.base.sample(torch.Size(sample_shape))
        moved = integrate(
            self.velocity, noise.reshape(-1, *self.event_shape), num_steps=self.num_steps
        )
        return moved.points.reshape(noise.shape)

    @torch.no_grad()
    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[...]``: back to time 0, without gradients.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        check_event(value, self.event_shape)
        back = integrate(
            self.velocity,
            value.reshape(-1, *self.event_shape),
            start=1.0,
            end=0.0,
            num_steps=self.num_steps,
            divergence=self.divergence,
        )
        # back.volume is the integral from 1 to 0, so it has the opposite sign
        log_density = self.base.log_prob(back.points) + back.volume
        return log_density.reshape(value.shape[:-1])
