"""Likelihoods for grey pixels beyond one σ for all: continuous Bernoulli, and σ for each pixel."""

import math
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Laplace, Normal

from vaebook._checks import (
    as_image_shape,
    check_count,
    check_images,
    check_positive,
    check_same_shape,
)
from vaebook.distributions.continuous_bernoulli import ContinuousBernoulli
from vaebook.distributions.likelihoods import (
    IMAGE_DIMS,
    IndependentPixels,
    Likelihood,
    check_levels,
)


class ContinuousBernoulliLikelihood(Likelihood):
    r"""The cross-entropy of grey pixels, made a likelihood by its missing constant.

    .. math:: p(x) &= C(\lambda)\, \lambda^x (1 - \lambda)^{1 - x}, \\
              C(\lambda) &= \frac{2 \operatorname{artanh}(1 - 2\lambda)}{1 - 2\lambda}, \\
              \lambda &= \operatorname{sigmoid}(\text{output})

    ``mean`` is the mean of that density, which is nearer to ½ than λ: the picture to show is not
    the sigmoid of the output. Everything is computed from the output itself, so that it is a
    density at every logit; where λ rounds to 0 or 1, the formulas above say 0 · ∞.

    At a logit t the density of black or white is about abs(t), without bound: where pixels are
    exactly 0 or 1 in every image, nothing but the training's end stops the logit.

    Source:
        Loaiza-Ganem & Cunningham (2019); the constant is chapter 07's.
    """

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> IndependentPixels:
        """Continuous Bernoulli pixels with logits ``output``."""
        base = ContinuousBernoulli(logits=output)
        return IndependentPixels(base, 3, validate_args=False)


class PixelGaussianLikelihood(Likelihood):
    """Gaussian pixels with a learned σ for each place in the picture, the same for all pictures.

    A place that never varies, such as an empty corner, would drive its σ to 0 and the loss to −∞:
    hence the floor.

    Args:
        image_shape: ``(channels, height, width)``.
        initial_sigma: where every σ starts, above ``floor``.
        floor: the smallest σ that is allowed, above 0; the default is one grey level of 256.

    Source:
        Rybkin, Daniilidis & Levine (2021); chapter 07, section on σ.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        initial_sigma: float = 0.1,
        *,
        floor: float = 1 / 255,
    ) -> None:
        super().__init__()
        _check_floor(initial_sigma, floor)
        self.floor = floor
        start = torch.full(as_image_shape(image_shape), math.log(initial_sigma))
        self.log_sigma = nn.Parameter(start)

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> IndependentPixels:
        """Gaussian pixels around ``sigmoid(output)``."""
        log_sigma = self.log_sigma.clamp(min=math.log(self.floor))
        return _gaussian_pixels(torch.sigmoid(output), log_sigma.exp())


class PredictedGaussianLikelihood(Likelihood):
    """Gaussian pixels whose decoder gives a mean and a σ for each pixel of each picture.

    The decoder has twice the channels: first the means' logits, then log σ. Without a floor the
    likelihood has no maximum: a pixel that is predicted exactly may claim any density.

    Args:
        initial_sigma: σ where the decoder's second output is 0, above ``floor``.
        floor: the smallest σ that is allowed, above 0; the default is one grey level of 256.

    Source:
        Rybkin, Daniilidis & Levine (2021); chapter 07, section on σ.
    """

    outputs_per_channel = 2

    def __init__(self, initial_sigma: float = 0.1, *, floor: float = 1 / 255) -> None:
        super().__init__()
        _check_floor(initial_sigma, floor)
        self.initial_sigma, self.floor = initial_sigma, floor

    def forward(self, output: Float[Tensor, "*batch c2 h w"]) -> IndependentPixels:
        """Gaussian pixels around the sigmoid of the first half of the channels."""
        logits, spread = output.chunk(2, dim=-3)
        sigma = self.initial_sigma * torch.exp(spread)
        return _gaussian_pixels(torch.sigmoid(logits), sigma.clamp(min=self.floor))


def _check_floor(initial_sigma: float, floor: float) -> None:
    check_positive("initial_sigma", initial_sigma)
    check_positive("floor", floor)
    if initial_sigma <= floor:
        raise ValueError(
            f"initial_sigma is {initial_sigma} and floor {floor}; expected to start above the "
            "floor, below which no gradient reaches σ."
        )


def _gaussian_pixels(mean: Tensor, sigma: Tensor) -> IndependentPixels:
    base = Normal(mean, sigma.expand_as(mean), validate_args=False)
    return IndependentPixels(base, 3, validate_args=False)


def optimal_sigma(
    images: Float[Tensor, "n c h w"], means: Float[Tensor, "n c h w"], *, per_pixel: bool = False
) -> Float[Tensor, "*pixel"]:
    r"""The σ of Gaussian pixels that makes the images most probable: the root of the MSE.

    .. math:: \sigma_*^2 = \frac{1}{nM} \sum_{n,i} (x_{ni} - m_{ni})^2

    Args:
        images: what was to be described.
        means: the decoder's means, one for each image.
        per_pixel: one σ for each place in the picture, ``[c, h, w]``; by default one for all.

    Raises:
        ValueError: if the shapes differ or the images are none.

    Source:
        Rybkin, Daniilidis & Levine (2021); derived in chapter 07.
    """
    check_images(images)
    check_same_shape(images=images, means=means)
    squares = (images - means).square()
    return (squares.mean(0) if per_pixel else squares.mean()).sqrt()


def grey_level_log_prob(
    pixels: Distribution, images: Float[Tensor, "n c h w"], *, levels: int = 256
) -> Float[Tensor, "*batch n"]:
    r"""Log-probability of the grey *levels* under a density of pixels, in nats per image.

    .. math:: \log P(x) = \sum_i \log \bigl[F_i(x_i + \tfrac h2) - F_i(x_i - \tfrac h2)\bigr],
              \qquad h = \frac{1}{\text{levels} - 1}

    The lowest and the highest level take all the mass beyond them. These are probabilities, so
    that any two likelihoods compare, and −log₂ P is a code length.

    Args:
        pixels: independent pixels whose base distribution has a ``cdf``, event shape [c, h, w].
        images: pixels on the grid 0, h, …, 1.
        levels: number of grey levels.

    Raises:
        ValueError: if pixels are off the grid or of another shape, or the distribution has no
            ``cdf``.
    """
    check_images(images)
    check_count("levels", levels, minimum=2)
    check_levels(images, levels)
    base = getattr(pixels, "base_dist", None)
    if base is None:
        raise ValueError(
            f"{type(pixels).__name__} has no base_dist; expected independent pixels with a cdf. "
            "Wrap them in torch.distributions.Independent(…, 3)."
        )
    given = (*pixels.batch_shape, *pixels.event_shape)
    if given[-3:] != images.shape[1:] or given[-4:-3] not in ((), (1,), images.shape[:1]):
        raise ValueError(
            f"pixels have the shape {given}, images {tuple(images.shape)}; expected "
            "[..., n, c, h, w] for images [n, c, h, w], or one density [c, h, w] for all."
        )
    half = 0.5 / (levels - 1)
    value = images.double()
    lower = torch.where(value < half, -torch.inf, value - half)
    upper = torch.where(value > 1 - half, torch.inf, value + half)
    return _log_mass(base, lower, upper, value).sum(IMAGE_DIMS)


@singledispatch
def _log_mass(base: Distribution, lower: Tensor, upper: Tensor, value: Tensor) -> Tensor:
    """log[F(u) − F(l)]; where the two ends round to one number, density times width."""
    lower, upper = lower.clamp(min=-1e6), upper.clamp(max=1e6)  # torch's cdfs take no infinities
    mass = (base.cdf(upper) - base.cdf(lower)).double()
    narrow = base.log_prob(value).double() + torch.log((upper - lower).min())
    return torch.where(mass > 1e-6, mass.clamp(min=1e-30).log(), narrow)


@_log_mass.register
def _log_normal_mass(base: Normal, lower: Tensor, upper: Tensor, value: Tensor) -> Tensor:
    """log[Φ(u) − Φ(l)] without cancellation."""
    low, up = _mirrored(base, lower, upper)
    log_up, log_low = torch.special.log_ndtr(up), torch.special.log_ndtr(low)
    return log_up + torch.log(-torch.expm1(log_low - log_up))


@_log_mass.register
def _log_laplace_mass(base: Laplace, lower: Tensor, upper: Tensor, value: Tensor) -> Tensor:
    """log[(eᵘ − eˡ) / 2] where the peak is outside, log[1 − (e⁻ᵘ + eˡ) / 2] where it is inside."""
    low, up = _mirrored(base, lower, upper)
    outside = up - math.log(2) + torch.log(-torch.expm1(low - up))
    inside = torch.log(-0.5 * (torch.expm1(-up.clamp(min=0)) + torch.expm1(low)))
    return torch.where(up > 0, inside, outside)


def _mirrored(base: Normal | Laplace, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The interval in units of the scale, with the larger part to the left of the peak."""
    up, low = (upper - base.loc) / base.scale, (lower - base.loc) / base.scale
    right = low > -up  # more of the interval lies to the right
    return torch.where(right, -up, low), torch.where(right, -low, up)


@_log_mass.register
def _log_bounded_mass(
    base: ContinuousBernoulli, lower: Tensor, upper: Tensor, value: Tensor
) -> Tensor:
    """A density on [0, 1] has nothing beyond the ends to give to the outer levels."""
    pixels = ContinuousBernoulli(logits=base.logits.double())
    return pixels.log_interval(lower.clamp(min=0), upper.clamp(max=1))
