"""Telling anomalies from what a model was trained on: scores, AUROC, thresholds (chapter 13).

A score is a number per picture, the higher the stranger.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from sklearn.metrics import roc_auc_score
from torch import Tensor

from vaebook._checks import check_count, check_real
from vaebook._random import seeded
from vaebook.metrics._inputs import as_item_sets, as_vector, in_blocks
from vaebook.metrics.batches import evaluate_in_batches, images_of, log_likelihood, log_prior
from vaebook.metrics.likelihood.importance import log_mean_weight
from vaebook.models import VAE


def vae_anomaly_scores(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    num_samples: int = 50,
    seed: int = 0,
    batch_size: int = 100,
) -> dict[str, Float[Tensor, " n"]]:
    """What a VAE can say about how strange a picture is; every score in nats but the last two.

    Args:
        model: a VAE.
        images: floats in [0, 1].
        num_samples: K, codes drawn from q(z | x) for each image, shared by all scores.
        seed: of the codes.
        batch_size: images at a time.

    Returns:
        ``"NLL"``: −log p(x) with K importance weights. ``"−ELBO"``.
        ``"reconstruction probability"``: −E log p(x | z), the distortion (An & Cho 2015, with the
        sign turned so that strange is high). ``"rate"``: KL(q(z | x) ‖ p(z)).
        ``"reconstruction error"``: ‖x − decode(encode(x))‖². ``"code norm"``: ‖encode(x)‖.

    Raises:
        ValueError: if the model is no VAE, or the images or a setting are unusable.
    """
    images = images_of(model, images)
    check_count("num_samples", num_samples)

    def measure(batch: Tensor) -> tuple[Tensor, ...]:
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))
        log_p = log_likelihood(model, codes, batch)  # [k, n]
        log_ratio = posterior.log_prob(codes) - log_prior(model, codes)
        rate, mean = model.rate(posterior, codes), posterior.mean
        error = (model.decode(mean) - batch).square().sum((1, 2, 3))
        return (
            -log_mean_weight(log_p - log_ratio)[0],
            rate - log_p.mean(0),
            -log_p.mean(0),
            rate,
            error,
            torch.linalg.vector_norm(mean, dim=1),
        )

    names = (
        "NLL",
        "−ELBO",
        "reconstruction probability",
        "rate",
        "reconstruction error",
        "code norm",
    )
    values = evaluate_in_batches(model, images, measure, seed=seed, batch_size=batch_size)
    return dict(zip(names, values, strict=True))


def neighbour_distance(
    images: Float[Tensor, "n *image"], known: Float[Tensor, "m *image"], *, num_neighbours: int = 5
) -> Float[Tensor, " n"]:
    """The Euclidean distance in pixels to the k-th nearest of the ``known`` pictures.

    Raises:
        ValueError: if there are fewer known pictures than neighbours.
    """
    check_count("num_neighbours", num_neighbours)
    rows, reference = as_item_sets(images=images, known=known)
    if len(reference) < num_neighbours:
        raise ValueError(
            f"known has {len(reference)} pictures, and so no {num_neighbours} neighbours; expected "
            f"at least num_neighbours = {num_neighbours}."
        )
    parts = [
        torch.cdist(part, reference).topk(num_neighbours, largest=False).values[:, -1]
        for part in in_blocks(rows, len(reference))
    ]
    return torch.cat(parts)


class Auroc(NamedTuple):
    """The chance that an anomaly scores higher than a normal picture, with its 95 % interval."""

    value: float
    low: float
    high: float


def auroc(
    normal: Float[Tensor, " n"],
    anomalous: Float[Tensor, " m"],
    *,
    num_resamples: int = 500,
    seed: int = 0,
) -> Auroc:
    r"""The area under the ROC curve of a score, and a bootstrap interval for it.

    The area is P(score of an anomaly > score of a normal picture), ties counted half: ½ for a
    coin, 1 for a perfect score, below ½ for one that finds anomalies *less* strange. It takes all
    thresholds together and needs none. Both groups are resampled, each on its own.

    Args:
        normal, anomalous: scores, the higher the stranger.
        num_resamples: bootstrap samples for the interval.
        seed: of the resampling.

    Raises:
        ValueError: if a group is empty or a score is not finite.

    Source:
        Hanley & McNeil (1982) for the probability; Efron & Tibshirani (1993), chapter 13, for the
        percentile interval.
    """
    normal, anomalous = _scores("normal", normal), _scores("anomalous", anomalous)
    check_count("num_resamples", num_resamples)
    scores = torch.cat([normal, anomalous]).double()
    is_anomaly = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])
    value = float(roc_auc_score(is_anomaly.numpy(), scores.numpy()))
    with seeded(seed):
        rows = _bootstrap_weights(len(anomalous), num_resamples)
        columns = _bootstrap_weights(len(normal), num_resamples)
    # Every anomaly against every normal picture: a resample only weighs the rows and columns.
    resampled, blocks = torch.zeros(num_resamples), in_blocks(anomalous, len(normal))
    for some, weights in zip(blocks, rows.split(len(blocks[0]), 1), strict=True):
        difference = some.double()[:, None] - normal.double()
        wins = (difference > 0).float() + 0.5 * (difference == 0).float()  # [m, n]
        resampled += ((weights @ wins) * columns).sum(1)
    low, high = resampled.quantile(torch.tensor([0.025, 0.975])).tolist()
    return Auroc(value, low, high)


def _bootstrap_weights(size: int, num_resamples: int) -> Float[Tensor, "b n"]:
    """How often each of ``size`` things is drawn in each resample, divided by ``size``."""
    drawn = torch.randint(size, (num_resamples, size))
    counts = torch.zeros(num_resamples, size).scatter_add_(1, drawn, torch.ones(drawn.shape))
    return counts / size


def choose_threshold(validation: Float[Tensor, " n"], *, false_alarms: float = 0.05) -> float:
    """The score above which a picture counts as an anomaly, from normal validation pictures.

    The 1 − ``false_alarms`` quantile of their scores. They must be neither training pictures,
    whose scores are too low, nor test pictures, on which the result is to be reported.

    Args:
        validation: scores of pictures known to be normal.
        false_alarms: the share of normal pictures that one accepts to flag.

    Raises:
        ValueError: if the share is not between 0 and 1, or there are too few pictures for it.
    """
    validation = _scores("validation", validation)
    false_alarms = check_real("false_alarms", false_alarms, above=0, below=1)
    if len(validation) * false_alarms < 1:
        raise ValueError(
            f"validation has {len(validation)} scores, which cannot show a share of "
            f"{false_alarms}; expected at least {round(1 / false_alarms)}."
        )
    return float(validation.double().quantile(1 - false_alarms))


def flagged(scores: Float[Tensor, " n"], threshold: float) -> float:
    """The share of pictures above the threshold.

    Of normal test pictures it is the false-alarm rate, of anomalies the detection rate.

    Raises:
        ValueError: if there are no scores, or a number is not finite.
    """
    threshold = check_real("threshold", threshold)
    return float((_scores("scores", scores) > threshold).double().mean())


def _scores(name: str, scores: object) -> Float[Tensor, " n"]:
    return as_vector(name, scores, what="one score per picture").cpu()
