"""How sharp images are: gradient energy and the power spectrum."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_images


def sharpness(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean squared difference between neighbouring pixels, summed over both directions.

    Blur lowers it; noise raises it as much as edges do, so compare it with that of real images
    and never read it alone.
    """
    check_images(images)
    return gradient_energy(images)


def gradient_energy(values: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """:func:`sharpness` of anything, such as a difference of images; a quadratic form.

    Being the squared norm of a linear map, it splits over conditional means as squared error does
    (chapter 10).
    """
    down = (values[..., 1:, :] - values[..., :-1, :]) ** 2
    right = (values[..., :, 1:] - values[..., :, :-1]) ** 2
    return down.mean((-3, -2, -1)) + right.mean((-3, -2, -1))


def relative_sharpness(images: Float[Tensor, "n c h w"], real: Float[Tensor, "m c h w"]) -> float:
    """Mean sharpness of ``images`` divided by that of ``real`` ones: 1 is as sharp as real.

    Args:
        images: what a model makes.
        real: images to compare with; the very ones that were reconstructed, if they were.

    Raises:
        ValueError: if the real images have no edges at all.
    """
    reference = float(sharpness(real).mean())
    if reference == 0:
        raise ValueError(
            "the real images are constant: their sharpness is 0, and nothing is relative to it. "
            "Give images with edges."
        )
    return float(sharpness(images).mean()) / reference


def power_spectrum(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " k"]:
    """Mean power at each spatial frequency, averaged over images, channels and directions.

    Args:
        images: square images in [0, 1].

    Returns:
        Power at 0, 1, …, w//2 cycles per image width. Each image's mean brightness is at 0.

    Raises:
        ValueError: if the images are not square.
    """
    check_images(images)
    return spectral_energy(images)


def spectral_energy(values: Float[Tensor, "n c h w"]) -> Float[Tensor, " k"]:
    """:func:`power_spectrum` of anything square, such as a difference of images.

    Raises:
        ValueError: if the values are not square.
    """
    size = values.shape[-1]
    if values.shape[-2] != size:
        raise ValueError(
            f"images are {values.shape[-2]}×{size}; the radial spectrum expects square ones. "
            "Crop or pad them."
        )
    power = torch.fft.fft2(values, norm="ortho").abs() ** 2
    frequency = torch.fft.fftfreq(size, 1 / size, device=values.device)
    radius = torch.hypot(frequency[:, None], frequency[None, :]).round().long().flatten()
    mean_power = power.mean((0, 1)).flatten()
    count = torch.bincount(radius)
    total = mean_power.new_zeros(len(count)).index_add(0, radius, mean_power)
    return (total / count)[: size // 2 + 1]
