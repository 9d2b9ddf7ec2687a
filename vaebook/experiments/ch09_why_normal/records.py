"""The three records of the trial of the priors as one."""

from pathlib import Path

import pandas as pd

from vaebook.experiments.record.load import load_recorded

PRIOR_RECORDS = ("priors", "priors_learned", "priors_afterwards")


def load_trial(folder: Path | None = None) -> pd.DataFrame:
    """The rows of all models of the trial, one per model and seed, of the three records."""
    parts = [load_recorded(name, folder) for name in PRIOR_RECORDS]
    return pd.concat(parts, ignore_index=True)
