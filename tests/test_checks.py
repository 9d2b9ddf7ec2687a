"""What users hand in by mistake: each message says what was given, expected, and what to do."""

import numpy as np
import pytest
import torch

from vaebook._checks import (
    check_codes,
    check_count,
    check_finite,
    check_images,
    check_positive,
    check_same_shape,
)

GOOD = torch.rand(2, 1, 4, 4)


def with_pixel(value: float) -> torch.Tensor:
    images = GOOD.clone()
    images[0, 0, 0, 0] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GOOD.numpy(), r"is a ndarray; expected a torch tensor.*torch.as_tensor"),
        ([[0.0]], r"is a list; expected a torch tensor"),
        (GOOD[0], r"shape \(1, 4, 4\); expected four dimensions.*images\[None\]"),
        ((255 * GOOD).byte(), r"dtype torch.uint8; expected floats.*images.float\(\) / 255"),
        (GOOD.bool(), r"dtype torch.bool; expected floats"),
        (GOOD[:0], r"is empty \(shape \(0, 1, 4, 4\)\)"),
        (255 * torch.ones(2, 1, 4, 4), r"lies in \[255, 255\]; expected values in \[0, 1\]"),
        (with_pixel(-0.01), r"lies in \[-0.01, .*undo any standardisation"),
        (with_pixel(float("nan")), r"holds 1 values that are NaN or infinite \(of 32\)"),
        (with_pixel(float("inf")), r"holds 1 values that are NaN or infinite"),
    ],
)
def test_images(images: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_images(images)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^validation "):
        check_images(images, name="validation")  # type: ignore[arg-type]


def test_images_that_are_fine() -> None:
    check_images(GOOD)
    check_images(GOOD.double(), (1, 4, 4))
    check_images(GOOD.half())
    check_images(torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)]), dtype=torch.float32)
    check_images(GOOD.clone().requires_grad_())


def test_images_for_a_model() -> None:
    with pytest.raises(
        ValueError, match=r"image shape \(1, 4, 4\); this model expects \(3, 4, 4\)"
    ):
        check_images(GOOD, (3, 4, 4))
    with pytest.raises(ValueError, match=r"float64; this model computes in torch.float32. Convert"):
        check_images(GOOD.double(), dtype=torch.float32)


def test_codes() -> None:
    check_codes(torch.zeros(2, 3), 3)
    for bad, given in (
        (torch.zeros(3), r"\(3,\)"),
        (torch.zeros(2, 4), r"\(2, 4\)"),
        ([0], "list"),
    ):
        with pytest.raises(ValueError, match=rf"codes is {given}; expected a tensor \[n, 3\]"):
            check_codes(bad, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codes holds 3 values"):
        check_codes(torch.full((1, 3), float("inf")), 3)


def test_finite() -> None:
    check_finite("loss", torch.zeros(3))
    with pytest.raises(ValueError, match=r"loss holds 2 values that are NaN or infinite \(of 3\)"):
        check_finite("loss", torch.tensor([0.0, float("nan"), float("-inf")]))


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_positive(bad: float) -> None:
    check_positive("sigma", 1e-9)
    with pytest.raises(ValueError, match=r"sigma is .*; expected a finite number above 0"):
        check_positive("sigma", bad)


def test_counts() -> None:
    check_count("n", 1)
    check_count("n", 0, minimum=0)
    check_count("n", np.int64(3))  # type: ignore[arg-type]
    for bad in (0, -1, 1.0, True, "1", None):
        with pytest.raises(ValueError, match=r"n is .*; expected an integer of at least 1"):
            check_count("n", bad)  # type: ignore[arg-type]


def test_same_shape() -> None:
    check_same_shape(a=torch.zeros(2), b=torch.zeros(2))
    with pytest.raises(ValueError, match=r"shapes differ: a \(2,\), b \(1,\); expected the same"):
        check_same_shape(a=torch.zeros(2), b=torch.zeros(1))
