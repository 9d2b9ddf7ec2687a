"""The eight claims on trial, and the verdicts that the records give."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaebook.experiments import _judges
from vaebook.experiments._comparison_records import COMPARISON_RECORDS
from vaebook.experiments._judges import Verdict
from vaebook.experiments._prior_records import PRIOR_RECORDS
from vaebook.experiments._recorded import load_provenance

NOT_TRIED = "not tried yet"


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
        records: names of the experiments whose records the judge reads.
        review: what a review found that shakes the verdict until its records are made anew.
    """

    name: str
    text: str
    chapters: tuple[int, ...]
    rule: str = ""
    judge: Callable[[Path | None], Verdict] | None = None
    records: tuple[str, ...] = ()
    review: str = ""


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "The KL term compares N(μ, σ) with N(0, 1), and has a closed form.",
        (4,),
        "Holds if, for random posteriors of one picture, the closed form is within 1e-6 nats of "
        "quadrature, of torch.distributions and of the line integral of its gradient, and within "
        "five standard errors of Monte Carlo.",
        _judges.kl_term,
        ("kl_closed_form",),
    ),
    Claim(
        "C2",
        "It is clever to centre the codes at zero, but nothing demands that they be normal.",
        (9,),
        "Tried on dogs, each prior against the normal one, seed by seed, with 95 % confidence. "
        "Centring is clever if a normal at 3 costs nats; normality is not demanded if one of six "
        "other priors costs less than 1 nat and gives dogs at most 10 points less often. Holds if "
        "both; does not hold if all six are worse than that, or if the normal VAE in other "
        "coordinates has another ELBO, by 1e-6 nats; in part otherwise.",
        _judges.no_need_for_normal,
        ("prior_pushforward", *PRIOR_RECORDS),
        "Five seeds can hardly show that a prior is as good: simulated with this record's scatter, "
        "one exactly as good as the normal passes in 14 % of cases, one of six in 44 %.",
    ),
    Claim(
        "C3",
        "The KL term forces the learned latent space to be Gaussian.",
        (8,),
        "Tried on VAEs of 16 numbers at every β of this record whose rate is above 1 nat. The "
        "codes pass as Gaussian at a β if in at least four of five seeds none of three tests (each "
        "dimension alone, a classifier, MMD; 1 % for the three together) tells 4,000 codes of "
        "held-out pictures from N(0, I), and KL(aggregate ‖ prior) of the training pictures is "
        "below a tenth of the rate, with 95 % confidence. They are clearly something else if a "
        "test does so in every seed, and the classifier is right in more than 55 % or that KL is "
        "above a tenth of the rate, with 95 % confidence. Holds if they pass at every such β; does "
        "not hold if they are something else at every such β; in part otherwise.",
        _judges.forced_gaussian,
        ("beta_sweep",),
        "At β = 1 the nats that this rule reads are the rate less the logarithm of the number of "
        "pictures, also for codes that are exactly normal; the classifier's result stands.",
    ),
    Claim(
        "C4",
        "So there is a known distribution to sample from: a sample decodes to a new dog.",
        (2, 6),
        "For every VAE of this record, all of 16 numbers, the share of dogs among samples from "
        "N(0, I) is divided by that among its reconstructions. Holds if the ratio is above 0.9 for "
        "all of them, with 95 % confidence; does not hold if it is below half for all; in part "
        "otherwise.",
        _judges.known_distribution,
        ("pixel_noise",),
        "The rule was changed after its record was known, and the networks here are weaker than "
        "that of chapter 12, whose samples are dogs in 84 % of cases.",
    ),
    Claim(
        "C5",
        "Another distribution could be chosen, with the loss that fits it.",
        (9,),
        "Seven other distributions of codes, each with its own loss, against the normal one, seed "
        "by seed. One is as good if it gives dogs at most 10 points less often, with 95 % "
        "confidence. Holds if all seven are; does not hold if all seven are worse than that, with "
        "95 % confidence; in part otherwise.",
        _judges.another_distribution,
        PRIOR_RECORDS,
        "Simulated with this record's scatter, a prior exactly as good as the normal passes in "
        "73 % of cases, all seven together in 21 %.",
    ),
    Claim(
        "C6",
        "In a plain autoencoder there are 2ⁿ possible codes, and the chance of hitting one that "
        "decodes to a dog is minuscule.",
        (2,),
        "Tried on an autoencoder of 16 numbers; minuscule is less than 1 %, with 95 % confidence. "
        "Holds if the share of dogs is minuscule both for codes drawn evenly from the box round "
        "all codes and for those of a mixture fitted to them; does not hold if it is more than 1 % "
        "for the box; in part otherwise.",
        _judges.possible_codes,
        ("holes",),
        "The rule came with its record, and 0 of 250 draws means no more than at most 1.5 %.",
    ),
    Claim(
        "C7",
        "VAEs are blurry because the two terms of the loss are in conflict.",
        (7, 10),
        "Every VAE of these two records, of dogs and of clothes, has a twin: the same network "
        "trained as long without the KL term, so without the conflict. The conflict's share is the "
        "sharpness that the twin's reconstructions have more, divided by what the VAE's pictures "
        "lack of a real one's. Holds if the share is above 2/3 for the reconstructions and for the "
        "samples of all of them, with 95 % confidence; does not hold if it is below 1/3 for all; "
        "in part otherwise.",
        _judges.conflict,
        ("blur_causes", "blur_fashion"),
        "The verdict hangs on σ = 0.4 and on the network: in chapter 12's records 46 to 59 % of "
        "what samples of dogs lack comes back without the KL term, of clothes 7 to 28 %.",
    ),
    Claim(
        "C8",
        "GANs lack that conflict, and so make much better images.",
        (11, 12),
        "On dogs and on clothes, at equal compute and seed by seed, the GAN against three VAEs: "
        "with a fixed σ, with a learned one, and with a mixture fitted to its codes. It is much "
        "better on a measure if its Fréchet distance is less than half of the VAE's, or its "
        "precision, its recall, or (of dogs) its share of dogs is more than 10 points higher, "
        "with 95 % confidence. The lack of the conflict counts if an autoencoder with a mixture, "
        "which has no KL term either, has a lower Fréchet distance than the VAE with a mixture. "
        "Holds if the GAN is much better than all three on every measure of both data sets, and "
        "the lack of the conflict counts on both; does not hold if on every measure of both there "
        "is a VAE than which it is not much better, with 95 % confidence; in part otherwise.",
        _judges.better_images,
        tuple(name for names in COMPARISON_RECORDS.values() for name in names),
        "At four times the budget, in runs outside these records, the GAN (three seeds) had a "
        "Fréchet distance of dogs of 0.71 (here 1.76) and 81 % dogs (64 %), VAE + mixture (one "
        "seed) 1.25 (2.13) and 97 % (97 %).",
    ),
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


def scoreboard(folder: Path | None = None) -> pd.DataFrame:
    """All claims with what the records say: the table of the first page and of the last chapter.

    Args:
        folder: where the records lie; ``book/results`` by default.

    Returns:
        A row per claim, indexed by its name: ``claim``, ``verdict`` (``"not tried yet"`` without a
        judge), ``sentence``, ``number`` and ``review`` for a card, ``evidence``, ``chapters``,
        ``rule``, and ``commands`` that make its records anew.
    """
    rows = []
    for claim in CLAIMS:
        outcome, evidence, sentence, number = NOT_TRIED, "", "", ""
        if claim.judge is not None:
            outcome, evidence, _, sentence, number = claim.judge(folder)
        commands = [load_provenance(name, folder)["command"] for name in claim.records]
        rows.append(
            {
                "claim": claim.text,
                "verdict": outcome,
                "sentence": sentence,
                "number": number,
                "review": claim.review,
                "evidence": evidence,
                "chapters": claim.chapters,
                "rule": claim.rule,
                "commands": tuple(commands),
            }
        )
    return pd.DataFrame(rows, index=[claim.name for claim in CLAIMS])
