"""Made-up records in which the answer is known, with the spread that today's records show."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

Conditions = Mapping[str, Sequence[object]]


def measured(
    rng: np.random.Generator,
    column: str,
    means: Mapping[str, float],
    *,
    num_seeds: int,
    sd: float,
    shared_sd: float = 0.0,
    by: str = "model",
    conditions: Conditions | None = None,
    shifts: Mapping[object, float] | None = None,
    num_pictures: int = 0,
) -> pd.DataFrame:
    """A value for each seed, model and condition.

    Args:
        rng: random numbers.
        column: what the value is called.
        means: of each model.
        num_seeds: how many seeds.
        sd: of a model from seed to seed, beside what all models of a seed share.
        shared_sd: of what they share, which pairing takes out.
        by: the column that names the models.
        conditions: the values of each condition; every combination is drawn.
        shifts: what the first model has more, by the value of the first condition.
        num_pictures: the value is a share of so many pictures; 0 leaves it as it is.
    """
    conditions = dict(conditions or {})
    index = pd.MultiIndex.from_product(
        [range(num_seeds), *conditions.values(), means], names=["seed", *conditions, by]
    )
    table = index.to_frame(index=False)
    shared = np.repeat(rng.normal(0, shared_sd, len(table) // len(means)), len(means))
    values = table[by].map(dict(means)) + shared + rng.normal(0, sd, len(table))
    if shifts:
        first = table[by] == next(iter(means))
        values += table[next(iter(conditions))].map(dict(shifts)).fillna(0.0) * first
    if num_pictures:
        values = rng.binomial(num_pictures, values.clip(0, 1)) / num_pictures
    return table.assign(**{column: values})


def counted(
    rng: np.random.Generator,
    shares: Mapping[str, float],
    *,
    num_seeds: int,
    sd: float,
    num_pictures: int,
    by: str = "sampler",
) -> pd.DataFrame:
    """How many of each seed's pictures are dogs, where the chance differs from seed to seed."""
    rows = []
    for name, share in shares.items():
        chance = np.full(num_seeds, share)
        if 0 < share < 1 and sd > 0:
            spread = max(share * (1 - share) / sd**2 - 1, 1e-3)
            chance = rng.beta(share * spread, (1 - share) * spread, num_seeds)
        for seed, found in enumerate(rng.binomial(num_pictures, chance)):
            rows.append({"seed": seed, by: name, "num_dogs": found, "num_pictures": num_pictures})
    return pd.DataFrame(rows)
