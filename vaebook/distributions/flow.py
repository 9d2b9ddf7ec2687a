"""A normalising flow: a density carried to another by an invertible map (chapter 09)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Transform, constraints

from vaebook._checks import check_count, check_distribution, check_event, check_widths
from vaebook.distributions.gaussian import DiagonalGaussian

# zuko switches off the checks of every distribution in the process, for good: put them back.
_validates = Distribution._validate_args  # noqa: SLF001 (nothing public tells)
from zuko.flows import NSF  # noqa: E402

Distribution.set_default_validate_args(_validates)


class FlowDistribution(Distribution):
    r"""The distribution of z where u = f(z) has the distribution ``base``.

    .. math:: \log p(z) = \log p_{\text{base}}(f(z))
              + \log \left| \det \frac{\partial f}{\partial z} \right|

    Args:
        transform: f, from codes to ``base``: a transform over vectors, with an inverse.
        base: a distribution over vectors.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, transform: Transform, base: Distribution) -> None:
        check_distribution("base", base)
        if not isinstance(transform, Transform):
            raise ValueError(
                f"transform is a {type(transform).__name__}; expected a "
                "torch.distributions.Transform over vectors, such as AffineTransform."
            )
        self.transform, self.base = transform, base
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[...]``; one number for the volume of the whole vector.

        Raises:
            ValueError: if ``value`` does not end in d numbers.
        """
        check_event(value, self.event_shape)
        u = self.transform(value)
        log_det = self.transform.log_abs_det_jacobian(value, u)
        return self.base.log_prob(u) + log_det

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw u from the base and carry it back: ``[*sample_shape, d]``."""
        return self.transform.inv(self.base.rsample(sample_shape))


class SplineFlow(nn.Module):
    """A trainable neural spline flow from zuko on top of N(0, I).

    Each transform maps every number by a monotone spline whose shape depends on the numbers
    before it (alternately: after it). Between −5 and 5 the splines bend; beyond they are the
    identity, so codes should have about unit scale. A density takes one pass, a sample
    ``latent_dim`` passes per transform.

    Args:
        latent_dim: numbers in a code.
        num_transforms: transforms in a row.
        hidden: widths of the networks that shape the splines.
        num_bins: pieces of a spline.

    Source:
        Durkan et al. (2019); the implementation is zuko's ``NSF``.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        num_transforms: int = 2,
        hidden: Sequence[int] = (64, 64),
        num_bins: int = 8,
    ) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        check_count("num_transforms", num_transforms)
        check_count("num_bins", num_bins, minimum=2)
        check_widths("hidden", hidden)
        flow = NSF(
            latent_dim, bins=num_bins, transforms=num_transforms, hidden_features=tuple(hidden)
        )
        self.transform = flow.transform
        self._zeros: Tensor
        self.register_buffer("_zeros", torch.zeros(latent_dim), persistent=False)

    def forward(self) -> FlowDistribution:
        """The distribution at the present parameters."""
        base = DiagonalGaussian(self._zeros, self._zeros, validate_args=False)
        return FlowDistribution(self.transform(), base)

    def loss(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """−log p(z) of each code in nats, for ``fit``."""
        return -self().log_prob(codes)
