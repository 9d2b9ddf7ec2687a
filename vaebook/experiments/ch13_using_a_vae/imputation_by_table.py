"""Filling the gaps of five tables, table by table: a VAE and plain methods (chapter 13).

The unit of replication is the table. Beside the entries whose errors are reported, a tenth of all
entries is hidden for validation: by these the plain method that the VAE is held against is chosen
(:mod:`.uses_by_unit`). A table is no picture: the VAE and its training are those of
:mod:`.imputation`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from sklearn.datasets import load_digits, load_iris

from vaebook.experiments.ch13_using_a_vae import imputation
from vaebook.experiments.ch13_using_a_vae.imputation import (
    BASELINES,
    NUM_IMPORTANCE,
    RANK,
    Table,
    fit_vae,
    missing_rmse,
    standardise,
)
from vaebook.models import IncompleteGaussian
from vaebook.training import seeded, stream_seed

# wine, diabetes, cancer; iris has 150 rows of 4 columns, digits 1,797 of 64
TABLES = imputation.TABLES | {"iris": load_iris, "digits": load_digits}
PLAIN: dict[str, Callable[[Table, int], Table]] = BASELINES | {  # from a table and a seed
    "probabilistic PCA": lambda table, seed: IncompleteGaussian.fit(
        table,
        rank=min(RANK, table.shape[1] - 1),  # iris has but four columns
        ridge=0.01,
    ).impute(table)
}
VAE_NAME = "VAE, 5 samples"
VALIDATION = 0.1  # of the entries
MOST_ROWS = 600
SAME = 0.9  # share of rows with one value: a column with more is left out


def load_table(name: str) -> Table:
    """At most so many rows of one of ``TABLES``, without the columns that hardly vary."""
    table = torch.as_tensor(TABLES[name]().data).float()
    table = table[:: math.ceil(len(table) / MOST_ROWS)]
    same = torch.stack([(column == column.mode().values).float().mean() for column in table.T])
    return table[:, same < SAME]


def run(
    seed: int,
    *,
    tables: Sequence[str] = tuple(TABLES),
    shares: Sequence[float] = (0.1, 0.5),
    num_steps: int = 600,
) -> list[dict[str, Any]]:
    """Hide entries completely at random, fill them in, and compare with what was there.

    Args:
        tables: names in ``TABLES``.
        shares: of the entries whose errors are reported.
        num_steps: optimiser steps of the VAE.

    Returns:
        A row for each ``table``, ``share`` and ``method`` with ``rmse`` over those entries and
        ``validation_rmse`` over the tenth for validation, in standard deviations of the columns:
        filling in the mean, which a training that breaks down does, gives about 1. ``failed`` says
        why it did.
    """
    rows = []
    for name in tables:
        complete = load_table(name)
        for share in shares:
            stream = f"{name}, {share:g} of its entries"
            with seeded(seed, f"gaps of {stream}"):
                chance = torch.rand(complete.shape)
            missing, validation = chance < share, (chance >= share) & (chance < share + VALIDATION)
            incomplete = torch.where(missing | validation, torch.nan, complete)
            table, given = standardise(complete, incomplete)
            # scikit-learn's seeds have 32 bits
            chained = stream_seed(seed, f"regressions of {stream}") % 2**32
            filled = {method: fill(given, chained) for method, fill in PLAIN.items()}
            failed = ""
            try:
                model = fit_vae(
                    given,
                    seed=stream_seed(seed, f"VAE of {stream}"),
                    num_steps=num_steps,
                    num_importance=NUM_IMPORTANCE,
                )
                filled[VAE_NAME] = model.impute(given, seed=stream_seed(seed, f"codes of {stream}"))
            except ValueError as error:  # what fit raises when a loss is no number any more
                failed, filled[VAE_NAME] = str(error), filled["mean"]
            rows += [
                {
                    "table": name,
                    "share": share,
                    "method": method,
                    "failed": failed * (method == VAE_NAME),
                    "rmse": missing_rmse(guess, table, missing),
                    "validation_rmse": missing_rmse(guess, table, validation),
                }
                for method, guess in filled.items()
            ]
    return rows
