"""C1: the KL term compares N(μ, σ) with N(0, 1), and has a closed form."""

from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import Part, above, below, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.worlds import cells
from vaebook.experiments.record.inference import Interval, mean_interval

NUM_SEEDS = 5
SAME = 1e-3  # nats
APART = 0.1  # nats: the codes of one picture and of all must differ, or nothing is told apart
EXACT = 1e-6  # nats
STEP = 1e-9  # nats: what two sums in double precision of some ten terms may differ by


def of_one_picture(table: pd.DataFrame) -> Decision:
    """The term is the mean divergence of single pictures, and is not that of all codes together."""

    def find(part: Part, level: float) -> tuple[Interval, Answer]:
        gap, other, apart = (
            mean_interval(part[name], unit="seed", level=level, resolution=STEP)
            for name in ("picture_gap", "aggregate_gap", "apart")
        )
        if above(apart, APART) != "holds":  # collapsed: one picture's codes are those of all
            return gap, "undecided"
        answers = below(gap, SAME), above(other, APART)
        if "does not hold" in answers:
            return gap, "does not hold"
        return gap, "holds" if set(answers) == {"holds"} else "undecided"

    return by_condition(table, (), find)


def closed_form(table: pd.DataFrame) -> Decision:
    """Closed form and quadrature agree."""

    def find(part: Part, level: float) -> tuple[Interval, Answer]:
        gap = mean_interval(part["quadrature_gap"], unit="seed", level=level, resolution=STEP)
        return gap, below(gap, EXACT)

    return by_condition(table, (), find)


def _gaps(rng: np.random.Generator, **sizes: float) -> pd.DataFrame:
    """Gaps that are never negative, of about these sizes, each with a tenth of it as spread."""
    table = cells(NUM_SEEDS, {})
    for name, size in sizes.items():
        table[name] = np.abs(size * rng.normal(1, 0.1, NUM_SEEDS))
    return table


_term = partial(_gaps, apart=8.0)

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
        ("picture_gap", "aggregate_gap", "apart"),
        of_one_picture,
        (
            World("true", partial(_term, picture_gap=1e-5, aggregate_gap=8.0), "holds", 0.9),
            World(
                "false: of all codes",
                partial(_term, picture_gap=8.0, aggregate_gap=1e-5),
                "does not hold",
                0.9,
            ),
            World(
                "on the margin",
                partial(_term, picture_gap=SAME, aggregate_gap=8.0),
                "undecided",
                0.85,
            ),
            World(
                "nothing differs: collapsed",
                partial(_gaps, picture_gap=1e-5, aggregate_gap=1e-5, apart=1e-5),
                "undecided",
                0.9,
            ),
        ),
        "the record kl_closed_form: 1.5 nats against 0.05",
        0.9,
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
        ("quadrature_gap",),
        closed_form,
        (
            World("true", partial(_gaps, quadrature_gap=1e-10), "holds", 0.9),
            World("false: σ for σ²", partial(_gaps, quadrature_gap=0.1), "does not hold", 0.9),
            World("on the margin", partial(_gaps, quadrature_gap=EXACT), "undecided", 0.85),
        ),
        "the record kl_closed_form: gaps below 1e-9",
        0.0,
    ),
)
