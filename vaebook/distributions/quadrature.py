"""KL divergence of any two distributions on the line, by quadrature (chapter 04)."""

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count

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
    check_count("num_points", num_points, minimum=2)
    if not low < high:
        raise ValueError(f"low is {low} and high is {high}; expected low < high.")
    if q.event_shape != p.event_shape or q.event_shape.numel() != 1:
        raise ValueError(
            f"event shapes are {tuple(q.event_shape)} and {tuple(p.event_shape)}; expected one "
            "number each, () or (1,). Use monte_carlo_kl for vectors."
        )
    batch_ndim = max(len(q.batch_shape), len(p.batch_shape))
    grid = torch.linspace(low, high, num_points, dtype=torch.float64)
    points = grid.reshape(-1, *[1] * (batch_ndim + len(q.event_shape)))  # [num_points, 1, …, 1]
    log_q, log_p = q.log_prob(points).double(), p.log_prob(points).double()
    density = log_q.exp()
    mass = torch.trapezoid(density.detach(), grid, dim=0)
    if not ((mass - 1).abs() < MASS_TOLERANCE).all():
        worst = mass.flatten()[(mass - 1).abs().argmax()].item()
        raise ValueError(
            f"q integrates to {worst:.6g} over [{low:g}, {high:g}] with {num_points} points; "
            "expected 1. Widen the interval, or use more points for a narrow q."
        )
    # 0 log 0 = 0: where q vanishes it adds nothing, whatever p is there.
    log_ratio = torch.where(density > 0, log_q - log_p, 0.0)
    return torch.trapezoid(density * log_ratio, grid, dim=0)
