"""The vector-quantised autoencoder: a code is a word of discrete letters (chapter 09)."""

import math
from contextlib import nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook._checks import check_count, check_images
from vaebook._random import seeded
from vaebook.distributions import GaussianLikelihood, Likelihood
from vaebook.models.codebook import Codebook
from vaebook.models.networks import MLP, ImageShape, Network
from vaebook.models.vae import Elbo


class VQVAE(nn.Module):
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
        super().__init__()
        check_count("num_letters", num_letters)
        check_count("letter_dim", letter_dim)
        if not commitment >= 0:
            raise ValueError(f"commitment is {commitment!r}; expected a number of at least 0.")
        self.image_shape: ImageShape = image_shape
        self.num_letters, self.letter_dim = num_letters, letter_dim
        self.commitment = commitment
        self.network = network if network is not None else MLP()
        width = num_letters * letter_dim
        self.encoder = self.network.encoder(image_shape, width)
        self.codebook = Codebook(codebook_size, letter_dim)
        self.decoder = self.network.decoder(width, image_shape)
        self.likelihood = likelihood if likelihood is not None else GaussianLikelihood()

    @property
    def codebook_size(self) -> int:
        """K, how many different letters there are."""
        return len(self.codebook.vectors)

    @property
    def uniform_rate(self) -> float:
        """What a word costs in nats where all words are equally probable: num_letters · log K."""
        return self.num_letters * math.log(self.codebook_size)

    def _vectors(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n l e"]:
        check_images(images, self.image_shape, dtype=self.codebook.vectors.dtype)
        vectors: Tensor = self.encoder(images).unflatten(1, (self.num_letters, self.letter_dim))
        return vectors

    def _likelihood_of(self, vectors: Float[Tensor, "n l e"]) -> Distribution:
        return self.likelihood(self.decoder(vectors.flatten(1)))

    def encode(self, images: Float[Tensor, "n c h w"]) -> Int[Tensor, "n l"]:
        """The word of each image: letters from 0 to K − 1."""
        return self.codebook.nearest(self._vectors(images))

    def decode(self, letters: Int[Tensor, "n l"]) -> Float[Tensor, "n c h w"]:
        """The mean image of each word.

        Raises:
            ValueError: if the letters are not whole numbers ``[n, num_letters]`` below K.
        """
        self._check_letters(letters)
        return self._likelihood_of(self.codebook.vectors[letters]).mean

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
        if len(letters) and not 0 <= int(letters.min()) <= int(letters.max()) < self.codebook_size:
            raise ValueError(
                f"letters lie in [{int(letters.min())}, {int(letters.max())}]; "
                f"expected 0 to {self.codebook_size - 1}."
            )

    def reconstruct(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Each image after a trip through its word."""
        return self.decode(self.encode(images))

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """distortion + commitment in nats, one value per image. The constant rate is left out.

        In training mode the codebook follows the batch; in evaluation mode it rests.
        """
        quantised = self.codebook(self._vectors(images))
        distortion = -self._likelihood_of(quantised.vectors).log_prob(images)
        return distortion + self.commitment * quantised.commitment.sum(1)

    def elbo(self, images: Float[Tensor, "n c h w"], *, prior: Distribution | None = None) -> Elbo:
        """A lower bound of log p(x) of each image and its two terms, in nats; nothing is random.

        p(x) is a sum over all words; the bound keeps the term of one, log p(x | z) + log p(z).

        Args:
            images: floats in [0, 1].
            prior: over words of letters, event shape ``(num_letters,)``; uniform by default.
        """
        letters = self.encode(images)
        distortion = -self._likelihood_of(self.codebook.vectors[letters]).log_prob(images)
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

    @torch.no_grad()
    def sample(
        self, num_images: int, *, prior: Distribution | None = None, seed: int | None = None
    ) -> Float[Tensor, "n c h w"]:
        """New images: a word from the prior, then the mean image of p(x | z).

        Args:
            num_images: how many.
            prior: over words; uniform by default, whose words the decoder has hardly seen.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        check_count("num_images", num_images)
        with seeded(seed) if seed is not None else nullcontext():
            if prior is None:
                shape = (num_images, self.num_letters)
                letters = torch.randint(self.codebook_size, shape)
            else:
                self._check_prior(prior)
                letters = prior.sample((num_images,))
            return self.decode(letters.to(self.codebook.vectors.device))
