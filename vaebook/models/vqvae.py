"""The vector-quantised autoencoder: a code is a word of discrete letters (chapter 09)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import ImageShape, check_count, check_images, check_weight, values_are_checked
from vaebook._random import seeded, unseeded
from vaebook.distributions import Likelihood
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.models.codebook import Codebook
from vaebook.models.latent_variable import LatentVariableModel
from vaebook.models.networks import Network, as_network
from vaebook.models.vae import Elbo


class VQVAE(LatentVariableModel):
    r"""An autoencoder whose code is ``num_letters`` letters of an alphabet of K vectors.

    A VAE with a discrete z and a q(z | x) that puts all probability on one word. Its entropy is
    zero, so that under the uniform prior the rate is ``num_letters`` · log K for every picture:
    a constant, which training can leave out. What is trained is

    .. math:: -\log p(x \mid z) + \gamma\, \lVert \text{encoder}(x) - z \rVert^2

    Afterwards a better prior over words is fitted to those of the training pictures by
    :func:`vaebook.distributions.fit_letters`; to draw new pictures, it is needed.

    Args:
        image_shape: ``(channels, height, width)``.
        num_letters: letters in a word.
        codebook_size: K, how many different letters there are, shared by all places.
        letter_dim: numbers in the vector of a letter.
        network: plan of encoder and decoder, which see ``num_letters · letter_dim`` numbers.
        likelihood: p(x | z); Gaussian pixels with σ = 0.1 by default.
        commitment: γ, how strongly the encoder is held to the codebook, in nats.

    Source:
        van den Oord, Vinyals & Kavukcuoglu (2017).
    """

    def __init__(
        self,
        image_shape: ImageShape,
        num_letters: int = 16,
        codebook_size: int = 32,
        *,
        letter_dim: int = 4,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        commitment: float = 1.0,
    ) -> None:
        check_count("num_letters", num_letters)
        check_count("letter_dim", letter_dim)
        super().__init__(image_shape, num_letters * letter_dim)
        check_weight("commitment", commitment)
        self.num_letters, self.letter_dim = num_letters, letter_dim
        self.commitment = commitment
        self.network = as_network(network)
        self.encoder = self.network.encoder(self.image_shape, self.latent_dim)
        self.codebook = Codebook(codebook_size, letter_dim)
        self.likelihood = as_likelihood(likelihood)
        channels, height, width = self.image_shape
        outputs = (channels * self.likelihood.outputs_per_channel, height, width)
        self.decoder = self.network.decoder(self.latent_dim, outputs)

    @property
    def codebook_size(self) -> int:
        """K, how many different letters there are."""
        return len(self.codebook.vectors)

    @property
    def uniform_rate(self) -> float:
        """What a word costs in nats where all words are equally probable: num_letters · log K."""
        return self.num_letters * math.log(self.codebook_size)

    def _vectors(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n l e"]:
        check_images(images, self.image_shape, dtype=self.dtype)
        output: Tensor = self.encoder(images.to(self.device)).to(self.dtype)
        return output.unflatten(1, (self.num_letters, self.letter_dim))

    def _likelihood_of(self, vectors: Float[Tensor, "n l e"]) -> Distribution:
        return self.likelihood(self.decoder(vectors.flatten(1)).to(self.dtype))

    def likelihood_of(self, letters: Int[Tensor, "n l"]) -> Distribution:
        """p(x | z) for each word, a distribution over images.

        Raises:
            ValueError: if the letters are not whole numbers ``[n, num_letters]`` below K.
        """
        self._check_letters(letters)
        return self._likelihood_of(self.codebook.vectors[letters.to(self.device)])

    def encode(self, images: Float[Tensor, "n c h w"]) -> Int[Tensor, "n l"]:
        """The word of each image: letters from 0 to K − 1."""
        return self.codebook.nearest(self._vectors(images))

    def decode(self, letters: Int[Tensor, "n l"]) -> Float[Tensor, "n c h w"]:
        """The mean image of each word.

        Raises:
            ValueError: if the letters are not whole numbers ``[n, num_letters]`` below K.
        """
        return self.likelihood_of(letters).mean

    def _check_letters(self, letters: Tensor) -> None:
        if (
            not isinstance(letters, Tensor)
            or letters.dtype != torch.long
            or letters.ndim != 2
            or letters.shape[1] != self.num_letters
        ):
            given = (
                f"{letters.dtype} {tuple(letters.shape)}"
                if isinstance(letters, Tensor)
                else type(letters).__name__
            )
            raise ValueError(
                f"letters is {given}; expected whole numbers (torch.long) "
                f"[n, {self.num_letters}], one row for each image, as encode gives them."
            )
        if values_are_checked():
            return
        if len(letters) and not 0 <= int(letters.min()) <= int(letters.max()) < self.codebook_size:
            raise ValueError(
                f"letters lie in [{int(letters.min())}, {int(letters.max())}]; "
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
        """What an epoch adds to the history: ``perplexity``, how many letters are in use.

        From 1, where every picture is spelled with the same letter, to K.
        """
        return {"perplexity": self.codebook.perplexity()}

    def elbo(self, images: Float[Tensor, "n c h w"], *, prior: Distribution | None = None) -> Elbo:
        """A lower bound of log p(x) of each image and its two terms, in nats; nothing is random.

        p(x) is a sum over all words; the bound keeps the term of one, log p(x | z) + log p(z).

        Args:
            images: floats in [0, 1].
            prior: over words of letters, event shape ``(num_letters,)``; uniform by default.
        """
        letters = self.encode(images)
        distortion = -self.likelihood_of(letters).log_prob(images.to(self.device))
        if prior is None:
            rate = torch.full_like(distortion, self.uniform_rate)
        else:
            self._check_prior(prior)
            rate = -prior.log_prob(letters).to(distortion)
        return Elbo(-(distortion + rate), distortion, rate)

    def _check_prior(self, prior: Distribution) -> None:
        if tuple(prior.event_shape) != (self.num_letters,):
            raise ValueError(
                f"the prior is over events of shape {tuple(prior.event_shape)}; expected "
                f"({self.num_letters},). Fit one with fit_letters(model.encode(images), K)."
            )

    def sample(
        self, num_images: int, *, prior: Distribution | None = None, seed: int | None = None
    ) -> Float[Tensor, "n c h w"]:
        """New images: a word from the prior, then the mean image of p(x | z); without gradients.

        Args:
            num_images: how many; they are decoded in blocks.
            prior: over words; uniform by default, whose words the decoder has hardly seen.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_images", num_images)
        if prior is None:
            with seeded(seed) if seed is not None else unseeded():
                letters = torch.randint(self.codebook_size, (num_images, self.num_letters))
        else:
            self._check_prior(prior)
            letters = self._draw(prior, num_images, seed)
        return self.decode_all(letters)
