"""The conditional VAE: pictures given something that is known of them (chapter 13)."""

import math
from contextlib import nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from vaebook._checks import check_codes, check_count, check_images
from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian, GaussianLikelihood, Likelihood, gaussian_kl
from vaebook.distributions.divergences import gaussian_kl_diagonal
from vaebook.models.networks import MLP, ImageShape, Network
from vaebook.models.vae import Elbo


def pack_conditions(
    images: Float[Tensor, "n c h w"], conditions: Float[Tensor, "n k"]
) -> Float[Tensor, "n c2 h w"]:
    """Pictures with their conditions as extra channels, which ``fit`` takes like any pictures.

    The k numbers fill the new channels row by row, zeros the rest: no network sees this picture,
    ``ConditionalVAE.loss`` takes it apart again.

    Args:
        images: floats in [0, 1].
        conditions: a row for each image, in [0, 1]: a one-hot label, known pixels, a mask.

    Raises:
        ValueError: if the conditions are not one row for each image, or outside [0, 1].
    """
    check_images(images)
    if conditions.ndim != 2 or len(conditions) != len(images):
        raise ValueError(
            f"conditions have shape {tuple(conditions.shape)} for {len(images)} images; expected "
            f"[{len(images)}, k], a row for each."
        )
    height, width = images.shape[2:]
    channels = math.ceil(conditions.shape[1] / (height * width))
    padded = F.pad(conditions, (0, channels * height * width - conditions.shape[1]))
    return torch.cat([images, padded.to(images).reshape(-1, channels, height, width)], 1)


class ConditionalVAE(nn.Module):
    r"""p(z | c) p(x | z, c) with an inference network q(z | x, c).

    The bound is that of a VAE with c behind every bar:

    .. math:: \log p(x \mid c) \ge \mathbb{E}_{q(z \mid x, c)}[\log p(x \mid z, c)]
              - \mathrm{KL}(q(z \mid x, c) \,\|\, p(z \mid c))

    The encoder sees c as one more channel of the picture, painted by a linear map, the decoder as
    more numbers beside z.

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers in a code.
        condition_dim: k, numbers in a condition.
        network: plan of encoder and decoder.
        likelihood: p(x | z, c); Gaussian pixels with σ = 0.1 by default.
        prior: ``"fixed"`` is N(0, I) for every c; ``"learned"`` a diagonal Gaussian whose mean and
            variances a network computes from c.
        prior_hidden: width of that network.
        beta: weight of the rate in :meth:`loss`.
        encoder_sees, decoder_sees: whether that side is told the condition. Both by default;
            chapter 13 takes them away to see what they are for.

    Raises:
        ValueError: if a setting is unknown or negative.

    Source:
        Sohn, Lee & Yan (2015), eqs 4 and 5.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        condition_dim: int,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        prior: Literal["fixed", "learned"] = "fixed",
        prior_hidden: int = 256,
        beta: float = 1.0,
        encoder_sees: bool = True,
        decoder_sees: bool = True,
    ) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        check_count("condition_dim", condition_dim)
        if prior not in ("fixed", "learned"):
            raise ValueError(f"prior is {prior!r}; expected 'fixed' or 'learned'.")
        if not beta >= 0:
            raise ValueError(f"beta is {beta!r}; expected a number of at least 0.")
        self.image_shape: ImageShape = image_shape
        self.latent_dim, self.condition_dim, self.beta = latent_dim, condition_dim, beta
        self.encoder_sees, self.decoder_sees = encoder_sees, decoder_sees
        plan = network if network is not None else MLP()
        channels, height, width = image_shape
        seen = (channels + encoder_sees, height, width)
        self.paint = nn.Linear(condition_dim, height * width) if encoder_sees else None
        self.encoder = plan.encoder(seen, 2 * latent_dim)
        self.likelihood = likelihood if likelihood is not None else GaussianLikelihood()
        outputs = (channels * self.likelihood.outputs_per_channel, height, width)
        self.decoder = plan.decoder(latent_dim + decoder_sees * condition_dim, outputs)
        self.prior_network = None
        if prior == "learned":
            hidden = nn.Linear(condition_dim, prior_hidden)
            last = nn.Linear(prior_hidden, 2 * latent_dim)
            self.prior_network = nn.Sequential(hidden, nn.ReLU(), last)

    def prior(self, conditions: Float[Tensor, "n k"]) -> DiagonalGaussian:
        """p(z | c), one distribution for each condition."""
        check_codes(conditions, self.condition_dim, name="conditions")
        if self.prior_network is None:
            zeros = conditions.new_zeros(len(conditions), self.latent_dim)
            return DiagonalGaussian(zeros, zeros)
        return DiagonalGaussian(*self.prior_network(conditions).chunk(2, dim=1))

    def posterior(
        self, images: Float[Tensor, "n c h w"], conditions: Float[Tensor, "n k"]
    ) -> DiagonalGaussian:
        """q(z | x, c), one distribution for each image."""
        check_images(images, self.image_shape)
        check_codes(conditions, self.condition_dim, name="conditions")
        if self.paint is not None:
            painted = self.paint(conditions).reshape(-1, 1, *self.image_shape[1:])
            images = torch.cat([images, painted], 1)
        return DiagonalGaussian(*self.encoder(images).chunk(2, dim=1))

    def likelihood_of(
        self, codes: Float[Tensor, "*batch n d"], conditions: Float[Tensor, "n k"]
    ) -> Distribution:
        """p(x | z, c) for each code and its condition, a distribution over images."""
        check_codes(conditions, self.condition_dim, name="conditions")
        told = codes
        if self.decoder_sees:
            told = torch.cat([codes, conditions.expand(*codes.shape[:-1], -1)], -1)
        output = self.decoder(told.reshape(-1, told.shape[-1]))
        return self.likelihood(output.reshape(*codes.shape[:-1], *output.shape[1:]))

    def elbo(
        self,
        images: Float[Tensor, "n c h w"],
        conditions: Float[Tensor, "n k"],
        *,
        num_samples: int = 1,
    ) -> Elbo:
        """A lower bound of log p(x | c) of each image and its two terms, in nats.

        Args:
            images: floats in [0, 1].
            conditions: a row for each image.
            num_samples: codes drawn for each image.
        """
        check_count("num_samples", num_samples)
        posterior, prior = self.posterior(images, conditions), self.prior(conditions)
        codes = posterior.rsample((num_samples,))  # [s, n, d]
        distortion = -self.likelihood_of(codes, conditions).log_prob(images).mean(0)
        if self.prior_network is None:
            rate = gaussian_kl(posterior.mu, posterior.log_var)
        else:
            rate = gaussian_kl_diagonal(posterior.mu, posterior.log_var, prior.mu, prior.log_var)
        return Elbo(-(distortion + rate), distortion, rate)

    def loss(self, packed: Float[Tensor, "n c2 h w"]) -> Float[Tensor, " n"]:
        """distortion + beta · rate in nats of pictures packed with :func:`pack_conditions`."""
        channels = self.image_shape[0]
        if packed.ndim != 4 or packed[0, channels:].numel() < self.condition_dim:
            raise ValueError(
                f"the pictures have shape {tuple(packed.shape)}; expected {channels} channels and "
                f"{self.condition_dim} numbers of condition behind them: pack_conditions(images, "
                "conditions)."
            )
        conditions = packed[:, channels:].flatten(1)[:, : self.condition_dim]
        terms = self.elbo(packed[:, :channels], conditions)
        return terms.distortion + self.beta * terms.rate

    def decode(
        self, codes: Float[Tensor, "n d"], conditions: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n c h w"]:
        """The mean image of p(x | z, c) for each code and its condition."""
        check_codes(codes, self.latent_dim)
        return self.likelihood_of(codes, conditions).mean

    @torch.no_grad()
    def sample(
        self, conditions: Float[Tensor, "n k"], num_samples: int = 1, *, seed: int | None = None
    ) -> Float[Tensor, "s n c h w"]:
        """New images for given conditions: z from p(z | c), then the mean image of p(x | z, c).

        Args:
            conditions: one for each image that is wanted.
            num_samples: images for each condition.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_samples", num_samples)
        with seeded(seed) if seed is not None else nullcontext():
            codes = self.prior(conditions).sample((num_samples,))
        return self.likelihood_of(codes, conditions).mean
