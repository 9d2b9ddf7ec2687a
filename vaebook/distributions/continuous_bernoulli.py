"""The continuous Bernoulli by its logit: exact wherever a trained decoder puts it."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

_NEAR_ZERO = 0.5  # below this logit the closed forms cancel, and the series holds to 1e-11
# log(sinh(u/2) / (u/2)) = u²/24 − u⁴/2880 + …: the coefficients are B₂ₖ / (2k (2k)!)
_SERIES = (1 / 24, -1 / 2880, 1 / 181440, -1 / 9676800, 1 / 479001600)


class ContinuousBernoulli(Distribution):
    r"""Grey values in [0, 1] with a density proportional to :math:`e^{tx}`, t the logit.

    .. math:: \log p(x) = t x - \log(1 + e^t) + \log C, \qquad
              C = \frac{t}{\tanh(t / 2)}

    With u = |t| and y the distance of x from the end where the density is largest, that is an
    exponential distribution cut off at 1, :math:`e^{-uy} u / (1 - e^{-u})`, in which no term
    cancels and no probability is rounded to 0 or 1. (torch's class clamps λ = sigmoid(t) at the
    resolution of its floats, and integrates to 0.4 at a logit of −40.)

    Args:
        logits: t, of any shape; one pixel each.

    Source:
        Loaiza-Ganem & Cunningham (2019); the constant is chapter 07's, written in the logit.
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (the base class declares it so)
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Float[Tensor, "*pixels"]) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    @property
    def _slope(self) -> Tensor:
        """|t|. At t = 0 its gradient is 1, that of the side on which ``_from_peak`` puts it."""
        return torch.where(self.logits < 0, -self.logits, self.logits)

    def _from_peak(self, value: Tensor) -> Tensor:
        """How far a grey value is from the end where the density is largest; its own inverse."""
        return torch.where(self.logits < 0, value, 1 - value)

    @property
    def mean(self) -> Tensor:
        """The mean of the density, nearer to ½ than the sigmoid of the logit."""
        slope = self._slope
        series = 0.5 - _even_series(slope, 1)
        far = slope.clamp(min=_NEAR_ZERO)
        distance = torch.where(slope < _NEAR_ZERO, series, 1 / far - 1 / torch.expm1(far))
        return self._from_peak(distance)

    @property
    def variance(self) -> Tensor:
        """The variance of the density: 1/12 at a logit of 0, t⁻² far from it."""
        slope = self._slope
        far = slope.clamp(min=_NEAR_ZERO)
        closed = far.reciprocal().square() - torch.exp(-far) / torch.expm1(-far).square()
        return torch.where(slope < _NEAR_ZERO, _even_series(slope, 2), closed)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of each grey value in [0, 1], in nats."""
        slope = self._slope
        return -slope * self._from_peak(value) - _log_mean_decay(slope)

    def log_interval(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Log-probability of ``lower`` < x < ``upper``, both in [0, 1], without cancellation."""
        slope, width = self._slope, upper - lower
        nearest = self._from_peak(torch.where(self.logits < 0, lower, upper))
        log_mass = torch.log(width) + _log_mean_decay(slope * width) - _log_mean_decay(slope)
        return log_mass - slope * nearest

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of less than ``value``."""
        value = value.clamp(0, 1)
        return torch.exp(self.log_interval(torch.zeros_like(value), value))

    def icdf(self, value: Tensor) -> Tensor:
        """The grey value below which a share of ``value`` lies."""
        slope = self._slope.clamp(min=1e-12)  # at 0 exactly: uniform
        distance = -torch.log1p(self._from_peak(value) * torch.expm1(-slope)) / slope
        return self._from_peak(distance.clamp(0, 1))

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw grey values, with gradients to the logits."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        return self.icdf(uniform)


def _log_mean_decay(slope: Tensor) -> Tensor:
    """log[(1 − e⁻ᵘ) / u], the log of the mean of e^(−uy) over [0, 1], for u ≥ 0."""
    far = slope.clamp(min=_NEAR_ZERO)
    closed = torch.log(-torch.expm1(-far)) - torch.log(far)
    return torch.where(slope < _NEAR_ZERO, _even_series(slope, 0) - slope / 2, closed)


def _even_series(slope: Tensor, derivative: int) -> Tensor:
    """log(sinh(u/2) / (u/2)) near 0, or its first or second derivative by u."""
    near = slope.clamp(max=_NEAR_ZERO)
    total = torch.zeros_like(near)
    for k, coefficient in enumerate(_SERIES, start=1):
        factor = (1.0, 2.0 * k, 2.0 * k * (2 * k - 1))[derivative]
        total = total + factor * coefficient * near ** (2 * k - derivative)
    return total
