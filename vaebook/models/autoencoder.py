"""A plain autoencoder: compression to a code and nothing else."""

from jaxtyping import Float
from torch import Tensor, nn

from vaebook._checks import check_codes, check_count, check_images
from vaebook.distributions import GaussianLikelihood, Likelihood
from vaebook.models.networks import MLP, ImageShape, Network


class Autoencoder(nn.Module):
    """Encoder and decoder trained to reproduce their input through a code.

    The loss is −log p(x | z) in nats, so that it stands beside a VAE's. Under the default
    likelihood that is the summed squared error times 1 / (2 σ²) plus a constant: σ changes the
    unit of the loss, not the minimiser.

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers in a code.
        network: plan of encoder and decoder.
        likelihood: what the output means; Gaussian pixels with σ = 0.1 by default.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
    ) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        self.image_shape: ImageShape = image_shape
        self.latent_dim = latent_dim
        self.network = network if network is not None else MLP()
        self.encoder = self.network.encoder(image_shape, latent_dim)
        self.likelihood = likelihood if likelihood is not None else GaussianLikelihood()
        channels, height, width = image_shape
        outputs = (channels * self.likelihood.outputs_per_channel, height, width)
        self.decoder = self.network.decoder(latent_dim, outputs)

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The code of each image."""
        check_images(images, self.image_shape, dtype=next(self.parameters()).dtype)
        codes: Tensor = self.encoder(images)
        return codes

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The image of each code."""
        check_codes(codes, self.latent_dim)
        return self.likelihood(self.decoder(codes)).mean

    def reconstruct(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Each image after a trip through its code."""
        return self.decode(self.encode(images))

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """−log p(x | z = encode(x)) in nats, one value per image."""
        output = self.decoder(self.encode(images))
        return -self.likelihood(output).log_prob(images)
