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
    down = (images[..., 1:, :] - images[..., :-1, :]) ** 2
    right = (images[..., :, 1:] - images[..., :, :-1]) ** 2
    return down.mean((-3, -2, -1)) + right.mean((-3, -2, -1))


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
    size = images.shape[-1]
    if images.shape[-2] != size:
        raise ValueError(
            f"images are {images.shape[-2]}×{size}; the radial spectrum expects square ones. "
            "Crop or pad them."
        )
    power = torch.fft.fft2(images, norm="ortho").abs() ** 2
    frequency = torch.fft.fftfreq(size, 1 / size, device=images.device)
    radius = torch.hypot(frequency[:, None], frequency[None, :]).round().long().flatten()
    mean_power = power.mean((0, 1)).flatten()
    count = torch.bincount(radius)
    total = mean_power.new_zeros(len(count)).index_add(0, radius, mean_power)
    return (total / count)[: size // 2 + 1]
