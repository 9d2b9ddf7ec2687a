"""Sharpness and the power spectrum on images whose values are known by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from torch.nn import functional as F

from tests.properties import a_few, seeds, uniform
from vaebook.data import load_fashion
from vaebook.metrics import power_spectrum, relative_sharpness, sharpness


def picture(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def test_known_images() -> None:
    assert sharpness(torch.full((1, 1, 5, 7), 0.3)).item() == 0.0
    checkerboard = picture([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert sharpness(checkerboard).item() == 2.0, "every neighbour differs by 1, both ways"
    stripes = picture([[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    assert sharpness(stripes).item() == 1.0
    ramp = picture([[0.0, 0.25, 0.5, 0.75, 1.0]] * 2)
    assert sharpness(ramp).item() == pytest.approx(0.25**2)


def test_it_in_numpy_with_colours() -> None:
    images = uniform(0, 6, 3, 5, 7)
    down, right = (np.diff(images.numpy(), axis=axis) ** 2 for axis in (2, 3))
    expected = down.mean((1, 2, 3)) + right.mean((1, 2, 3))
    np.testing.assert_allclose(sharpness(images), expected)


def test_blur_lowers_it_and_noise_raises_it() -> None:
    images = load_fashion().test.images[:50]
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1)
    generator = torch.Generator().manual_seed(0)
    noisy = (images + 0.2 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    assert (sharpness(blurred) < sharpness(images)).all()
    assert (sharpness(noisy) > sharpness(images)).float().mean() > 0.9


@a_few
@given(seeds)
def test_it_does_not_depend_on_where_or_which_way(seed: int) -> None:
    images = uniform(seed, 3, 1, 6, 6)
    for other in (images.flip(-1), images.flip(-2), images.mT, 1 - images):
        torch.testing.assert_close(sharpness(other), sharpness(images))


def test_a_wave_has_its_power_at_its_frequency() -> None:
    size = 16
    for frequency in range(1, size // 2):
        wave = 0.5 + 0.5 * torch.cos(2 * math.pi * frequency * torch.arange(size) / size)
        spectrum = power_spectrum(wave.double().expand(1, 1, size, size))
        assert spectrum.shape == (size // 2 + 1,)
        assert spectrum[1:].argmax() == frequency - 1
        rest = spectrum.clone()
        rest[[0, frequency]] = 0
        # the wave itself was computed in single precision
        assert rest.max() < 1e-10
        # the squared amplitude: |0.25 · 256|² · 2 waves / 256, over the pixels of that radius
        grid = np.fft.fftfreq(size, 1 / size)
        radius = np.rint(np.hypot(grid[:, None], grid[None, :]))
        expected = 2 * (0.25 * size**2) ** 2 / size**2 / (radius == frequency).sum()
        assert spectrum[frequency].item() == pytest.approx(expected, rel=1e-5)


def test_brightness_is_at_zero() -> None:
    spectrum = power_spectrum(torch.full((2, 3, 8, 8), 0.5))
    assert spectrum[0].item() == pytest.approx((0.5 * 64) ** 2 / 64)
    assert spectrum[1:].abs().max() < 1e-10


def test_no_power_is_lost() -> None:
    """NumPy's transform, averaged over rings; and Parseval: all power is the sum of squares."""
    images = uniform(0, 4, 2, 9, 9)
    power = np.abs(np.fft.fft2(images.numpy())) ** 2 / 81
    grid = np.fft.fftfreq(9, 1 / 9)
    radius = np.rint(np.hypot(grid[:, None], grid[None, :])).astype(int)
    expected = [power.mean((0, 1))[radius == k].mean() for k in range(5)]
    np.testing.assert_allclose(power_spectrum(images), expected)
    assert power.sum() == pytest.approx((images**2).sum().item())


def test_white_noise_is_flat() -> None:
    spectrum = power_spectrum(uniform(0, 2_000, 1, 16, 16))
    # uniform numbers have variance 1/12; 2,000 images of 4 to 50 frequencies: about 2 % and less
    torch.testing.assert_close(spectrum[1:], torch.full((8,), 1 / 12).double(), rtol=0.06, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions(dtype: torch.dtype) -> None:
    assert power_spectrum(uniform(0, 2, 1, 8, 8).to(dtype)).dtype == dtype
    assert sharpness(uniform(0, 2, 1, 8, 8).to(dtype)).dtype == dtype


def test_wrong_input_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="pictures of 8×6; expected square ones"):
        power_spectrum(uniform(0, 2, 1, 8, 6))
    for measure in (sharpness, power_spectrum):
        with pytest.raises(ValueError, match="expected four dimensions"):
            measure(uniform(0, 8, 8))
        with pytest.raises(ValueError, match="Divide bytes by 255"):
            measure(255 * uniform(0, 2, 1, 8, 8))


@pytest.mark.parametrize("name", ["images", "real"])
def test_pictures_too_small_for_an_edge_are_named(name: str) -> None:
    given = {"images": uniform(0, 2, 1, 8, 8), "real": uniform(1, 2, 1, 8, 8)}
    with pytest.raises(ValueError, match=rf"^{name} "):
        relative_sharpness(**given | {name: uniform(2, 2, 1, 1, 8)})


def test_relative_sharpness_is_a_ratio_of_means() -> None:
    images, real = uniform(0, 3, 2, 5, 7), uniform(1, 9, 2, 5, 7)
    expected = float(sharpness(images).mean() / sharpness(real).mean())
    assert relative_sharpness(images, real) == pytest.approx(expected)
    halved = 0.5 * real  # differences of half the size
    assert relative_sharpness(halved, real) == pytest.approx(0.25)
    faint = 1e-4 * real
    assert relative_sharpness(real, faint) == pytest.approx(1e8, rel=1e-3)
    with pytest.raises(ValueError, match="whose sharpness is 0"):
        relative_sharpness(images, torch.full((2, 1, 4, 4), 0.5))
