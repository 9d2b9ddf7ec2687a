"""The vector-quantised autoencoder: it has discrete codes (chapter 09)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import (
    ImageShape,
    check_count,
    check_images,
    check_weight,
    kind_of,
    values_are_checked,
)
from vaebook._random import seeded, unseeded
from vaebook.distributions import Likelihood
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.models.codebook import Codebook
from vaebook.models.latent_variable import LatentVariableModel
from vaebook.models.networks import Network, as_network
from vaebook.models.vae import Elbo


class VQVAE(LatentVariableModel):
    r"""An autoencoder whose encoder chooses ``num_codes`` vectors of a codebook of K.

    A VAE with a discrete z and a q(z | x) that puts all probability on one row of codes. Its
    entropy is zero, so that under the uniform prior the rate is ``num_codes`` · log K for every
    picture: a constant, which training can leave out. What is trained is

    .. math:: -\log p(x \mid z) + \gamma\, \lVert \text{encoder}(x) - z \rVert^2

    Afterwards a better prior over codes is fitted to those of the training pictures by
    :func:`vaebook.distributions.fit_codes`; to draw new pictures, it is needed.

    Args:
        image_shape: ``(channels, height, width)``.
        num_codes: vectors chosen for a picture, one at each place.
        codebook_size: K, how many vectors there are to choose from, shared by all places.
        code_dim: numbers in a vector.
        network: plan of encoder and decoder, which see ``num_codes · code_dim`` numbers.
        likelihood: p(x | z); Gaussian pixels with σ = 0.1 by default.
        commitment: γ, how strongly the encoder is held to the codebook, in nats.

    Source:
        van den Oord, Vinyals & Kavukcuoglu (2017).
    """

    def __init__(
        self,
        image_shape: ImageShape,
        num_codes: int = 16,
        codebook_size: int = 32,
        *,
        code_dim: int = 4,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        commitment: float = 1.0,
    ) -> None:
        check_count("num_codes", num_codes)
        check_count("code_dim", code_dim)
        super().__init__(image_shape, num_codes * code_dim)
        check_weight("commitment", commitment)
        self.num_codes, self.code_dim = num_codes, code_dim
        self.commitment = commitment
        self.network = as_network(network)
        self.encoder = self.network.encoder(self.image_shape, self.latent_dim)
        self.codebook = Codebook(codebook_size, code_dim)
        self.likelihood = as_likelihood(likelihood)
        outputs = self.likelihood.output_shape(self.image_shape)
        self.decoder = self.network.decoder(self.latent_dim, outputs)

    @property
    def codebook_size(self) -> int:
        """K, how many vectors there are to choose from."""
        return len(self.codebook.vectors)

    @property
    def uniform_rate(self) -> float:
        """What a picture's codes cost in nats where all are equally probable: num_codes · log K."""
        return self.num_codes * math.log(self.codebook_size)

    def _vectors(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n l e"]:
        check_images(images, self.image_shape, dtype=self.dtype)
        output: Tensor = self.encoder(images.to(self.device)).to(self.dtype)
        return output.unflatten(1, (self.num_codes, self.code_dim))

    def _likelihood_of(self, vectors: Float[Tensor, "n l e"]) -> Distribution:
        return self.likelihood(self.decoder(vectors.flatten(1)).to(self.dtype))

    def likelihood_of(self, codes: Int[Tensor, "n l"]) -> Distribution:
        """p(x | z) for each row of codes, a distribution over images.

        Raises:
            ValueError: if the codes are not whole numbers ``[n, num_codes]`` below K.
        """
        self._check_codes(codes)
        return self._likelihood_of(self.codebook.vectors[codes.to(self.device)])

    def encode(self, images: Float[Tensor, "n c h w"]) -> Int[Tensor, "n l"]:
        """The codes of each image: indices from 0 to K − 1."""
        return self.codebook.nearest(self._vectors(images))

    def decode(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n c h w"]:
        """The mean image of each row of codes, which are as for :meth:`likelihood_of`."""
        return self.likelihood_of(codes).mean

    def _check_codes(self, codes: Tensor) -> None:
        if (
            not isinstance(codes, Tensor)
            or codes.dtype != torch.long
            or codes.ndim != 2
            or codes.shape[1] != self.num_codes
        ):
            raise ValueError(
                f"codes is {kind_of(codes)}; expected whole numbers (torch.long) "
                f"[n, {self.num_codes}], one row for each image, as encode gives them."
            )
        if values_are_checked():
            return
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < self.codebook_size:
            raise ValueError(
                f"codes lie in [{int(codes.min())}, {int(codes.max())}]; "
                f"expected 0 to {self.codebook_size - 1}."
            )

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """distortion + commitment in nats, one value per image. The constant rate is left out.

        In training mode the codebook follows the batch; in evaluation mode it rests.
        """
        quantised = self.codebook(self._vectors(images))
        output = self._likelihood_of(quantised.vectors)
        distortion = -output.log_prob(images.to(self.device))
        return distortion + self.commitment * quantised.commitment.sum(1)

    def epoch_columns(self) -> dict[str, float]:
        """What an epoch adds to the history: ``perplexity``, how many vectors are in use.

        From 1, where all places of all pictures have the same, to K.
        """
        return {"perplexity": self.codebook.perplexity()}

    def elbo(self, images: Float[Tensor, "n c h w"], *, prior: Distribution | None = None) -> Elbo:
        """A lower bound of log p(x) of each image and its two terms, in nats; nothing is random.

        p(x) is a sum over all codes; the bound keeps the term of one row, log p(x | z) + log p(z).

        Args:
            images: floats in [0, 1].
            prior: over codes, event shape ``(num_codes,)``; uniform by default.
        """
        codes = self.encode(images)
        distortion = -self.likelihood_of(codes).log_prob(images.to(self.device))
        if prior is None:
            rate = torch.full_like(distortion, self.uniform_rate)
        else:
            self._check_prior(prior)
            rate = -prior.log_prob(codes).to(distortion)
        return Elbo(-(distortion + rate), distortion, rate)

    def _check_prior(self, prior: Distribution) -> None:
        if tuple(prior.event_shape) != (self.num_codes,):
            raise ValueError(
                f"the prior is over events of shape {tuple(prior.event_shape)}; expected "
                f"({self.num_codes},). Fit one with fit_codes(model.encode(images), K)."
            )

    def sample(
        self, num_images: int, *, prior: Distribution | None = None, seed: int | None = None
    ) -> Float[Tensor, "n c h w"]:
        """New images: codes from the prior, then the mean image of p(x | z); without gradients.

        Args:
            num_images: how many; they are decoded in blocks.
            prior: over codes; uniform by default, whose codes the decoder has hardly seen.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_images", num_images)
        if prior is None:
            with seeded(seed) if seed is not None else unseeded():
                codes = torch.randint(self.codebook_size, (num_images, self.num_codes))
        else:
            self._check_prior(prior)
            codes = self._draw(prior, num_images, seed)
        return self.decode_all(codes)
