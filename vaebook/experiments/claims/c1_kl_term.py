"""C1: the KL term compares N(μ, σ) with N(0, 1), and has a closed form."""

import math
from pathlib import Path

import numpy as np

from vaebook.experiments.claims.claim import Claim, Effect, Verdict
from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise
from vaebook.plots import summary_text

GAP = 1e-6  # nats: what two exact computations may differ by
STANDARD_ERRORS = 5  # of Monte Carlo
SENTENCES = {
    "holds": (
        "It compares the codes of one picture, not of all, with N(0, 1); the closed form is exact."
    ),
    "does not hold": "The closed form disagrees with an independent computation.",
}


def kl_term(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_recorded("kl_closed_form", folder)
    gaps = record[["quadrature_gap", "torch_gap", "line_integral_gap"]].to_numpy()
    agrees = gaps.max() < GAP and record["monte_carlo_standard_errors"].max() < STANDARD_ERRORS
    mean = summarise(record, [], ["kl_per_picture", "kl_of_aggregate"]).set_index("value")
    term, together = mean.loc["kl_per_picture"], mean.loc["kl_of_aggregate"]
    evidence = (
        f"The closed form, quadrature, torch.distributions and a line integral agree to "
        f"{10.0 ** math.ceil(math.log10(gaps.max())):.0e} nats, Monte Carlo within "
        f"{record['monte_carlo_standard_errors'].max():.1f} standard errors. "
        f"What is compared is the codes of *one* picture: the term was {term['mean']:.2f} "
        f"± {term['mean'] - term['low']:.2f} nats where the codes of all pictures together were "
        f"{together['mean']:.3f} ± {together['mean'] - together['low']:.3f} nats from N(0, 1)."
    )
    names = ("quadrature", "torch.distributions", "line integral")
    largest = record.groupby("seed")[["quadrature_gap", "torch_gap", "line_integral_gap"]].max()
    largest = np.log10(largest.clip(lower=1e-16)).set_axis(names, axis=1)
    effects = tuple(
        Effect.of(
            str(row["value"]), row, "log₁₀ of the largest gap in nats", lines=(math.log10(GAP),)
        )
        for _, row in summarise(largest.reset_index(), [], list(names)).iterrows()
    )
    number = (
        f"{summary_text(term, 2)} nats from N(0, 1) for the codes of one picture, "
        f"{summary_text(together, 2)} for the codes of all"
    )
    if agrees:
        return Verdict("holds", evidence, effects, SENTENCES["holds"], number)
    return Verdict("does not hold", evidence, effects, SENTENCES["does not hold"], number)


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
