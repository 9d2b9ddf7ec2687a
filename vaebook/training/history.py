"""What happened in training, epoch by epoch."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class History:
    """One row per epoch: ``epoch``, ``loss`` in nats per example, ``seconds``, callbacks' columns.

    ``validation_loss`` is there if ``fit`` was given validation images. ``loss`` is the mean over
    the epoch, during which the model improved; ``validation_loss`` is measured at its end.

    ``engine`` says how the steps were computed: ``"captured"`` as a CUDA graph, or ``"eager: …"``
    with the reason.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    engine: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        """A column, one value per epoch.

        Raises:
            KeyError: if no epoch recorded it.
        """
        if not any(column in row for row in self.rows):
            known = sorted({name for row in self.rows for name in row})
            raise KeyError(f"history has no column {column!r}; it has {known}.")
        return [row.get(column, float("nan")) for row in self.rows]

    @property
    def seconds(self) -> float:
        """Seconds of all epochs, without set-up and callbacks."""
        return sum(row["seconds"] for row in self.rows)

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas table."""
        return pd.DataFrame(self.rows)
