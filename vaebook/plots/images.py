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
    images: Float[Tensor, "n 1 h w"], *, num_columns: int, gap: int = 2
) -> Float[Tensor, "H W"]:
    """All images in one, row by row, with ``gap`` white pixels between them."""
    check_count("num_columns", num_columns)
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"images have shape {tuple(images.shape)}; expected grey [n, 1, h, w].")
    num_rows = math.ceil(len(images) / num_columns)
    padded = F.pad(images.detach()[:, 0], (0, gap, 0, gap), value=1.0)
    blank = padded.new_ones(num_rows * num_columns - len(padded), *padded.shape[1:])
    tiles = torch.cat([padded, blank]).unflatten(0, (num_rows, num_columns))
    return tiles.transpose(1, 2).flatten(0, 1).flatten(1, 2)[: -gap or None, : -gap or None]


def show_images(
    images: Float[Tensor, "n 1 h w"],
    *,
    num_columns: int = 8,
    row_labels: Sequence[str] = (),
    title: str = "",
    ax: Axes | None = None,
    scale: float = 0.7,
) -> Axes:
    """Draw images in a grid, on a grey scale from 0 (black) to 1 (white).

    Args:
        images: grey images in [0, 1]; values outside are clipped.
        num_columns: images in a row.
        row_labels: a label for each row, to its left.
        title: title of the axes.
        ax: where to draw; a new figure by default.
        scale: inches per image in a new figure.
    """
    grid = image_grid(images, num_columns=num_columns)
    num_rows = math.ceil(len(images) / num_columns)
    if ax is None:
        _, ax = plt.subplots(figsize=(num_columns * scale, num_rows * scale))
    ax.imshow(grid.clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1)
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
