"""C6: hardly one of the 2ⁿ possible codes decodes to a dog."""

from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, below, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.worlds import counted, measured
from vaebook.experiments.record.inference import Interval, mean_interval, nested_share_interval

NUM_SEEDS = 10
NUM_PICTURES = 400
HARDLY = 0.01
HALF = 0.5
BLIND = ("box", "corners", "standard normal")
FITTED = ("mixture", "fitted normal")


def orthants(table: pd.DataFrame) -> Decision:
    """Codes of very many dogs lie in more than half of the 2ⁿ orthants, n = 8."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        share = mean_interval(part["occupied"], unit="seed", level=level, resolution=2**-8)
        return share, above(share, HALF)

    return by_condition(table, (), find)


def hardly_one(table: pd.DataFrame, samplers: tuple[str, ...]) -> Decision:
    """Less than one in a hundred of the codes that are drawn so decode to a dog."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        share = nested_share_interval(
            part["num_dogs"].tolist(), part["num_pictures"].tolist(), level=level
        )
        return share, below(share, HARDLY)

    return by_condition(table[table["sampler"].isin(samplers)], ("sampler",), find)


def _drawn(rng: np.random.Generator, samplers: tuple[str, ...], share: float) -> pd.DataFrame:
    shares = dict.fromkeys(samplers, share)
    return counted(rng, shares, num_seeds=NUM_SEEDS, sd=share / 2, num_pictures=NUM_PICTURES)


def _occupied(rng: np.random.Generator, share: float) -> pd.DataFrame:
    return measured(rng, "occupied", {"autoencoder": share}, num_seeds=NUM_SEEDS, sd=0.03)


def _about(name: str, text: str, samplers: tuple[str, ...], seen: str) -> Proposition:
    draw = partial(_drawn, samplers=samplers)
    return Proposition(
        name,
        text,
        f"share of dogs among codes drawn from: {', '.join(samplers)}",
        HARDLY,
        "“minuscule”: a reader who draws a hundred sees none, as a rule",
        "seed",
        NUM_SEEDS,
        NUM_PICTURES,
        "blind_codes",
        ("seed", "sampler", "num_dogs", "num_pictures"),
        partial(hardly_one, samplers=samplers),
        (
            World("true", partial(draw, share=0.0005), "holds", 0.9),
            World("false", partial(draw, share=0.3), "does not hold", 0.95),
            World("on the margin", partial(draw, share=HARDLY), "holds", at_most=0.05),
        ),
        seen,
        2.0,
    )


PROPOSITIONS = (
    Proposition(
        "C6a",
        "The codes fill the 2ⁿ corners of their space.",
        "share of the 2⁸ orthants in which codes of 100,000 dogs lie",
        HALF,
        "half of them: what “2ⁿ codes” would mean to within one bit",
        "seed",
        NUM_SEEDS,
        0,
        "blind_codes",
        ("seed", "occupied"),
        orthants,
        (
            World("true", partial(_occupied, share=0.95), "holds", 0.9),
            World("false", partial(_occupied, share=0.3), "does not hold", 0.95),
            World("on the margin", partial(_occupied, share=HALF), "holds", at_most=0.05),
        ),
        "the record holes: 4,000 of the 2¹⁶ orthants hold a code of 10,000 dogs",
        1.0,
    ),
    _about(
        "C6b",
        "A code drawn blindly hardly ever decodes to a dog.",
        BLIND,
        "the record holes: 0 of 250, 0 of 250, 2 of 250",
    ),
    _about(
        "C6c",
        "Nor does a code drawn from a density fitted to the codes.",
        FITTED,
        "the record holes: 52 % of 250 from a mixture, 9 % from a fitted normal",
    ),
)
