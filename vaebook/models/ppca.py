"""Probabilistic PCA: the latent-variable model whose log p(x) is known exactly."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaebook._checks import (
    ImageShape,
    check_choice,
    check_count,
    check_finite,
    check_real,
    check_tensor,
)
from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian, LearnedGaussianLikelihood, kl
from vaebook.distributions.gaussian import LOG_TWO_PI
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.models.networks import MLP, linear_layer
from vaebook.models.posteriors import SOFTPLUS_AT_ONE
from vaebook.models.vae import VAE, Elbo

GaussianFamily = Literal["full", "diagonal", "isotropic", "unit"]


@dataclass(frozen=True)
class ProbabilisticPCA:
    """A linear decoder with Gaussian pixels: z ~ N(0, I), x | z ~ N(W z + b, σ² I).

    Here everything that a VAE has to bound or learn has a closed form (chapter 03). The
    parameters are kept in double precision; images may be of any float type.

    Args:
        weights: W, one column per latent dimension.
        offset: b, the mean image.
        sigma: σ, the standard deviation of a pixel around the decoder's mean.

    Raises:
        ValueError: if the shapes do not fit, a value is not finite, or ``sigma`` is not positive.

    Source:
        Tipping & Bishop (1999).
    """

    weights: Float[Tensor, "D d"]
    offset: Float[Tensor, " D"]
    sigma: Float[Tensor, ""] | float

    def __post_init__(self) -> None:
        check_tensor("weights", self.weights, floats=True)
        check_tensor("offset", self.offset, floats=True)
        if self.weights.ndim != 2 or self.offset.shape != self.weights.shape[:1]:
            raise ValueError(
                f"weights {tuple(self.weights.shape)} and offset {tuple(self.offset.shape)} do "
                "not fit; expected [D, d] and [D], one column per latent dimension."
            )
        check_finite("weights", self.weights)
        check_finite("offset", self.offset)
        check_real("sigma", self.sigma, above=0)
        for name in ("weights", "offset", "sigma"):
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name)).double())

    @classmethod
    def fit(cls, images: Float[Tensor, "n *image"], latent_dim: int) -> "ProbabilisticPCA":
        """The maximum-likelihood model, in closed form.

        With eigenvalues l₁ ≥ l₂ ≥ … and eigenvectors U of the data's covariance,
        σ² is the mean of the eigenvalues left out and W = U_d (L_d − σ² I)^½. Any rotation of W
        is as good; this one has orthogonal columns.

        Args:
            images: training data, flattened here to ``[n, D]``.
            latent_dim: d, below the number of pixels.

        Raises:
            ValueError: if ``latent_dim`` leaves no direction for the noise, or no variance.

        Source:
            Tipping & Bishop (1999), eqs 7 and 8.
        """
        check_tensor("images", images, floats=True)
        check_count("latent_dim", latent_dim)
        if images.ndim < 2 or len(images) < 2:
            raise ValueError(
                f"images has shape {tuple(images.shape)}; expected [n, ...] with n of at least 2."
            )
        check_finite("images", images)
        data = images.flatten(1).double()
        if latent_dim >= data.shape[1]:
            raise ValueError(
                f"latent_dim is {latent_dim} for {data.shape[1]} pixels; expected fewer, since σ² "
                "is the mean variance of the directions left out."
            )
        offset = data.mean(0)
        covariance = torch.cov(data.T, correction=0)
        eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # in rising order
        kept = eigenvalues[-latent_dim:].flip(0)
        variance = eigenvalues[:-latent_dim].mean()
        weights = eigenvectors[:, -latent_dim:].flip(1) * (kept - variance).clamp(min=0).sqrt()
        return cls(weights, offset, math.sqrt(max(variance.item(), 0.0)))

    @classmethod
    def from_vae(cls, model: VAE) -> "ProbabilisticPCA":
        """The model that a linear VAE's decoder states; its encoder plays no part.

        Raises:
            ValueError: unless decoder, likelihood and prior are linear, Gaussian with an identity
                mean, and standard normal.
        """
        plan, pixels = model.network, model.likelihood
        if not (isinstance(plan, MLP) and plan.hidden == ()):
            raise ValueError(f"the decoder of {plan} is not linear; build with MLP(hidden=()).")
        linear = linear_layer(model.decoder)
        if not isinstance(pixels, OneSigmaLikelihood) or pixels.mean_activation != "identity":
            raise ValueError(
                f"the likelihood is {pixels}; expected Gaussian pixels with mean='identity'."
            )
        if not model.has_standard_prior:
            raise ValueError(f"the prior is {model.prior}; expected the default N(0, I).")
        return cls(linear.weight, linear.bias, pixels.log_sigma.double().exp())

    @property
    def latent_dim(self) -> int:
        """d, the number of latent dimensions."""
        return self.weights.shape[1]

    @property
    def log_sigma(self) -> Float[Tensor, ""]:
        """log σ."""
        return torch.as_tensor(self.sigma).log()

    @property
    def posterior_precision(self) -> Float[Tensor, "d d"]:
        """Λ = I + WᵀW / σ², the inverse covariance of p(z | x): the same for every x."""
        gram = self.weights.T @ self.weights
        return torch.eye(self.latent_dim, dtype=gram.dtype) + gram / self.sigma**2

    def rotated(self, rotation: Float[Tensor, "d d"]) -> "ProbabilisticPCA":
        """The model with W R for W: another decoder, the same p(x) for an orthogonal R."""
        return ProbabilisticPCA(self.weights @ rotation.double(), self.offset, self.sigma)

    def _centred(self, images: Float[Tensor, "n *image"]) -> Float[Tensor, "n D"]:
        check_tensor("images", images, floats=True)
        if images.ndim < 2:
            raise ValueError(f"images has shape {tuple(images.shape)}; expected [n, ...].")
        data = images.flatten(1).double()
        if data.shape[1] != len(self.offset):
            raise ValueError(
                f"images have {data.shape[1]} pixels; this model expects {len(self.offset)}."
            )
        return data - self.offset

    def log_likelihood(self, images: Float[Tensor, "n *image"]) -> Float[Tensor, " n"]:
        """log p(x) in nats of each image, exactly: the density of N(b, WWᵀ + σ² I).

        Needs d × d matrices only: log det (WWᵀ + σ² I) = D log σ² + log det Λ, and the quadratic
        form is the residual's and the posterior mean's.
        """
        centred = self._centred(images)
        mean = self.posterior(images).mean
        residual = centred - mean @ self.weights.T
        squares = (residual**2).sum(-1) / self.sigma**2 + (mean**2).sum(-1)
        num_pixels = len(self.offset)
        log_det = 2 * num_pixels * self.log_sigma + torch.logdet(self.posterior_precision)
        return -0.5 * (squares + log_det + num_pixels * LOG_TWO_PI)

    def posterior(self, images: Float[Tensor, "n *image"]) -> MultivariateNormal:
        """p(z | x) of each image, exactly: N(Λ⁻¹Wᵀ(x − b) / σ², Λ⁻¹)."""
        covariance = torch.linalg.inv(self.posterior_precision)
        mean = self._centred(images) @ self.weights @ covariance / self.sigma**2
        return MultivariateNormal(mean, covariance_matrix=covariance, validate_args=False)

    def elbo(self, images: Float[Tensor, "n *image"], posterior: Distribution) -> Elbo:
        """The ELBO of a Gaussian q(z | x) under this model, exactly: no sample is drawn.

        E‖x − Wz − b‖² = ‖x − Wμ − b‖² + tr(WᵀW S) for q = N(μ, S).

        Args:
            images: n images.
            posterior: q, a ``DiagonalGaussian`` or ``MultivariateNormal`` with batch shape [n].
        """
        residual = self._centred(images) - posterior.mean.double() @ self.weights.T
        gram = self.weights.T @ self.weights
        if isinstance(posterior, MultivariateNormal):
            spread = (posterior.covariance_matrix.double() * gram).sum((-2, -1))
        else:
            spread = (posterior.variance.double() * gram.diagonal()).sum(-1)
        squares = (residual**2).sum(-1) + spread
        normaliser = len(self.offset) * (self.log_sigma + 0.5 * LOG_TWO_PI)
        distortion = 0.5 * squares / self.sigma**2 + normaliser
        zeros = posterior.mean.new_zeros(self.latent_dim)
        rate = kl(posterior, DiagonalGaussian(zeros, zeros)).double()
        return Elbo(-(distortion + rate), distortion, rate)

    def as_vae(
        self, image_shape: ImageShape, *, posterior: Literal["diagonal", "full"] = "full"
    ) -> VAE:
        """The linear VAE with this decoder and the best encoder of the family.

        Args:
            image_shape: (channels, height, width) with D pixels in all.
            posterior: ``"full"`` makes q(z | x) the true posterior; ``"diagonal"`` the closest
                diagonal Gaussian.
        """
        with seeded(0):
            model = VAE(
                image_shape,
                self.latent_dim,
                network=MLP(hidden=()),
                likelihood=LearnedGaussianLikelihood(float(self.sigma), mean="identity"),
                posterior=posterior,
            )
        covariance = best_covariance(self.posterior_precision, posterior)
        if posterior == "diagonal":
            spread = covariance.diagonal().log()
        else:
            factor = torch.linalg.cholesky(covariance)
            inverse_softplus = torch.log(torch.expm1(factor.diagonal() - 1e-6)) - SOFTPLUS_AT_ONE
            factor = factor.tril(-1) + torch.diag(inverse_softplus)
            spread = factor[*torch.tril_indices(*factor.shape)]
        slope = torch.linalg.solve(self.posterior_precision, self.weights.T) / self.sigma**2
        encoder, decoder = linear_layer(model.encoder), linear_layer(model.decoder)
        with torch.no_grad():
            encoder.weight.zero_()
            encoder.weight[: self.latent_dim] = slope
            encoder.bias[: self.latent_dim] = -slope @ self.offset
            encoder.bias[self.latent_dim :] = spread
            decoder.weight.copy_(self.weights)
            decoder.bias.copy_(self.offset)
        return model


def best_covariance(
    precision: Float[Tensor, "d d"], family: GaussianFamily
) -> Float[Tensor, "d d"]:
    """The covariance S of a family that brings N(m, S) closest to N(m, Λ⁻¹), by KL(q ‖ p).

    Args:
        precision: Λ of the true posterior.
        family: ``"full"`` gives Λ⁻¹; ``"diagonal"`` 1/Λ_jj; ``"isotropic"`` one variance
            d / tr Λ for all; ``"unit"`` fixes the variances at 1.

    Raises:
        ValueError: if the family is unknown.

    Source:
        Derived in chapter 03.
    """
    check_choice("family", family, get_args(GaussianFamily))
    check_tensor("precision", precision, floats=True)
    if precision.ndim != 2 or precision.shape[0] != precision.shape[1]:
        raise ValueError(f"precision has shape {tuple(precision.shape)}; expected [d, d].")
    if family == "full":
        return torch.linalg.inv(precision)
    if family == "diagonal":
        return torch.diag(1 / precision.diagonal())
    if family == "isotropic":
        return torch.eye(len(precision), dtype=precision.dtype) / precision.diagonal().mean()
    return torch.eye(len(precision), dtype=precision.dtype)


def posterior_gap(precision: Float[Tensor, "d d"], covariance: Float[Tensor, "d d"]) -> float:
    """KL(N(m, S) ‖ N(m, Λ⁻¹)) in nats: what the bound loses to a covariance S that is not Λ⁻¹.

    ½ (tr ΛS − d − log det Λ − log det S), at least 0.
    """
    gap = (precision * covariance).sum() - len(precision)
    return 0.5 * float(gap - torch.logdet(precision) - torch.logdet(covariance))
