"""Codes on a sphere: the uniform distribution as a prior, the power spherical as a posterior."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Dirichlet, Distribution, constraints, register_kl
from torch.nn import functional as F

from vaebook._checks import check_count, check_event, check_tensor, values_are_checked

EDGE = 1e-6  # how far a cosine keeps from −1, where log(1 + t) has no bound
SMALLEST_SHARE = 1e-30  # of (1 ± t) / 2, whose root has no gradient at 0
OFF_SPHERE = 1e-3  # a vector whose length differs more from 1 is not on the sphere


def log_sphere_area(dim: int) -> float:
    """log of the area 2 π^(d/2) / Γ(d/2) of the unit sphere in d dimensions, a surface of d − 1."""
    return math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


class _UnitSphere(constraints.Constraint):
    """Vectors of length 1."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        """Whether each vector has length 1."""
        return _on_sphere(value, value.shape[-1:])


unit_sphere = _UnitSphere()


def _on_sphere(value: Tensor, event_shape: torch.Size) -> Tensor:
    check_event(value, event_shape, ", unit vectors")
    return (torch.linalg.vector_norm(value, dim=-1) - 1).abs() < OFF_SPHERE


class HypersphericalUniform(Distribution):
    """Every direction alike: unit vectors of d numbers, d − 1 degrees of freedom.

    Densities on the sphere are per unit of its area, not of volume; elsewhere they are 0.

    Args:
        dim: numbers in a code, at least 2.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)
    support = unit_sphere
    has_rsample = False

    def __init__(self, dim: int) -> None:
        check_count("dim", dim, minimum=2)
        self._origin = torch.zeros(dim)  # says where samples are wanted, and in which precision
        super().__init__(event_shape=torch.Size((dim,)), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The origin, which is not on the sphere."""
        return self._origin

    @property
    def variance(self) -> Tensor:
        """1/d for each number."""
        return torch.full_like(self._origin, 1 / self.event_shape[0])

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw unit vectors ``[*sample_shape, d]``: normal ones, divided by their length."""
        shape, like = self._extended_shape(torch.Size(sample_shape)), self._origin
        return F.normalize(torch.randn(shape, dtype=like.dtype, device=like.device), dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the log-area in nats, ``[...]``; −∞ off the sphere.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        inside = _on_sphere(value, self.event_shape)
        here = torch.full_like(value[..., 0], -log_sphere_area(self.event_shape[0]))
        return torch.where(inside, here, torch.full_like(here, -torch.inf))

    def entropy(self) -> Tensor:
        """The log-area in nats: no density on the sphere has more."""
        return self._origin.new_full((), log_sphere_area(self.event_shape[0]))


class PowerSpherical(Distribution):
    r"""A bump on the sphere around a direction, with a density that falls as a power.

    .. math:: p(z) = \frac{(1 + m^\top z)^\kappa}{Z}, \qquad
              Z = 2^{a + b} \pi^b\, \frac{\Gamma(a)}{\Gamma(a + b)}, \qquad
              b = \tfrac{d - 1}2,\ a = b + \kappa

    The cosine t = mᵀz is 2 Beta(a, b) − 1, so that sampling needs no rejection, and the
    normaliser no Bessel function, unlike the von Mises–Fisher's. κ = 0 is the uniform
    distribution. Special functions are computed in double precision.

    Args:
        direction: unit vectors m, ``[..., d]``, d at least 2.
        concentration: κ of each, ``[...]``, at least 0.

    Raises:
        ValueError: if the shapes do not fit, or a direction is not of length 1.

    Source:
        De Cao & Aziz (2020); derived in chapter 09.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)
    support = unit_sphere
    has_rsample = True

    def __init__(
        self, direction: Float[Tensor, "*batch d"], concentration: Float[Tensor, "*batch"]
    ) -> None:
        check_tensor("direction", direction, floats=True)
        check_tensor("concentration", concentration, floats=True)
        if direction.ndim == 0 or direction.shape[:-1] != concentration.shape:
            raise ValueError(
                f"direction has shape {tuple(direction.shape)} and concentration "
                f"{tuple(concentration.shape)}; expected [..., d] and [...]."
            )
        check_count("the number of dimensions", direction.shape[-1], minimum=2)
        known = values_are_checked()
        if not known and not _on_sphere(direction.detach(), direction.shape[-1:]).all():
            raise ValueError(
                "a direction does not have length 1; "
                "normalise it with torch.nn.functional.normalize(direction, dim=-1)."
            )
        self.direction, self.concentration = direction, concentration
        super().__init__(direction.shape[:-1], direction.shape[-1:], validate_args=False)

    @property
    def _beta(self) -> float:
        return 0.5 * (self.event_shape[0] - 1)

    @property
    def _alpha(self) -> Tensor:
        return self._beta + self.concentration.double()

    @property
    def mean(self) -> Tensor:
        """E z = (a − b) / (a + b) m, ``[..., d]``: inside the sphere, not on it."""
        cosine = self.concentration / (self.concentration + 2 * self._beta)
        return cosine.unsqueeze(-1) * self.direction

    @property
    def mode(self) -> Tensor:
        """The direction, ``[..., d]``."""
        return self.direction

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw unit vectors ``[*sample_shape, ..., d]`` through which gradients flow.

        A cosine t, a direction v orthogonal to the first axis; then the mirror image (Householder)
        that exchanges the first axis and m carries (t, √(1 − t²) v) to its place.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        alpha = self._alpha.to(self.concentration.dtype)
        draws = Dirichlet(torch.stack([alpha, torch.full_like(alpha, self._beta)], -1), False)
        # (1 + t) / 2 and (1 − t) / 2, both drawn: near t = 1 a difference would have few digits
        near, far = draws.rsample(torch.Size(sample_shape)).clamp(min=SMALLEST_SHARE).unbind(-1)
        cosine, sine = near - far, 2 * torch.sqrt(near * far)
        noise = torch.randn((*shape[:-1], shape[-1] - 1), dtype=alpha.dtype, device=alpha.device)
        ring = F.normalize(noise, dim=-1)
        z = torch.cat([cosine.unsqueeze(-1), sine.unsqueeze(-1) * ring], -1)
        first = torch.zeros_like(self.direction)
        first[..., 0] = 1.0
        mirror = F.normalize(first - self.direction, dim=-1)  # 0 where m is the axis: no mirror
        z = z - 2 * (z * mirror).sum(-1, keepdim=True) * mirror
        return F.normalize(z, dim=-1)  # rounding

    def _log_normaliser(self) -> Tensor:
        alpha, beta = self._alpha, self._beta
        powers = (alpha + beta) * math.log(2) + beta * math.log(math.pi)
        return powers + torch.lgamma(alpha) - torch.lgamma(alpha + beta)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density per unit of area in nats, ``[...]``; −∞ off the sphere.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        inside = _on_sphere(value, self.event_shape)
        # lengths of 1 up to a float32's rounding, times κ, would be seen in the density
        direction, point = (F.normalize(v.double(), dim=-1) for v in (self.direction, value))
        cosine = (direction * point).sum(-1)
        log_bump = self.concentration.double() * torch.log1p(cosine.clamp(min=EDGE - 1))
        total = (log_bump - self._log_normaliser()).to(value.dtype)
        return torch.where(inside, total, torch.full_like(total, -torch.inf))

    def entropy(self) -> Tensor:
        """Differential entropy on the sphere in nats, ``[...]``."""
        alpha, beta = self._alpha, self._beta
        log_bump = math.log(2) + torch.digamma(alpha) - torch.digamma(alpha + beta)
        entropy: Tensor = self._log_normaliser() - self.concentration.double() * log_bump
        return entropy.to(self.concentration.dtype)


@register_kl(PowerSpherical, HypersphericalUniform)
def _kl_power_uniform(q: PowerSpherical, p: HypersphericalUniform) -> Tensor:
    """The log-area minus the entropy."""
    return log_sphere_area(p.event_shape[0]) - q.entropy()
