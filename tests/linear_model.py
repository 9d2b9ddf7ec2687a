"""A linear Gaussian model: the one VAE whose evidence and posterior are known exactly.

x = W z + b + σ ε with z ~ N(0, I): then p(x) = N(b, W Wᵀ + σ² I), and the posterior is
N(S Wᵀ (x − b) / σ², S) with S = (I + Wᵀ W / σ²)⁻¹ (Bishop, Pattern Recognition, section 12.2).
Nothing here calls the package's formulas: only torch.distributions and linear algebra.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.properties import normal
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, VAE

IMAGE_SHAPE = (1, 2, 3)
NUM_PIXELS = 6


@dataclass(frozen=True)
class LinearGaussian:
    weight: Tensor  # [6, d]
    bias: Tensor  # [6]
    sigma: float

    @property
    def latent_dim(self) -> int:
        return self.weight.shape[1]

    @property
    def posterior_covariance(self) -> Tensor:
        precision = torch.eye(self.latent_dim).double() + self.weight.T @ self.weight / (
            self.sigma**2
        )
        return torch.linalg.inv(precision)

    def log_evidence(self, images: Tensor) -> Tensor:
        """log p(x), exactly."""
        covariance = self.weight @ self.weight.T + self.sigma**2 * torch.eye(NUM_PIXELS).double()
        return MultivariateNormal(self.bias, covariance).log_prob(images.flatten(1))

    def true_posterior(self, images: Tensor) -> MultivariateNormal:
        gain = self.posterior_covariance @ self.weight.T / self.sigma**2
        return MultivariateNormal(
            (images.flatten(1) - self.bias) @ gain.T, self.posterior_covariance
        )

    def vae(self, posterior: str = "diagonal", *, log_var: Tensor | None = None) -> VAE:
        """A VAE with this decoder, and an encoder that gives the true posterior's mean.

        Its covariance is the true one if ``posterior`` is "full"; else the diagonal Gaussian
        closest to it in KL(q ‖ p), or ``log_var`` if given.
        """
        model = VAE(
            IMAGE_SHAPE,
            self.latent_dim,
            network=MLP(hidden=()),
            likelihood=GaussianLikelihood(self.sigma, mean="identity"),
            posterior=posterior,  # type: ignore[arg-type]
        ).double()
        # log σ is stored in single precision before .double(): set it to the full number of digits
        model.likelihood.log_sigma.fill_(math.log(self.sigma))
        covariance = self.posterior_covariance
        if posterior == "full":
            spread = self._raw_factor(torch.linalg.cholesky(covariance))
        elif log_var is None:
            spread = -torch.log(torch.linalg.inv(covariance).diagonal())
        else:
            spread = log_var
        gain = covariance @ self.weight.T / self.sigma**2
        with torch.no_grad():
            decoder, encoder = model.decoder[0], model.encoder[1]
            decoder.weight.copy_(self.weight)
            decoder.bias.copy_(self.bias)
            encoder.weight.zero_()
            encoder.weight[: self.latent_dim] = gain
            encoder.bias.copy_(torch.cat([-gain @ self.bias, spread]))
        return model

    def _raw_factor(self, factor: Tensor) -> Tensor:
        """The encoder's output for a Cholesky factor: its diagonal is softplus(raw + c) + 1e-6."""
        rows, columns = torch.tril_indices(self.latent_dim, self.latent_dim)
        raw = factor.clone()
        diagonal = torch.log(torch.expm1(factor.diagonal() - 1e-6)) - math.log(math.expm1(1.0))
        raw.diagonal().copy_(diagonal)
        return raw[rows, columns]


def linear_gaussian(seed: int, latent_dim: int = 2, sigma: float = 0.3) -> LinearGaussian:
    """A random one; its columns are not orthogonal, so the true posterior is correlated."""
    return LinearGaussian(
        normal(seed, NUM_PIXELS, latent_dim, spread=0.5),
        0.5 + normal(seed + 1, NUM_PIXELS, spread=0.1),
        sigma,
    )
