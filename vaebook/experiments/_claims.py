"""The eight claims on trial, and the verdicts that the records give."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from vaebook.experiments._recorded import load_recorded, summarise

Outcome = Literal["holds", "holds in part", "does not hold"]


class Verdict(NamedTuple):
    """What a record says about a claim."""

    outcome: Outcome
    evidence: str  # one sentence with the numbers and their spread


@dataclass(frozen=True)
class Claim:
    """One of the claims that the book puts on trial.

    Args:
        name: ``"C1"`` to ``"C8"``.
        text: the claim as it is usually made.
        chapters: numbers of the chapters that try it.
        rule: how the numbers become an outcome, in words.
        judge: reads the records in a folder and applies the rule; ``None`` while the chapters are
            still to come.
    """

    name: str
    text: str
    chapters: tuple[int, ...]
    rule: str = ""
    judge: Callable[[Path | None], Verdict] | None = None


def _judge_kl_term(folder: Path | None) -> Verdict:
    record = load_recorded("kl_closed_form", folder)
    gaps = record[["quadrature_gap", "torch_gap", "line_integral_gap"]].to_numpy()
    agrees = gaps.max() < 1e-6 and record["monte_carlo_standard_errors"].max() < 5
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
    return Verdict("holds" if agrees else "does not hold", evidence)


def _judge_known_distribution(folder: Path | None) -> Verdict:
    record = load_recorded("pixel_noise", folder)
    recipe = ["network", "sigma", "num_epochs"]
    shares = record.pivot(index=["seed", *recipe], columns="source", values="validity")
    shares["relative"] = shares["prior"] / shares["reconstruction"]
    summary = summarise(shares.reset_index(), recipe, ["relative", "prior", "reconstruction"])
    relative = summary[summary["value"] == "relative"]
    outcome: Outcome = "holds in part"
    if (relative["low"] > 0.9).all():
        outcome = "holds"
    elif (relative["high"] < 0.5).all():
        outcome = "does not hold"
    by_recipe = summary.set_index([*recipe, "value"]).sort_index()
    prior_share = summary[summary["value"] == "prior"]
    worst = tuple(prior_share.loc[prior_share["mean"].idxmin(), recipe])
    best = tuple(prior_share.loc[prior_share["mean"].idxmax(), recipe])

    def told(key: tuple[object, ...]) -> str:
        prior = by_recipe.loc[(*key, "prior")]
        rebuilt = by_recipe.loc[(*key, "reconstruction")]
        return (
            f"{prior['mean']:.0%} ± {prior['mean'] - prior['low']:.0%} in a VAE with {key[0]} and "
            f"pixel noise {key[1]:g} (of its reconstructions {rebuilt['mean']:.0%})"
        )

    evidence = (
        f"Of codes from N(0, I), between {told(worst)} and {told(best)} decode to a dog: the "
        f"distribution is known, and whether its samples are dogs depends on the nats that "
        f"the model spends on a picture and on its network."
    )
    return Verdict(outcome, evidence)


def _judge_possible_codes(folder: Path | None) -> Verdict:
    record = load_recorded("holes", folder)
    record = record[(record["model"] == "autoencoder") & (record["latent_dim"] == 16)]
    share = {row.sampler: row for row in summarise(record, ["sampler"], ["share"]).itertuples()}
    box, mixture, ceiling = (share[name] for name in ("box", "mixture", "held-out codes"))
    outcome: Outcome = "holds in part"
    if box.high < 0.01 and mixture.high < 0.01:
        outcome = "holds"
    elif box.low > 0.01:
        outcome = "does not hold"
    found = f"{box.mean:.1%} ± {box.mean - box.low:.1%} decode" if box.mean > 0 else "none decoded"
    evidence = (
        f"Of codes of 16 numbers drawn evenly from the box round all codes, {found} to a dog; from "
        f"a mixture fitted to the codes, {mixture.mean:.0%} ± {mixture.mean - mixture.low:.0%}, "
        f"where codes of real dogs reach {ceiling.mean:.0%}. 2ⁿ counts neither: the codes lie in "
        f"{record['orthants'].mean():,.0f} of the {2**16:,} orthants, and the share depends on the "
        f"density one draws from."
    )
    return Verdict(outcome, evidence)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "The KL term compares N(μ, σ) with N(0, 1), and has a closed form.",
        (4,),
        "Holds if, for random posteriors of one picture, the closed form is within 1e-6 nats of "
        "quadrature, of torch.distributions and of the line integral of its gradient, and within "
        "five standard errors of Monte Carlo.",
        _judge_kl_term,
    ),
    Claim(
        "C2",
        "It is clever to centre the codes at zero, but nothing demands that they be normal.",
        (9,),
    ),
    Claim("C3", "The KL term forces the learned latent space to be Gaussian.", (8,)),
    Claim(
        "C4",
        "So there is a known distribution to sample from: a sample decodes to a new dog.",
        (2, 6),
        "For every recorded VAE of 16 numbers, the share of dogs among samples from N(0, I) is "
        "divided by that among its reconstructions. Holds if the ratio is above 0.9 for all of "
        "them, with 95 % confidence; does not hold if it is below half for all; in part otherwise.",
        _judge_known_distribution,
    ),
    Claim("C5", "Another distribution could be chosen, with the loss that fits it.", (9,)),
    Claim(
        "C6",
        "In a plain autoencoder there are 2ⁿ possible codes, and the chance of hitting one that "
        "decodes to a dog is minuscule.",
        (2,),
        "Tried on an autoencoder of 16 numbers; minuscule is less than 1 %, with 95 % confidence. "
        "Holds if the share of dogs is minuscule both for codes drawn evenly from the box round "
        "all codes and for those of a mixture fitted to them; does not hold if it is more than 1 % "
        "for the box; in part otherwise.",
        _judge_possible_codes,
    ),
    Claim("C7", "VAEs are blurry because the two terms of the loss are in conflict.", (7, 10)),
    Claim("C8", "GANs lack that conflict, and so make much better images.", (11, 12)),
)


def verdict(name: str, folder: Path | None = None) -> Verdict:
    """The verdict on a claim, computed from the records.

    Args:
        name: ``"C1"`` to ``"C8"``.
        folder: where the records lie; ``book/results`` by default.

    Raises:
        ValueError: if there is no such claim, or its chapters are still to come.
    """
    for claim in CLAIMS:
        if claim.name == name:
            if claim.judge is None:
                raise ValueError(f"claim {name} has not been tried yet.")
            return claim.judge(folder)
    raise ValueError(f"no claim {name!r}; expected one of {', '.join(c.name for c in CLAIMS)}.")
