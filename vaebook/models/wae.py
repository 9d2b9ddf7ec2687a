"""The Wasserstein autoencoder: no KL per picture, one distance for all codes together."""

from collections.abc import Sequence
from typing import get_args

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import ImageShape, check_choice, check_weight
from vaebook.distributions import Likelihood, as_prior, mmd
from vaebook.distributions.discrepancy import SCALES, Kernel, check_scales
from vaebook.models.autoencoder import Autoencoder
from vaebook.models.networks import Network


class WassersteinAutoencoder(Autoencoder):
    r"""An autoencoder whose codes, taken together, are pushed towards a prior (WAE-MMD).

    .. math:: \frac1n \sum_i -\log p(x_i \mid z_i)
              + \lambda\, \mathrm{MMD}^2\bigl(\{z_i\}, \{z'_i\}\bigr), \\
              z_i = \text{encode}(x_i),\quad z'_i \sim p(z)

    The VAE asks each q(z | x) to resemble the prior; this asks it of the mean of all of them only.
    The encoder is deterministic and the loss bounds no likelihood: p(x) is not defined.

    Args:
        image_shape, latent_dim, network, likelihood: as for :class:`Autoencoder`.
        prior: where the codes should lie, any distribution over vectors of ``latent_dim``; N(0, I)
            by default.
        mmd_weight: λ, in nats.
        kernel, scales: of the MMD, as in :func:`vaebook.distributions.mmd`.

    Raises:
        ValueError: if the prior is not over vectors of ``latent_dim``, or the weight is negative.

    Source:
        Tolstikhin et al. (2018), algorithm 2.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        prior: Distribution | None = None,
        mmd_weight: float = 1000.0,
        kernel: Kernel = "imq",
        scales: Sequence[float] = SCALES,
    ) -> None:
        super().__init__(image_shape, latent_dim, network=network, likelihood=likelihood)
        check_weight("mmd_weight", mmd_weight)
        check_choice("kernel", kernel, get_args(Kernel))
        check_scales(scales)
        self._prior = as_prior(prior, self.latent_dim, learned=False)
        self.mmd_weight = mmd_weight
        self.kernel: Kernel = kernel
        self.scales = tuple(scales)

    @property
    def prior(self) -> Distribution:
        """p(z), over vectors of ``latent_dim``."""
        return self._prior()

    def discrepancy(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """MMD² between the codes and as many fresh samples of the prior, unbiased.

        One code has no distribution; its discrepancy counts as 0.
        """
        if len(codes) < 2:
            return codes.sum() * 0
        drawn = self.prior.sample((len(codes),)).to(codes)
        return mmd(codes, drawn, kernel=self.kernel, scales=self.scales)

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """distortion + λ · MMD² in nats, one value per image.

        The MMD belongs to the batch as a whole. It is added, whole, to every image's distortion,
        so that the mean of the values, which ``fit`` takes, counts it once.
        """
        codes = self.encode(images)
        distortion = -self.likelihood_of(codes).log_prob(images.to(self.device))
        return distortion + self.mmd_weight * self.discrepancy(codes)

    def sample(self, num_images: int, *, seed: int | None = None) -> Float[Tensor, "n c h w"]:
        """New images: a code from the prior, decoded; no gradient is kept.

        Args:
            num_images: how many; they are decoded in blocks.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        return self.decode_all(self._draw(self.prior, num_images, seed))
