"""C6: hardly one of the 2ⁿ possible codes decodes to a dog."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import below, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.reading import by_threshold
from vaebook.experiments.propositions.worlds import counted
from vaebook.experiments.record.inference import Interval, nested_share_interval

NUM_SEEDS = 24
NUM_PICTURES = 200
HARDLY = 0.01
SURER = 0.4  # of α: shares so small are skewed over seeds, and the interval errs more often
COUNTS = {"num_dogs_at_0.75": 0.03, "num_dogs": 0.04, "num_dogs_at_1.25": 0.05}
SHORT, USUAL, LONG = (f"convolutional, {size} numbers" for size in (8, 16, 32))
OTHER = "MLP, 16 numbers"
SETTINGS: dict[str, tuple[object, ...]] = {
    "setting": (SHORT, USUAL, LONG, OTHER),
    "threshold": tuple(COUNTS.values()),
}
BLIND, FITTED = ("box", "corners", "standard normal"), ("mixture", "fitted normal")


def hardly_one(table: pd.DataFrame) -> Decision:
    """Less than one in a hundred of the codes that are drawn so decode to a dog.

    On the margin, a share that spreads over seeds by twice as much is taken for smaller than it is
    in 5 of 100 cases (at α itself in 8), by three times as much in 9.
    """

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        share = nested_share_interval(
            part["num_dogs"].tolist(),
            part["num_pictures"].tolist(),
            level=1 - SURER * (1 - level),
        )
        return share, below(share, HARDLY)

    return by_condition(table, ("sampler", *SETTINGS), find)


def _read(record: pd.DataFrame) -> pd.DataFrame:
    size = record["latent_dim"].astype(str) + " numbers"
    return by_threshold(record.assign(setting=record["network"] + ", " + size), "num_dogs", COUNTS)


Share = Mapping[object, float]  # by the setting; "" for those that are not named
WIDEST = max(COUNTS.values())


def _drawn(
    rng: np.random.Generator,
    samplers: tuple[object, ...],
    share: Share,
    sd: float,
    *,
    only: bool = False,
) -> pd.DataFrame:
    """With ``only`` the share of a setting that is named is that of one condition in it."""

    def chance(table: pd.DataFrame) -> pd.Series:
        named = table["setting"].map(lambda setting: share.get(setting, share[""]))
        if not only:
            return named
        one = (table["sampler"] == samplers[-1]) & (table["threshold"] == WIDEST)
        return named.where(one, share[""])

    return counted(
        rng,
        chance,
        num_seeds=NUM_SEEDS,
        levels={"sampler": samplers, **SETTINGS},
        sd=sd,
        num_pictures=NUM_PICTURES,
    )


def _about(
    name: str, text: str, samplers: tuple[object, ...], seen: str, minutes: float
) -> Proposition:
    draw = partial(_drawn, samplers=samplers)
    return Proposition(
        name,
        text,
        f"share of dogs among codes of 8, 16 and 32 numbers, from: {', '.join(map(str, samplers))}",
        HARDLY,
        "“minuscule”: a reader who draws a hundred sees none, as a rule",
        "seed",
        NUM_SEEDS,
        NUM_PICTURES,
        "blind_codes",
        ("num_dogs", "num_pictures"),
        hardly_one,
        (
            World("true", partial(draw, share={"": 0.001}, sd=0.001), "holds", 0.9),
            World(
                "true, at 16 some seeds with more",
                partial(draw, share={"": 0.0005, USUAL: 0.002}, sd=0.002),
                "holds",
                0.6,
            ),
            World("false", partial(draw, share={"": 0.3}, sd=0.05), "does not hold", 0.9),
            World(
                "one size on the margin",
                partial(draw, share={"": 0.001, USUAL: HARDLY}, sd=0.005),
                "undecided",
                0.85,
            ),
            World(
                "one on the margin",
                partial(draw, share={"": 0.0, OTHER: HARDLY}, sd=0.005, only=True),
                "undecided",
                0.85,
            ),
            World(
                "one on the margin, skewed",
                partial(draw, share={"": 0.0, OTHER: HARDLY}, sd=0.02, only=True),
                "undecided",
                0.85,
            ),
            World(
                "for short codes not",
                partial(draw, share={"": 0.001, SHORT: 0.08}, sd=0.02),
                "depends",
                0.6,
            ),
        ),
        seen,
        minutes,
        {"sampler": samplers, **SETTINGS},
        _read,
    )


PROPOSITIONS = (
    _about(
        "C6a",
        "A code drawn blindly hardly ever decodes to a dog.",
        BLIND,
        "the record holes, 250 draws each: box and corners 0 at 8, 16 and 32; N(0, I) 8 % at 8, "
        "0.8 % at 16; a pilot of one seed at 0.04, both networks: corners 0, box 0.5 and 10 % at "
        "8, 0 to 1 % above, N(0, I) 17 and 22 % at 8, 2 to 7 % above; another: box 0.5 and 8 % "
        "at 8, 0 to 1.5 % above, N(0, I) 13 and 18 %, 0 to 8 %",
        4.2,
    ),
    _about(
        "C6b",
        "Nor does a code drawn from a density fitted to the codes.",
        FITTED,
        "the record holes: 52 % of 250 from a mixture at 16, 9 % from a fitted normal; a pilot of "
        "one seed at 0.04: 82 to 97 % and 32 to 78 %; another: 40 to 99 % and 3 to 73 %",
        0.0,
    ),
)
