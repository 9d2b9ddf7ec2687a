"""The role ``{recorded}``: a number in the prose that is held against its record.

    {recorded}`64 ± 6 % <latent_flow: validity | encoder=β = 1e-6 | prior=flow matching>`

The text is what the reader sees, here and in JupyterLab. The target names the record (several with
``+``), the column and the rows. The number must be the mean over seeds, with the half width of its
95 % interval behind ±, rounded as the text rounds it; shares are compared in per cent where the
text says % or points. Where they differ the build warns, and warnings are fatal.

Further parts of a target: ``minus COLUMN=VALUE`` takes the difference from these rows seed by seed;
``largest`` before the column takes the largest value of all seeds, and columns may be listed with
commas then.
"""

import html
import re
from pathlib import Path
from typing import Any

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from vaebook.experiments import load_provenance, load_recorded, summarise
from vaebook.plots import interval_text, number_text, unbroken

logger = logging.getLogger(__name__)
FORM = re.compile(r"(?P<text>.+?)\s*<(?P<target>[^<>]+)>", re.DOTALL)
NUMBER = re.compile(r"[−+]?\d[\d,]*(?:\.(?P<decimals>\d+))?")
POWER = re.compile(r"10(?P<sign>⁻?)(?P<exponent>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def _rows(record: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of a record in which a column has a value."""
    column, _, value = (part.strip() for part in condition.partition("="))
    if column not in record.columns:
        raise ValueError(f"no column {column!r}; expected one of {', '.join(record.columns)}")
    found = record[record[column].astype(str) == value]
    if found.empty:
        known = ", ".join(map(str, record[column].unique()))
        raise ValueError(f"no row has {column} = {value!r}; expected one of {known}")
    return found


def measured(target: str, folder: Path | None = None) -> tuple[float, float, float]:
    """What a target names: the mean over seeds and the ends of its 95 % interval.

    Args:
        target: see the module.
        folder: where the records lie.

    Raises:
        ValueError: if it names no record, column or row.
    """
    names, _, rest = target.partition(":")
    parts = [part.strip() for part in rest.split("|")]
    column, conditions = parts[0], parts[1:]
    try:
        records = [load_recorded(name.strip(), folder) for name in names.split("+")]
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None
    record = pd.concat(records, ignore_index=True)
    subtracted = [part.removeprefix("minus ") for part in conditions if part.startswith("minus ")]
    common = [part for part in conditions if not part.startswith("minus ")]
    columns = [name.strip() for name in column.removeprefix("largest ").split(",")]
    missing = [name for name in columns if name not in record.columns]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; expected one of {', '.join(record.columns)}")
    chosen = record
    for condition in common:
        chosen = _rows(chosen, condition)
    if column.startswith("largest "):
        value = float(chosen[columns].max().max())
        return value, value, value
    if subtracted:
        base = record
        for condition in subtracted:
            base = _rows(base, condition)
        difference = chosen.set_index("seed")[column] - base.set_index("seed")[column]
        if difference.isna().any():
            raise ValueError("the two conditions do not have the same seeds")
        chosen = difference.rename(column).reset_index()
    row = summarise(chosen, [], columns).iloc[0]
    return float(row["mean"]), float(row["low"]), float(row["high"])


def expected_text(text: str, target: str, folder: Path | None = None) -> str:
    """The numbers that a text should show, in the text's own rounding.

    Raises:
        ValueError: if the text has no number, or the target names nothing.
    """
    mean, low, high = measured(target, folder)
    if POWER.search(text):  # an order of magnitude, rounded up
        exponent = next(power for power in range(-40, 41) if mean <= 10.0**power)
        return number_text(10.0**exponent).partition("× ")[2]
    number = NUMBER.search(text)
    if number is None:
        raise ValueError("the text has no number")
    digits = len(number["decimals"] or "")
    factor = 100.0 if re.search(r"%|\bpoints?\b", text) else 1.0
    if "±" in text or " to " in text:
        told = interval_text(mean, low, high, digits, factor=factor)
    else:
        told = number_text(factor * mean, digits)
    return f"+{told}" if number[0].startswith("+") and not told.startswith("−") else told


def shows(text: str, told: str) -> bool:
    """Whether a text shows these numbers, and not merely digits of others."""
    return bool(re.search(rf"(?<![\d.,−+]){re.escape(told)}(?![\d⁰¹²³⁴⁵⁶⁷⁸⁹]|[.,]\d)", text))


class Recorded(SphinxRole):
    """See the module."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        form = FORM.fullmatch(self.text)
        results = Path(self.env.srcdir) / "book" / "results"
        try:
            if form is None:
                raise ValueError("expected TEXT <RECORD: COLUMN | COLUMN=VALUE>")
            text, target = form["text"], form["target"]
            told = expected_text(text, target, results)
            if not shows(text, told):
                raise ValueError(f"the record says {told}")
        except ValueError as error:
            logger.warning("recorded: %r: %s", self.text, error, location=self.get_location())
            return [nodes.Text(self.text)], []
        names = [name.strip() for name in target.partition(":")[0].split("+")]
        for name in names:
            self.env.note_dependency(str(results / f"{name}.csv"))
        commands = "; ".join(load_provenance(name, results)["command"] for name in names)
        title = html.escape(f"recorded by {commands}", quote=True)
        shown = f'<span class="recorded" title="{title}">{unbroken(text)}</span>'
        return [nodes.raw(self.rawtext, shown, format="html")], []


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("recorded", Recorded())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
