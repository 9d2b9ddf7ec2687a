"""C6: hardly one of the possible codes decodes to a dog."""

from pathlib import Path

from vaebook.experiments.claims.claim import Claim, Effect, Verdict, outcome_of, spread_text
from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise
from vaebook.plots import summary_text

MINUSCULE = 0.01  # share of dogs
SENTENCES = {
    "holds": "Hardly one code decodes to a dog, drawn blindly or from a fitted density.",
    "holds in part": (
        "Right for codes drawn blindly, anywhere in their range; wrong for codes drawn from a "
        "fitted density."
    ),
    "does not hold": "Even codes drawn blindly from the box decode to dogs now and then.",
}


def possible_codes(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_recorded("holes", folder)
    record = record[(record["model"] == "autoencoder") & (record["latent_dim"] == 16)]
    share = summarise(record, ["sampler"], ["validity"]).set_index("sampler")
    box, mixture = share.loc["box"], share.loc["mixture"]
    outcome = outcome_of(
        holds=box["high"] < MINUSCULE and mixture["high"] < MINUSCULE,
        fails=box["low"] > MINUSCULE,
    )
    found = f"{spread_text(box, '.1%')} decode" if box["mean"] > 0 else "none decoded"
    evidence = (
        f"Of codes of 16 numbers drawn evenly from the box round all codes, {found} to a dog; from "
        f"a mixture fitted to the codes, {spread_text(mixture, '.0%')}, where codes of real dogs "
        f"reach {share.loc['held-out codes', 'mean']:.0%}. 2ⁿ counts neither: the codes lie in "
        f"{record['orthants'].mean():,.0f} of the {2**16:,} orthants, and the share depends on the "
        f"density one draws from."
    )
    names = {"box": "box", "mixture": "fitted mixture", "held-out codes": "codes of real dogs"}
    effects = tuple(
        Effect.of(
            told, share.loc[name], "share of dogs in %", lines=(100 * MINUSCULE,), factor=100.0
        )
        for name, told in names.items()
    )
    number = (
        f"{summary_text(mixture, 0, factor=100)} % of draws from a fitted density are dogs, "
        f"{100 * box['mean']:.0f} % of blind draws (a small autoencoder)"
    )
    return Verdict(outcome, evidence, effects, SENTENCES[outcome], number)


CLAIM = Claim(
    "C6",
    "In a plain autoencoder there are 2ⁿ possible codes, and the chance of hitting one that "
    "decodes to a dog is minuscule.",
    (2,),
    "Tried on an autoencoder of 16 numbers; minuscule is less than 1 %, with 95 % confidence. "
    "Holds if the share of dogs is minuscule both for codes drawn evenly from the box round "
    "all codes and for those of a mixture fitted to them; does not hold if it is more than 1 % "
    "for the box; in part otherwise.",
    possible_codes,
    ("holes",),
    "The rule came with its record, and 0 of 250 draws means no more than at most 1.5 %.",
)
