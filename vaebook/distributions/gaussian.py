"""The diagonal Gaussian, written out: what an encoder puts out and what a prior is."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaebook._checks import check_count, check_event, check_finite, check_same_shape

LOG_TWO_PI = math.log(2 * math.pi)


def reparameterise(
    mu: Float[Tensor, "*batch d"],
    log_var: Float[Tensor, "*batch d"],
    noise: Float[Tensor, "*batch d"] | None = None,
) -> Float[Tensor, "*batch d"]:
    """Draw z ~ N(mu, diag(exp(log_var))) so that gradients reach ``mu`` and ``log_var``.

    The randomness comes in from outside as ``noise``; z is a smooth function of the parameters
    (chapter 05; Kingma & Welling 2014, section 2.4). Fresh noise is drawn for every example and
    every dimension. The standard deviation is the exponential of *half* the log-variance.

    Args:
        mu: means.
        log_var: log-variances, log σ².
        noise: standard normal draws of the same shape; drawn here if ``None``.

    Returns:
        Codes of the shape of ``mu``.

    Raises:
        ValueError: if the shapes differ.
    """
    check_same_shape(mu=mu, log_var=log_var)
    if noise is None:
        noise = torch.randn_like(mu)
    check_same_shape(mu=mu, noise=noise)
    std = torch.exp(0.5 * log_var)
    return mu + std * noise


class DiagonalGaussian(Distribution):
    """A Gaussian with independent dimensions, parameterised by mean and log-variance.

    The last dimension is the event: ``log_prob`` sums over it. The same object as
    ``Independent(Normal(mu, exp(log_var / 2)), 1)``, against which the tests check it.

    Args:
        mu: means ``[..., d]``.
        log_var: log-variances ``[..., d]``, log σ² (not σ, not σ²).

    Raises:
        ValueError: if the shapes differ, or a value is NaN or infinite.
    """

    arg_constraints = {  # noqa: RUF012 (the base class declares it so)
        "mu": constraints.real_vector,
        "log_var": constraints.real_vector,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        mu: Float[Tensor, "*batch d"],
        log_var: Float[Tensor, "*batch d"],
        validate_args: bool | None = None,
    ) -> None:
        check_same_shape(mu=mu, log_var=log_var)
        if mu.ndim == 0:
            raise ValueError("mu is a scalar; expected a vector [..., d]. Use mu[None].")
        if validate_args is not False:
            check_finite("mu", mu)
            check_finite("log_var", log_var)
        self.mu, self.log_var = mu, log_var
        super().__init__(mu.shape[:-1], mu.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean, ``[..., d]``."""
        return self.mu

    @property
    def mode(self) -> Tensor:
        """The mode, which is the mean, ``[..., d]``."""
        return self.mu

    @property
    def std(self) -> Tensor:
        """The standard deviations, ``[..., d]``: exp of half the log-variance."""
        return torch.exp(0.5 * self.log_var)

    @property
    def stddev(self) -> Tensor:
        """The standard deviations under the name that torch uses."""
        return self.std

    @property
    def variance(self) -> Tensor:
        """The variances, ``[..., d]``."""
        return torch.exp(self.log_var)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "DiagonalGaussian":
        """The same distribution with its batch expanded to ``batch_shape``."""
        shape = torch.Size(batch_shape) + self.event_shape
        return DiagonalGaussian(self.mu.expand(shape), self.log_var.expand(shape), False)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw codes ``[*sample_shape, ..., d]`` through which gradients flow."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return reparameterise(self.mu.expand(shape), self.log_var.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, summed over the last dimension; ``[...]``.

        Raises:
            ValueError: if ``value`` does not end in ``d`` numbers.
        """
        check_event(value, self.event_shape, ", one vector for each density")
        squared = (value - self.mu) ** 2 * torch.exp(-self.log_var)
        return -0.5 * (squared + self.log_var + LOG_TWO_PI).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy in nats, ``[...]``."""
        return 0.5 * (self.log_var + LOG_TWO_PI + 1.0).sum(-1)


def standard_normal(latent_dim: int) -> DiagonalGaussian:
    """The prior N(0, I) over codes of ``latent_dim`` numbers."""
    check_count("latent_dim", latent_dim)
    return DiagonalGaussian(torch.zeros(latent_dim), torch.zeros(latent_dim))
