"""How often a rule gives each answer in a world where the right one is known."""

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.proposition import ANSWERS, WRONG, Proposition

TRIES = 200
# Of so many tries, a chance of exactly WRONG shows more than this in one of a hundred cases.
SLACK = 0.04


def chances(proposition: Proposition, *, tries: int = TRIES, seed: int = 0) -> pd.DataFrame:
    """The share of each answer over made-up records, and whether it is as it must be.

    Args:
        proposition: with its worlds.
        tries: records made up for each world.
        seed: of the random numbers.

    Returns:
        A row per world: the shares of the four answers, ``wanted``, ``at_least``, ``wrong`` (the
        share of definite answers that are not the wanted one), and ``good``.
    """
    rows = []
    for place, world in enumerate(proposition.worlds):
        rng = np.random.default_rng([seed, place, *proposition.name.encode()])
        proposition.decide(world.draw(np.random.default_rng(0)))  # whether it is as registered
        given = [proposition.rule(world.draw(rng)).answer for _ in range(tries)]
        share: dict[str, float] = {answer: given.count(answer) / tries for answer in ANSWERS}
        wrong = sum(
            share[answer] for answer in ANSWERS if answer not in (world.answer, "undecided")
        )
        rows.append(
            dict(
                proposition=proposition.name,
                world=world.name,
                wanted=world.answer,
                at_least=world.at_least,
                wrong=wrong,
                good=share[world.answer] >= world.at_least and wrong <= WRONG + SLACK,
                **share,
            )
        )
    return pd.DataFrame(rows)
