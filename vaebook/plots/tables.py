"""Numbers and tables as the book prints them."""

import html
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

NOTHING = "–"  # where nothing was measured
MINUS = "\N{MINUS SIGN}"
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
FEW = 1e-4  # below it, and from MANY on, a number is written with a power of ten
MANY = 1e7


def number_text(value: float, digits: int | None = None) -> str:
    """A number in the book's style: a real minus sign, thousands parted, no exponent of Python's.

    Args:
        value: a number; NaN or an infinity too.
        digits: decimals; three significant digits by default.

    Returns:
        The text, ``"–"`` for NaN.
    """
    if math.isnan(value):
        return NOTHING
    value = float(f"{value:.12g}")  # a tie is one on every processor
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if digits is None:
        size = abs(value)
        if size and not FEW <= size < MANY:
            mantissa, exponent = f"{value:.1e}".split("e")
            power = str(int(exponent)).translate(SUPERSCRIPTS)
            return f"{mantissa} × 10{power}".replace("-", MINUS)
        if float(value).is_integer():
            digits = 0
        else:
            digits = max(0, 2 - math.floor(math.log10(float(f"{size:.3g}"))))
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")  # no −0
    return text.replace("-", MINUS)


def interval_text(
    mean: float, low: float, high: float, digits: int | None = None, *, factor: float = 1.0
) -> str:
    """A mean with its 95 % interval: "64 ± 6" where it lies even, else "0.83 (0.74 to 0.93)".

    Args:
        mean: the value.
        low: lower end of its interval.
        high: upper end.
        digits: decimals; by default as many as give the interval two significant digits.
        factor: of all three, such as 100 for a share in per cent.
    """
    mean, low, high = (factor * float(value) for value in (mean, low, high))
    if math.isnan(mean):
        return NOTHING
    half = (high - low) / 2
    if digits is None:
        scale = half if half > 0 and math.isfinite(half) else max(abs(mean), 1.0)
        digits = min(6, max(0, 1 - math.floor(math.log10(scale))))
    if math.isnan(half):
        return number_text(mean, digits)
    if abs((high + low) / 2 - mean) <= 0.01 * half:
        return f"{number_text(mean, digits)} ± {number_text(half, digits)}"
    ends = f"{number_text(low, digits)} to {number_text(high, digits)}"
    return f"{number_text(mean, digits)} ({ends})"


def summary_text(
    row: Mapping[Any, Any] | pd.Series, digits: int | None = None, *, factor: float = 1.0
) -> str:
    """:func:`interval_text` of a row of ``summarise``, with its ``mean``, ``low`` and ``high``."""
    return interval_text(row["mean"], row["low"], row["high"], digits, factor=factor)


def unbroken(text: str) -> str:
    """Text for a page, escaped, in which a number is not parted from its ± or its unit."""
    return (
        html.escape(text)
        .replace(" ± ", "&nbsp;±&nbsp;")
        .replace(" %", "&nbsp;%")
        .replace(" × 10", "&nbsp;×&nbsp;10")
    )


class Table:
    """A table that reads well as text and on a page; made by :func:`table`."""

    def __init__(self, label: str, corner: list[str], headings: list[str], rows: list[list[str]]):
        self.label = label
        self.corner = corner  # headings of the columns that name a row
        self.headings = headings
        self.rows = rows  # texts, the names of the row first

    def __repr__(self) -> str:
        lines = [[*self.corner, *self.headings], *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        names = len(self.corner)
        return "\n".join(
            "  ".join(
                text.ljust(width) if place < names else text.rjust(width)
                for place, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        names = len(self.corner)
        of_words = [
            ' class="words"'
            if all(text[:1].isalpha() or text == NOTHING for text in column)
            else ""
            for column in zip(*self.rows, strict=True)
        ]
        titles = zip(of_words, (*self.corner, *self.headings), strict=True)
        head = "".join(f'<th scope="col"{kind}>{unbroken(text)}</th>' for kind, text in titles)
        body = []
        for row in self.rows:
            cells = [f'<th scope="row">{unbroken(text)}</th>' for text in row[:names]]
            for kind, text in zip(of_words[names:], row[names:], strict=True):
                cells.append(f"<td{kind}>{unbroken(text)}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>")
        return (
            f'<div class="table-scroll" role="region" tabindex="0" '
            f'aria-label="{html.escape(self.label)}">\n<table class="records">\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>"
            "\n</div>"
        )


def _cell_text(value: Any, digits: int | None) -> str:
    if isinstance(value, tuple):
        mean, low, high = value
        return interval_text(mean, low, high, digits)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or pd.isna(value):
        return NOTHING
    return number_text(float(value), digits)


def table(
    frame: pd.DataFrame,
    *,
    label: str,
    headings: Mapping[Any, str] | None = None,
    digits: int | Mapping[Any, int] | None = None,
    rows: Mapping[Any, str] | None = None,
    corner: str | None = None,
    percent: Collection[Any] = (),
    means: Collection[Any] = (),
) -> Table:
    """Show a data frame the way the book shows every table. The last line of a cell.

    Args:
        frame: a row for each thing that was measured. Its index names the rows, and the names of
            the index head those columns. A cell is a number, a text, ``(mean, low, high)``, or
            NaN or ``None`` where nothing was measured.
        label: what the table shows, in a few words, for those who hear the page.
        headings: the columns to show, in order, with their headings: words, and a unit. All
            columns under their own names by default.
        digits: decimals, for all columns or by column; three significant digits by default.
        rows: the rows to show, in order, with their names. All under their own by default.
        corner: heading of the column that names the rows.
        percent: columns that hold shares, shown in per cent.
        means: columns whose mean is shown without its interval.

    Returns:
        An object that a notebook shows as a table, with a text of fixed width as its ``repr``.

    Raises:
        ValueError: if a named column or row does not exist, or two rows have one name.

    Example:
        >>> frame = pd.DataFrame({"dogs": [(63.0, 52.0, 74.0), (0.0, 0.0, 0.0)]}, ["VAE", "none"])
        >>> table(frame, label="Share of dogs", headings={"dogs": "dogs (%)"}, digits=0)
              dogs (%)
        VAE    63 ± 11
        none     0 ± 0
    """
    headings = headings or {column: str(column) for column in frame.columns}
    missing = [column for column in headings if column not in frame.columns]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; expected one of {list(frame.columns)}.")
    if frame.index.has_duplicates:
        raise ValueError(f"two rows are called {frame.index[frame.index.duplicated()][0]!r}.")
    corners = [str(name) if name is not None else "" for name in frame.index.names]
    if rows is not None:
        missing = [key for key in rows if key not in frame.index]
        if missing:
            raise ValueError(f"no row {missing[0]!r}; expected one of {list(frame.index)}.")
        frame = frame.loc[list(rows)].set_axis(pd.Index(rows.values()))
        corners = corners[:1]
    if corner is not None:
        corners = [corner]

    def text(column: Any, value: Any) -> str:
        if column in means and isinstance(value, tuple):
            value = value[0]
        if column in percent:
            value = tuple(100 * end for end in value) if isinstance(value, tuple) else 100 * value
        return _cell_text(value, digits.get(column) if isinstance(digits, Mapping) else digits)

    lines = []
    for key, values in zip(frame.index, frame[list(headings)].itertuples(index=False), strict=True):
        names = list(key) if isinstance(key, tuple) else [key]
        cells = [text(column, value) for column, value in zip(headings, values, strict=True)]
        lines.append([_cell_text(name, None) for name in names] + cells)
    return Table(label, corners, list(headings.values()), lines)
