"""The Beta distribution on a box: posteriors that stay inside a uniform prior (chapter 09)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Beta, Distribution, Independent, Uniform, constraints, register_kl

from vaebook._checks import check_same_shape

# Samples of [0, 1] keep this far from its ends, where a density may be 0 or infinite.
EDGE = 1e-6


class StretchedBeta(Distribution):
    r"""Independent Beta numbers, stretched from [0, 1] to [low, high].

    With u = (z − low) / (high − low), the density of z carries the Jacobian of the stretch:

    .. math:: \log q(z) = \sum_j \log \mathrm{Beta}(u_j; \alpha_j, \beta_j)
              - \log(\text{high}_j - \text{low}_j)

    Special functions are computed in double precision: at concentrations of thousands, which
    trained posteriors reach, they are small differences of large numbers.

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
        if low.shape != alpha.shape[-1:] or not (low < high).all():
            raise ValueError(
                f"low and high have shape {tuple(low.shape)} for alpha {tuple(alpha.shape)}; "
                "expected the vectors [d] of ends, with low < high everywhere."
            )
        self.alpha, self.beta, self.low, self.high = alpha, beta, low, high
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

    def rsample(self, sample_shape=torch.Size()) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: B008
        """Draw codes ``[*sample_shape, ..., d]``; gradients by implicit differentiation.

        There is no formula u = g(noise, α, β). But the distribution function F(u; α, β) of a draw
        is a uniform number whatever the parameters, so du/dα = −(∂F/∂α) / Beta(u; α, β):
        Figurnov, Mohamed & Mnih (2018). torch does it in ``Beta.rsample``.
        """
        u = Beta(self.alpha, self.beta, validate_args=False).rsample(torch.Size(sample_shape))
        return self.low + (self.high - self.low) * u.clamp(EDGE, 1 - EDGE)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[...]``; −∞ outside the box.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        if value.shape[-1:] != self.event_shape:
            raise ValueError(
                f"value has shape {tuple(value.shape)}; expected [..., {self.event_shape[0]}]."
            )
        width = self.high - self.low
        u = ((value - self.low) / width).double()
        inside = ((u >= 0) & (u <= 1)).all(-1)
        u = u.clamp(EDGE, 1 - EDGE)  # finite at the very edge
        alpha, beta = self.alpha.double(), self.beta.double()
        log_density = (alpha - 1) * u.log() + (beta - 1) * torch.log1p(-u) - _log_beta(alpha, beta)
        total = (log_density - width.double().log()).sum(-1).to(value.dtype)
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


@register_kl(StretchedBeta, Independent)
def _kl_beta_uniform(q: StretchedBeta, p: Independent) -> Tensor:
    """The log-volume of the uniform's box minus q's entropy; infinite if q reaches beyond."""
    base = p.base_dist
    if not isinstance(base, Uniform) or p.reinterpreted_batch_ndims != 1:
        raise NotImplementedError
    log_volume = torch.log(base.high - base.low).sum(-1)
    inside = ((base.low <= q.low) & (q.high <= base.high)).all()
    return log_volume - q.entropy() if inside else torch.full_like(q.entropy(), torch.inf)
