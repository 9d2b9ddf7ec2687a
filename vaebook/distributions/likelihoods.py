"""What a decoder's output means: p(x | z) as a distribution over whole images, in nats."""

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, constraints
from torch.nn import functional as F

from vaebook._checks import ImageShape, check_count, check_positive, values_are_checked
from vaebook._configuration import Configured
from vaebook.distributions.gaussian import LOG_TWO_PI

MeanActivation = Literal["sigmoid", "identity"]
IMAGE_DIMS = (-3, -2, -1)


class Likelihood(Configured, nn.Module, ABC):
    """Turns the decoder's output ``[..., c, h, w]`` into a distribution over images.

    The distribution has event shape ``(c, h, w)``: its ``log_prob`` sums over channels and pixels
    and returns one number of nats per image. Its ``mean`` is the picture to show. The activation
    at the end of the decoder belongs to the likelihood, so the decoder itself ends linearly.
    """

    outputs_per_channel = 1  # channels that the decoder must give for each channel of the image

    @abstractmethod
    def forward(self, output: Float[Tensor, "*batch c h w"]) -> Distribution:
        """The distribution p(x | z) over images that ``output`` stands for."""

    def check(self, images: Float[Tensor, "*batch c h w"]) -> None:
        """Raise a ``ValueError`` on pixels that can have no probability; by default none.

        Args:
            images: floats in [0, 1].
        """

    def output_shape(self, image_shape: ImageShape) -> ImageShape:
        """The shape that the decoder must give for images of that shape."""
        channels, height, width = image_shape
        return channels * self.outputs_per_channel, height, width

    def __call__(self, output: Float[Tensor, "*batch c h w"]) -> Distribution:
        """See :meth:`forward`."""
        return super().__call__(output)


def _check_image_shape(value: Tensor, event_shape: torch.Size) -> None:
    """Refuse images that would be broadcast against the pixels of others."""
    if value.shape[-3:] != event_shape:
        raise ValueError(
            f"images have shape {tuple(value.shape)}; expected {tuple(event_shape)} at the end, "
            "as the decoder's output has. Add a missing channel with images[:, None]."
        )


class IndependentPixels(Independent):
    """Pixels ``[..., c, h, w]``, each with a distribution of its own."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, summed over the image, ``[...]``.

        Raises:
            ValueError: if the shape does not fit.
        """
        _check_image_shape(value, self.event_shape)
        return super().log_prob(value)


class BernoulliImage(Independent):
    """Independent black-or-white pixels; refuses grey ones, which have no probability here."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, summed over the image, ``[...]``.

        Raises:
            ValueError: if a pixel is neither 0 nor 1, or the shape does not fit.
        """
        _check_image_shape(value, self.event_shape)
        _check_binary(value)
        logits, target = torch.broadcast_tensors(self.base_dist.logits, value)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -cross_entropy.sum(IMAGE_DIMS)


def _check_binary(images: Tensor) -> None:
    if values_are_checked():
        return
    if not ((images == 0) | (images == 1)).all():
        share = 100 * ((images != 0) & (images != 1)).float().mean().item()
        raise ValueError(
            f"{share:.3g} % of the pixels are neither 0 nor 1; a Bernoulli likelihood gives "
            "grey pixels no probability, so the result would not be a log-likelihood. "
            "Binarise the images ((x > 0.5).float()), or use GaussianLikelihood or "
            "DiscretizedLogisticLikelihood."
        )


def as_likelihood(likelihood: "Likelihood | None") -> "Likelihood":
    """What was given as p(x | z), Gaussian pixels with σ = 0.1 for ``None``.

    Raises:
        ValueError: if it is something else, such as a name or a class.
    """
    if likelihood is None:
        return GaussianLikelihood()
    if not isinstance(likelihood, Likelihood):
        raise ValueError(
            f"likelihood is {likelihood!r}; expected an object of a class of likelihoods, such as "
            "BernoulliLikelihood() or GaussianLikelihood(0.1)."
        )
    return likelihood


class BernoulliLikelihood(Likelihood):
    """Black-and-white pixels: the output holds the logits; −log p is the summed cross-entropy.

    Images must be exactly 0 or 1; ``log_prob`` raises a ``ValueError`` on grey ones.
    """

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> BernoulliImage:
        """Bernoulli pixels with logits ``output``."""
        base = Bernoulli(logits=output, validate_args=False)
        return BernoulliImage(base, 3, validate_args=False)

    def check(self, images: Float[Tensor, "*batch c h w"]) -> None:
        """Raise a ``ValueError`` unless every pixel is 0 or 1."""
        _check_binary(images)


class GaussianImage(Distribution):
    r"""Independent Gaussian pixels around ``mean`` with one standard deviation for all.

    .. math:: \log p(x) = -\frac{\lVert x - m \rVert^2}{2\sigma^2} - D\log\sigma
              - \frac D2 \log 2\pi, \qquad D = c\,h\,w
    """

    arg_constraints = {}  # noqa: RUF012 (the base class declares it so)
    support = constraints.independent(constraints.real, 3)
    has_rsample = True

    def __init__(self, mean: Float[Tensor, "*batch c h w"], log_sigma: Float[Tensor, ""]) -> None:
        self._mean, self.log_sigma = mean, log_sigma
        super().__init__(mean.shape[:-3], mean.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean image, ``[..., c, h, w]``."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """The variance of each pixel, ``[..., c, h, w]``."""
        return torch.exp(2 * self.log_sigma).expand_as(self._mean)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw images with the pixel noise that the likelihood claims."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self._mean.dtype, device=self._mean.device)
        return self._mean + torch.exp(self.log_sigma) * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, summed over the image, ``[...]``.

        Raises:
            ValueError: if the shape does not fit.
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).sum(IMAGE_DIMS)
        log_normaliser = num_pixels * (self.log_sigma + 0.5 * LOG_TWO_PI)
        return -0.5 * squared_error * torch.exp(-2 * self.log_sigma) - log_normaliser


class OneSigmaLikelihood(Likelihood):
    """Gaussian pixels with one σ, fixed or learned, and an activation of their mean."""

    log_sigma: Tensor

    @abstractmethod
    def __init__(self, mean: MeanActivation) -> None:
        super().__init__()
        if not isinstance(mean, str) or mean not in ("sigmoid", "identity"):
            raise ValueError(
                f"mean is {mean!r}; expected 'sigmoid' (data in [0, 1]) or 'identity'."
            )
        self.mean_activation = mean

    @property
    def sigma(self) -> float:
        """The standard deviation of each pixel, in units of the pixel."""
        return float(self.log_sigma.detach().exp())

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> GaussianImage:
        """Gaussian pixels around the (activated) output."""
        mean = torch.sigmoid(output) if self.mean_activation == "sigmoid" else output
        return GaussianImage(mean, self.log_sigma)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"sigma={self.sigma:.4g}, mean={self.mean_activation!r}"


class GaussianLikelihood(OneSigmaLikelihood):
    """Gaussian pixels with a fixed standard deviation: squared error with a stated weight.

    The weight of the summed squared error is 1 / (2 σ²): σ = 0.1 weighs it by 50.

    Args:
        sigma: standard deviation of a pixel around the decoder's mean, above 0.
        mean: ``"sigmoid"`` for data in [0, 1], ``"identity"`` for a linear output.
    """

    def __init__(self, sigma: float = 0.1, *, mean: MeanActivation = "sigmoid") -> None:
        super().__init__(mean)
        check_positive("sigma", sigma)
        self.register_buffer("log_sigma", torch.tensor(math.log(sigma)))


class LearnedGaussianLikelihood(OneSigmaLikelihood):
    """Gaussian pixels with one learned standard deviation: no weight is left to choose.

    At the optimum σ² is the mean squared error (chapter 07; Rybkin, Daniilidis & Levine 2021).
    Where the decoder can restore every image there is no optimum, and σ falls without end (Dai &
    Wipf 2019).

    Args:
        initial_sigma: where σ starts, above 0.
        mean: as in :class:`GaussianLikelihood`.
    """

    def __init__(self, initial_sigma: float = 0.1, *, mean: MeanActivation = "sigmoid") -> None:
        super().__init__(mean)
        check_positive("initial_sigma", initial_sigma)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(initial_sigma)))


class DiscretizedLogisticImage(Distribution):
    """Independent pixels on the grid 0, 1/255, …, 1, a logistic density summed over each step."""

    arg_constraints = {}  # noqa: RUF012 (the base class declares it so)

    def __init__(
        self, mean: Float[Tensor, "*batch c h w"], log_scale: Float[Tensor, ""], levels: int
    ) -> None:
        self._mean, self.log_scale, self.levels = mean, log_scale, levels
        super().__init__(mean.shape[:-3], mean.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The location of the logistic, ``[..., c, h, w]``."""
        return self._mean

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw images on the grid of grey levels."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            uniform = torch.rand(shape, device=self._mean.device).clamp(1e-6, 1 - 1e-6)
            value = self._mean + torch.exp(self.log_scale) * torch.logit(uniform)
            return torch.round(value * (self.levels - 1)).clamp(0, self.levels - 1) / (
                self.levels - 1
            )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, summed over the image, ``[...]``.

        Raises:
            ValueError: if a pixel is off the grid of grey levels, or the shape does not fit.
        """
        _check_image_shape(value, self.event_shape)
        check_levels(value, self.levels)
        half = 0.5 / (self.levels - 1)
        inverse_scale = torch.exp(-self.log_scale)
        upper = (value - self._mean + half) * inverse_scale
        lower = (value - self._mean - half) * inverse_scale
        # log(σ(u) − σ(l)) = −softplus(−u) − softplus(l) + log(1 − e^(l−u)): no cancellation.
        inside = -F.softplus(-upper) - F.softplus(lower) + torch.log(-torch.expm1(lower - upper))
        # The two ends take all the mass beyond them.
        log_mass = torch.where(value < half, -F.softplus(-upper), inside)
        log_mass = torch.where(value > 1 - half, -F.softplus(lower), log_mass)
        return log_mass.sum(IMAGE_DIMS)


def check_levels(images: Tensor, levels: int) -> None:
    """Raise a ``ValueError`` unless every pixel is one of ``levels`` grey levels from 0 to 1."""
    if values_are_checked():
        return
    steps = levels - 1
    if (images * steps - torch.round(images * steps)).abs().max() > 1e-3:
        raise ValueError(
            f"some pixels are no multiple of 1/{steps}; expected {levels} grey levels. Round the "
            f"images: torch.round(x * {steps}) / {steps}."
        )


class DiscretizedLogisticLikelihood(Likelihood):
    """Grey levels as what they are: probabilities of 256 values under a learned scale.

    Args:
        initial_scale: where the logistic's scale starts, in units of the pixel, above 0.
        levels: number of grey levels.

    Source:
        Salimans et al. (2017), section 2.1, with one logistic and one scale for all pixels.
    """

    def __init__(self, initial_scale: float = 0.05, *, levels: int = 256) -> None:
        super().__init__()
        check_positive("initial_scale", initial_scale)
        check_count("levels", levels, minimum=2)
        self.levels = levels
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial_scale)))

    def forward(self, output: Float[Tensor, "*batch c h w"]) -> DiscretizedLogisticImage:
        """Discretised logistic pixels around ``sigmoid(output)``."""
        return DiscretizedLogisticImage(torch.sigmoid(output), self.log_scale, self.levels)

    def check(self, images: Float[Tensor, "*batch c h w"]) -> None:
        """Raise a ``ValueError`` unless every pixel is one of the grey levels."""
        check_levels(images, self.levels)
