"""Made-up records in which the answer is known, with the spread that today's records show."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

Levels = Mapping[str, Sequence[object]]


# The same as a key: name, values, and their types, since 1 and 1.0 are equal.
Frozen = tuple[tuple[str, tuple[object, ...], tuple[type, ...]], ...]


# A mapping as a key.
Items = tuple[tuple[Any, Any], ...]


def items(mapping: Mapping[Any, Any]) -> Items:
    """What a mapping holds, for a function that keeps its results."""
    return tuple(mapping.items())


def cells(num_seeds: int, levels: Levels) -> pd.DataFrame:
    """A row for each seed and combination of levels."""
    return _cells(num_seeds, _frozen(levels)).copy()


def group_numbers(num_seeds: int, levels: Levels, names: Sequence[str]) -> np.ndarray:
    """Of each row of :func:`cells`: those that agree in the columns ``names`` have one number.

    Numbers go from 0 on in the order of the rows. The array is shared, and read-only.
    """
    return _group_numbers(num_seeds, _frozen(levels), tuple(names))


def _frozen(levels: Levels) -> Frozen:
    return tuple((name, tuple(values), tuple(map(type, values))) for name, values in levels.items())


@lru_cache  # a world is drawn hundreds of times
def _cells(num_seeds: int, levels: Frozen) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [range(num_seeds), *(values for _, values, _ in levels)],
        names=["seed", *(name for name, _, _ in levels)],
    )
    return index.to_frame(index=False)


@lru_cache
def _group_numbers(num_seeds: int, levels: Frozen, names: tuple[str, ...]) -> np.ndarray:
    grouped = _cells(num_seeds, levels).groupby(list(names), sort=False)
    numbers = grouped.ngroup().to_numpy().copy()
    numbers.setflags(write=False)
    return numbers


def measured(
    rng: np.random.Generator,
    column: str,
    mean: np.ndarray,
    *,
    num_seeds: int,
    levels: Levels,
    sd: float,
    within: Sequence[str],
    num_pictures: int = 0,
) -> pd.DataFrame:
    """A value for each seed and combination of levels, as a column of :func:`cells`.

    Args:
        rng: random numbers.
        column: what the value is called.
        mean: of each row.
        num_seeds: how many seeds.
        levels: the columns that name a row.
        sd: from seed to seed, of what is trained anew.
        within: the levels over which a seed's deviation is the same, because one training serves
            them all: those of a threshold, say.
        num_pictures: the value is a share of so many pictures, drawn anew for each row; 0 leaves
            it as it is.
    """
    plan = (num_seeds, levels, sd, within, num_pictures)
    return cells(num_seeds, levels).assign(**{column: values_of(rng, mean, *plan)})


def values_of(
    rng: np.random.Generator,
    mean: np.ndarray,
    num_seeds: int,
    levels: Levels,
    sd: float,
    within: Sequence[str],
    num_pictures: int = 0,
) -> np.ndarray:
    """The column of :func:`measured`."""
    trained = ["seed", *(name for name in levels if name not in within)]
    group = group_numbers(num_seeds, levels, trained)
    values = mean + rng.normal(0, sd, group.max() + 1)[group]
    if num_pictures:
        values = rng.binomial(num_pictures, values.clip(0, 1)) / num_pictures
    return values


def counted(
    rng: np.random.Generator,
    mean: np.ndarray,
    *,
    num_seeds: int,
    levels: Levels,
    sd: float,
    num_pictures: int,
) -> pd.DataFrame:
    """How many of each row's pictures are dogs, where the chance spreads around its mean.

    Small chances with a large ``sd`` are skewed: most seeds have none, and a few have many.
    """
    inside = (mean > 0) & (mean < 1) & (sd > 0)
    spread = np.where(inside, mean * (1 - mean) / max(sd, 1e-12) ** 2 - 1, 1.0).clip(1e-3)
    drawn = np.where(inside, rng.beta(mean * spread + 1e-12, (1 - mean) * spread + 1e-12), mean)
    num_dogs = rng.binomial(num_pictures, drawn)
    return cells(num_seeds, levels).assign(num_dogs=num_dogs, num_pictures=num_pictures)
