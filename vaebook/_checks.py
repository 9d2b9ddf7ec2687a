"""Checks of what users hand in: an error says what was given, what was expected, what to do.

Types, shapes and dtypes cost nothing to check. Looking at the *values* of a tensor makes a
processor wait for its accelerator, so inside :func:`already_checked`, and in what ``torch.compile``
or ``torch.export`` traces, values are taken on trust.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral, Real

import torch
from torch import Tensor

_already_checked: ContextVar[bool] = ContextVar("already_checked", default=False)
COLOURS = (1, 3, 4)  # channels of grey pictures, of colour, and of colour with transparency


@contextmanager
def already_checked() -> Iterator[None]:
    """Within the block, values are not looked at again: somebody has checked all the data once.

    It holds for the thread that entered it. Shapes, types and settings are checked all the same.
    """
    token = _already_checked.set(True)
    try:
        yield
    finally:
        _already_checked.reset(token)


def values_are_checked() -> bool:
    """Whether the values of tensors must not be looked at now."""
    return torch.compiler.is_compiling() or _already_checked.get()


def check_finite(name: str, value: Tensor) -> None:
    """Raise a ``ValueError`` if ``value`` holds a NaN or an infinity."""
    if values_are_checked():
        return
    finite = torch.isfinite(value)
    if not finite.all():
        bad = int((~finite).sum())
        raise ValueError(
            f"{name} holds {bad} values that are NaN or infinite (of {value.numel()}); "
            "expected finite numbers. Look for a division by zero or a loss that blew up."
        )


def check_images(
    images: Tensor,
    image_shape: tuple[int, int, int] | None = None,
    *,
    dtype: torch.dtype | None = None,
    name: str = "images",
) -> None:
    """Raise a ``ValueError`` unless ``images`` is a float tensor ``[n, c, h, w]`` in [0, 1].

    Args:
        images: what the user gave.
        image_shape: the ``(c, h, w)`` that a model was built for, or ``None`` for any.
        dtype: the type that a model computes in, or ``None`` for any floats.
        name: how the message calls the argument.
    """
    if not isinstance(images, Tensor):
        raise ValueError(
            f"{name} is a {type(images).__name__}; expected a torch tensor [n, c, h, w]. "
            f"{how_to_convert(images)}"
        )
    if images.ndim != 4:
        raise ValueError(
            f"{name} has shape {tuple(images.shape)}; expected four dimensions [n, c, h, w]. "
            "Add a batch dimension with images[None] or a channel with images[:, None]."
        )
    _check_order(images, image_shape, name)
    if not images.is_floating_point():
        raise ValueError(
            f"{name} has dtype {images.dtype}; expected floats in [0, 1]. "
            "For bytes use images.float() / 255."
        )
    if dtype is not None and images.dtype != dtype:
        raise ValueError(
            f"{name} has dtype {images.dtype}; this model computes in {dtype}. "
            f"Convert the images with images.to({dtype})."
        )
    if image_shape is not None and tuple(images.shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"{name} has image shape {tuple(images.shape[1:])}; this model expects "
            f"{tuple(image_shape)}. Resize the images or build the model with their shape."
        )
    if images.numel() == 0:
        raise ValueError(f"{name} is empty (shape {tuple(images.shape)}); give at least one image.")
    if values_are_checked():
        return
    low, high = images.detach().aminmax()
    # One comparison for range and NaN: a NaN makes it false.
    if not (low >= 0.0 and high <= 1.0):
        check_finite(name, images)
        raise ValueError(
            f"{name} lies in [{low.item():.3g}, {high.item():.3g}]; expected values in [0, 1]. "
            "Divide bytes by 255, and undo any standardisation."
        )


def _check_order(images: Tensor, image_shape: tuple[int, int, int] | None, name: str) -> None:
    """Refuse pictures whose channels come last, where that is beyond doubt."""
    channels, height, width = images.shape[1:]
    turned = (width, channels, height)
    if channels_last((channels, height, width)) or (
        image_shape is not None and turned == tuple(image_shape) != tuple(images.shape[1:])
    ):
        raise ValueError(
            f"{name} has shape {tuple(images.shape)}, with its channels at the end; expected "
            f"[n, c, h, w]. Turn them round with {name}.permute(0, 3, 1, 2)."
        )


def channels_last(shape: tuple[int, int, int]) -> bool:
    """Whether ``shape`` is surely (height, width, channels)."""
    return shape[2] in COLOURS and min(shape[:2]) > max(COLOURS)


def check_tensor(name: str, value: Tensor, *, floats: bool = False) -> None:
    """Raise a ``ValueError`` unless ``value`` is a tensor; with ``floats``, one of floats."""
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{name} is {_shown(value)}; expected a torch tensor. {how_to_convert(value)}"
        )
    if floats and not value.is_floating_point():
        raise ValueError(
            f"{name} has dtype {value.dtype}; expected floats. Convert it with {name}.float()."
        )


def how_to_convert(value: object) -> str:
    """What makes a tensor of what was given, as the last sentence of a message."""
    if hasattr(value, "to_numpy"):  # pandas, whose objects torch does not take
        return 'Convert it with torch.tensor(data.to_numpy("float32", na_value=float("nan"))).'
    if isinstance(value, list | tuple) and value and all(isinstance(v, Tensor) for v in value):
        return "Put them together with torch.stack."
    return "Convert it with torch.as_tensor."


def check_codes(codes: Tensor, latent_dim: int, *, name: str = "codes") -> None:
    """Raise a ``ValueError`` unless ``codes`` is a finite float tensor ``[n, latent_dim]``."""
    if not isinstance(codes, Tensor) or codes.ndim != 2 or codes.shape[1] != latent_dim:
        shape = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
        raise ValueError(
            f"{name} is {shape}; expected a tensor [n, {latent_dim}], one row per image. "
            "Add a batch dimension with codes[None], or check the model's latent_dim."
        )
    check_tensor(name, codes, floats=True)
    check_finite(name, codes)


def check_positive(name: str, value: float) -> None:
    """Raise a ``ValueError`` unless ``value`` is a finite number above zero."""
    if not (_is_number(value) and math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {_shown(value)}; expected a finite number above 0.")


def check_weight(name: str, value: float, what: str = "a number") -> None:
    """Raise a ``ValueError`` unless ``value`` is a number of at least 0."""
    if not (_is_number(value) and value >= 0):
        raise ValueError(f"{name} is {_shown(value)}; expected {what} of at least 0.")


def check_share(name: str, value: float) -> None:
    """Raise a ``ValueError`` unless ``value`` is a number of at least 0 and below 1."""
    if not (_is_number(value) and 0 <= value < 1):
        raise ValueError(f"{name} is {_shown(value)}; expected a share of at least 0 and below 1.")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise a ``ValueError`` unless ``value`` is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        listed = f"one of {sorted(choices)}"
        if len(choices) == 2:
            listed = " or ".join(repr(choice) for choice in sorted(choices))
        raise ValueError(f"{name} is {_shown(value)}; expected {listed}.")


def _is_number(value: object) -> bool:
    """Whether ``value`` is a real number: of Python, of numpy, or alone in a tensor."""
    if isinstance(value, Tensor):
        return value.ndim == 0 and not value.is_complex()
    return isinstance(value, Real)


def _shown(value: object) -> str:
    """``value`` as a message shows it, in a line."""
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def check_count(name: str, value: int, *, minimum: int = 1) -> None:
    """Raise a ``ValueError`` unless ``value`` is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} is {value!r}; expected an integer of at least {minimum}.")


def check_same_shape(**tensors: Tensor) -> None:
    """Raise a ``ValueError`` unless all that is named are tensors of one shape."""
    for name, value in tensors.items():
        check_tensor(name, value)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    if len(set(shapes.values())) > 1:
        given = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes differ: {given}; expected the same shape for each.")
