"""C3: the KL term forces the learned latent space to be Gaussian."""

from pathlib import Path

from vaebook.experiments.claims.claim import Claim, Effect, Verdict, outcome_of, spread_text
from vaebook.experiments.record.load import load_recorded
from vaebook.experiments.record.statistics import summarise
from vaebook.plots import summary_text

LEAST_RATE = 1.0  # nats: below it the code says next to nothing
MAY_FAIL = 0.2  # share of the seeds in which a test may tell codes that pass from N(0, I)
LEVEL = 0.01  # of the three tests together
ACCURACY = 0.55  # of the classifier: beyond it a difference is called large
SHARE = 0.1  # of the rate that may be KL(aggregate ‖ prior)
SENTENCES = {
    "holds": "Wherever the code says something, no test tells the codes from N(0, I).",
    "holds in part": (
        "At the usual weight a classifier tells the codes from N(0, I); stronger weights bring "
        "them closer."
    ),
    "does not hold": "At no weight at which the code says something do the codes pass as N(0, I).",
}


def forced_gaussian(folder: Path | None) -> Verdict:
    """Read the record and apply the rule that stands beside the claim."""
    record = load_recorded("beta_sweep", folder)
    record["p"] = 3 * record[["ks_p", "classifier_p", "mmd_p"]].min(axis=1)
    record["rejected"] = (record["p"] < LEVEL).astype(float)
    record["share"] = record["aggregate_kl"] / record["train_rate"]
    values = ["train_rate", "aggregate_kl", "accuracy", "share", "rejected"]
    found = summarise(record, ["beta"], values).set_index(["value", "beta"])
    rate = found.loc["train_rate", "mean"]
    tried = rate.index[rate > LEAST_RATE]
    rejected, accuracy, share = (found.loc[v].loc[tried] for v in ("rejected", "accuracy", "share"))
    gaussian = (rejected["mean"] <= MAY_FAIL) & (share["high"] < SHARE)
    different = (rejected["mean"] == 1.0) & ((accuracy["low"] > ACCURACY) | (share["low"] > SHARE))
    outcome = outcome_of(holds=gaussian.all(), fails=different.all())

    def plus_minus(value: str, beta: float, digits: int) -> str:
        return spread_text(found.loc[(value, beta)], f".{digits}f")

    at_one = min(tried, key=lambda beta: abs(beta - 1.0))
    last = max(tried)
    evidence = (
        f"At β = {at_one:g} the codes of all training dogs together are "
        f"{plus_minus('aggregate_kl', at_one, 1)} nats from N(0, I), of a rate of "
        f"{plus_minus('train_rate', at_one, 1)}, and a classifier tells codes of held-out dogs "
        f"from N(0, I) in {plus_minus('accuracy', at_one, 2)} of cases; at β = {last:g}, the "
        f"largest with a rate above 1 nat, it is {plus_minus('aggregate_kl', last, 2)} of "
        f"{plus_minus('train_rate', last, 2)} nats and {plus_minus('accuracy', last, 2)}. "
        f"The codes pass as Gaussian at {int(gaussian.sum())} of {len(tried)} weights, and are "
        f"clearly something else at {int(different.sum())}."
    )
    measure = "share of the rate that is distance from the prior"
    effects = tuple(
        Effect.of(f"β = {beta:g}", share.loc[beta], measure, lines=(SHARE,))
        for beta in sorted({min(tried), at_one, last})
    )
    right = summary_text(accuracy.loc[at_one], 0, factor=100)
    number = f"{right} % of codes told from N(0, I) at β = {at_one:g}, where chance is 50 %"
    return Verdict(outcome, evidence, effects, SENTENCES[outcome], number)


CLAIM = Claim(
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
    forced_gaussian,
    ("beta_sweep",),
    "At β = 1 the nats that this rule reads are the rate less the logarithm of the number of "
    "pictures, also for codes that are exactly normal; the classifier's result stands.",
)
