"""How far the estimate of mutual information can be trusted: a case with known answers (ch. 08)."""

import math
from typing import Any

import torch

from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian, gaussian_kl
from vaebook.metrics import minibatch_mutual_information, split_rate

LATENT_DIM = 8
NUM_PICTURES = (30, 100, 300, 1000, 3000, 10_000)
STDS = (0.7, 0.4, 0.1)  # of a posterior
BATCH_SIZE = 128


def true_information(std: float) -> float:
    """I(x; z) in nats for x ~ N(0, 1 − s²), z ~ N(x, s²) in ``LATENT_DIM`` dimensions.

    The aggregate over *all* x is N(0, I), so this is the whole rate.
    """
    return -LATENT_DIM * math.log(std)


def run(
    seed: int,
    *,
    num_pictures: tuple[int, ...] = NUM_PICTURES,
    stds: tuple[float, ...] = STDS,
    num_samples: int = 1000,
) -> list[dict[str, Any]]:
    """Draw N means, give each a posterior N(mean, s² I), and split their mean rate.

    Over all means that could be drawn the aggregate is the prior exactly, and the mutual
    information is the whole rate, −d log s. What N means show of it is what is recorded.

    Args:
        num_pictures: N.
        stds: s, below 1.

    Returns:
        A row per s and N: ``rate``, ``mutual_information``, ``standard_error``, ``aggregate_kl``,
        ``minibatch`` (the same from batches of 128 pictures), ``log_n`` and ``truth``.
    """
    rows = []
    for std in stds:
        with seeded(6_000_011 + seed):
            means = torch.randn(max(num_pictures), LATENT_DIM) * math.sqrt(1 - std**2)
        for number in num_pictures:
            mu = means[:number]
            posterior = DiagonalGaussian(mu, torch.full_like(mu, 2 * math.log(std)))
            parts = split_rate(posterior, num_samples=num_samples, seed=seed)
            batch = min(BATCH_SIZE, number)
            rows.append(
                {
                    "std": std,
                    "num_pictures": number,
                    "rate": float(gaussian_kl(posterior.mu, posterior.log_var).mean()),
                    "mutual_information": parts.mutual_information,
                    "standard_error": parts.standard_error,
                    "aggregate_kl": parts.aggregate_kl,
                    "minibatch": minibatch_mutual_information(
                        posterior, batch_size=batch, seed=seed
                    ),
                    "log_n": math.log(number),
                    "truth": true_information(std),
                }
            )
    return rows
