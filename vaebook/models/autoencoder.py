"""A plain autoencoder: compression to a code and nothing else."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import ImageShape, check_images
from vaebook.distributions import Likelihood
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.models.latent_variable import LatentVariableModel
from vaebook.models.networks import Network, as_network


class Autoencoder(LatentVariableModel):
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
        super().__init__(image_shape, latent_dim)
        self.network = as_network(network)
        self.encoder = self.network.encoder(self.image_shape, self.latent_dim)
        self.likelihood = as_likelihood(likelihood)
        outputs = self.likelihood.output_shape(self.image_shape)
        self.decoder = self.network.decoder(self.latent_dim, outputs)

    def encode(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The code of each image."""
        check_images(images, self.image_shape, dtype=self.dtype)
        codes: Tensor = self.encoder(images.to(self.device))
        return codes.to(self.dtype)

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The image of each code."""
        return self.likelihood_of(self._codes(codes)).mean

    def likelihood_of(self, codes: Float[Tensor, "n d"]) -> Distribution:
        """p(x | z) for each code, a distribution over images."""
        return self.likelihood(self.decoder(codes).to(self.dtype))

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """−log p(x | z = encode(x)) in nats, one value per image."""
        output = self.likelihood_of(self.encode(images))
        return -output.log_prob(images.to(self.device))
