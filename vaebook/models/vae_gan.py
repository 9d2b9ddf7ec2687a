"""The VAE-GAN: a VAE whose decoder answers to a discriminator as well."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import ImageShape, check_choice, check_images, check_weight
from vaebook.distributions import Likelihood, Prior
from vaebook.models.gan import discriminator_loss, gradient_penalty, non_saturating_loss
from vaebook.models.networks import Network, as_network
from vaebook.models.posteriors import PosteriorFamily
from vaebook.models.vae import VAE
from vaebook.training.players import Player

Judged = Literal["samples", "reconstructions", "both"]


class VAEGAN(VAE):
    """A VAE that is trained on its ELBO and on a discriminator's opinion of its pictures.

    Encoder and decoder minimise distortion + beta · rate + adversarial_weight · (−log D). The
    squared error asks for the mean of all pictures that share a code, the discriminator for one
    picture that could be real: both cannot be had, so the distortion rises when the second is
    switched on. Everything that a VAE can do (encode, ELBO, NLL) this model can do too.

    Args:
        image_shape, latent_dim, network, likelihood, prior, posterior, beta: as for :class:`VAE`.
        discriminator: plan whose encoder, with one output, becomes the discriminator; ``network``
            by default.
        adversarial_weight: nats of the ELBO that one nat of −log D is worth; 0 is the VAE.
        judged: which pictures of the decoder the discriminator sees: ``"samples"`` from the prior,
            ``"reconstructions"``, or ``"both"``, half and half.
        gradient_penalty: γ of γ/2 ‖∂ logit/∂x‖² on real pictures (R1).
        discriminator_lr: the discriminator's learning rate as a multiple of the model's.
        betas: decay rates of the discriminator's Adam.

    Source:
        After Larsen et al. (2016), whose distortion is measured in the discriminator's features;
        here it stays in pixels, so that its nats can be compared with the VAE's. Rombach et al.
        (2022) train the autoencoder of latent diffusion like this, on reconstructions.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        network: Network | None = None,
        discriminator: Network | None = None,
        likelihood: Likelihood | None = None,
        prior: Distribution | Prior | None = None,
        posterior: PosteriorFamily = "diagonal",
        beta: float = 1.0,
        adversarial_weight: float = 1.0,
        judged: Judged = "both",
        gradient_penalty: float = 0.0,
        discriminator_lr: float = 1.0,
        betas: tuple[float, float] = (0.5, 0.99),
    ) -> None:
        super().__init__(
            image_shape,
            latent_dim,
            network=network,
            likelihood=likelihood,
            prior=prior,
            posterior=posterior,
            beta=beta,
        )
        check_weight("adversarial_weight", adversarial_weight, "a weight")
        check_weight("gradient_penalty", gradient_penalty, "a weight")
        check_choice("judged", judged, get_args(Judged))
        judge = as_network(discriminator if discriminator is not None else self.network)
        self.discriminator = judge.encoder(self.image_shape, 1)
        self.adversarial_weight = adversarial_weight
        self.judged = judged
        self.gradient_penalty = gradient_penalty
        self.discriminator_lr = discriminator_lr
        self.betas = betas

    def players(self) -> tuple[Player, Player]:
        """The discriminator moves first, then encoder and decoder together."""
        judge = set(self.discriminator.parameters())
        return (
            Player(
                "discriminator",
                list(self.discriminator.parameters()),
                self.discriminator_loss,
                betas=self.betas,
                lr_factor=self.discriminator_lr,
            ),
            Player("autoencoder", [p for p in self.parameters() if p not in judge], self.loss),
        )

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """log D / (1 − D) of each picture."""
        logits: Tensor = self.discriminator(images).to(self.dtype)
        return logits.squeeze(1)

    def discriminator_loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The discriminator's loss in nats: each real picture with one of the decoder's."""
        check_images(images, self.image_shape, dtype=self.dtype)
        with torch.no_grad():  # this is the discriminator's move
            made = self._judged(self.likelihood_of(self.posterior(images).sample()))
        losses = discriminator_loss(self.logits(images), self.logits(made))
        if self.gradient_penalty:
            losses = losses + self.gradient_penalty * gradient_penalty(self.discriminator, images)
        return losses

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """distortion + beta · rate − adversarial_weight · log D in nats, one value per image."""
        posterior = self.posterior(images)
        codes = posterior.rsample()
        output = self.likelihood_of(codes)
        loss = -output.log_prob(images) + self.beta * self.rate(posterior, codes[None])
        if self.adversarial_weight:
            opinion = non_saturating_loss(self.logits(self._judged(output)))
            loss = loss + self.adversarial_weight * opinion
        return loss

    def _judged(self, output: Distribution) -> Float[Tensor, "n c h w"]:
        """The pictures that the discriminator sees beside as many real ones."""
        reconstructions = output.mean
        num = len(reconstructions)
        num_samples = {"samples": num, "both": num // 2, "reconstructions": 0}[self.judged]
        if not num_samples:
            return reconstructions
        samples = self.likelihood_of(self.prior.sample((num_samples,))).mean
        return torch.cat([samples, reconstructions[num_samples:]])
