"""C4: there is a known distribution to sample from."""

from pathlib import Path

from vaebook.experiments.claims.claim import Claim, Effect, Verdict, outcome_of, spread_text
from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise
from vaebook.plots import summary_text

AS_GOOD, FAR_WORSE = 0.9, 0.5  # samples' share of dogs, divided by that of reconstructions
SENTENCES = {
    "holds": "Samples from N(0, I) are dogs as often as reconstructions are, in every model tried.",
    "holds in part": (
        "The distribution is known; whether its samples are dogs depends on the KL term's size "
        "and the network."
    ),
    "does not hold": "The distribution is known, but its samples are hardly ever dogs.",
}


def known_distribution(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_recorded("pixel_noise", folder)
    recipe = ["network", "sigma", "num_epochs"]
    shares = record.pivot(index=["seed", *recipe], columns="source", values="validity")
    shares["relative"] = shares["prior"] / shares["reconstruction"]
    summary = summarise(shares.reset_index(), recipe, ["relative", "prior", "reconstruction"])
    relative = summary[summary["value"] == "relative"]
    outcome = outcome_of(
        holds=(relative["low"] > AS_GOOD).all(), fails=(relative["high"] < FAR_WORSE).all()
    )
    by_recipe = summary.set_index([*recipe, "value"]).sort_index()
    prior_share = summary[summary["value"] == "prior"]
    worst = tuple(prior_share.loc[prior_share["mean"].idxmin(), recipe])
    best = tuple(prior_share.loc[prior_share["mean"].idxmax(), recipe])

    def told(key: tuple[object, ...]) -> str:
        prior, rebuilt = (by_recipe.loc[(*key, kind)] for kind in ("prior", "reconstruction"))
        return (
            f"{spread_text(prior, '.0%')} in a VAE with {key[0]} and pixel noise {key[1]:g} (of "
            f"its reconstructions {rebuilt['mean']:.0%})"
        )

    evidence = (
        f"Of codes from N(0, I), between {told(worst)} and {told(best)} decode to a dog: the "
        "distribution is known, and whether its samples are dogs depends on the pixel noise and on "
        "the network."
    )
    measure = "share of dogs of N(0, I), divided by that of reconstructions"
    limits = (FAR_WORSE, AS_GOOD)
    effects = tuple(
        Effect.of(f"{row['network']}, σ = {row['sigma']:g}", row, measure, lines=limits)
        for _, row in relative.sort_values("mean").iloc[[0, -1]].iterrows()
    )
    lowest, highest = (
        summary_text(by_recipe.loc[(*key, "prior")], 0, factor=100) for key in (worst, best)
    )
    number = f"from {lowest} % to {highest} % of samples are dogs, by pixel noise and network"
    return Verdict(outcome, evidence, effects, SENTENCES[outcome], number)


CLAIM = Claim(
    "C4",
    "So there is a known distribution to sample from: a sample decodes to a new dog.",
    (2, 6),
    "For every VAE of this record, all of 16 numbers, the share of dogs among samples from "
    "N(0, I) is divided by that among its reconstructions. Holds if the ratio is above 0.9 for "
    "all of them, with 95 % confidence; does not hold if it is below half for all; in part "
    "otherwise.",
    known_distribution,
    ("pixel_noise",),
    "The rule was changed after its record was known, and the networks here are weaker than "
    "that of chapter 12, whose samples are dogs in 84 % of cases.",
)
