"""A number of the prose, and the record that holds it.

    [64 ± 6 %](results/latent_flow.csv "validity | encoder=β = 1e-6 | prior=flow matching")

The text is the number as a reader sees it, the link leads to its record, and the title says which
number of the record it is: the mean over seeds of a column, with the half width of its 95 %
interval behind ±, where other columns have these values. The text decides on the rounding; shares
are taken in per cent where it says % or points, and differences from above where it says less,
fewer or lower. Further parts of a title:

* ``with RECORD``: its rows are added to those of the first record;
* ``minus COLUMN=VALUE``: the difference, seed by seed, from the rows that have this value and are
  as the others say; ``over`` takes the ratio (its geometric mean), ``more than`` the ratio less 1;
* ``largest`` or ``smallest`` before the column: of all seeds and rows; of several columns too, with
  commas between them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vaebook.experiments import load_recorded, summarise
from vaebook.plots import interval_text, number_text

FORM = re.compile(r'\[(?P<text>[^][]+)\]\(results/(?P<record>\w+)\.csv "(?P<title>[^"]+)"\)')
NUMBER = re.compile(r"[−+]?\d[\d,]*(?:\.(?P<decimals>\d+))?")
POWER = re.compile(r"10(?P<sign>⁻?)(?P<exponent>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
COMPARED = ("minus", "over", "more than")
EXTREMES = ("largest", "smallest")


def _split(parts: Sequence[str], words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The parts that begin with none of the words, and what follows each word in the others."""
    said = {word: [p.removeprefix(word).strip() for p in parts if p.startswith(word + " ")]
            for word in words}  # fmt: skip
    return [p for p in parts if not p.startswith(tuple(f"{word} " for word in words))], said


def _name(condition: str) -> str:
    """The column of a condition."""
    return condition.partition("=")[0].strip()


def _column(record: pd.DataFrame, name: str) -> pd.Series:
    if name not in record.columns:
        raise ValueError(f"no column {name!r}; expected one of {', '.join(record.columns)}")
    return record[name]


def _rows(record: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """The rows of a record in which columns have these values."""
    for condition in conditions:
        name, value = _name(condition), condition.partition("=")[2].strip()
        values = _column(record, name)
        found = record[values.astype(str) == value]
        if found.empty and pd.api.types.is_float_dtype(values) and NUMBER.fullmatch(value):
            found = record[values == float(value)]  # scale=10 of 10.0
        if found.empty:
            known = ", ".join(map(str, values.unique()))
            raise ValueError(f"no row has {name} = {value!r}; expected one of {known}")
        record = found
    return record


def _by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """The values of a column, one for each seed."""
    if rows["seed"].duplicated().any():
        names = rows.select_dtypes(exclude="number")
        varied = [name for name in names if (rows[name] != rows[name].iloc[0]).any()]
        raise ValueError(
            f"{len(rows)} rows of {rows['seed'].nunique()} seeds; expected one each: add a "
            f"condition, such as one on {' or '.join(varied) or 'a column that differs'}"
        )
    values = rows.set_index("seed")[column]
    if values.isna().any():
        raise ValueError(f"{column!r} is missing in seed {values.index[values.isna()].tolist()}")
    return values


def records_of(record: str, title: str) -> list[str]:
    """The names of all records that a title takes rows from."""
    _, said = _split([part.strip() for part in title.split("|")], ["with"])
    return [record, *said["with"]]


def measured(record: str, title: str, folder: Path | None = None) -> tuple[float, float, float]:
    """What a title names: the mean over seeds and the ends of its 95 % interval.

    Args:
        record: the name of the record.
        title: see the module.
        folder: where the records lie.

    Raises:
        ValueError: if there is no such record, column or row, or not one row for each seed.
    """
    column, *parts = (part.strip() for part in title.split("|"))
    parts, _ = _split(parts, ["with"])
    conditions, said = _split(parts, COMPARED)
    try:
        tables = [load_recorded(name, folder) for name in records_of(record, title)]
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None
    table = pd.concat(tables, ignore_index=True)
    rows = _rows(table, conditions)

    first, _, rest = column.partition(" ")
    if first in EXTREMES:
        values = pd.concat([_column(rows, name.strip()) for name in rest.split(",")])
        extreme = float(values.max() if first == "largest" else values.min())
        return extreme, extreme, extreme

    _column(table, column)
    compared = [word for word in COMPARED if said[word]]
    values = _by_seed(rows, column)
    if compared:
        word = compared[0]
        other = {_name(condition) for condition in said[word]}
        kept = [condition for condition in conditions if _name(condition) not in other]
        base = _by_seed(_rows(table, [*kept, *said[word]]), column)
        if len(compared) > 1 or set(base.index) != set(values.index):
            raise ValueError(f"cannot compare: {compared} on {list(values.index)}, {[*base.index]}")
        if word == "over":
            values = np.log(values / base)
        else:
            values = values - base if word == "minus" else values / base - 1
    summary = summarise(values.rename(column).reset_index(), [], [column]).iloc[0]
    found = [float(summary[name]) for name in ("mean", "low", "high")]
    if compared == ["over"]:
        found = [float(np.exp(each)) for each in found]
    return found[0], found[1], found[2]


def expected_text(text: str, record: str, title: str, folder: Path | None = None) -> str:
    """The number that a text should show, in the text's own rounding.

    Raises:
        ValueError: if the text has no number, or the title names none.
    """
    mean, low, high = measured(record, title, folder)
    if POWER.search(text):  # an order of magnitude, rounded up
        exponent = next(power for power in range(-40, 41) if mean <= 10.0**power)
        return number_text(10.0**exponent).partition("× ")[2]
    number = NUMBER.search(text)
    if number is None:
        raise ValueError("the text has no number")
    digits = len(number["decimals"] or "")
    factor = 100.0 if re.search(r"%|\bpoints?\b", text) else 1.0
    if re.search(r"\b(less|fewer|lower)\b", text):
        factor, low, high = -factor, high, low
    if "±" in text or " to " in text:
        told = interval_text(mean, low, high, digits, factor=factor)
    else:
        told = number_text(factor * mean, digits)
    return f"+{told}" if number[0].startswith("+") and not told.startswith("−") else told


def shows(text: str, told: str) -> bool:
    """Whether a text shows these numbers, and not merely digits of others."""
    return bool(re.search(rf"(?<![\d.,−+]){re.escape(told)}(?![\d⁰¹²³⁴⁵⁶⁷⁸⁹]|[.,]\d)", text))


def check(text: str, record: str, title: str, folder: Path | None = None) -> None:
    """Hold a text against its record.

    Raises:
        ValueError: if the record says something else, or nothing.
    """
    told = expected_text(text, record, title, folder)
    if not shows(text, told):
        raise ValueError(f"the record says {told}")
