"""The variational autoencoder."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaebook._checks import ImageShape, check_count, check_images, check_weight
from vaebook.distributions import (
    DiagonalGaussian,
    FixedPrior,
    Likelihood,
    Prior,
    as_prior,
    gaussian_kl,
    gaussian_kl_diagonal,
)
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.models.latent_variable import LatentVariableModel
from vaebook.models.networks import Network, as_network
from vaebook.models.posteriors import POSTERIORS, PosteriorFamily, check_support


class Elbo(NamedTuple):
    """The evidence lower bound and its two terms, in nats, one value per image.

    ``elbo = −(distortion + rate)`` is a lower bound of log p(x).
    """

    elbo: Float[Tensor, " n"]
    distortion: Float[Tensor, " n"]  # −E log p(x | z) over z ~ q(z | x)
    rate: Float[Tensor, " n"]  # KL(q(z | x) ‖ p(z)), the price of telling z


class VAE(LatentVariableModel):
    """A latent-variable model p(z) p(x | z) with an inference network q(z | x).

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers in a code.
        network: plan of encoder and decoder.
        likelihood: p(x | z); Gaussian pixels with σ = 0.1 by default.
        prior: p(z), any distribution over vectors of ``latent_dim``, or a ``Prior``, which is
            trained with the model; N(0, I) by default. Where no closed-form KL to it is
            registered, the rate is estimated from the same samples.
        posterior: family of q(z | x), one of ``POSTERIORS``: ``"diagonal"`` Gaussian, ``"full"``
            by a Cholesky factor, ``"laplace"``, ``"beta"`` for a ``unit_uniform`` prior, or
            ``"power spherical"`` for a ``HypersphericalUniform`` one.
        beta: weight of the rate in :meth:`loss`; 1 gives the negative ELBO.
        free_bits: nats of each latent dimension, averaged over the batch, below which :meth:`loss`
            stops pushing (Kingma et al. 2016, eq. 15). The ELBO that is reported stays the ELBO.
        sample_codes: draw z from q(z | x). ``False`` puts z at the posterior's mean, which is not
            a VAE any more: chapter 06 uses it to take the model apart.

    Raises:
        ValueError: if the prior is not over vectors of ``latent_dim``, or 0 where the posterior is
            not; if an option is unknown, or free bits are asked for where the rate is no sum over
            dimensions.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        prior: Distribution | Prior | None = None,
        posterior: PosteriorFamily = "diagonal",
        beta: float = 1.0,
        free_bits: float = 0.0,
        sample_codes: bool = True,
    ) -> None:
        super().__init__(image_shape, latent_dim)
        self._prior = as_prior(prior, self.latent_dim)
        check_support(posterior, self.latent_dim, self._prior.support)
        check_weight("beta", beta)
        check_weight("free_bits", free_bits, "nats")
        if free_bits and not (self.has_standard_prior and posterior == "diagonal"):
            raise ValueError(
                "free bits need the rate of each dimension; expected the prior N(0, I) and a "
                "diagonal posterior. Leave out prior= and posterior=, or free_bits=."
            )
        self.posterior_family: PosteriorFamily = posterior
        self.beta = beta
        self.free_bits = free_bits
        self.sample_codes = sample_codes
        self.network = as_network(network)
        num_outputs = POSTERIORS[posterior].num_outputs(self.latent_dim)
        self.encoder = self.network.encoder(self.image_shape, num_outputs)
        self.likelihood = as_likelihood(likelihood)
        outputs = self.likelihood.output_shape(self.image_shape)
        self.decoder = self.network.decoder(self.latent_dim, outputs)

    @property
    def prior(self) -> Distribution:
        """p(z), over vectors of ``latent_dim``."""
        return self._prior(self.posterior)

    @property
    def has_standard_prior(self) -> bool:
        """Whether p(z) is N(0, I) and stays so."""
        return isinstance(self._prior, FixedPrior) and self._prior.is_standard

    def posterior(self, images: Float[Tensor, "n c h w"]) -> Distribution:
        """q(z | x), one distribution for each image."""
        check_images(images, self.image_shape, dtype=self.dtype)
        output = self.encoder(images.to(self.device)).to(self.dtype)
        return POSTERIORS[self.posterior_family].build(output, self.latent_dim)

    def likelihood_of(self, codes: Float[Tensor, "*batch d"]) -> Distribution:
        """p(x | z) for each code, a distribution over images."""
        flat = codes.reshape(-1, self.latent_dim)
        output = self.decoder(flat).to(self.dtype)
        return self.likelihood(output.reshape(*codes.shape[:-1], *output.shape[1:]))

    def elbo(self, images: Float[Tensor, "n c h w"], *, num_samples: int = 1) -> Elbo:
        """The evidence lower bound of each image, estimated from samples of q(z | x).

        The log-likelihoods of the samples are averaged, never the decoded images. More samples
        make the estimate less noisy; they do not tighten the bound.

        Args:
            images: floats in [0, 1].
            num_samples: codes drawn for each image, at least 1.

        Returns:
            ELBO, distortion and rate in nats, each ``[n]``.
        """
        check_count("num_samples", num_samples)
        posterior = self.posterior(images)
        if self.sample_codes:
            codes = posterior.rsample((num_samples,))  # [s, n, d]
        else:
            codes = posterior.mean.unsqueeze(0)
        distortion = -self.likelihood_of(codes).log_prob(images.to(codes.device)).mean(0)
        rate = self.rate(posterior, codes)
        return Elbo(-(distortion + rate), distortion, rate)

    def rate(self, posterior: Distribution, codes: Float[Tensor, "s n d"]) -> Float[Tensor, " n"]:
        """KL(q(z | x) ‖ p(z)) in nats, one value per image.

        Args:
            posterior: q(z | x) of each image.
            codes: samples of it, from which the rate is estimated where it has no closed form.
        """
        if self.has_standard_prior and isinstance(posterior, DiagonalGaussian):
            return gaussian_kl(posterior.mu, posterior.log_var)
        with torch.autocast(self.device.type, enabled=False):  # sums of many terms need the digits
            prior = self.prior  # once: a learned prior is built anew at each call
            try:
                return kl_divergence(posterior, prior)
            except NotImplementedError:  # no closed form is registered: estimate it
                return (posterior.log_prob(codes) - prior.log_prob(codes)).mean(0)

    def rate_per_dimension(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The rate of each number of a code in nats; they sum to the rate.

        Raises:
            ValueError: unless posterior and prior are diagonal Gaussians.
        """
        posterior, prior = self.posterior(images), self.prior
        if not isinstance(posterior, DiagonalGaussian) or not isinstance(prior, DiagonalGaussian):
            raise ValueError(
                f"the rate of a {type(posterior).__name__} to a {type(prior).__name__} is no sum "
                "over dimensions; expected diagonal Gaussians. Use elbo(images).rate."
            )
        q, p = (part.expand(posterior.batch_shape) for part in (posterior, prior))
        each = (part[..., None] for part in (q.mu, q.log_var, p.mu, p.log_var))  # [n, d, 1]
        return gaussian_kl_diagonal(*each)

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """distortion + beta · rate in nats, one value per image; the negative ELBO at beta = 1.

        With free bits the rate is :meth:`free_rate`.
        """
        terms = self.elbo(images)
        rate = self.free_rate(images) if self.free_bits else terms.rate
        return terms.distortion + self.beta * rate

    def free_rate(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The rate that :meth:`loss` charges for; its batch mean is Σ_j max(λ, mean KL_j)."""
        posterior = self.posterior(images)
        assert isinstance(posterior, DiagonalGaussian)
        each = gaussian_kl(posterior.mu[..., None], posterior.log_var[..., None])  # [n, d]
        below = each.mean(0) < self.free_bits  # of the batch, not of one image
        return torch.where(below, self.free_bits, each).sum(1)

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The posterior's mean, the usual point summary of a code; never sampled."""
        return self.posterior(images).mean

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The mean image of p(x | z) for each code: the picture that is usually shown."""
        return self.likelihood_of(self._codes(codes)).mean

    def sample(self, num_images: int, *, seed: int | None = None) -> Float[Tensor, "n c h w"]:
        """New images: z from the prior, then the mean image of p(x | z); no gradient is kept.

        Args:
            num_images: how many; they are decoded in blocks.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        codes = self._draw(self.prior, num_images, seed)
        return self.decode_all(codes)
