"""A mixture of any components, written out (chapter 09)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaebook._checks import check_distribution, check_event, check_tensor, values_are_checked


class Mixture(Distribution):
    r"""Pick a component, then draw from it.

    .. math:: \log p(z) = \log \sum_k \exp\left(\log w_k + \log p_k(z)\right),
              \qquad \log p_k(z) = \sum_j \log p_k(z_j)

    The sum over dimensions is inside the exponential, the sum over components outside: one code
    comes from one component with all its numbers. What ``MixtureSameFamily`` of torch computes,
    against which the tests check it.

    Args:
        log_weights: log w_k of each component; their exponentials sum to 1.
        components: a distribution over vectors of d numbers with batch shape ``[k]``.

    Raises:
        ValueError: if the components are not a batch of as many distributions over vectors as
            there are weights, or the weights do not sum to 1.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)

    def __init__(self, log_weights: Float[Tensor, " k"], components: Distribution) -> None:
        check_tensor("log_weights", log_weights, floats=True)
        check_distribution("components", components)
        if log_weights.ndim != 1 or components.batch_shape != log_weights.shape:
            raise ValueError(
                f"log_weights has shape {tuple(log_weights.shape)} and the components have batch "
                f"shape {tuple(components.batch_shape)}; expected [k] for both."
            )
        if len(components.event_shape) != 1:
            raise ValueError(
                f"the components are over events of shape {tuple(components.event_shape)}; "
                "expected vectors. Wrap independent numbers in torch.distributions.Independent."
            )
        total = 1.0 if values_are_checked() else log_weights.detach().exp().sum().item()
        if not abs(total - 1) < 1e-4:  # rounding of float32 over a few thousand components
            raise ValueError(
                f"the weights sum to {total:.6g}; expected 1. Use log_softmax of free numbers."
            )
        self.log_weights, self.components = log_weights, components
        super().__init__(event_shape=components.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint | None:
        """Where the components live."""
        return self.components.support

    @property
    def mean(self) -> Tensor:
        """The mean, ``[d]``."""
        return self.log_weights.exp() @ self.components.mean

    @property
    def variance(self) -> Tensor:
        """The variance of each dimension, ``[d]``: within components plus between their means."""
        weights = self.log_weights.exp()
        between = (self.components.mean - self.mean) ** 2
        return weights @ (self.components.variance + between)

    def _log_joint(self, value: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch k"]:
        check_event(value, self.event_shape)
        log_density = self.components.log_prob(value.unsqueeze(-2))  # [..., k]
        return self.log_weights + log_density

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[...]``.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        return torch.logsumexp(self._log_joint(value), -1)

    def responsibilities(self, value: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch k"]:
        """p(component | z): how probably each component made the code."""
        return torch.softmax(self._log_joint(value), -1)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw vectors ``[*sample_shape, d]``; no gradient passes through the choice."""
        shape = torch.Size(sample_shape)
        chosen = torch.multinomial(self.log_weights.exp(), max(shape.numel(), 1), replacement=True)
        if shape.numel() == 0:
            chosen = chosen[:0]
        draws = self.components.sample((len(chosen),))  # [n, k, d]
        return draws[torch.arange(len(chosen), device=chosen.device), chosen].reshape(
            shape + self.event_shape
        )
