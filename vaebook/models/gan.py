"""The generative adversarial network: a generator whose only teacher is a critic of pictures."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.utils.parametrizations import spectral_norm as normalise_spectrum

from vaebook._checks import ImageShape, check_choice, check_images, check_weight
from vaebook.distributions import as_prior
from vaebook.models.latent_variable import GenerativeModel
from vaebook.models.networks import Network, as_network
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


class GAN(GenerativeModel):
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
        super().__init__(image_shape, latent_dim)
        check_choice("loss", loss, GENERATOR_LOSSES)
        check_weight("gradient_penalty", gradient_penalty, "a weight")
        self._prior = as_prior(prior, self.latent_dim, learned=False)
        self.network = as_network(network)
        self.generator = self.network.decoder(self.latent_dim, self.image_shape)
        judge = as_network(discriminator if discriminator is not None else self.network)
        self.discriminator = judge.encoder(self.image_shape, 1)
        if spectral_norm:
            for layer in self.discriminator.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    normalise_spectrum(layer)
        self.generator_objective: GeneratorLoss = loss
        self.gradient_penalty = gradient_penalty
        self.discriminator_lr = discriminator_lr
        self.betas = betas

    @property
    def prior(self) -> Distribution:
        """Distribution of the noise, over vectors of ``latent_dim``."""
        return self._prior()

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
        logits: Tensor = self.discriminator(images).to(self.dtype)
        return logits.squeeze(1)

    def discriminator_loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The discriminator's loss in nats: each real picture with a generated one."""
        check_images(images, self.image_shape, dtype=self.dtype)
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
        pictures: Tensor = self.generator(self._codes(codes))
        return pictures.to(self.dtype)

    def forward(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """See :meth:`decode`: a GAN has no encoder, so that its input is the noise."""
        return self.decode(codes)

    def sample(self, num_images: int, *, seed: int | None = None) -> Float[Tensor, "n c h w"]:
        """New pictures: noise from the prior through the generator; no gradient is kept.

        Args:
            num_images: how many; they are made in blocks.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        return self.decode_all(self._draw(self.prior, num_images, seed))
