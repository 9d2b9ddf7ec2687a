"""What measures take: tensors, and what holds the same numbers; everything else is refused.

Arrays of numpy, tables of pandas and nested lists become tensors; whole numbers become double
precision, half precision becomes single. Each function raises a ``ValueError`` for what it cannot
take, which names the argument, says what was given, what was expected, and what to do.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_finite, check_images

AT_ONCE = 2**22  # numbers in a block of a matrix of pairs: 16 MiB in single precision


def in_blocks(rows: Float[Tensor, "n *d"], num_columns: int) -> tuple[Tensor, ...]:
    """The rows, a few at a time: a matrix of them by ``num_columns`` numbers stays small."""
    return torch.split(rows, max(1, AT_ONCE // max(1, num_columns)))


def as_tensor(name: str, value: object, expected: str) -> Tensor:
    """A tensor as it is; what else holds numbers, as a tensor of its own."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.layout != torch.strided:
            raise ValueError(
                f"{name} is a tensor of {value.dtype} with layout {value.layout}; expected "
                f"{expected}. Take real numbers, and .to_dense() of a sparse tensor."
            )
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise ValueError(
            f"{name} is a {type(value).__name__} of {array.dtype}; expected {expected}. "
            "Convert it with torch.as_tensor, and a table of mixed columns to numbers first."
        )
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    native = np.dtype("float64") if wide else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=native, order="C"))


def as_floats(name: str, value: object, expected: str) -> Tensor:
    """A float tensor of single or double precision."""
    tensor = as_tensor(name, value, expected)
    if not tensor.is_floating_point():
        return tensor.double()
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor


def as_table(name: str, value: object, *, minimum: int = 1, what: str = "sample") -> Tensor:
    """Finite floats ``[n, d]`` with at least ``minimum`` rows."""
    table = as_floats(name, value, f"a tensor [n, d], a row for each {what}")
    if table.ndim != 2 or len(table) < minimum or table.shape[1] == 0:
        least = f"{minimum} or more" if minimum > 1 else "each"
        raise ValueError(
            f"{name} has shape {tuple(table.shape)}; expected [n, d], a row for {least} "
            f"{what}{'s' * (minimum > 1)}. Flatten each to a row, and give enough of them."
        )
    check_finite(name, table)
    return table


def as_tables(*, minimum: int = 1, what: str = "sample", **sets: object) -> tuple[Tensor, Tensor]:
    """Two tables of one width, on the first one's device, of one type."""
    (first, x), (second, y) = (
        (name, as_table(name, value, minimum=minimum, what=what)) for name, value in sets.items()
    )
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{first} and {second} have shapes {tuple(x.shape)} and {tuple(y.shape)}; expected "
            f"[n, d] and [m, d], as many numbers for each {what}."
        )
    return alike(x, y)


def as_items(name: str, value: object) -> Tensor:
    """Finite floats ``[n, ...]``: one or more images, or rows of features."""
    expected = "[n, ...], an image or a row of features for each item"
    items = as_floats(name, value, f"a tensor {expected}")
    if items.ndim < 2 or items.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(items.shape)}; expected {expected}.")
    check_finite(name, items)
    return items


def as_item_sets(**sets: object) -> tuple[Tensor, Tensor]:
    """Two sets of items of one shape, flattened to rows, on the first one's device, of one type."""
    (first, x), (second, y) = ((name, as_items(name, value)) for name, value in sets.items())
    widths = x[0].numel(), y[0].numel()
    if widths[0] != widths[1] or (x.ndim > 2 and y.ndim > 2 and x.shape[1:] != y.shape[1:]):
        raise ValueError(
            f"{first} has {widths[0]} numbers per item, {second} {widths[1]}: shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}; expected the same of each. "
            "Use images of one size, or features of one network."
        )
    return alike(x.flatten(1), y.flatten(1))


def alike(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the device of the first, in the more precise type of the two."""
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.detach().to(dtype), y.detach().to(x.device, dtype)


def as_vector(name: str, value: object, *, what: str) -> Tensor:
    """Finite floats ``[n]`` with at least one of them."""
    vector = as_floats(name, value, f"a tensor [n], {what}")
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(
            f"{name} has shape {tuple(vector.shape)}; expected {what}, [n]. "
            "Take one column, such as values[:, 0]."
        )
    check_finite(name, vector)
    return vector.detach()


def as_images(
    name: str, value: object, image_shape: tuple[int, int, int] | None = None
) -> Float[Tensor, "n c h w"]:
    """Images in [0, 1] as floats of single or double precision."""
    images = as_tensor(name, value, "a tensor [n, c, h, w] of floats in [0, 1]")
    check_images(images, image_shape, name=name)
    return as_floats(name, images, "")


def as_pixels(name: str, value: object) -> Float[Tensor, "n c h w"]:
    """Finite floats ``[n, c, h, w]`` of any range."""
    expected = "[n, c, h, w], one picture or more"
    values = as_floats(name, value, f"a tensor {expected}")
    if values.ndim != 4 or values.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; expected {expected}. "
            "Add a batch dimension with values[None]."
        )
    check_finite(name, values)
    return values
