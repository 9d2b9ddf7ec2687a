"""C4: there is a known distribution to sample from: a sample decodes to a new dog."""

from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, by_condition, within
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.worlds import measured
from vaebook.experiments.record.inference import Interval, mean_interval, pairs

NUM_SEEDS = 20
NUM_PICTURES = 400
POINTS = 0.05
SD = 0.02  # of a share over trainings, beside the pictures' chance; recorded: 0.03 with both
NEW = 0.1
CONDITIONS = {"network": ("convolutional", "MLP"), "budget": ("× 1", "× 3")}


def _difference(table: pd.DataFrame, first: str, second: str, value: str, level: float) -> Interval:
    differences = pairs(table, "source", first, second, value)
    return mean_interval(differences, unit="seed", level=level, resolution=1 / NUM_PICTURES)


def no_density_needed(table: pd.DataFrame) -> Decision:
    """Codes of N(0, I) decode to dogs as often as those of a mixture fitted to the codes."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        gain = _difference(part, "fitted mixture", "N(0, I)", "validity", level)
        return gain, within(gain, POINTS)

    return by_condition(table, tuple(CONDITIONS), find)


def as_often_a_dog(table: pd.DataFrame) -> Decision:
    """As often as reconstructions, and as real dogs that are blurred as much."""
    rows = []
    for reference in ("reconstruction", "real, blurred as much"):
        both = table[table["source"].isin(("N(0, I)", reference))]
        rows.append(both.replace({"source": {reference: "reference"}}).assign(against=reference))

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        less = _difference(part, "N(0, I)", "reference", "validity", level)
        return less, within(less, POINTS)

    return by_condition(pd.concat(rows), ("against", *CONDITIONS), find)


def new(table: pd.DataFrame) -> Decision:
    """No nearer to the training dogs than reconstructions of held-out dogs are."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        more = _difference(part, "N(0, I)", "reconstruction", "novelty", level)
        return more, above(more, -NEW)

    return by_condition(table, tuple(CONDITIONS), find)


def _shares(
    rng: np.random.Generator, first: str, others: tuple[str, ...], *, gain: float, only: str = ""
) -> pd.DataFrame:
    """Shares of dogs of which the first source has ``gain`` more, or only with one network."""
    shifts: dict[object, float] = {
        name: gain if only in ("", name) else 0.0 for name in CONDITIONS["network"]
    }
    means = {first: 0.85} | dict.fromkeys(others, 0.85)
    return measured(
        rng, "validity", means, by="source", num_seeds=NUM_SEEDS, sd=SD, shared_sd=0.02,
        conditions=CONDITIONS, shifts=shifts, num_pictures=NUM_PICTURES,
    )  # fmt: skip


def _novelty(rng: np.random.Generator, less: float) -> pd.DataFrame:
    means = {"N(0, I)": 1 - less, "reconstruction": 1.0}
    return measured(
        rng, "novelty", means, by="source", num_seeds=NUM_SEEDS, sd=0.03, conditions=CONDITIONS
    )


_fitted = partial(_shares, first="fitted mixture", others=("N(0, I)",))
_sampled = partial(_shares, first="N(0, I)", others=("reconstruction", "real, blurred as much"))
_PLAN = ("seed", NUM_SEEDS, NUM_PICTURES, "sampling", ("seed", "source", *CONDITIONS, "validity"))
_SEEN = (
    "the records pixel_noise and comparison, 5 seeds: 79 to 84 % dogs from N(0, I), 95 to 97 % "
    "from a mixture and of reconstructions"
)

PROPOSITIONS = (
    Proposition(
        "C4a",
        "The distribution to draw from is known: no density has to be fitted to the codes.",
        "points of dogs that a fitted mixture wins over N(0, I), by network and budget",
        POINTS,
        "one dog in twenty: what two people who count dogs among 100 pictures differ by",
        *_PLAN,
        no_density_needed,
        (
            World("nothing differs", partial(_fitted, gain=0.0), "holds", 0.8),
            World("false", partial(_fitted, gain=0.12), "does not hold", 0.9),
            World("on the margin", partial(_fitted, gain=POINTS), "holds", at_most=0.05),
            World("with one network only", partial(_fitted, gain=0.12, only="MLP"), "depends", 0.8),
        ),
        _SEEN,
        15.0,
    ),
    Proposition(
        "C4b",
        "A sample is a dog as often as a reconstruction, and as a real dog blurred as much.",
        "points of dogs that samples of N(0, I) have more than either",
        POINTS,
        "as in C4a",
        *_PLAN,
        as_often_a_dog,
        (
            World("nothing differs", partial(_sampled, gain=0.0), "holds", 0.8),
            World("false", partial(_sampled, gain=-0.12), "does not hold", 0.9),
            World("on the margin", partial(_sampled, gain=-POINTS), "holds", at_most=0.05),
            World(
                "with one network only", partial(_sampled, gain=-0.12, only="MLP"), "depends", 0.8
            ),
        ),
        _SEEN,
        0.0,
    ),
    Proposition(
        "C4c",
        "A sample is a new dog.",
        "novelty of samples less that of reconstructions of held-out dogs",
        NEW,
        "a picture that lies a tenth nearer to the training set than one of a dog never seen",
        "seed",
        NUM_SEEDS,
        NUM_PICTURES,
        "sampling",
        ("seed", "source", *CONDITIONS, "novelty"),
        new,
        (
            World("true", partial(_novelty, less=0.0), "holds", 0.9),
            World("false: copies", partial(_novelty, less=0.5), "does not hold", 0.95),
            World("on the margin", partial(_novelty, less=NEW), "holds", at_most=0.05),
        ),
        "the record comparison: novelty of the VAE's samples 1.0 to 1.2",
        0.0,
    ),
)
