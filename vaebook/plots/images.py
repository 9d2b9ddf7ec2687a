"""Images in grids."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn import functional as F

from vaebook._checks import check_count


def image_grid(
    images: Float[Tensor, "n c h w"], *, num_columns: int, gap: int = 2
) -> Float[Tensor, "H W *c"]:
    """All images in one, row by row, with ``gap`` white pixels between them.

    Args:
        images: grey ones, or colours in three channels: red, green, blue.
        num_columns: images in a row.
        gap: pixels.

    Returns:
        ``[H, W]``, or ``[H, W, 3]`` where there are colours.

    Raises:
        ValueError: if there are no images, or they are neither grey nor in three colours.
    """
    check_count("num_columns", num_columns)
    check_count("gap", gap, minimum=0)
    _check_shown(images)
    num_rows = math.ceil(len(images) / num_columns)
    padded = F.pad(images.detach().cpu(), (0, gap, 0, gap), value=1.0)
    blank = padded.new_ones(num_rows * num_columns - len(padded), *padded.shape[1:])
    tiles = torch.cat([padded, blank]).unflatten(0, (num_rows, num_columns))  # [r, k, c, h, w]
    grid = tiles.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)[: -gap or None, : -gap or None]
    return grid.squeeze(2)


def _check_shown(images: object) -> None:
    if not isinstance(images, Tensor):
        raise ValueError(
            f"images is a {type(images).__name__}; expected a torch tensor [n, c, h, w]. Convert "
            "it with torch.as_tensor."
        )
    shape = tuple(images.shape)
    if images.ndim != 4 or not images.numel():
        cure = " Use images[None] for a single one." if images.ndim == 3 else ""
        raise ValueError(
            f"images have shape {shape}; expected one or more, [n, 1, h, w] for grey or "
            f"[n, 3, h, w] for colour.{cure}"
        )
    if images.shape[1] not in (1, 3):
        cure = "show one channel with images[:, :1]"
        if images.shape[3] in (1, 3):
            cure = "turn them round with images.permute(0, 3, 1, 2)"
        raise ValueError(
            f"images have shape {shape}, and so {shape[1]} channels; expected 1 for grey or 3 for "
            f"colour: {cure}."
        )
    if not images.is_floating_point():
        raise ValueError(
            f"images have dtype {images.dtype}; expected floats in [0, 1]. For bytes use "
            "images.float() / 255."
        )


def show_images(
    images: Float[Tensor, "n c h w"],
    *,
    num_columns: int = 8,
    row_labels: Sequence[str] = (),
    title: str = "",
    ax: Axes | None = None,
    scale: float = 0.7,
) -> Axes:
    """Draw images in a grid: on a grey scale from 0 (black) to 1 (white), or in colour.

    Args:
        images: in [0, 1], with one channel, or three for red, green and blue; values outside are
            clipped.
        num_columns: images in a row.
        row_labels: a label for each row, to its left.
        title: title of the axes.
        ax: where to draw; a new figure by default.
        scale: inches per image in a new figure.

    Raises:
        ValueError: if there are no images, or they are neither grey nor in three colours.
    """
    grid = image_grid(images, num_columns=num_columns)
    num_rows = math.ceil(len(images) / num_columns)
    if ax is None:
        _, ax = plt.subplots(figsize=(num_columns * scale, num_rows * scale))
    ax.imshow(grid.clamp(0, 1).float().numpy(), cmap="gray", vmin=0, vmax=1)
    ax.set_xticks([])
    ax.grid(False)
    if row_labels:
        if len(row_labels) != num_rows:
            raise ValueError(
                f"{len(row_labels)} row labels for {num_rows} rows; expected one each."
            )
        height = grid.shape[0] / num_rows
        ax.set_yticks([height * (row + 0.5) for row in range(num_rows)], list(row_labels))
        ax.tick_params(axis="y", length=0)
    else:
        ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    if title:
        ax.set_title(title)
    return ax
