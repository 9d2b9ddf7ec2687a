"""How often a rule gives each answer in a world where the right one is known."""

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.proposition import ANSWERS, Proposition

TRIES = 200


def chances(proposition: Proposition, *, tries: int = TRIES, seed: int = 0) -> pd.DataFrame:
    """The share of each answer over made-up records, and whether it is as it must be.

    Args:
        proposition: with its worlds.
        tries: records made up for each world.
        seed: of the random numbers.

    Returns:
        A row per world: the shares of the four answers, ``wanted``, ``at_least``, ``at_most``, and
        ``good``.
    """
    rows = []
    for place, world in enumerate(proposition.worlds):
        rng = np.random.default_rng([seed, place, *proposition.name.encode()])
        given = [proposition.decide(world.draw(rng)).answer for _ in range(tries)]
        share: dict[str, float] = {answer: given.count(answer) / tries for answer in ANSWERS}
        good = world.at_least <= share[world.answer] <= world.at_most
        rows.append(
            dict(
                proposition=proposition.name,
                world=world.name,
                wanted=world.answer,
                at_least=world.at_least,
                at_most=world.at_most,
                good=good,
                **share,
            )
        )
    return pd.DataFrame(rows)
