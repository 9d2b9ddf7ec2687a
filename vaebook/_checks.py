"""Checks of what users hand in: an error says what was given, what was expected, what to do.

Types, shapes and dtypes cost nothing to check. Looking at the *values* of a tensor makes a
processor wait for its accelerator, so inside :func:`already_checked`, and in what ``torch.compile``
or ``torch.export`` traces, values are taken on trust.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral, Real

import torch
from torch import Tensor
from torch.distributions import Distribution

_already_checked: ContextVar[bool] = ContextVar("already_checked", default=False)
ImageShape = tuple[int, int, int]  # channels, height, width
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


def as_image_shape(shape: Sequence[int]) -> ImageShape:
    """``(channels, height, width)`` as three positive integers, whatever sequence they came in.

    Anything else is refused with a ``ValueError``, and what is surely (height, width, channels).
    """
    if isinstance(shape, Tensor):
        check_tensor("image_shape", shape)
        shape = shape.tolist()
    entries = tuple(shape) if isinstance(shape, Iterable) and not isinstance(shape, str) else ()
    if len(entries) != 3:
        raise ValueError(f"image_shape is {shape!r}; expected (channels, height, width).")
    for name, value in zip(("channels", "height", "width"), entries, strict=True):
        check_count(f"image_shape's {name}", value)
    channels, height, width = (int(value) for value in entries)
    if channels_last((channels, height, width)):
        raise ValueError(
            f"image_shape is {(channels, height, width)}, with the channels at the end; expected "
            f"(channels, height, width) = {(width, channels, height)}, and images [n, c, h, w]: "
            "turn them round with images.permute(0, 3, 1, 2)."
        )
    return channels, height, width


def check_tensor(name: str, value: Tensor, *, floats: bool = False) -> None:
    """Raise a ``ValueError`` unless ``value`` is a tensor; with ``floats``, one of floats."""
    if not isinstance(value, Tensor):
        raise ValueError(
            f"{name} is {_shown(value)}; expected a torch tensor. {how_to_convert(value)}"
        )
    if value.layout != torch.strided:
        raise ValueError(
            f"{name} has layout {value.layout}; expected a dense tensor. "
            f"Convert it with {name}.to_dense()."
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


def check_distribution(name: str, value: Distribution) -> None:
    """Raise a ``ValueError`` unless ``value`` is a distribution."""
    if not isinstance(value, Distribution):
        raise ValueError(
            f"{name} is {_shown(value)}; expected a torch.distributions.Distribution, "
            "such as DiagonalGaussian(mu, log_var)."
        )


def check_function(name: str, value: Callable[..., object], what: str) -> None:
    """Raise a ``ValueError`` unless ``value`` can be called; ``what`` says from what to what."""
    if not callable(value):
        raise ValueError(f"{name} is {_shown(value)}; expected a function {what}.")


def check_widths(name: str, value: Sequence[int]) -> None:
    """Raise a ``ValueError`` unless ``value`` is a sequence of layers' widths."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(
            f"{name} is {_shown(value)}; expected the width of each layer, such as (64, 64)."
        )
    for width in value:
        check_count(f"a width of {name}", width)


def kind_of(value: object) -> str:
    """What was given, for a message: a tensor's type and shape, of anything else its class."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return type(value).__name__


def check_table(codes: Tensor, least: int) -> None:
    """Raise a ``ValueError`` unless ``codes`` is a finite table ``[n, d]``, n at least that."""
    check_tensor("codes", codes, floats=True)
    if codes.ndim != 2 or len(codes) < least:
        raise ValueError(
            f"codes is {tuple(codes.shape)}; expected a tensor [n, d] with n of at least {least}. "
            "Encode more images, or give one row per image."
        )
    check_finite("codes", codes)


def check_event(value: Tensor, event_shape: torch.Size, what: str = "") -> None:
    """Raise a ``ValueError`` unless ``value`` ends in as many numbers as the event of a density."""
    if value.shape[-1:] != event_shape:
        raise ValueError(
            f"value has shape {tuple(value.shape)}; expected [..., {event_shape[0]}]{what}."
        )


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
    check_real(name, value, above=0)


def check_real(
    name: str, value: float | Tensor, *, above: float | None = None, below: float | None = None
) -> float:
    """``value`` as a float; a ``ValueError`` unless it is finite and strictly within the bounds."""
    given = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    if (
        isinstance(given, bool)
        or not isinstance(given, Real)
        or not math.isfinite(float(given))
        or (above is not None and float(given) <= above)
        or (below is not None and float(given) >= below)
    ):
        expected = "a finite number"
        if above is not None and below is not None:
            expected += f" between {above:g} and {below:g}"
        elif above is not None:
            expected += f" above {above:g}"
        raise ValueError(f"{name} is {_shown(value)}; expected {expected}.")
    return float(given)


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
