"""Priors trained with the model: a Gaussian, a mixture, a VampPrior, a flow (chapter 09)."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal

from vaebook._checks import check_choice, check_count, check_images
from vaebook.distributions.flow import FlowDistribution, SplineFlow
from vaebook.distributions.gaussian import DiagonalGaussian
from vaebook.distributions.mixture import Mixture
from vaebook.distributions.priors import Encode, Prior

# How much of a mixture's unit variance its components start with; the rest is between their means.
SHARE_WITHIN = 0.5


class LearnedGaussianPrior(Prior):
    """A Gaussian whose mean and covariance are trained; it starts at N(0, I).

    An affine map of the codes turns any such prior into N(0, I), and the encoder and the decoder
    can absorb the map: with ``covariance="diagonal"`` and a diagonal posterior exactly
    (chapter 04). So this prior cannot make a better model of the diagonal kind, only another
    path of training.

    Args:
        latent_dim: numbers in a code.
        covariance: ``"diagonal"``, or ``"full"`` by a Cholesky factor.

    Raises:
        ValueError: if ``covariance`` is neither.
    """

    def __init__(
        self, latent_dim: int, *, covariance: Literal["diagonal", "full"] = "diagonal"
    ) -> None:
        super().__init__(latent_dim)
        check_choice("covariance", covariance, ("diagonal", "full"))
        self.mu = nn.Parameter(torch.zeros(latent_dim))
        self.log_std = nn.Parameter(torch.zeros(latent_dim))  # log of the factor's diagonal
        self.below: nn.Parameter | None = None
        if covariance == "full":
            self.below = nn.Parameter(torch.zeros(latent_dim, latent_dim))

    def forward(self, encode: Encode) -> Distribution:
        """N(m, S) at the present parameters."""
        if self.below is None:
            return DiagonalGaussian(self.mu, 2 * self.log_std, validate_args=False)
        factor = self.below.tril(-1) + torch.diag(self.log_std.exp())
        return MultivariateNormal(self.mu, scale_tril=factor, validate_args=False)


class MixturePrior(Prior):
    """A mixture of diagonal Gaussians; weights, means and log-variances are trained.

    It starts with equal weights and, in expectation, the moments of N(0, I): half of the variance
    within the components, half between their means, which are drawn at random (build the model
    in ``seeded(…)`` to repeat it).

    Args:
        latent_dim: numbers in a code.
        num_components: Gaussians in the mixture.
    """

    def __init__(self, latent_dim: int, num_components: int = 50) -> None:
        super().__init__(latent_dim)
        check_count("num_components", num_components)
        within = 1.0 if num_components == 1 else SHARE_WITHIN
        shape = (num_components, latent_dim)
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.mu = nn.Parameter(math.sqrt(1 - within) * torch.randn(shape))
        self.log_var = nn.Parameter(torch.full(shape, math.log(within)))

    def forward(self, encode: Encode) -> Mixture:
        """The mixture at the present parameters."""
        components = DiagonalGaussian(self.mu, self.log_var, validate_args=False)
        return Mixture(torch.log_softmax(self.logits, 0), components)


class _KeepInside(torch.autograd.Function):
    """Clamp to [0, 1]; the gradient stops only where a step would lead further out."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        ctx.save_for_backward(value)
        return value.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        (value,), (gradient,) = ctx.saved_tensors, gradients
        # a step of descent goes against the gradient
        leaves = ((value <= 0) & (gradient > 0)) | ((value >= 1) & (gradient < 0))
        return torch.where(leaves, torch.zeros_like(gradient), gradient)


class VampPrior(Prior):
    r"""A mixture of the model's own posteriors at K trainable pictures, with equal weights.

    .. math:: p(z) = \frac1K \sum_k q(z \mid u_k)

    The best prior for a given encoder is the mean of q(z | x) over all training pictures; this
    one takes K pictures u_k that need not exist, and trains them. They start at the pictures
    given and stay in [0, 1] by a clamp that lets them come back from the border (a sigmoid's or a
    plain clamp's gradient would vanish there, and paper is white).

    Args:
        pseudo_inputs: K pictures ``[k, c, h, w]`` in [0, 1], copied: ``train_images[:50]``.
        latent_dim: numbers in a code of the model that it belongs to.

    Raises:
        ValueError: if the pictures are not images in [0, 1].

    Source:
        Tomczak & Welling (2018).
    """

    support = None

    def __init__(self, pseudo_inputs: Float[Tensor, "k c h w"], latent_dim: int) -> None:
        super().__init__(latent_dim)
        check_images(pseudo_inputs, name="pseudo_inputs")
        self.free_pseudo_inputs = nn.Parameter(pseudo_inputs.detach().clone())

    @property
    def pseudo_inputs(self) -> Float[Tensor, "k c h w"]:
        """The pictures at the present parameters, in [0, 1]."""
        return _KeepInside.apply(self.free_pseudo_inputs)

    def forward(self, encode: Encode) -> Mixture:
        """The mixture of ``encode(u_k)``; gradients reach the pictures and the encoder."""
        num_components = len(self.free_pseudo_inputs)
        log_weights = self.free_pseudo_inputs.new_full((num_components,), -math.log(num_components))
        return Mixture(log_weights, encode(self.pseudo_inputs))


class FlowPrior(Prior):
    """A neural spline flow: any smooth density, trained with the model.

    Args:
        latent_dim: numbers in a code.
        num_transforms, hidden, num_bins: as in :class:`SplineFlow`.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        num_transforms: int = 2,
        hidden: Sequence[int] = (64, 64),
        num_bins: int = 8,
    ) -> None:
        super().__init__(latent_dim)
        self.flow = SplineFlow(
            latent_dim, num_transforms=num_transforms, hidden=hidden, num_bins=num_bins
        )

    def forward(self, encode: Encode) -> FlowDistribution:
        """The flow's distribution at the present parameters."""
        return self.flow()
