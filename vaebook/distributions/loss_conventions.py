"""What a VAE's loss, as a program states it, says about the decoder's σ and about β."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from vaebook._checks import as_image_shape, check_choice, check_count, check_positive

Reconstruction = Literal["squared error", "half squared error", "cross-entropy"]
Reduction = Literal["sum", "mean"]


class LossTranslation(NamedTuple):
    """A loss written as ``scale · (distortion + beta · rate) + constant``, in nats per image.

    With Gaussian pixels σ and β are known jointly only: a larger σ with a smaller β is the same
    loss up to its scale, as long as σ²β stays. ``sigma`` is the σ that goes with β = 1, and
    :meth:`beta_at` the β that goes with any other. Cross-entropy has no σ to trade: its weight is
    ``beta``, and ``sigma`` is what a mid-grey pixel amounts to (√(m(1 − m)) = ½ at β = 1).
    """

    reconstruction: Reconstruction
    pixel_weight: float  # of the squared error (or cross-entropy) summed over all pixels
    kl_weight: float  # of the KL summed over all latent dimensions

    @property
    def sigma(self) -> float:
        """The decoder's standard deviation at β = 1, in units of a pixel."""
        ratio = self.kl_weight / self.pixel_weight
        return math.sqrt(ratio / 4 if self.reconstruction == "cross-entropy" else ratio / 2)

    @property
    def beta(self) -> float:
        """The weight of the rate beside a Gaussian of σ = 1, or beside the cross-entropy."""
        return self.beta_at(1.0)

    def beta_at(self, sigma: float) -> float:
        """The weight of the rate beside a Gaussian of this σ; cross-entropy ignores σ.

        Raises:
            ValueError: if ``sigma`` is not above 0.
        """
        check_positive("sigma", sigma)
        ratio = self.kl_weight / self.pixel_weight
        return ratio if self.reconstruction == "cross-entropy" else ratio / (2 * sigma**2)

    @property
    def scale(self) -> float:
        """What the loss must be divided by to be in nats at β = 1."""
        return self.kl_weight

    def __str__(self) -> str:
        """What the loss says, for a reader."""
        if self.reconstruction == "cross-entropy":
            return (
                f"Cross-entropy in nats with β = {self.beta:.4g}.\n"
                f"On grey pixels like Gaussian ones of σ up to {self.sigma:.3g}, at mid-grey."
            )
        return (
            f"The ELBO of Gaussian pixels with σ = {self.sigma:.3g} (β = 1).\n"
            f"Or σ = 1 with β = {self.beta:.4g}, or σ = 0.1 with β = {self.beta_at(0.1):.4g}."
        )


def translate_loss(
    image_shape: tuple[int, int, int],
    latent_dim: int,
    *,
    reconstruction: Reconstruction = "squared error",
    over_pixels: Reduction = "sum",
    over_latents: Reduction = "sum",
    reconstruction_weight: float = 1.0,
    kl_weight: float = 1.0,
) -> LossTranslation:
    """Translate a VAE's loss into the decoder's σ and the β that it implies.

    The loss is ``reconstruction_weight · reconstruction + kl_weight · KL``, each reduced as
    stated. Both terms are averaged over the batch; where a program sums one of them over the
    batch instead, multiply that term's weight by the batch size.

    Args:
        image_shape: ``(channels, height, width)``, pixels in [0, 1].
        latent_dim: numbers in a code.
        reconstruction: ``"squared error"`` (x − m)², its half, or ``"cross-entropy"``.
        over_pixels: how the reconstruction is reduced over channels and pixels.
        over_latents: how the KL is reduced over the latent dimensions.
        reconstruction_weight: factor in front of the reconstruction, above 0.
        kl_weight: factor in front of the KL, above 0 (batch/N, 0.00025, a β).

    Returns:
        The weights per image, and from them σ and β.

    Raises:
        ValueError: if an option is unknown or a number unusable.

    Source:
        Chapter 07, equations 7.3 to 7.5.
    """
    image_shape = as_image_shape(image_shape)
    check_count("latent_dim", latent_dim)
    check_positive("reconstruction_weight", reconstruction_weight)
    check_positive("kl_weight", kl_weight)
    check_choice("reconstruction", reconstruction, get_args(Reconstruction))
    for name, value in (("over_pixels", over_pixels), ("over_latents", over_latents)):
        check_choice(name, value, get_args(Reduction))
    pixel_weight = reconstruction_weight
    if over_pixels == "mean":
        pixel_weight /= math.prod(image_shape)
    if reconstruction == "half squared error":
        pixel_weight /= 2
    if over_latents == "mean":
        kl_weight /= latent_dim
    return LossTranslation(reconstruction, pixel_weight, kl_weight)


@dataclass(frozen=True)
class LossConvention:
    """A way of writing the loss that is in circulation.

    Args:
        name: what it looks like.
        where: where it is seen.
        reconstruction, over_pixels, over_latents: as in :func:`translate_loss`.
        reconstruction_weight: factor in front of the reconstruction.
        kl_weight: factor in front of the KL; ``"batch/N"`` for the size of the batch by that of
            the training set, ``"1/M"`` for one by the number of pixels.
    """

    name: str
    where: str
    reconstruction: Reconstruction = "squared error"
    over_pixels: Reduction = "sum"
    over_latents: Reduction = "sum"
    reconstruction_weight: float = 1.0
    kl_weight: float | Literal["batch/N", "1/M"] = 1.0

    def kl_weight_for(
        self, image_shape: tuple[int, int, int], batch_size: int, num_images: int
    ) -> float:
        """The factor in front of the KL as a number."""
        pixels = math.prod(image_shape)
        named = {"batch/N": batch_size / num_images, "1/M": 1 / pixels}
        return named[self.kl_weight] if isinstance(self.kl_weight, str) else self.kl_weight

    def translate(
        self, image_shape: tuple[int, int, int], latent_dim: int, batch_size: int, num_images: int
    ) -> LossTranslation:
        """What the convention implies for this data and training, by :func:`translate_loss`."""
        return translate_loss(
            image_shape,
            latent_dim,
            reconstruction=self.reconstruction,
            over_pixels=self.over_pixels,
            over_latents=self.over_latents,
            reconstruction_weight=self.reconstruction_weight,
            kl_weight=self.kl_weight_for(image_shape, batch_size, num_images),
        )


CONVENTIONS: tuple[LossConvention, ...] = (
    LossConvention("half squared error, sum + KL, sum", "unit variance", "half squared error"),
    LossConvention("squared error, sum + KL, sum", "F.mse_loss(reduction='sum')"),
    LossConvention("squared error, mean + KL, sum", "F.mse_loss()", over_pixels="mean"),
    LossConvention("squared error, mean + KL, mean", "torch.mean twice",
                   over_pixels="mean", over_latents="mean"),
    LossConvention("squared error, sum + KL, mean", "torch.mean in the KL alone",
                   over_latents="mean"),
    LossConvention("squared error, mean + KL · batch/N", "PyTorch-VAE, kld_weight",
                   over_pixels="mean", kl_weight="batch/N"),
    LossConvention("squared error, mean + 0.00025 · KL", "PyTorch-VAE, config files",
                   over_pixels="mean", kl_weight=0.00025),
    LossConvention("500 · squared error, mean + KL, sum", "a hand-set r_loss_factor",
                   over_pixels="mean", reconstruction_weight=500.0),
    LossConvention("squared error, mean + KL / M", "all divided by the pixels",
                   over_pixels="mean", kl_weight="1/M"),
    LossConvention("cross-entropy, sum + KL, sum", "pytorch/examples", "cross-entropy"),
    LossConvention("cross-entropy, mean + KL, sum", "keras binary_crossentropy without × 784",
                   "cross-entropy", over_pixels="mean"),
)  # fmt: skip
