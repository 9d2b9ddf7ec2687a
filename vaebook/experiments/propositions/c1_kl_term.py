"""C1: the KL term compares N(μ, σ) with N(0, 1), and has a closed form."""

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, below, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.record.inference import Interval, mean_interval

NUM_SEEDS = 5
SAME = 1e-3  # nats
APART = 0.1  # nats
EXACT = 1e-6  # nats
STEP = 1e-9  # nats: what two sums in double precision of some ten terms may differ by


def of_one_picture(table: pd.DataFrame) -> Decision:
    """The term is the mean divergence of single pictures, and is not that of all codes together."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        gap, other = (
            mean_interval(part[name], unit="seed", level=level, resolution=STEP)
            for name in ("picture_gap", "aggregate_gap")
        )
        answers = {below(gap, SAME), above(other, APART)}
        if answers == {"holds"}:
            return gap, "holds"
        return gap, "does not hold" if "does not hold" in answers else "undecided"

    return by_condition(table, (), find)


def closed_form(table: pd.DataFrame) -> Decision:
    """Closed form and quadrature agree."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        gap = mean_interval(part["quadrature_gap"], unit="seed", level=level, resolution=STEP)
        return gap, below(gap, EXACT)

    return by_condition(table, (), find)


def _gaps(rng: np.random.Generator, **sizes: float) -> pd.DataFrame:
    """Gaps that are never negative, of about these sizes, each with a tenth of it as spread."""
    seeds = pd.DataFrame({"seed": range(NUM_SEEDS)})
    for name, size in sizes.items():
        seeds[name] = np.abs(size * rng.normal(1, 0.1, NUM_SEEDS))
    return seeds


PROPOSITIONS = (
    Proposition(
        "C1a",
        "The term compares the codes of one picture with N(0, I), not those of all pictures.",
        "nats between the loss's term and the mean divergence of single pictures",
        SAME,
        "single precision, in which the loss is summed, keeps four digits of a term of 10 nats",
        "seed",
        NUM_SEEDS,
        0,
        "kl_terms",
        ("seed", "picture_gap", "aggregate_gap"),
        of_one_picture,
        (
            World("true", lambda rng: _gaps(rng, picture_gap=1e-5, aggregate_gap=8), "holds", 0.9),
            World(
                "false: of all codes",
                lambda rng: _gaps(rng, picture_gap=8, aggregate_gap=1e-5),
                "does not hold",
                0.95,
            ),
            World(
                "on the margin",
                lambda rng: _gaps(rng, picture_gap=SAME, aggregate_gap=8),
                "holds",
                at_most=0.05,
            ),
            World(
                "nothing differs: collapsed",
                lambda rng: _gaps(rng, picture_gap=1e-5, aggregate_gap=1e-5),
                "holds",
                at_most=0.05,
            ),
        ),
        "the record kl_closed_form: 1.5 nats against 0.05",
        0.2,
    ),
    Proposition(
        "C1b",
        "The term has a closed form.",
        "nats between closed form and quadrature, at most over 100 posteriors",
        EXACT,
        "quadrature in double precision is exact to nine digits",
        "seed",
        NUM_SEEDS,
        0,
        "kl_terms",
        ("seed", "quadrature_gap"),
        closed_form,
        (
            World("true", lambda rng: _gaps(rng, quadrature_gap=1e-10), "holds", 0.9),
            World(
                "false: σ in the place of σ²",
                lambda rng: _gaps(rng, quadrature_gap=0.1),
                "does not hold",
                0.95,
            ),
            World(
                "on the margin", lambda rng: _gaps(rng, quadrature_gap=EXACT), "holds", at_most=0.05
            ),
        ),
        "the record kl_closed_form: gaps below 1e-9",
        0.2,
    ),
)
