"""How probable a model finds images: ELBO, importance-weighted and plain Monte Carlo estimates."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count
from vaebook._random import seeded
from vaebook.metrics.batches import evaluate_in_batches, images_of, log_likelihood, log_prior
from vaebook.models import VAE, Elbo
from vaebook.models.latent_variable import evaluating


def evaluate_elbo(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    num_samples: int = 1,
    seed: int = 0,
    batch_size: int = 500,
) -> Elbo:
    """ELBO, distortion and rate of each image in nats, without gradients.

    Args:
        model: a VAE.
        images: floats in [0, 1].
        num_samples: codes per image; more make the estimate less noisy, not higher.
        seed: seed of the codes.
        batch_size: images at a time; ``batch_size · num_samples`` are decoded at once.

    Raises:
        ValueError: if the model is no VAE, or the images or a setting are unusable.
    """
    images = images_of(model, images)
    check_count("num_samples", num_samples)

    def measure(batch: Tensor) -> tuple[Tensor, ...]:
        return model.elbo(batch, num_samples=num_samples)

    return Elbo(*evaluate_in_batches(model, images, measure, seed=seed, batch_size=batch_size))


def importance_weighted_nll(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    num_samples: int = 100,
    seed: int = 0,
    batch_size: int = 100,
) -> Float[Tensor, " n"]:
    r"""An upper bound (in expectation) of −log p(x) in nats for each image.

    .. math:: -\log \frac1K \sum_k \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)},
              \qquad z_k \sim q(z \mid x)

    One sample gives −ELBO; in expectation the bound falls with K to −log p(x).

    Args:
        model: a VAE.
        images: floats in [0, 1].
        num_samples: K, codes per image.
        seed: seed of the codes.
        batch_size: images at a time; ``batch_size · num_samples`` codes are drawn at once.

    Raises:
        ValueError: if the model is no VAE, or the images or a setting are unusable.

    Source:
        Burda, Grosse & Salakhutdinov (2016), eq. 8.
    """
    images = images_of(model, images)
    check_count("num_samples", num_samples)

    def measure(batch: Tensor) -> tuple[Tensor, ...]:
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))  # [k, n, d]
        log_joint = log_likelihood(model, codes, batch) + log_prior(model, codes)
        log_weights = log_joint - posterior.log_prob(codes)  # [k, n]
        return (math.log(num_samples) - torch.logsumexp(log_weights, 0),)

    return evaluate_in_batches(model, images, measure, seed=seed, batch_size=batch_size)[0]


def prior_monte_carlo_log_likelihood(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    num_samples: int = 1000,
    seed: int = 0,
    batch_size: int = 1000,
) -> Float[Tensor, " n"]:
    """log of the mean of p(x | z) over z from the prior, in nats: the naive estimate of log p(x).

    The mean is unbiased, its logarithm is biased downwards, and with few codes near the one that
    explains x the bias is enormous (chapter 03). All images share the codes.

    Args:
        model: a VAE.
        images: floats in [0, 1].
        num_samples: codes drawn from the prior.
        seed: seed of the codes.
        batch_size: codes at a time.

    Raises:
        ValueError: if the model is no VAE, or the images or a setting are unusable.
    """
    images = images_of(model, images)
    check_count("num_samples", num_samples)

    def measure(codes: Tensor) -> tuple[Tensor, ...]:
        log_p = log_likelihood(model, codes[:, None], images)  # [b, n]
        return (torch.logsumexp(log_p, 0, keepdim=True),)

    with torch.no_grad(), evaluating(model), seeded(seed):
        codes = model.prior.sample((num_samples,))
    (parts,) = evaluate_in_batches(model, codes, measure, seed=seed, batch_size=batch_size)
    parts = parts.to(images.device)
    return torch.logsumexp(parts, 0) - math.log(num_samples)
