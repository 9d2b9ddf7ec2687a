"""Drawings of boxes and arrows: what a model consists of, and what flows where."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from vaebook.plots.shapes import SHAPES, Point, draw_arrow, draw_picture, draw_shape
from vaebook.plots.theme import colour_of

MOST_COLUMNS = 6  # what can be read on a phone
WIDTH = 5.1  # inches of a full row
MOST_PITCH = 1.45  # inches from one column to the next, WIDTH / MOST_COLUMNS at least
ROW = 0.95  # inches from one row to the next
ROUND_NODES, BESIDE_ARROW = 0.6, 0.18  # inches that an arrow bows
ARROW = re.compile(r" (->|~>) ")
EMPTY = "."  # a place in a row

Place = tuple[int, int]  # row and column


class Arrow(NamedTuple):
    """One arrow between two nodes."""

    start: str
    end: str
    dashed: bool
    label: str
    colour: str


def schematic(
    rows: Sequence[str],
    nodes: Mapping[str, object],
    arrows: Sequence[str] | Mapping[str, Sequence[str]],
    *,
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw labelled nodes on a grid, and arrows between them.

    Args:
        rows: the names of the nodes, row by row from the top, with spaces between and at most six
            in a row; a dot leaves a place empty. A name has no space in it; an underscore is shown
            as one.
        nodes: how a node looks, where it is no plain box: ``"circle"`` for a random variable,
            ``"observed"`` for one whose value is known (shaded), ``"narrowing"`` and
            ``"widening"`` for networks, ``"text"`` for words alone, or a picture ``[1, h, w]`` in
            [0, 1] with the label below. ``("circle", "prior")`` also gives the colour, by its name
            in ``COLOURS``. A key may hold several names: ``"z ε"``.
        arrows: ``"x -> encoder -> z"`` is a chain of two; ``~>`` instead of ``->`` is a dashed
            one; what follows a colon labels the last. A mapping from colours holds the arrows of
            each (``"data"`` is black). An arrow bows round nodes that are in its way, and beside
            one that goes the other way.
        labels: what stands in a node, or below a picture, where that is not its name.

    Returns:
        The axes of a new figure, in inches.

    Raises:
        ValueError: if a name occurs twice or nowhere, a row is too long, or a look or an arrow
            cannot be read.
        KeyError: if a colour has no name in ``COLOURS``.

    Example:
        >>> ax = schematic(
        ...     ["x encoder z"],
        ...     {"x": "observed", "encoder": "narrowing", "z": ("circle", "posterior")},
        ...     ["x -> encoder ~> z"],
        ... )
    """
    if isinstance(rows, str) or isinstance(arrows, str):
        raise ValueError("rows or arrows are one text; expected lists of texts: put it in [ ].")
    grid = _grid(rows)
    labels = {name: name.replace("_", " ") for name in grid} | dict(labels or {})
    looks = {name: look for names, look in nodes.items() for name in names.split()}
    _check_known([*looks, *labels], grid, "nodes and labels")
    read = _read_arrows(arrows, grid)
    columns = max(len(row.split()) for row in rows)
    pitch = min(WIDTH / columns, MOST_PITCH)
    figure = plt.figure(figsize=(pitch * columns, ROW * len(rows)))
    ax = figure.add_axes((0, 0, 1, 1))
    centres = {name: _middle(place, pitch) for name, place in grid.items()}
    patches = {
        name: _draw_node(ax, name, centre, looks.get(name, "box"), labels[name])
        for name, centre in centres.items()
    }
    for arrow in read:
        draw_arrow(
            ax,
            (centres[arrow.start], centres[arrow.end]),
            (patches[arrow.start], patches[arrow.end]),
            bow=_bow(arrow, read, grid),
            dashed=arrow.dashed,
            label=arrow.label,
            colour=arrow.colour,
        )
    ax.set(xlim=(0, pitch * columns), ylim=(-ROW * (len(rows) - 0.5), ROW / 2), aspect="equal")
    ax.axis("off")
    return ax


def _grid(rows: Sequence[str]) -> dict[str, Place]:
    """The row and column of each name."""
    grid: dict[str, Place] = {}
    for row, text in enumerate(rows):
        names = text.split()
        if len(names) > MOST_COLUMNS:
            raise ValueError(
                f"row {row} has {len(names)} places; expected at most {MOST_COLUMNS}, which a "
                "phone can show. Break it into two rows."
            )
        for column, name in enumerate(names):
            if name in grid:
                raise ValueError(
                    f"two nodes are called {name!r}; expected each name once. Rename one and give "
                    "both the same text in labels."
                )
            if name != EMPTY:
                grid[name] = row, column
    if not grid:
        raise ValueError("rows hold no node; expected one name or more, such as ['x z'].")
    return grid


def _check_known(names: Sequence[str], grid: Mapping[str, object], where: str) -> None:
    unknown = [name for name in names if name not in grid]
    if unknown:
        raise ValueError(
            f"{where} name {unknown[0]!r}; expected one of {list(grid)}. Correct the name, or give "
            "it a place in rows."
        )


def _read_arrows(
    arrows: Sequence[str] | Mapping[str, Sequence[str]], grid: Mapping[str, object]
) -> list[Arrow]:
    coloured = arrows if isinstance(arrows, Mapping) else {"data": arrows}
    texts = [(text, colour) for colour, some in coloured.items() for text in some]
    found: list[Arrow] = []
    for text, colour in texts:
        chain, _, label = text.partition(": ")
        parts = ARROW.split(chain)
        names, kinds = parts[::2], parts[1::2]
        if not kinds:
            raise ValueError(f"no arrow in {text!r}; expected a text such as 'x -> z: label'.")
        _check_known(names, grid, f"the arrow {text!r} does")
        for place, (pair, kind) in enumerate(zip(pairwise(names), kinds, strict=True), start=1):
            if pair[0] == pair[1]:
                raise ValueError(f"{text!r} leads from a node to itself; expected two nodes.")
            last = place == len(kinds)
            found.append(Arrow(*pair, kind == "~>", label if last else "", colour_of(colour)))
    return found


def _draw_node(ax: Axes, name: str, centre: Point, look: object, words: str) -> Patch:
    shape, colour = look if isinstance(look, tuple) else (look, "data")
    if isinstance(shape, Tensor):
        if shape.ndim != 3 or shape.shape[0] != 1:
            raise ValueError(
                f"the picture {name!r} has shape {tuple(shape.shape)}; expected [1, h, w]. Take "
                "one of a batch with images[0]."
            )
        return draw_picture(ax, shape, centre, words, colour_of(colour))
    if shape not in SHAPES:
        raise ValueError(
            f"node {name!r} is {shape!r}; expected one of {SHAPES}, or a picture as a tensor "
            "[1, h, w]."
        )
    return draw_shape(ax, str(shape), centre, words, colour_of(colour))


def _bow(arrow: Arrow, arrows: Sequence[Arrow], grid: Mapping[str, Place]) -> float:
    """Inches by which an arrow leaves the straight line."""
    first, last = grid[arrow.start], grid[arrow.end]
    if any(_between(place, first, last) for place in grid.values()):
        return ROUND_NODES
    opposite = (arrow.end, arrow.start)
    return BESIDE_ARROW if any((one.start, one.end) == opposite for one in arrows) else 0.0


def _between(place: Place, first: Place, last: Place) -> bool:
    """Whether a place of the grid lies on the line between two others."""
    whole, part = (np.subtract(end, first) for end in (last, place))
    on_line = whole[0] * part[1] == whole[1] * part[0]
    return bool(on_line and 0 < part @ whole < whole @ whole)


def _middle(place: Place, pitch: float) -> Point:
    """Where a place of the grid lies, in inches."""
    return pitch * (place[1] + 0.5), -ROW * place[0]
