"""The Jensen-Shannon divergence, which the best discriminator measures (chapter 11)."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaebook.distributions.quadrature import integrate_ratio, on_a_grid


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
    grid, log_p, log_g = on_a_grid(low, high, num_points, p=p, g=g)
    log_m = torch.logaddexp(log_p, log_g) - math.log(2)
    to_p = integrate_ratio("p", grid, log_p, log_p - log_m)
    to_g = integrate_ratio("g", grid, log_g, log_g - log_m)
    return (to_p + to_g) / 2
