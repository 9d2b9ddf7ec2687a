"""The nodes and arrows of a schematic, drawn where they are told to be, in inches."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Patch, Polygon, Rectangle
from torch import Tensor

SHAPES = ("box", "circle", "observed", "narrowing", "widening", "text")
HEIGHT = 0.46  # inches, at least, of a node
PICTURE = 0.6  # inches, side of a picture
WIDE_END, NARROW_END = 0.68, 0.4  # inches, sides of a network
MARGIN = 0.16  # inches round words
TEXT, SMALL = 11.5, 10.5  # points, in a node and beside an arrow
PLAIN, SHADED = 0.08, 0.35  # share of a node's colour in its filling

Point = tuple[float, float]


def draw_shape(ax: Axes, shape: str, centre: Point, words: str, colour: str) -> Patch:
    """Draw one of ``SHAPES`` round some words; arrows end at the patch that it returns."""
    x, y = centre
    text = ax.text(x, y, words, ha="center", va="center", fontsize=TEXT, color="black", zorder=4)
    extent = text.get_window_extent()
    wide, high = (side / ax.figure.dpi for side in (extent.width, extent.height))
    width, height = max(wide + MARGIN, HEIGHT), max(high + MARGIN, HEIGHT)
    share = SHADED if shape == "observed" else PLAIN
    style: dict[str, Any] = {"facecolor": tint(colour, share), "edgecolor": colour}
    style |= {"linewidth": 1.8, "zorder": 3, "clip_on": False}
    patch: Patch
    if shape in ("circle", "observed"):
        round_width = HEIGHT if wide < HEIGHT - MARGIN / 2 else 1.2 * wide + MARGIN
        patch = Ellipse(centre, round_width, max(1.4 * high, HEIGHT), **style)
    elif shape in ("narrowing", "widening"):
        left, right = WIDE_END / 2, NARROW_END / 2
        if shape == "widening":
            left, right = right, left
        half = width / 2
        corners = [(-half, -left), (-half, left), (half, right), (half, -right)]
        patch = Polygon([(x + dx, y + dy) for dx, dy in corners], closed=True, **style)
    else:
        if shape == "text":
            style |= {"edgecolor": "none", "facecolor": "none"}
            width, height = wide + MARGIN / 2, high + MARGIN / 2
        corner = (x - width / 2, y - height / 2)
        patch = FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.07")
        patch.set(**style)
    ax.add_patch(patch)
    return patch


def draw_picture(
    ax: Axes, picture: Float[Tensor, "1 h w"], centre: Point, words: str, colour: str
) -> Patch:
    """Draw a framed picture with words below it."""
    x, y = centre
    half = PICTURE / 2
    extent = (x - half, x + half, y - half, y + half)
    pixels = picture[0].detach().cpu().to(torch.float32).clamp(0, 1).numpy()
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=extent, zorder=3).set_clip_on(False)
    frame = Rectangle((extent[0], extent[2]), PICTURE, PICTURE, fill=False, edgecolor=colour)
    frame.set(linewidth=1.8, zorder=3, clip_on=False)
    ax.add_patch(frame)
    text = ax.text(x, y - half - 0.04, words, ha="center", va="top", fontsize=TEXT, zorder=4)
    below = text.get_window_extent().height / ax.figure.dpi + 0.06 if words else 0.0
    whole = Rectangle(
        (extent[0], extent[2] - below), PICTURE, PICTURE + below, fill=False, ec="none"
    )
    ax.add_patch(whole)
    return whole


def draw_arrow(
    ax: Axes,
    ends: tuple[Point, Point],
    patches: tuple[Patch, Patch],
    *,
    bow: float,
    dashed: bool,
    label: str,
    colour: str,
) -> None:
    """Draw an arrow from one patch to another.

    Args:
        ax: where.
        ends: the centres of the two.
        patches: their outlines.
        bow: inches that it leaves the straight line, to the right as seen along it.
        dashed: or solid.
        label: words at its middle.
        colour: of the line.
    """
    (x, y), (to_x, to_y) = ends
    dx, dy = to_x - x, to_y - y
    length = float(np.hypot(dx, dy))
    line = FancyArrowPatch(
        *ends,
        patchA=patches[0],
        patchB=patches[1],
        shrinkA=1,
        shrinkB=1,
        connectionstyle=f"arc3,rad={2 * bow / length}",
        arrowstyle="-|>",
        mutation_scale=11,
        linewidth=1.6,
        linestyle=(0, (3.5, 2)) if dashed else "-",
        color=colour,
        zorder=2,
        clip_on=False,
    )
    ax.add_patch(line)
    if not label:
        return
    x, y = x + dx / 2 + bow * dy / length, y + dy / 2 - bow * dx / length
    style: dict[str, Any] = {"ha": "left", "va": "center"}
    if abs(dx) > abs(dy):
        below = bow > 0 and dx > 0
        y += -0.05 if below else 0.05
        style = {"ha": "center", "va": "top" if below else "bottom"}
    else:
        x += 0.07
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    ax.text(x, y, label, fontsize=SMALL, color="black", zorder=5, bbox=box, **style)


def tint(colour: str, share: float) -> tuple[float, float, float]:
    """The colour mixed with white."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue
