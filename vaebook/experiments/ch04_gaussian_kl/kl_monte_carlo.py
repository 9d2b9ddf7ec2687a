"""How the error of a Monte Carlo KL falls with the number of samples (chapter 04)."""

from typing import Any

import torch
from torch import Tensor

from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian, gaussian_kl, monte_carlo_kl, standard_normal

NUM_SAMPLES = (16, 64, 256, 1024, 4096)
MAX_NUMBERS = 4_000_000  # drawn at once, to bound the memory


def posteriors() -> dict[str, DiagonalGaussian]:
    """The three posteriors that are compared with N(0, I)."""

    def gaussian(mu: Tensor, std: float) -> DiagonalGaussian:
        mu = mu.double()
        return DiagonalGaussian(mu, 2 * torch.full_like(mu, std).log())

    return {
        "near the prior": gaussian(torch.tensor([0.1]), 0.9),
        "informative": gaussian(torch.tensor([1.0]), 0.1),
        "20 dimensions": gaussian(torch.linspace(-1.5, 1.5, 20), 0.3),
    }


def single_sample_variance(q: DiagonalGaussian) -> Tensor:
    """Variance of log q(z) − log p(z) over z ~ q for p = N(0, I), in nats².

    With z = μ + σu the log-ratio is a constant plus (σ² − 1) u²/2 + μσu; u² has variance 2 and is
    uncorrelated with u.
    """
    variance = q.variance
    return (0.5 * (variance - 1) ** 2 + q.mu**2 * variance).sum(-1)


def run(seed: int, *, num_repeats: int = 200) -> list[dict[str, Any]]:
    """Estimate each divergence ``num_repeats`` times for each number of samples.

    Args:
        num_repeats: independent estimates, over which errors are averaged.

    Returns:
        For each posterior and number of samples: the exact divergence; the root mean squared error
        of the estimate; the error that theory predicts; the root mean squared standard error that
        the estimates report themselves; how often estimate ± 1.96 standard errors covers the truth.
    """
    rows = []
    with seeded(seed):
        for name, q in posteriors().items():
            latent_dim = q.event_shape[0]
            p = standard_normal(latent_dim)
            exact = gaussian_kl(q.mu, q.log_var)
            for num_samples in NUM_SAMPLES:
                chunk = max(1, MAX_NUMBERS // (num_samples * latent_dim))
                errors, reported = [], []
                for start in range(0, num_repeats, chunk):
                    size = min(chunk, num_repeats - start)
                    answer = monte_carlo_kl(q.expand((size,)), p, num_samples)
                    errors.append(answer.estimate - exact)
                    reported.append(answer.standard_error)
                error, standard_error = torch.cat(errors), torch.cat(reported)
                rows.append(
                    {
                        "posterior": name,
                        "latent_dim": latent_dim,
                        "num_samples": num_samples,
                        "exact": float(exact),
                        "rms_error": float(error.square().mean().sqrt()),
                        "predicted_error": float((single_sample_variance(q) / num_samples).sqrt()),
                        "reported_error": float(standard_error.square().mean().sqrt()),
                        "covered": float((error.abs() < 1.96 * standard_error).double().mean()),
                    }
                )
    return rows
