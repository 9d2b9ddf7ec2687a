"""Made-up records in which the answer is known, with the spread that today's records show."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

Levels = Mapping[str, Sequence[object]]


def cells(num_seeds: int, levels: Levels) -> pd.DataFrame:
    """A row for each seed and combination of levels."""
    index = pd.MultiIndex.from_product(
        [range(num_seeds), *levels.values()], names=["seed", *levels]
    )
    return index.to_frame(index=False)


def measured(
    rng: np.random.Generator,
    column: str,
    mean: Callable[[pd.DataFrame], np.ndarray | pd.Series],
    *,
    num_seeds: int,
    levels: Levels,
    sd: float,
    within: Sequence[str],
    num_pictures: int = 0,
) -> pd.DataFrame:
    """A value for each seed and combination of levels.

    Args:
        rng: random numbers.
        column: what the value is called.
        mean: of each row, from its levels.
        num_seeds: how many seeds.
        levels: the columns that name a row.
        sd: from seed to seed, of what is trained anew.
        within: the levels over which a seed's deviation is the same, because one training serves
            them all: those of a threshold, say.
        num_pictures: the value is a share of so many pictures, drawn anew for each row; 0 leaves
            it as it is.
    """
    table = cells(num_seeds, levels)
    trained = ["seed", *(name for name in levels if name not in within)]
    group = table.groupby(trained, sort=False).ngroup().to_numpy()
    values = np.asarray(mean(table)) + rng.normal(0, sd, group.max() + 1)[group]
    if num_pictures:
        values = rng.binomial(num_pictures, values.clip(0, 1)) / num_pictures
    return table.assign(**{column: values})


def counted(
    rng: np.random.Generator,
    chance: Callable[[pd.DataFrame], np.ndarray | pd.Series],
    *,
    num_seeds: int,
    levels: Levels,
    sd: float,
    num_pictures: int,
) -> pd.DataFrame:
    """How many of each row's pictures are dogs, where the chance differs from seed to seed.

    Small chances with a large ``sd`` are skewed: most seeds have none, and a few have many.
    """
    table = cells(num_seeds, levels)
    mean = np.asarray(chance(table), float)
    inside = (mean > 0) & (mean < 1) & (sd > 0)
    spread = np.where(inside, mean * (1 - mean) / max(sd, 1e-12) ** 2 - 1, 1.0).clip(1e-3)
    drawn = np.where(inside, rng.beta(mean * spread + 1e-12, (1 - mean) * spread + 1e-12), mean)
    return table.assign(num_dogs=rng.binomial(num_pictures, drawn), num_pictures=num_pictures)
