"""C3: the KL term forces the learned latent space to be Gaussian."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import always, below, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.record.inference import Interval, mean_interval

NUM_SEEDS = 10
NATS = 0.1
ACCURACY = 0.55
LEAST_RATE = 1.0  # nats: below it the code says next to nothing
# of today's record, by β: the bound of the classifier and its spread over seeds, and its accuracy
RATES = {0.25: 51.0, 1.0: 27.0, 4.0: 13.0, 9.0: 8.0, 16.0: 5.5, 36.0: 2.5, 81.0: 1.1, 196.0: 0.0}
TODAY = {0.25: 5.0, 1.0: 4.9, 4.0: 1.2, 9.0: 0.42, 16.0: 0.17, 36.0: -0.05, 81.0: -0.01, 196.0: 0}
SD = {0.25: 0.8, 1.0: 0.7, 4.0: 0.6, 9.0: 0.13, 16.0: 0.2, 36.0: 0.04, 81.0: 0.03, 196.0: 0.02}


def gaussian(table: pd.DataFrame) -> Decision:
    """At every weight with a rate, bound and classifier say that the codes are those of N(0, I).

    The bound of KL(q(z) ‖ N(0, I)) comes from fresh pictures and a density fitted to others, so
    that it is 0 or less for N(0, I) itself and its size is no artefact of the number of pictures.
    """
    rate = table.groupby("beta")["rate"].mean()
    told = table[table["beta"].isin(rate.index[rate > LEAST_RATE])]

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        bound, accuracy = (
            mean_interval(part[name], unit="seed", level=level, resolution=1e-4)
            for name in ("kl_bound", "accuracy")
        )
        answers = {below(bound, NATS), below(accuracy, ACCURACY)}
        if answers == {"holds"}:
            return bound, "holds"
        return bound, "does not hold" if "does not hold" in answers else "undecided"

    return by_condition(told, ("beta",), find, always)


def _sweep(rng: np.random.Generator, bounds: Mapping[float, float], sd: float = 0) -> pd.DataFrame:
    rows = []
    for beta, bound in bounds.items():
        for seed in range(NUM_SEEDS):
            nats = bound + rng.normal(0, sd or SD[beta])
            right = 0.5 + 0.3 * max(bound, 0) ** 0.5  # as in today's record
            rows.append(
                {"seed": seed, "beta": beta, "rate": RATES[beta] * (1 + rng.normal(0, 0.03))}
                | {"kl_bound": nats, "accuracy": min(0.99, right) + rng.normal(0, 0.015)}
            )
    return pd.DataFrame(rows)


NULL = dict.fromkeys(RATES, -0.03)

PROPOSITIONS = (
    Proposition(
        "C3",
        "At every weight at which the code says something, all codes together are N(0, I).",
        "nats that KL(q(z) ‖ N(0, I)) is at least, by a density fitted to other codes; and the "
        "share of held-out codes that a classifier tells from N(0, I)",
        NATS,
        "by Pinsker's inequality 0.1 nats allow a judge of one code 61 % right answers at most; "
        "55 % are what half of that would allow",
        "seed",
        NUM_SEEDS,
        0,
        "aggregate_bounds",
        ("seed", "beta", "rate", "kl_bound", "accuracy"),
        gaussian,
        (
            World("true", partial(_sweep, bounds=NULL, sd=0.04), "holds", 0.9),
            World("false: as recorded", partial(_sweep, bounds=TODAY), "does not hold", 0.95),
            World(
                "false at one weight only",
                partial(_sweep, bounds=NULL | {1.0: 0.4}, sd=0.1),
                "does not hold",
                0.9,
            ),
            World(
                "on the margin at one weight",
                partial(_sweep, bounds=NULL | {1.0: NATS}, sd=0.04),
                "holds",
                at_most=0.05,
            ),
        ),
        "the record beta_sweep: a classifier tells 97 % of the codes at β = 1, 51 % at β = 36; the "
        "17.6 nats of its other estimate are an artefact",
        4.0,
    ),
)
