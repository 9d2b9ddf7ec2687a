"""The generative adversarial network: a generator whose only teacher is a critic of pictures."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.utils.parametrizations import spectral_norm as normalise_spectrum

from vaebook._checks import check_codes, check_count, check_images
from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian
from vaebook.models.networks import MLP, ImageShape, Network
from vaebook.training.players import Player

GeneratorLoss = Literal["non-saturating", "minimax"]


def discriminator_loss(
    real_logits: Float[Tensor, " n"], generated_logits: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """−log D(x) − log(1 − D(g)) in nats, where D is the sigmoid of a logit.

    Twice the cross-entropy of telling n real pictures from n generated ones: 2 log 2 = 1.386 for a
    discriminator that cannot. The least it can be is 2 log 2 − 2 JS(p ‖ g).

    Args:
        real_logits: the discriminator's logits for real pictures, positive for "real".
        generated_logits: its logits for as many generated ones.

    Source:
        Goodfellow et al. (2014), eq. 1; chapter 11.
    """
    return F.softplus(-real_logits) + F.softplus(generated_logits)


def non_saturating_loss(generated_logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """−log D(g) in nats: log 2 = 0.693 where the discriminator cannot tell.

    Its gradient stays when the discriminator is sure that a picture is generated.

    Source:
        Goodfellow et al. (2014), section 3; chapter 11.
    """
    return F.softplus(-generated_logits)


def minimax_loss(generated_logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """log(1 − D(g)) in nats: the generator's part of the game as it is derived.

    Its gradient vanishes where the discriminator is sure that a picture is generated.

    Source:
        Goodfellow et al. (2014), eq. 1; chapter 11.
    """
    return -F.softplus(generated_logits)


GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "minimax": minimax_loss,
    "non-saturating": non_saturating_loss,
}


def gradient_penalty(
    discriminator: nn.Module, images: Float[Tensor, "n c h w"]
) -> Float[Tensor, " n"]:
    """‖∂ logit / ∂x‖² / 2 at each picture, a value that can itself be differentiated.

    Args:
        discriminator: pictures to one logit each, ``[n, 1]``.
        images: where the slope is taken; the real ones for R1.

    Source:
        Mescheder, Geiger & Nowozin (2018), eq. 9 (R1).
    """
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = discriminator(images)
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return slope.square().flatten(1).sum(1) / 2  # summed over pixels, one value per picture


class GAN(nn.Module):
    """A generator from noise to pictures, and a discriminator that tells its pictures from real.

    There is no p(x) to evaluate, no encoder, no reconstruction: :meth:`sample` and :meth:`decode`
    is what it can do. Train it with ``fit``, which trains its :meth:`players`.

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers of noise for each picture.
        network: plan whose decoder becomes the generator: the very one that a VAE gets.
        discriminator: plan whose encoder, with one output, becomes the discriminator; ``network``
            by default.
        loss: what the generator minimises, ``"non-saturating"`` or ``"minimax"``.
        gradient_penalty: γ of γ/2 ‖∂ logit/∂x‖² on real pictures (R1); 0 for none.
        spectral_norm: divide each weight matrix of the discriminator by its largest singular value
            (Miyato et al. 2018).
        prior: distribution of the noise; N(0, I) by default.
        discriminator_lr: the discriminator's learning rate as a multiple of the generator's.
        betas: decay rates of both players' Adam.

    Raises:
        ValueError: if the loss is unknown, a weight is negative, or the prior is not over vectors
            of ``latent_dim``.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        network: Network | None = None,
        discriminator: Network | None = None,
        loss: GeneratorLoss = "non-saturating",
        gradient_penalty: float = 0.0,
        spectral_norm: bool = False,
        prior: Distribution | None = None,
        discriminator_lr: float = 1.0,
        betas: tuple[float, float] = (0.5, 0.99),
    ) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        if loss not in GENERATOR_LOSSES:
            raise ValueError(f"loss is {loss!r}; expected one of {sorted(GENERATOR_LOSSES)}.")
        if not gradient_penalty >= 0:
            raise ValueError(
                f"gradient_penalty is {gradient_penalty!r}; expected a weight of at least 0."
            )
        if prior is not None and tuple(prior.event_shape) != (latent_dim,):
            raise ValueError(
                f"the prior is over events of shape {tuple(prior.event_shape)}; expected "
                f"({latent_dim},). Wrap independent numbers in torch.distributions.Independent."
            )
        self.image_shape: ImageShape = image_shape
        self.latent_dim = latent_dim
        self.network = network if network is not None else MLP()
        self.generator = self.network.decoder(latent_dim, image_shape)
        judge = discriminator if discriminator is not None else self.network
        self.discriminator = judge.encoder(image_shape, 1)
        if spectral_norm:
            for layer in self.discriminator.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    normalise_spectrum(layer)
        self.generator_objective: GeneratorLoss = loss
        self.gradient_penalty = gradient_penalty
        self.discriminator_lr = discriminator_lr
        self.betas = betas
        self._prior = prior
        self._zeros: Tensor
        self.register_buffer("_zeros", torch.zeros(latent_dim), persistent=False)

    @property
    def prior(self) -> Distribution:
        """Distribution of the noise, over vectors of ``latent_dim``."""
        if self._prior is not None:
            return self._prior
        return DiagonalGaussian(self._zeros, self._zeros, validate_args=False)

    def players(self) -> tuple[Player, Player]:
        """The discriminator moves first, then the generator, on as many pictures."""
        return (
            Player(
                "discriminator",
                list(self.discriminator.parameters()),
                self.discriminator_loss,
                betas=self.betas,
                lr_factor=self.discriminator_lr,
            ),
            Player(
                "generator",
                list(self.generator.parameters()),
                self.generator_loss,
                betas=self.betas,
            ),
        )

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """log D / (1 − D) of each picture; at the best D, log p(x) / g(x)."""
        logits: Tensor = self.discriminator(images)
        return logits.squeeze(1)

    def discriminator_loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The discriminator's loss in nats: each real picture with a generated one."""
        check_images(images, self.image_shape, dtype=self._zeros.dtype)
        with torch.no_grad():  # this is the discriminator's move
            generated = self.decode(self.prior.sample((len(images),)))
        losses = discriminator_loss(self.logits(images), self.logits(generated))
        if self.gradient_penalty:
            losses = losses + self.gradient_penalty * gradient_penalty(self.discriminator, images)
        return losses

    def generator_loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The generator's loss in nats on as many pictures as are given; it never sees them."""
        generated = self.decode(self.prior.sample((len(images),)))
        return GENERATOR_LOSSES[self.generator_objective](self.logits(generated))

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The picture that the generator makes of each noise vector."""
        check_codes(codes, self.latent_dim)
        pictures: Tensor = self.generator(codes)
        return pictures

    @torch.no_grad()
    def sample(self, num_images: int, *, seed: int | None = None) -> Float[Tensor, "n c h w"]:
        """New pictures: noise from the prior through the generator.

        Args:
            num_images: how many.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_images", num_images)
        with seeded(seed) if seed is not None else nullcontext():
            return self.decode(self.prior.sample((num_images,)))
