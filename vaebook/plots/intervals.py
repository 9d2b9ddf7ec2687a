"""Means with their 95 % intervals: against a number, or one below another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullLocator

from vaebook.plots.tables import number_text

ENDS = ("mean", "low", "high")


def interval_plot(
    ax: Axes,
    rows: pd.DataFrame,
    x: str | Sequence[float],
    *,
    factor: float = 1.0,
    within: tuple[float, float] | None = None,
    **style: Any,
) -> None:
    """Means against ``x`` with their intervals as bars, joined by a line.

    Args:
        ax: where to draw.
        rows: columns ``mean``, ``low`` and ``high``, such as some rows of ``summarise``.
        x: the column of ``rows`` to draw them against, or the values.
        factor: of all three, such as 100 for a share in per cent.
        within: where bars are cut off, such as ``(0, 1)`` for a share.
        style: as for ``Axes.errorbar``.

    Raises:
        ValueError: if a column is missing.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> rows = pd.DataFrame({"d": [2, 4], "mean": [3.0, 5.0], "low": [2, 4], "high": [4, 6]})
        >>> _, ax = plt.subplots()
        >>> interval_plot(ax, rows, "d", marker="o", label="active units")
    """
    mean, bars = _mean_and_bars(rows, factor, within)
    if isinstance(x, str) and x not in rows:
        raise ValueError(f"no column {x!r}; expected one of {list(rows.columns)}.")
    at = np.asarray(rows[x] if isinstance(x, str) else x, float)
    ax.errorbar(at, mean, yerr=bars, **style)


def dot_panel(
    ax: Axes,
    rows: pd.DataFrame,
    names: Mapping[Any, str] | None = None,
    *,
    shift: float = 0.0,
    colour: str | Mapping[Any, str] | None = None,
    factor: float = 1.0,
    within: tuple[float, float] | None = None,
    label: str | None = None,
    **style: Any,
) -> None:
    """Means with their intervals one below another, the first on top; several sets on one panel.

    Args:
        ax: where to draw.
        rows: columns ``mean``, ``low`` and ``high``, one row for each key.
        names: what stands at the left of each row, in order; the index itself by default. A key
            that ``rows`` lacks keeps its place empty.
        shift: how far the dots stand below their line, so that sets do not hide each other.
        colour: of all dots, or of each by its key.
        factor: of all three, such as 100 for a share in per cent.
        within: where bars are cut off, such as ``(0, 1)`` for a share.
        label: what the legend calls this set.
        style: as for ``Axes.errorbar``.

    Raises:
        ValueError: if a column is missing, or two rows have one key.
    """
    if rows.index.has_duplicates:
        raise ValueError(f"two rows are called {rows.index[rows.index.duplicated()][0]!r}.")
    names = names or {key: str(key) for key in rows.index}
    look: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 7} | style
    places = {key: place for place, key in enumerate(names) if key in rows.index}
    colours = colour if isinstance(colour, Mapping) else dict.fromkeys(places, colour)
    for one in dict.fromkeys(colours[key] for key in places):
        keys = [key for key in places if colours[key] == one]
        mean, bars = _mean_and_bars(rows.loc[keys], factor, within)
        at = [places[key] + shift for key in keys]
        ax.errorbar(mean, at, xerr=bars, color=one, label=label, **look)
        label = None  # once
    ax.set_yticks(range(len(names)), list(names.values()))
    ax.set_ylim(len(names) - 0.5, -0.5)


def log_ticks(axis: Axis, ticks: Sequence[float], base: float = 10) -> None:
    """A logarithmic axis with these ticks and no others, written as numbers.

    Args:
        axis: ``ax.xaxis`` or ``ax.yaxis``.
        ticks: where.
        base: of the logarithm.
    """
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log", base=base)
    axis.set_ticks(list(ticks), [f"{tick:g}" if tick < 1 else number_text(tick) for tick in ticks])
    axis.set_minor_locator(NullLocator())


def _mean_and_bars(
    rows: pd.DataFrame, factor: float, within: tuple[float, float] | None
) -> tuple[list[float], np.ndarray]:
    missing = [name for name in ENDS if name not in rows]
    if missing:
        raise ValueError(
            f"no column {missing[0]!r} among {list(rows.columns)}; expected mean, low and high, as "
            "summarise gives them."
        )
    mean, low, high = (factor * rows[name].to_numpy(float) for name in ENDS)
    if within is not None:
        low, high = (np.clip(end, *within) for end in (low, high))
    return mean.tolist(), np.clip([mean - low, high - mean], 0, None)
