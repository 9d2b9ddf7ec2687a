"""C2: it is clever to centre the codes at zero, but nothing demands that they be normal."""

from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.worlds import measured
from vaebook.experiments.record.inference import Interval, mean_interval, pairs

NUM_SEEDS = 24
COST = 2.0  # nats
SD = 1.4  # nats of −ELBO of a model from seed to seed, so that differences have 2.0 as recorded
GAP = 0.01  # nats
NUM_MODELS = 10
AS_THEY_ARE, SHIFTED = "as they are", "shifted to match"


def centre(table: pd.DataFrame) -> Decision:
    """A normal prior at 3 costs more than ``COST`` nats against one at 0."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        cost = mean_interval(
            pairs(part, "model", "at 3", "at 0", "neg_elbo"), unit="seed", level=level
        )
        return cost, above(cost, COST)

    return by_condition(table, ("layers",), find)


def normality(table: pd.DataFrame) -> Decision:
    """The ELBO changes where the same model has its codes in another distribution."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        gap = mean_interval(part["elbo_gap"], unit="seed", level=level, resolution=1e-6)
        return gap, above(gap, GAP)

    return by_condition(table, ("prior",), find)


def _centres(rng: np.random.Generator, as_they_are: float, shifted: float) -> pd.DataFrame:
    return measured(
        rng,
        "neg_elbo",
        {"at 3": -640.0, "at 0": -640.0},
        num_seeds=NUM_SEEDS,
        sd=SD,
        shared_sd=5.0,
        conditions={"layers": (AS_THEY_ARE, SHIFTED)},
        shifts={AS_THEY_ARE: as_they_are, SHIFTED: shifted},
    )


def _elbo_gaps(rng: np.random.Generator, size: float) -> pd.DataFrame:
    priors = ("uniform", "Laplace", "nameless")
    return pd.DataFrame(
        {"seed": seed, "prior": prior, "elbo_gap": abs(size * rng.normal(1, 0.1))}
        for seed in range(NUM_MODELS)
        for prior in priors
    )


PROPOSITIONS = (
    Proposition(
        "C2a",
        "Centring the codes at 0 matters: a normal prior at 3 is worse.",
        "nats of −ELBO that the prior at 3 costs, first layers as they are or shifted to match",
        COST,
        "a tenth of the rate of about 20 nats; less than any prior of chapter 9 lost and was called"
        " worse",
        "seed",
        NUM_SEEDS,
        0,
        "centre",
        ("seed", "layers", "model", "neg_elbo"),
        centre,
        (
            World("true", partial(_centres, as_they_are=4.0, shifted=4.0), "holds", 0.9),
            World("false", partial(_centres, as_they_are=0.0, shifted=0.0), "does not hold", 0.9),
            World(
                "on the margin",
                partial(_centres, as_they_are=COST, shifted=COST),
                "holds",
                at_most=0.05,
            ),
            World(
                "only the start of training",
                partial(_centres, as_they_are=4.0, shifted=0.0),
                "depends",
                0.9,
            ),
            World(
                "the first record's size",
                partial(_centres, as_they_are=3.4, shifted=0.0),
                "depends",
                0.8,
            ),
        ),
        "the record priors, 5 seeds: 3.4 ± 2.4 nats, layers as they are",
        1.5,
    ),
    Proposition(
        "C2b",
        "The model demands that the codes be normal.",
        "nats by which the ELBO of the same model changes with the codes' distribution",
        GAP,
        "a hundredth of a nat is less than any reported digit",
        "seed",
        NUM_MODELS,
        0,
        "prior_pushforward",
        ("seed", "prior", "elbo_gap"),
        normality,
        (
            World("true", partial(_elbo_gaps, size=1.0), "holds", 0.9),
            World("false", partial(_elbo_gaps, size=1e-5), "does not hold", 0.95),
            World("on the margin", partial(_elbo_gaps, size=GAP), "holds", at_most=0.05),
        ),
        "the record prior_pushforward: gaps below 1e-9; and the theorem that says so",
        0.2,
    ),
)
