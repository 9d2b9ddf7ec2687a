"""The Beta distribution on a box: posteriors that stay inside a uniform prior (chapter 09)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Beta, Distribution, Independent, Uniform, constraints, register_kl

from vaebook._checks import check_event, check_same_shape, values_are_checked

# How many steps of floating point next to each end share one density, the mean over them.
END_STEPS = 1.5


class StretchedBeta(Distribution):
    r"""Independent Beta numbers, stretched from [0, 1] to [low, high].

    With u = (z − low) / (high − low), the density of z carries the Jacobian of the stretch:

    .. math:: \log q(z) = \sum_j \log \mathrm{Beta}(u_j; \alpha_j, \beta_j)
              - \log(\text{high}_j - \text{low}_j)

    Special functions are computed in double precision: at concentrations of thousands, which
    trained posteriors reach, they are small differences of large numbers.

    With α = 0.05 two fifths of the mass on one side lie nearer to the end than a float32 can tell,
    and the density is infinite there. So a draw stops one step of floating point short of the end
    and stands for all numbers up to it: in those last steps :meth:`log_prob` is the logarithm of
    the mean density, finite and with the same mass. The entropy is that of the Beta itself.

    Args:
        alpha: first parameters ``[..., d]``, above 0.
        beta: second parameters ``[..., d]``, above 0. Where both are 1, the number is uniform.
        low: left ends ``[d]``.
        high: right ends ``[d]``.

    Raises:
        ValueError: if the shapes differ, or a side is empty.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)
    has_rsample = True

    def __init__(
        self,
        alpha: Float[Tensor, "*batch d"],
        beta: Float[Tensor, "*batch d"],
        low: Float[Tensor, " d"],
        high: Float[Tensor, " d"],
    ) -> None:
        check_same_shape(alpha=alpha, beta=beta)
        check_same_shape(low=low, high=high)
        inner = torch.nextafter(low, high), torch.nextafter(high, low)
        empty = not values_are_checked() and not (inner[0] < inner[1]).all()
        if low.shape != alpha.shape[-1:] or empty:
            raise ValueError(
                f"low and high have shape {tuple(low.shape)} for alpha {tuple(alpha.shape)}; "
                "expected the vectors [d] of ends, with low < high everywhere."
            )
        self.alpha, self.beta, self.low, self.high = alpha, beta, low, high
        self._inner = inner  # the first and the last number that a draw can be
        super().__init__(alpha.shape[:-1], alpha.shape[-1:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The box."""
        return constraints.independent(constraints.interval(self.low, self.high), 1)

    @property
    def mean(self) -> Tensor:
        """The mean, ``[..., d]``."""
        return self.low + (self.high - self.low) * self.alpha / (self.alpha + self.beta)

    @property
    def variance(self) -> Tensor:
        """The variances, ``[..., d]``."""
        total = self.alpha + self.beta
        return (self.high - self.low) ** 2 * self.alpha * self.beta / (total**2 * (total + 1))

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw codes ``[*sample_shape, ..., d]``; gradients by implicit differentiation.

        There is no formula u = g(noise, α, β). But the distribution function F(u; α, β) of a draw
        is a uniform number whatever the parameters, so du/dα = −(∂F/∂α) / Beta(u; α, β):
        Figurnov, Mohamed & Mnih (2018). torch does it in ``Beta.rsample``.
        """
        beta = Beta(self.alpha.double(), self.beta.double(), validate_args=False)
        low, high = self.low.double(), self.high.double()
        z = low + (high - low) * beta.rsample(torch.Size(sample_shape))
        return z.to(self.low.dtype).clamp(*self._inner)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[...]``; −∞ outside the box.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        check_event(value, self.event_shape)
        alpha, beta = self.alpha.double(), self.beta.double()
        low, high, z = self.low.double(), self.high.double(), value.double()
        width = high - low
        # the distance to each end by itself: as 1 − u the smaller would lose its digits
        u, v = (z - low) / width, (high - z) / width
        inside = ((u >= 0) & (v >= 0)).all(-1)
        first = END_STEPS * (self._inner[0].double() - low) / width
        last = END_STEPS * (high - self._inner[1].double()) / width
        between = (alpha - 1) * u.clamp(min=first).log() + (beta - 1) * v.clamp(min=last).log()
        log_power = torch.where(u < first, _log_mean_at_end(alpha, beta, first), between)
        log_power = torch.where(v < last, _log_mean_at_end(beta, alpha, last), log_power)
        log_density = log_power - _log_beta(alpha, beta)
        total = (log_density - width.log()).sum(-1).to(value.dtype)
        return torch.where(inside, total, torch.full_like(total, -torch.inf))

    def entropy(self) -> Tensor:
        """Differential entropy in nats, ``[...]``."""
        alpha, beta = self.alpha.double(), self.beta.double()
        entropy = (
            _log_beta(alpha, beta)
            - (alpha - 1) * torch.digamma(alpha)
            - (beta - 1) * torch.digamma(beta)
            + (alpha + beta - 2) * torch.digamma(alpha + beta)
        )
        total: Tensor = (entropy + (self.high - self.low).double().log()).sum(-1)
        return total.to(self.alpha.dtype)


def _log_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    """The log of the Beta function, B(α, β) = Γ(α) Γ(β) / Γ(α + β)."""
    return torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(alpha + beta)


def _log_mean_at_end(alpha: Tensor, beta: Tensor, step: Tensor) -> Tensor:
    """The log of the mean of u^(α−1) (1 − u)^(β−1) over 0 < u < ``step``.

    The first factor's mean is exact. The second is taken at the mean of u under the first, which
    is off by a share of (β · step)² / 20, and β · step is 0.05 at the most that an encoder gives.
    """
    log_mean = (alpha - 1) * step.log() - alpha.log()
    return log_mean + (beta - 1) * torch.log1p(-step * alpha / (alpha + 1))


@register_kl(StretchedBeta, Independent)
def _kl_beta_uniform(q: StretchedBeta, p: Independent) -> Tensor:
    """The log-volume of the uniform's box minus q's entropy; infinite if q reaches beyond."""
    base = p.base_dist
    if not isinstance(base, Uniform) or p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    log_volume = torch.log(base.high - base.low).sum(-1)
    inside = ((base.low <= q.low) & (q.high <= base.high)).all()
    return torch.where(inside, log_volume - q.entropy(), torch.inf)
