"""How sharp images are: gradient energy and the power spectrum."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.metrics._inputs import as_images, as_pixels, in_blocks


def sharpness(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean squared difference between neighbouring pixels, summed over both directions.

    Blur lowers it; noise raises it as much as edges do, so compare it with that of real images
    and never read it alone.

    Raises:
        ValueError: if they are no images in [0, 1] of at least 2×2 pixels.
    """
    images = as_images("images", images)
    _check_size("images", images)
    return gradient_energy(images)


def gradient_energy(values: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """:func:`sharpness` of anything, such as a difference of images; a quadratic form.

    Being the squared norm of a linear map, it splits over conditional means as squared error does
    (chapter 10).

    Raises:
        ValueError: if they are no finite ``[n, c, h, w]`` of at least 2×2 pixels.
    """
    values = as_pixels("values", values)
    _check_size("values", values)
    down = (values[..., 1:, :] - values[..., :-1, :]) ** 2
    right = (values[..., :, 1:] - values[..., :, :-1]) ** 2
    return down.mean((-3, -2, -1)) + right.mean((-3, -2, -1))


def relative_sharpness(images: Float[Tensor, "n c h w"], real: Float[Tensor, "m c h w"]) -> float:
    """Mean sharpness of ``images`` divided by that of ``real`` ones: 1 is as sharp as real.

    Args:
        images: what a model makes.
        real: images to compare with; the very ones that were reconstructed, if they were.

    Raises:
        ValueError: if either are no images, or the real ones have no edges at all.
    """
    images, real = as_images("images", images).detach(), as_images("real", real).detach()
    for name, given in (("images", images), ("real", real)):
        _check_size(name, given)
    reference = float(sharpness(real).mean())
    if reference == 0:
        raise ValueError(
            "real holds constant images, whose sharpness is 0, and nothing is relative to it; "
            "expected images with edges."
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
    images = as_images("images", images)
    _check_square("images", images)
    return spectral_energy(images)


def spectral_energy(values: Float[Tensor, "n c h w"]) -> Float[Tensor, " k"]:
    """:func:`power_spectrum` of anything square, such as a difference of images.

    Raises:
        ValueError: if the values are not square.
    """
    values = as_pixels("values", values)
    _check_square("values", values)
    size = values.shape[-1]
    frequency = torch.fft.fftfreq(size, 1 / size, device=values.device)
    radius = torch.hypot(frequency[:, None], frequency[None, :]).round().long().flatten()
    blocks = in_blocks(values, values[0].numel())
    power = [torch.fft.fft2(part, norm="ortho").abs().square().sum((0, 1)) for part in blocks]
    mean_power = (torch.stack(power).sum(0) / (len(values) * values.shape[1])).flatten()
    count = torch.bincount(radius)
    total = mean_power.new_zeros(len(count)).index_add(0, radius, mean_power)
    return (total / count)[: size // 2 + 1]


def _check_size(name: str, values: Float[Tensor, "n c h w"]) -> None:
    if min(values.shape[-2:]) < 2:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; expected at least 2×2 pixels, since "
            "sharpness is what differs between neighbours."
        )


def _check_square(name: str, values: Float[Tensor, "n c h w"]) -> None:
    height, width = values.shape[-2:]
    if height != width:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}, pictures of {height}×{width}; expected "
            "square ones, since the spectrum is radial. Crop or pad them."
        )
