"""C3: the KL term forces the learned latent space to be Gaussian.

The weights are also noises of a pixel: D + β R has the minimum of D / β + R, and with a Gaussian
likelihood D / β is, but for a constant, the distortion under σ √β. So β from 0.25 to 196 at σ = 0.1
is the plain VAE at σ from 0.05 to 1.4. The network and the budget are the reference model's: one
model that is not N(0, I) refutes a sentence about every one; if none is found, the answer "holds"
is one about this model.
"""

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import Part, always, each, grouped, over_groups
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.propositions.worlds import Items, cells, items
from vaebook.experiments.record.inference import Interval, mean_interval

NUM_SEEDS = 8
NATS = 0.2
SEEN = 0.05  # nats that the planted distance must stand above nothing at all
LEAST_RATE = 1.0  # nats: below it the code says next to nothing
BETAS: dict[str, tuple[object, ...]] = {"beta": (0.25, 1.0, 4.0, 9.0, 16.0, 36.0, 81.0, 196.0)}
# Of today's record, by β: the rate, the classifier's bound and its spread over seeds.
RATES = {0.25: 51.0, 1.0: 27.0, 4.0: 13.0, 9.0: 8.0, 16.0: 5.5, 36.0: 2.5, 81.0: 1.6, 196.0: 0.0}
TODAY = {0.25: 5.0, 1.0: 4.9, 4.0: 1.2, 9.0: 0.42, 16.0: 0.17, 36.0: 0.0, 81.0: 0.0, 196.0: 0.0}
# Of the bound for N(0, I): how much too small it is, and its spread: over six pilot seeds 0.003, of
# the instrument alone; planned for more, since each seed trains a model.
LOSS, SD = 0.045, 0.02


def gaussian(table: pd.DataFrame) -> Decision:
    """At every weight with a rate, the codes are nearer to N(0, I) than ``NATS``.

    The bound of KL(q(z) ‖ N(0, I)) is too small by what the fitted density misses, so by itself it
    can refute and not confirm. Beside it stands the bound of codes whose divergence is ``NATS`` by
    construction, as many and by the same density. It holds where the codes' bound is less than
    that; it does not where the bound itself is above ``NATS``; and where the planted distance is
    not seen above the bound of N(0, I), the instrument is blind and nothing is decided.
    """
    told = [group for group in grouped(table, ("beta",)) if group[1]["rate"].mean() > LEAST_RATE]
    if not told:
        return Decision("undecided", ())

    def find(part: Part, level: float) -> tuple[Interval, Answer]:
        def interval(values: np.ndarray) -> Interval:
            return mean_interval(values, unit="seed", level=level, resolution=1e-4)

        kl, planted, null = (part[name] for name in ("kl_bound", "planted_bound", "null_bound"))
        bound = interval(kl)
        if bound.low > NATS:
            return bound, "does not hold"
        seen = interval(planted - null).low > SEEN
        nearer = interval(planted - kl).low > 0
        return bound, "holds" if seen and nearer else "undecided"

    return over_groups(told, each(find), always)


@lru_cache  # a world is drawn hundreds of times
def _by_beta(values: Items) -> np.ndarray:
    return cells(NUM_SEEDS, BETAS)["beta"].map(dict(values)).to_numpy(float)


def _sweep(
    rng: np.random.Generator, truth: Mapping[float, float], *, sees: float = 1.0
) -> pd.DataFrame:
    """Bounds of these divergences; an instrument that is blind sees nothing of them."""
    table = cells(NUM_SEEDS, BETAS)
    size = len(table)
    far = _by_beta(items(truth))

    def bound(nats: np.ndarray | float) -> np.ndarray:
        nats = sees * np.asarray(nats)
        # what a fitted density misses, and how much the estimate spreads, grows with the distance
        return 0.7 * nats - LOSS + rng.normal(0, SD * (1 + 3 * nats), size)

    rate = _by_beta(items(RATES)) * (1 + rng.normal(0, 0.03, size))
    return table.assign(
        rate=rate, kl_bound=bound(far), planted_bound=bound(NATS), null_bound=bound(0.0)
    )


NULL = dict.fromkeys(RATES, 0.0)

PROPOSITIONS = (
    Proposition(
        "C3",
        "At every weight at which the code says something, all codes together are N(0, I).",
        "nats that KL(q(z) ‖ N(0, I)) is at least, by a density fitted to other codes",
        NATS,
        "by Pinsker's inequality a judge who sees one code is then right in at most 66 % of cases",
        "seed",
        NUM_SEEDS,
        0,
        "aggregate_bounds",
        ("rate", "kl_bound", "planted_bound", "null_bound"),
        gaussian,
        (
            World("true", partial(_sweep, truth=NULL), "holds", 0.9),
            World("false: as recorded", partial(_sweep, truth=TODAY), "does not hold", 0.9),
            World(
                "false at one weight only",
                partial(_sweep, truth=NULL | {1.0: 0.6}),
                "does not hold",
                0.9,
            ),
            World(
                "on the margin at one weight",
                partial(_sweep, truth=NULL | {1.0: NATS}),
                "undecided",
                0.9,
            ),
            World(
                "nothing is seen: blind", partial(_sweep, truth=TODAY, sees=0.0), "undecided", 0.9
            ),
        ),
        "the record beta_sweep: a classifier tells 97 % of the codes at β = 1, 51 % at β = 36, its "
        "bound is 4.9 nats and nothing; the 17.6 nats of the other estimate are an artefact; two "
        "pilots of one seed: bounds of 7.0 and 8.5, 3.4 and 3.9, 1.2 and 1.4, 0.7 and 0.8, 0.2 and "
        "0.3, 0.06 and 0.08, and −0.03 nats from β = 0.25 to 81, −0.05 of N(0, I), 0.09 of the "
        "planted distance",
        6.9,
        BETAS,
    ),
)
