"""C5: another distribution could be chosen, with the loss that fits it."""

from pathlib import Path

import pandas as pd

from vaebook.experiments.ch09_why_normal.records import PRIOR_RECORDS, load_trial
from vaebook.experiments.claims.claim import Claim, Effect, Verdict, outcome_of
from vaebook.experiments.record.statistics import paired_differences
from vaebook.plots import summary_text

CHOSEN = ("Laplace", "uniform", "sphere", "mixture", "VampPrior", "flow", "discrete codes")
PLAIN = {"sphere": "codes on a sphere"}  # names for a card
MARGIN = 0.1  # of the share of dogs


def another_distribution(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_trial(folder)
    found = paired_differences(record, "model", "normal", ["validity"])
    dogs = found.set_index("model").loc[list(CHOSEN)]
    seeds = record["seed"].nunique()
    as_good = (dogs["low"] > -MARGIN) & (dogs["seeds"] == seeds)  # a failed seed is no success
    worse = (dogs["high"] < -MARGIN) | (dogs["seeds"] < seeds)
    outcome = outcome_of(holds=as_good.all(), fails=worse.all())

    def told(row: pd.Series) -> str:
        return f"{row.name} {100 * row['mean']:+.0f} ± {100 * (row['mean'] - row['low']):.0f}"

    normal = record[record["model"] == "normal"]["validity"].mean()
    evidence = (
        f"Each with its own loss, {as_good.sum()} of {len(CHOSEN)} other distributions of codes "
        f"gave dogs, for certain, at most {100 * MARGIN:.0f} points less often than the normal "
        f"one's {normal:.0%}: in points, {', '.join(told(row) for _, row in dogs.iterrows())}."
    )
    measure = "points of dogs more than the normal prior"
    limit = (-100 * MARGIN,)
    effects = tuple(
        Effect.of(str(name), row, measure, lines=limit, factor=100.0)
        for name, row in dogs.iterrows()
    )
    sentence = (
        f"Of {len(CHOSEN)} others, {as_good.sum()} were shown to give dogs as often as the normal "
        f"prior, within {100 * MARGIN:.0f} points."
    )
    ends = [dogs.loc[dogs["mean"].agg(pick)] for pick in ("idxmin", "idxmax")]
    least, most = (
        f"{'+' if row['mean'] > 0 else ''}{summary_text(row, 0, factor=100)} points "
        f"({PLAIN.get(str(row.name), row.name)})"
        for row in ends
    )
    number = f"dogs against the normal prior: from {least} to {most}"
    return Verdict(outcome, evidence, effects, sentence, number)


CLAIM = Claim(
    "C5",
    "Another distribution could be chosen, with the loss that fits it.",
    (9,),
    "Seven other distributions of codes, each with its own loss, against the normal one, seed "
    "by seed. One is as good if it gives dogs at most 10 points less often, with 95 % "
    "confidence. Holds if all seven are; does not hold if all seven are worse than that, with "
    "95 % confidence; in part otherwise.",
    another_distribution,
    PRIOR_RECORDS,
    "Simulated with this record's scatter, a prior exactly as good as the normal passes in "
    "73 % of cases, all seven together in 21 %.",
)
