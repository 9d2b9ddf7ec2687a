"""C4: there is a known distribution to sample from: a sample decodes to a new dog."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.reading import THRESHOLDS as THRESHOLD_COLUMNS
from vaebook.experiments.propositions.reading import by_threshold
from vaebook.experiments.propositions.worlds import measured
from vaebook.experiments.record.inference import Interval, mean_interval, pairs

NUM_SEEDS = 28
NUM_PICTURES = 400
POINTS = 0.05
NEW = 0.1
# Of a model's share of dogs over trainings, beside the pictures' chance: the recorded difference of
# VAE and VAE + mixture, from 2,000 pictures, has 0.048.
SD = 0.034
SAMPLES = "N(0, I)"
CONDITIONS: dict[str, tuple[object, ...]] = {
    "network": ("convolutional", "MLP"),
    "budget": ("× 1", "× 3"),
}
THRESHOLDS: dict[str, tuple[object, ...]] = {"threshold": tuple(THRESHOLD_COLUMNS.values())}
SHARES = {0.03: 0.70, 0.04: 0.85, 0.05: 0.93}


def as_often(table: pd.DataFrame, reference: str) -> Decision:
    """Samples of N(0, I) are dogs at most ``POINTS`` less often than those of ``reference``.

    Under each network and budget, and at each threshold of what counts as a dog.
    """

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        more = mean_interval(
            pairs(part, "source", SAMPLES, reference, "share"),
            unit="seed",
            level=level,
            resolution=1 / NUM_PICTURES,
        )
        return more, above(more, -POINTS)

    return by_condition(table, (*CONDITIONS, *THRESHOLDS), find)


def new(table: pd.DataFrame) -> Decision:
    """Samples that are dogs lie no nearer to the training dogs than rebuilt held-out dogs do."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        more = mean_interval(
            pairs(part, "source", SAMPLES, "reconstruction", "novelty_of_dogs"),
            unit="seed",
            level=level,
            resolution=1e-4,
        )
        return more, above(more, -NEW)

    return by_condition(table, tuple(CONDITIONS), find)


def _levels(reference: str, *, thresholds: bool = True) -> dict[str, tuple[object, ...]]:
    return {"source": (SAMPLES, reference)} | CONDITIONS | (THRESHOLDS if thresholds else {})


Gain = Mapping[str, float]  # by network; "" where no other is named


def _shift(gain: Gain) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: (
        (table["source"] == SAMPLES) * table["network"].map(lambda name: gain.get(name, gain[""]))
    )


def _shares(rng: np.random.Generator, reference: str, gain: Gain) -> pd.DataFrame:
    def mean(table: pd.DataFrame) -> pd.Series:
        return table["threshold"].map(SHARES) - 0.1 + _shift(gain)(table)

    return measured(
        rng,
        "share",
        mean,
        num_seeds=NUM_SEEDS,
        levels=_levels(reference),
        sd=SD,
        within=tuple(THRESHOLDS),
        num_pictures=NUM_PICTURES,
    )


def _novelty(rng: np.random.Generator, gain: Gain) -> pd.DataFrame:
    return measured(
        rng,
        "novelty_of_dogs",
        lambda table: 1 + _shift(gain)(table),
        num_seeds=NUM_SEEDS,
        levels=_levels("reconstruction", thresholds=False),
        sd=0.03,
        within=(),
    )


def _controls(draw: Callable[..., pd.DataFrame], margin: float, far: float) -> tuple[World, ...]:
    """The same controls for each: level, better, far below, on the margin, with one network."""
    return (
        World("nothing differs", partial(draw, gain={"": 0.0}), "holds", 0.8),
        World("better", partial(draw, gain={"": 0.1}), "holds", 0.9),
        World("false", partial(draw, gain={"": -far}), "does not hold", 0.9),
        World("all on the margin", partial(draw, gain={"": -margin}), "undecided", 0.8),
        World(
            "on the margin with one network",
            partial(draw, gain={"": 0.05, "MLP": -margin}),
            "undecided",
            0.8,
        ),
        World("with one network only", partial(draw, gain={"": 0.05, "MLP": -far}), "depends", 0.8),
    )


def _about(name: str, text: str, reference: str, minutes: float) -> Proposition:
    return Proposition(
        name,
        text,
        f"points of dogs that samples of N(0, I) have more than: {reference}",
        POINTS,
        "one dog in twenty: what two people who count dogs among 100 pictures differ by",
        "seed",
        NUM_SEEDS,
        NUM_PICTURES,
        "sampling",
        ("share",),
        partial(as_often, reference=reference),
        _controls(partial(_shares, reference=reference), POINTS, 0.14),
        "the records pixel_noise and comparison, 5 seeds: 5 to 84 % dogs from N(0, I), 16 points "
        "fewer to 6 more than from a fitted density, 12 to 60 fewer than of reconstructions",
        minutes,
        _levels(reference),
        partial(by_threshold, value="share"),
    )


PROPOSITIONS = (
    _about(
        "C4a",
        "The distribution to draw from is known: no density has to be fitted to the codes.",
        "a mixture fitted to the codes",
        7.8,
    ),
    _about("C4b", "A sample is a dog as often as a reconstruction.", "reconstruction", 0.0),
    _about(
        "C4c",
        "A sample is a dog as often as a real dog blurred as much.",
        "real dogs, blurred to the samples' sharpness",
        0.0,
    ),
    Proposition(
        "C4d",
        "A sample that is a dog is a new one.",
        "novelty of the samples that are dogs, less that of reconstructions of held-out dogs",
        NEW,
        "a picture that lies a tenth nearer to the training set than one of a dog never seen",
        "seed",
        NUM_SEEDS,
        NUM_PICTURES,
        "sampling",
        ("novelty_of_dogs",),
        new,
        _controls(_novelty, NEW, 0.5),
        "the record comparison: novelty of all the VAE's samples 1.0 to 1.2",
        0.0,
        _levels("reconstruction", thresholds=False),
    ),
)
