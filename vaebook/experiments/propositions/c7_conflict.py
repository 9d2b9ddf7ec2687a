"""C7: VAEs are blurry because the two terms of the loss are in conflict."""

from functools import partial

import numpy as np
import pandas as pd

from vaebook.experiments.propositions.answers import above, by_condition
from vaebook.experiments.propositions.proposition import Answer, Decision, Proposition, World
from vaebook.experiments.record.inference import Interval, mean_interval

NUM_SEEDS = 16
GONE = 0.9
MOST = 0.5
SD = 0.05  # of a share of the blur from seed to seed; recorded: 0.02 to 0.05
CONDITIONS = {
    "compared": ("reconstructions", "samples"),
    "network": ("convolutional", "MLP"),
    "data": ("dogs", "clothes"),
    "noise": ("0.05", "0.1", "0.2", "0.4", "learned"),
}


def explained(table: pd.DataFrame, margin: float) -> Decision:
    """The part of what the VAE lacks in sharpness that its twin without a KL term does not lack."""

    def find(part: pd.DataFrame, level: float) -> tuple[Interval, Answer]:
        share = mean_interval(part["explained"], unit="seed", level=level)
        return share, above(share, margin)

    return by_condition(table, tuple(CONDITIONS), find)


def _twins(
    rng: np.random.Generator, share: float, at_low_noise: float | None = None
) -> pd.DataFrame:
    cells = pd.MultiIndex.from_product([range(NUM_SEEDS), *CONDITIONS.values()])
    table = cells.set_names(["seed", *CONDITIONS]).to_frame(index=False)
    low = table["noise"].isin(("0.05", "0.1")) & (at_low_noise is not None)
    mean = np.where(low, share if at_low_noise is None else at_low_noise, share)
    return table.assign(explained=mean + rng.normal(0, SD, len(table)))


def _about(name: str, text: str, margin: float, reason: str, minutes: float) -> Proposition:
    return Proposition(
        name,
        text,
        "share of the lost sharpness that is not lost by a twin without a KL term, sample against "
        "sample and reconstruction against reconstruction",
        margin,
        reason,
        "seed",
        NUM_SEEDS,
        1000,
        "blur_twins",
        ("seed", *CONDITIONS, "explained"),
        partial(explained, margin=margin),
        (
            World("true", partial(_twins, share=min(1.0, margin + 0.15)), "holds", 0.9),
            World("false", partial(_twins, share=margin - 0.2), "does not hold", 0.9),
            World("on the margin", partial(_twins, share=margin), "holds", at_most=0.05),
            World(
                "where the noise is large only",
                partial(_twins, share=min(1.0, margin + 0.15), at_low_noise=margin - 0.2),
                "depends",
                0.9,
            ),
        ),
        "the records blur_causes and blur_fashion: 20 % of what samples lack at σ = 0.4, a third "
        "of what reconstructions lack; a review found 46 to 56 % with other networks",
        minutes,
    )


PROPOSITIONS = (
    _about(
        "C7a",
        "Without the KL term the blur is gone.",
        GONE,
        "gone: nine tenths, beyond which nobody sees the rest",
        14.0,
    ),
    _about(
        "C7b",
        "The KL term explains most of the blur.",
        MOST,
        "most: more than half",
        0.0,
    ),
)
