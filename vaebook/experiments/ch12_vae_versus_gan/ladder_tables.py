"""What the rules of C8 read, made from the record ``ladder``: the best VAE, sharpness, scores."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vaebook.experiments.ch12_vae_versus_gan.ways_to_draw import REAL, VAE_WAYS
from vaebook.experiments.propositions.c8_better_images import MEASURES, RIVAL, WITHOUT

GAN_NAME = "GAN"
COLUMNS = {  # of a measure of C8, turned so that more is better: its column in the record
    "sharpness": "sharpness",
    **{str(name): str(name) for name in MEASURES["measure"] if name != "fit"},
    "fit": "frechet",
}
Best = Mapping[tuple[str, str, str], str]  # from data, budget and measure to one of ``VAE_WAYS``


def score(record: pd.DataFrame, measure: str) -> pd.Series:
    """A measure of each row; of ``fit``, minus the logarithm of the Fréchet distance."""
    values = record[COLUMNS[measure]]
    return -np.log(values) if measure == "fit" else values


def best_ways(pilot: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """The way of a VAE to draw with the highest mean score over seeds that no record has.

    Args:
        pilot: rows of :func:`.ladder.run` for such seeds.

    Returns:
        A name for each data set, budget and measure that was measured there.
    """
    ways = _whole(pilot)[lambda rows: rows["model"].isin(VAE_WAYS)]
    best = {}
    for measure in COLUMNS:
        scores = ways.assign(score=score(ways, measure)).dropna(subset="score")
        means = scores.pivot_table("score", ["data", "budget"], "model")
        for (data, budget), name in means.idxmax(axis=1).items():
            best[data, budget, measure] = name
    return best


def looks(record: pd.DataFrame, best: Best) -> pd.DataFrame:
    """The table ``ladder`` of C8a and C8c: sharpness by model, budget and data."""
    return _chosen(record, best, "sharpness", (GAN_NAME, WITHOUT))[
        ["seed", "model", "budget", "data", "sharpness"]
    ].reset_index(drop=True)


def scores(record: pd.DataFrame, best: Best) -> pd.DataFrame:
    """The table ``ladder_scores`` of C8b: each measure of dogs, of GAN, best VAE and real ones."""
    dogs = record[record["data"] == "dogs"]
    budgets = dogs.loc[dogs["model"] == GAN_NAME, "budget"].unique()
    real = dogs[dogs["model"] == REAL]
    dogs = pd.concat(
        [dogs[dogs["model"] != REAL], *(real.assign(budget=budget) for budget in budgets)]
    )
    parts = []
    for measure in map(str, MEASURES["measure"]):
        part = _chosen(dogs, best, measure, (GAN_NAME, REAL))
        parts.append(part.assign(measure=measure, value=score(part, measure)))
    table = pd.concat(parts, ignore_index=True)
    return table[["seed", "model", "budget", "measure", "value"]]


def _whole(record: pd.DataFrame) -> pd.DataFrame:
    """The rows whose draws are not truncated."""
    return record[record["truncation"] == 1]


def _chosen(
    record: pd.DataFrame, best: Best, measure: str, others: tuple[str, ...]
) -> pd.DataFrame:
    """The rows of ``others``, and of the best VAE under that name."""
    rows = _whole(record)
    rivals = pd.Series(
        [
            best.get((data, budget, measure)) == model
            for data, budget, model in zip(rows["data"], rows["budget"], rows["model"], strict=True)
        ],
        rows.index,
    )
    return pd.concat([rows[rows["model"].isin(others)], rows[rivals].assign(model=RIVAL)])
