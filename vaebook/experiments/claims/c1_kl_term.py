"""C1: the KL term compares N(μ, σ) with N(0, 1), and has a closed form."""

import math
from pathlib import Path

import numpy as np

from vaebook.experiments.claims.claim import Claim, Effect, Verdict, outcome_of, spread_text
from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise
from vaebook.plots import summary_text

GAP = 1e-6  # nats: what two exact computations may differ by
STANDARD_ERRORS = 5  # of Monte Carlo
COMPUTATIONS = {  # that are held against the closed form
    "quadrature_gap": "quadrature",
    "torch_gap": "torch.distributions",
    "line_integral_gap": "line integral",
}
SENTENCES = {
    "holds": (
        "It compares the codes of one picture, not of all, with N(0, 1); the closed form is exact."
    ),
    "does not hold": "The closed form disagrees with an independent computation.",
}


def kl_term(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_recorded("kl_closed_form", folder)
    gaps = record[list(COMPUTATIONS)].to_numpy()
    agrees = gaps.max() < GAP and record["monte_carlo_standard_errors"].max() < STANDARD_ERRORS
    mean = summarise(record, [], ["kl_per_picture", "kl_of_aggregate"]).set_index("value")
    term, together = mean.loc["kl_per_picture"], mean.loc["kl_of_aggregate"]
    evidence = (
        f"The closed form, quadrature, torch.distributions and a line integral agree to "
        f"{10.0 ** math.ceil(math.log10(gaps.max())):.0e} nats, Monte Carlo within "
        f"{record['monte_carlo_standard_errors'].max():.1f} standard errors. "
        f"What is compared is the codes of *one* picture: the term was {spread_text(term, '.2f')} "
        f"nats where the codes of all pictures together were {spread_text(together, '.3f')} nats "
        "from N(0, 1)."
    )
    largest = record.groupby("seed")[list(COMPUTATIONS)].max().rename(columns=COMPUTATIONS)
    orders = summarise(np.log10(largest.clip(lower=1e-16)).reset_index(), [])
    measure, limit = "log₁₀ of the largest gap in nats", (math.log10(GAP),)
    effects = tuple(
        Effect.of(str(row["value"]), row, measure, lines=limit) for _, row in orders.iterrows()
    )
    number = (
        f"{summary_text(term, 2)} nats from N(0, 1) for the codes of one picture, "
        f"{summary_text(together, 2)} for the codes of all"
    )
    outcome = outcome_of(holds=agrees, fails=not agrees)
    return Verdict(outcome, evidence, effects, SENTENCES[outcome], number)


CLAIM = Claim(
    "C1",
    "The KL term compares N(μ, σ) with N(0, 1), and has a closed form.",
    (4,),
    "Holds if, for random posteriors of one picture, the closed form is within 1e-6 nats of "
    "quadrature, of torch.distributions and of the line integral of its gradient, and within "
    "five standard errors of Monte Carlo.",
    kl_term,
    ("kl_closed_form",),
)
