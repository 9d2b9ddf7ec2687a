"""C6: hardly one of the 2ⁿ possible codes decodes to a dog."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import Found, Part, below, grouped, over_groups
from vaebook.experiments.propositions.answers import level as level_of
from vaebook.experiments.propositions.proposition import Decision, Proposition, World
from vaebook.experiments.propositions.reading import by_threshold
from vaebook.experiments.propositions.worlds import Items, cells, counted, items
from vaebook.experiments.record.inference import Interval, nested_share_intervals

NUM_SEEDS = 24
NUM_PICTURES = 200
HARDLY = 0.01
ROOM = 0.2  # of reconstructions: with fewer dogs among them no code could give many
SURER = 0.4  # of α: shares so small are skewed over seeds, and the interval errs more often
COUNTS = {"num_dogs_at_0.75": 0.03, "num_dogs": 0.04, "num_dogs_at_1.25": 0.05}
SHORT, USUAL, LONG = (f"convolutional, {size} numbers" for size in (8, 16, 32))
OTHER = "MLP, 16 numbers"
SETTINGS: dict[str, tuple[object, ...]] = {
    "setting": (SHORT, USUAL, LONG, OTHER),
    "threshold": tuple(COUNTS.values()),
}
REBUILT = "reconstruction"
BLIND, FITTED = ("box", "corners", "standard normal"), ("mixture", "fitted normal")


def hardly_one(table: pd.DataFrame) -> Decision:
    """Less than one in a hundred of the codes that are drawn so decode to a dog.

    Where at most ``ROOM`` of the reconstructions of dogs are dogs, at that threshold, it says
    nothing: such a decoder draws none from any code. Then the sentence cannot hold; if that leaves
    nothing, nothing is decided.

    On the margin, a share that spreads over seeds by twice as much is taken for smaller than it is
    in 5 of 100 cases (at α itself in 7), by three times as much in 9, by five times in 23.
    """
    groups = grouped(table, ("sampler", *SETTINGS))
    rebuilt = {key[1:]: part for key, part in groups if key[0] == REBUILT}
    shares = zip(rebuilt, _shares([*rebuilt.values()], level_of()), strict=True)
    roomy = {place for place, share in shares if share.low > ROOM}
    asked = [
        (key, part) for key, part in groups if key[0] != REBUILT and (key[1:] in roomy or not roomy)
    ]

    def find_each(parts: Sequence[Part], level: float) -> list[Found]:
        shares = _shares(parts, 1 - SURER * (1 - level))
        return [(share, below(share, HARDLY) if roomy else "undecided") for share in shares]

    decision = over_groups(asked, find_each)
    if decision.answer == "holds" and len(roomy) < len(rebuilt):
        return Decision("undecided", decision.findings)
    return decision


def _shares(parts: Sequence[Part], level: float) -> list[Interval]:
    """Of dogs, in each part."""
    hits, trials = (
        np.array([part[name] for part in parts]) for name in ("num_dogs", "num_pictures")
    )
    return nested_share_intervals(hits, trials, level=level)


def _read(record: pd.DataFrame) -> pd.DataFrame:
    size = record["latent_dim"].astype(str) + " numbers"
    return by_threshold(record.assign(setting=record["network"] + ", " + size), "num_dogs", COUNTS)


def _levels(samplers: tuple[object, ...]) -> dict[str, tuple[object, ...]]:
    return {"sampler": (*samplers, REBUILT), **SETTINGS}


Share = Mapping[object, float]  # by the setting; "" for those that are not named
MOST: Share = {"": 0.9}
WIDEST = max(COUNTS.values())


@lru_cache  # a world is drawn hundreds of times
def _means(samplers: tuple[object, ...], share: Items, rebuilt: Items, only: bool) -> np.ndarray:
    """The chance of a dog, by row."""
    table = cells(NUM_SEEDS, _levels(samplers))
    named, dogs = (
        table["setting"].map(lambda setting, given=dict(given): given.get(setting, given[""]))
        for given in (share, rebuilt)
    )
    if only:
        one = (table["sampler"] == samplers[-1]) & (table["threshold"] == WIDEST)
        named = named.where(one, dict(share)[""])
    return named.where(table["sampler"] != REBUILT, dogs).to_numpy(float)


def _drawn(
    rng: np.random.Generator,
    samplers: tuple[object, ...],
    share: Share,
    sd: float,
    *,
    only: bool = False,
    rebuilt: Share = MOST,
) -> pd.DataFrame:
    """With ``only`` the share of a setting that is named is that of one condition in it."""
    return counted(
        rng,
        _means(samplers, items(share), items(rebuilt), only),
        num_seeds=NUM_SEEDS,
        levels=_levels(samplers),
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
        "share of dogs among codes of 8, 16 and 32 numbers, from: "
        f"{', '.join(map(str, samplers))}; asked at {SURER:g} α",
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
                "no code is a dog",
                partial(draw, share={"": 0.0}, sd=0.0, rebuilt={"": 0.01}),
                "undecided",
                0.9,
            ),
            World(
                "no reconstruction with one network, else true",
                partial(draw, share={"": 0.001}, sd=0.001, rebuilt={"": 0.9, OTHER: 0.01}),
                "undecided",
                0.9,
            ),
            World(
                "false but in one setting, left open",
                partial(draw, share={"": 0.3, OTHER: HARDLY}, sd=0.005),
                "does not hold",
                0.9,
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
        _levels(samplers),
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
        4.8,
    ),
    _about(
        "C6b",
        "Nor does a code drawn from a density fitted to the codes.",
        FITTED,
        "the record holes: 52 % of 250 from a mixture at 16, 9 % from a fitted normal; a pilot of "
        "one seed at 0.04: 82 to 97 % and 32 to 78 %; another: 40 to 99 % and 3 to 73 %; of "
        "the second network 16 to 82 % and 0 to 28 % at 0.03 and 0.05",
        0.0,
    ),
)
