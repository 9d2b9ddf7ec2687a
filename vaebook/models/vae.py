"""The variational autoencoder."""

from contextlib import nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vaebook._checks import check_codes, check_count, check_images
from vaebook._random import seeded
from vaebook.distributions import (
    DiagonalGaussian,
    GaussianLikelihood,
    Likelihood,
    Prior,
    gaussian_kl,
)
from vaebook.models.networks import MLP, ImageShape, Network
from vaebook.models.posteriors import POSTERIORS, PosteriorFamily


class Elbo(NamedTuple):
    """The evidence lower bound and its two terms, in nats, one value per image.

    ``elbo = −(distortion + rate)`` is a lower bound of log p(x).
    """

    elbo: Float[Tensor, " n"]
    distortion: Float[Tensor, " n"]  # −E log p(x | z) over z ~ q(z | x)
    rate: Float[Tensor, " n"]  # KL(q(z | x) ‖ p(z)), the price of telling z


class VAE(nn.Module):
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
        ValueError: if the prior is not over vectors of ``latent_dim``, an option is unknown, or
            free bits are asked for where the rate is no sum over dimensions.
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
        super().__init__()
        check_count("latent_dim", latent_dim)
        if posterior not in POSTERIORS:
            raise ValueError(f"posterior is {posterior!r}; expected one of {sorted(POSTERIORS)}.")
        if not beta >= 0:
            raise ValueError(f"beta is {beta!r}; expected a number of at least 0.")
        if not free_bits >= 0:
            raise ValueError(f"free_bits is {free_bits!r}; expected nats of at least 0.")
        if free_bits and (prior is not None or posterior != "diagonal"):
            raise ValueError(
                "free bits need the rate of each dimension; expected the prior N(0, I) and a "
                "diagonal posterior. Leave out prior= and posterior=, or free_bits=."
            )
        event_shape: tuple[int, ...] = (latent_dim,)
        if prior is not None:
            event_shape = (
                (prior.latent_dim,) if isinstance(prior, Prior) else tuple(prior.event_shape)
            )
        if event_shape != (latent_dim,):
            raise ValueError(
                f"the prior is over events of shape {event_shape}; expected "
                f"({latent_dim},). Wrap independent numbers in torch.distributions.Independent."
            )
        self.image_shape: ImageShape = image_shape
        self.latent_dim = latent_dim
        self.posterior_family: PosteriorFamily = posterior
        self.beta = beta
        self.free_bits = free_bits
        self.sample_codes = sample_codes
        self.network = network if network is not None else MLP()
        num_outputs = POSTERIORS[posterior].num_outputs(latent_dim)
        self.encoder = self.network.encoder(image_shape, num_outputs)
        self.likelihood = likelihood if likelihood is not None else GaussianLikelihood()
        channels, height, width = image_shape
        outputs = (channels * self.likelihood.outputs_per_channel, height, width)
        self.decoder = self.network.decoder(latent_dim, outputs)
        self._prior = prior
        self._zeros: Tensor
        self.register_buffer("_zeros", torch.zeros(latent_dim), persistent=False)

    @property
    def prior(self) -> Distribution:
        """p(z), over vectors of ``latent_dim``."""
        if isinstance(self._prior, Prior):
            return self._prior(self.posterior)
        if self._prior is not None:
            return self._prior
        return DiagonalGaussian(self._zeros, self._zeros, validate_args=False)

    def posterior(self, images: Float[Tensor, "n c h w"]) -> Distribution:
        """q(z | x), one distribution for each image."""
        check_images(images, self.image_shape, dtype=self._zeros.dtype)
        return POSTERIORS[self.posterior_family].build(self.encoder(images), self.latent_dim)

    def likelihood_of(self, codes: Float[Tensor, "*batch d"]) -> Distribution:
        """p(x | z) for each code, a distribution over images."""
        flat = codes.reshape(-1, self.latent_dim)
        output = self.decoder(flat)
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
        distortion = -self.likelihood_of(codes).log_prob(images).mean(0)
        rate = self._rate(posterior, codes)
        return Elbo(-(distortion + rate), distortion, rate)

    def _rate(self, posterior: Distribution, codes: Float[Tensor, "s n d"]) -> Float[Tensor, " n"]:
        if self._prior is None and isinstance(posterior, DiagonalGaussian):
            return gaussian_kl(posterior.mu, posterior.log_var)
        prior = self.prior  # once: a learned prior is built anew at each call
        try:
            return kl_divergence(posterior, prior)
        except NotImplementedError:  # no closed form is registered: estimate it
            return (posterior.log_prob(codes) - prior.log_prob(codes)).mean(0)

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
        check_codes(codes, self.latent_dim)
        return self.likelihood_of(codes).mean

    def reconstruct(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The decoded posterior mean of each image."""
        return self.decode(self.encode(images))

    @torch.no_grad()
    def sample(self, num_images: int, *, seed: int | None = None) -> Float[Tensor, "n c h w"]:
        """New images: z from the prior, then the mean image of p(x | z).

        Args:
            num_images: how many.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_images", num_images)
        with seeded(seed) if seed is not None else nullcontext():
            return self.decode(self.prior.sample((num_images,)))
