"""Filling the gaps of three tables: a VAE of what was observed, and plain methods (chapter 13)."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (it makes the next import work)
from sklearn.impute import IterativeImputer, KNNImputer
from torch import Tensor

from vaebook.models import MLP, IncompleteGaussian, IncompleteVAE
from vaebook.training import KeepBest, fit, seeded

TABLES = {
    "wine": load_wine,  # 178 rows, 13 columns
    "diabetes": load_diabetes,  # 442 rows, 10 columns
    "cancer": load_breast_cancer,  # 569 rows, 30 columns
}
NETWORK = MLP((128, 128), "tanh")
RANK = 5  # of probabilistic PCA, and numbers in a code of the VAEs
NUM_IMPORTANCE = 5
MASK_SEED = 1_000_003

Table = Float[Tensor, "n d"]  # a row for each example, NaN in the gaps


def load_table(name: str) -> Table:
    """The columns of one of ``TABLES`` that vary."""
    table = torch.as_tensor(TABLES[name]().data).float()
    return table[:, table.std(0) > 1e-3 * table.abs().mean()]


def remove(table: Table, share: float, *, seed: int) -> tuple[Table, Bool[Tensor, "n d"]]:
    """The table with NaN in a random share of its entries, and where those are.

    Missing completely at random: whether an entry is missing depends on nothing.
    """
    with seeded(MASK_SEED + seed):
        missing = torch.rand(table.shape) < share
    return torch.where(missing, torch.nan, table), missing


def standardise(table: Table, incomplete: Table) -> tuple[Table, Table]:
    """Both tables in units of the observed entries' standard deviations, around their means."""
    mean = torch.nanmean(incomplete, 0)
    deviation = torch.nanmean((incomplete - mean) ** 2, 0).sqrt().clamp(min=1e-6)
    return (table - mean) / deviation, (incomplete - mean) / deviation


def _imputed(table: Table, imputer: KNNImputer | IterativeImputer) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return torch.as_tensor(imputer.fit_transform(table.numpy())).to(table)


BASELINES: dict[str, Callable[[Table, int], Table]] = {  # from a table and a seed
    "mean": lambda table, seed: torch.nan_to_num(table, nan=0.0),
    "10 nearest rows": lambda table, seed: _imputed(table, KNNImputer(n_neighbors=10)),
    "chained regressions": lambda table, seed: _imputed(
        table, IterativeImputer(max_iter=5, random_state=seed)
    ),
    "Gaussian": lambda table, seed: IncompleteGaussian.fit(table, ridge=0.01).impute(table),
    "probabilistic PCA": lambda table, seed: IncompleteGaussian.fit(
        table, rank=RANK, ridge=0.01
    ).impute(table),
}
VAES = {"VAE, 5 samples": NUM_IMPORTANCE}


def fit_vae(table: Table, *, seed: int, num_steps: int, num_importance: int) -> IncompleteVAE:
    """The VAE of an incomplete table; a tenth of its rows decide when to stop."""
    with seeded(seed):
        model = IncompleteVAE(table.shape[1], RANK, network=NETWORK, num_importance=num_importance)
        order = torch.randperm(len(table))
    values, observed = torch.nan_to_num(table[order]), ~torch.isnan(table[order])
    cut = len(values) // 10
    fit(
        model,
        (values[cut:], observed[cut:]),
        num_epochs=math.ceil(num_steps / math.ceil((len(values) - cut) / 64)),
        batch_size=64,
        lr=2e-3,
        seed=seed,
        validation=(values[:cut], observed[:cut]),
        callbacks=[KeepBest()],
    )
    return model


def missing_rmse(filled: Table, table: Table, missing: Bool[Tensor, "n d"]) -> float:
    """RMSE over the entries that were missing; those that were given prove nothing."""
    return float((filled - table)[missing].square().mean().sqrt())


def run(
    seed: int,
    *,
    tables: tuple[str, ...] = tuple(TABLES),
    shares: tuple[float, ...] = (0.1, 0.5),
    num_steps: int = 600,
) -> list[dict[str, Any]]:
    """Remove entries completely at random, fill them in, and compare with what was there.

    Args:
        shares: of the entries that are removed.
        num_steps: optimiser steps of each VAE.

    Returns:
        A row per table, share and method with ``rmse`` over the missing entries, in standard
        deviations of the columns: filling in the mean gives about 1.
    """
    rows = []
    for name in tables:
        complete = load_table(name)
        for share in shares:
            incomplete, missing = remove(complete, share, seed=seed)
            table, given = standardise(complete, incomplete)
            filled = {method: fill(given, seed) for method, fill in BASELINES.items()}
            for method, num_importance in VAES.items():
                vae = fit_vae(given, seed=seed, num_steps=num_steps, num_importance=num_importance)
                filled[method] = vae.impute(given, seed=seed)
            rows += [
                {"table": name, "share": share, "method": method}
                | {"rmse": missing_rmse(guess, table, missing)}
                for method, guess in filled.items()
            ]
    return rows
