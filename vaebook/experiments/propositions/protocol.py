"""The protocol as a file: how often each rule gives each answer in each world, as last computed.

The worlds take minutes, too long for a build of the book, which reads ``book/protocol``. The file
must be of the propositions as they are: a margin, a number of seeds or a world that was changed
since is an error.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vaebook.experiments.propositions.power import TRIES
from vaebook.experiments.propositions.proposition import ANSWERS, Proposition
from vaebook.experiments.propositions.registry import PROPOSITIONS
from vaebook.experiments.record.load import results_folder
from vaebook.training.files import write_atomically

COMMAND = "python -m vaebook.experiments.propositions --write"
# What a row is about; all of it follows from the code.
REGISTERED = ["proposition", "margin", "num_units", "num_pictures", "world", "wanted", "at_least"]


def protocol_file() -> Path:
    """``book/protocol/chances.csv`` of the repository one is in."""
    return results_folder().parent / "protocol" / "chances.csv"


def registered(propositions: Sequence[Proposition] | None = None) -> pd.DataFrame:
    """A row for each world of some propositions, by default all, in order."""
    rows = [
        (
            each.name,
            each.margin,
            each.num_units,
            each.num_pictures,
            world.name,
            world.answer,
            world.at_least,
        )
        for each in (PROPOSITIONS if propositions is None else propositions)
        for world in each.worlds
    ]
    return pd.DataFrame(rows, columns=REGISTERED)


def write_protocol(found: pd.DataFrame, path: Path | None = None) -> Path:
    """Replace the rows of some propositions, and drop those of propositions that are gone.

    Args:
        found: rows of ``chances``, of one proposition or more.
        path: the file; ``book/protocol/chances.csv`` by default.

    Returns:
        The file that was written.
    """
    path = path or protocol_file()
    names = [each.name for each in PROPOSITIONS if each.name in set(found["proposition"])]
    rows = registered([each for each in PROPOSITIONS if each.name in names])
    rows = rows.merge(found[["proposition", "world", *ANSWERS]], validate="one_to_one")
    rows = rows.assign(tries=TRIES)
    if path.is_file():
        stored = pd.read_csv(path)
        rows = pd.concat([stored[~stored["proposition"].isin(names)], rows])
    order = {each.name: place for place, each in enumerate(PROPOSITIONS)}
    rows = rows[rows["proposition"].isin(order)]
    rows = rows.sort_values("proposition", key=lambda column: column.map(order), kind="stable")
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, rows.to_csv(index=False).encode())
    return path


def load_protocol(path: Path | None = None) -> pd.DataFrame:
    """The chances that were written last.

    Args:
        path: the file; ``book/protocol/chances.csv`` by default.

    Returns:
        A row for each world: what is registered (``proposition``, ``margin``, ``num_units``,
        ``num_pictures``, ``world``, ``wanted``, ``at_least``), the share of each answer, ``tries``.

    Raises:
        FileNotFoundError: if they were never written.
        ValueError: if they are of other propositions, worlds or numbers than the code has.
    """
    path = path or protocol_file()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; write it: {COMMAND}")
    stored = pd.read_csv(path)
    missing = [name for name in (*REGISTERED, *ANSWERS, "tries") if name not in stored]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}. Write it again: {COMMAND}")
    rows, told = (
        set(table[REGISTERED].itertuples(index=False)) for table in (stored, registered())
    )
    wrong = sorted({str(row.proposition) for row in rows ^ told})
    wrong += sorted(set(stored.loc[stored["tries"] != TRIES, "proposition"]) - set(wrong))
    if wrong:
        raise ValueError(
            f"{path} and the code differ in {', '.join(wrong)}: a proposition, a margin, a number "
            f"of units or pictures, or a world was changed. Write it again: {COMMAND} "
            f"{' '.join(name for name in wrong if name in set(registered()['proposition']))}"
        )
    return stored
