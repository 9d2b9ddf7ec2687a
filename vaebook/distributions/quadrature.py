"""KL divergence of any two distributions on the line, by quadrature (chapter 04)."""

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count, check_distribution, check_real

MASS_TOLERANCE = 1e-6


def quadrature_kl(
    q: Distribution, p: Distribution, *, low: float, high: float, num_points: int = 4001
) -> Tensor:
    """KL(q ‖ p) in nats of two distributions over one number, by the trapezoid rule.

    Works for mixtures and whatever else has a density, and lets gradients through to the
    parameters of both. For smooth densities that vanish at both ends the rule converges faster
    than any power of the step, so that a few thousand points give all digits of float64.

    Args:
        q: the first distribution, over numbers or over vectors of one number, any batch shape.
        p: the second, of the same event shape.
        low: left end of the grid; all but a millionth of q must lie between it and ``high``.
        high: right end.
        num_points: points of the grid, ends included, at least 2.

    Returns:
        The divergence in float64, of the batch shape of q and p.

    Raises:
        ValueError: if the event shapes differ or hold more than one number, or if the grid misses
            a part of q: too short, or too coarse for a narrow q.
    """
    grid, log_q, log_p = on_a_grid(low, high, num_points, q=q, p=p)
    return integrate_ratio("q", grid, log_q, log_q - log_p)


def on_a_grid(
    low: float, high: float, num_points: int, **distributions: Distribution
) -> tuple[Tensor, Tensor, Tensor]:
    """The grid ``[num_points]``, and the log-densities of two distributions at its points.

    Raises:
        ValueError: if the grid is none, or the two are not over the same single number.
    """
    check_count("num_points", num_points, minimum=2)
    if not check_real("low", low) < check_real("high", high):
        raise ValueError(f"low is {low} and high is {high}; expected low < high.")
    for name, distribution in distributions.items():
        check_distribution(name, distribution)
    first, second = distributions.values()
    if first.event_shape != second.event_shape or first.event_shape.numel() != 1:
        raise ValueError(
            f"event shapes are {tuple(first.event_shape)} and {tuple(second.event_shape)}; "
            "expected one number each, () or (1,). Take one dimension at a time, or use "
            "monte_carlo_kl for vectors."
        )
    batch_ndim = max(len(first.batch_shape), len(second.batch_shape))
    grid = torch.linspace(low, high, num_points, dtype=torch.float64)
    points = grid.reshape(-1, *[1] * (batch_ndim + len(first.event_shape)))  # [num_points, 1, …, 1]
    return grid, first.log_prob(points).double(), second.log_prob(points).double()


def integrate_ratio(name: str, grid: Tensor, log_density: Tensor, log_ratio: Tensor) -> Tensor:
    """The mean of a log-ratio under a density, by the trapezoid rule.

    Raises:
        ValueError: if the density, called ``name``, does not integrate to 1 over the grid.
    """
    density = log_density.exp()
    mass = torch.trapezoid(density.detach(), grid, dim=0)
    if not ((mass - 1).abs() < MASS_TOLERANCE).all():
        worst = mass.flatten()[(mass - 1).abs().argmax()].item()
        raise ValueError(
            f"{name} integrates to {worst:.6g} over [{grid[0]:g}, {grid[-1]:g}] with {len(grid)} "
            "points; expected 1. Widen the interval, or use more points for a narrow density."
        )
    # 0 log 0 = 0: where the density vanishes it adds nothing, whatever the ratio is there.
    return torch.trapezoid(density * torch.where(density > 0, log_ratio, 0.0), grid, dim=0)
