"""The Jensen-Shannon divergence, which the best discriminator measures (chapter 11)."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count
from vaebook.distributions.quadrature import MASS_TOLERANCE


def jensen_shannon(
    p: Distribution, g: Distribution, *, low: float, high: float, num_points: int = 4001
) -> Tensor:
    r"""JS(p ‖ g) in nats of two distributions over one number, by the trapezoid rule.

    The mean of KL(p ‖ m) and KL(g ‖ m) with :math:`m = (p + g) / 2`: between 0 for equal and
    log 2 = 0.693 for disjoint distributions, whatever lies between them. Gradients reach the
    parameters of both.

    Args:
        p: the first distribution, over numbers.
        g: the second; JS is symmetric.
        low: left end of the grid; all but a millionth of both must lie between it and ``high``.
        high: right end.
        num_points: points of the grid, ends included, at least 2.

    Returns:
        The divergence in float64, of the batch shape of p and g.

    Raises:
        ValueError: if the distributions are not over single numbers, or the grid misses a part.

    Source:
        Lin (1991), with equal weights; Goodfellow et al. (2014), theorem 1.
    """
    check_count("num_points", num_points, minimum=2)
    if not low < high:
        raise ValueError(f"low is {low} and high is {high}; expected low < high.")
    if p.event_shape != () or g.event_shape != ():
        raise ValueError(
            f"event shapes are {tuple(p.event_shape)} and {tuple(g.event_shape)}; expected () and "
            "(). Take one dimension at a time; JS in many needs a sampler and a discriminator."
        )
    batch_ndim = max(len(p.batch_shape), len(g.batch_shape))
    grid = torch.linspace(low, high, num_points, dtype=torch.float64)
    points = grid.reshape(-1, *[1] * batch_ndim)  # [num_points, 1, …]
    log_p, log_g = p.log_prob(points).double(), g.log_prob(points).double()
    log_m = torch.logaddexp(log_p, log_g) - math.log(2)
    total = torch.zeros((), dtype=torch.float64)
    for name, log_density in (("p", log_p), ("g", log_g)):
        density = log_density.exp()
        mass = torch.trapezoid(density.detach(), grid, dim=0)
        if not ((mass - 1).abs() < MASS_TOLERANCE).all():
            worst = mass.flatten()[(mass - 1).abs().argmax()].item()
            raise ValueError(
                f"{name} integrates to {worst:.6g} over [{low:g}, {high:g}] with {num_points} "
                "points; expected 1. Widen the interval, or use more points."
            )
        log_ratio = torch.where(density > 0, log_density - log_m, 0.0)  # 0 log 0 = 0
        total = total + torch.trapezoid(density * log_ratio, grid, dim=0) / 2
    return total
