"""Estimates of log p(x) by sampling codes, against the exact value of probabilistic PCA.

The codes come from the prior (the naive estimate), or from a Gaussian q(z | x) that is the best
diagonal one, too narrow, or too wide.
"""

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaebook.data import load_digits
from vaebook.distributions import standard_normal
from vaebook.metrics import effective_sample_size, importance_log_weights, log_mean_weight
from vaebook.models import ProbabilisticPCA, best_covariance
from vaebook.training import seeded

NARROW, WIDE = 0.5, 1.5  # standard deviations in units of the true posterior's


def proposals(model: ProbabilisticPCA, images: Tensor) -> dict[str, Distribution]:
    """Where codes for ``images`` may be drawn from."""
    truth = model.posterior(images)

    def gaussian(covariance: Tensor) -> MultivariateNormal:
        return MultivariateNormal(truth.mean.float(), covariance_matrix=covariance.float())

    covariance = best_covariance(model.posterior_precision, "full")
    return {
        "prior": standard_normal(model.latent_dim),
        "diagonal": gaussian(best_covariance(model.posterior_precision, "diagonal")),
        "narrow": gaussian(covariance * NARROW**2),
        "wide": gaussian(covariance * WIDE**2),
    }


def run(
    seed: int,
    *,
    latent_dims: tuple[int, ...] = (2, 4, 8, 16),
    num_images: int = 100,
    prior_samples: int = 100_000,
    posterior_samples: int = 10_000,
) -> list[dict]:
    """Rows: one for each latent dimension, proposal, and number of samples in an estimate.

    The model is the maximum-likelihood solution, turned by a random rotation, which leaves p(x)
    as it is and makes the true posterior's dimensions depend on each other.

    Args:
        seed: of the codes and of the rotation; the images are the same for all seeds.
        prior_samples: codes drawn from the prior, for all images together.
        posterior_samples: codes drawn from each other proposal, for each image.
    """
    data = load_digits()
    images = data.test.images[:num_images]
    rows: list[dict] = []
    for latent_dim in latent_dims:
        with seeded(seed):
            rotation = torch.linalg.qr(torch.randn(latent_dim, latent_dim).double())[0]
        exact = ProbabilisticPCA.fit(data.train.images, latent_dim).rotated(rotation)
        log_p = exact.log_likelihood(images)
        rate = float(exact.elbo(images, exact.posterior(images)).rate.mean())
        model = exact.as_vae(data.image_shape)
        for name, proposal in proposals(exact, images).items():
            num_samples = prior_samples if name == "prior" else posterior_samples
            log_weights = importance_log_weights(
                model, images, num_samples=num_samples, proposal=proposal, seed=seed
            ).double()
            size = 1
            while size <= num_samples:
                error = log_mean_weight(log_weights, size) - log_p  # [groups, n]
                groups = log_weights[: len(log_weights) // size * size].unflatten(0, (-1, size))
                effective = effective_sample_size(groups.transpose(0, 1))
                rows.append(
                    {"latent_dim": latent_dim, "proposal": name, "num_samples": size}
                    | {
                        "log_p": float(log_p.mean()),
                        "rate": rate,
                        "error": float(error.mean()),
                        "rmse": float(error.square().mean().sqrt()),
                        "effective": float(effective.mean()),
                    }
                )
                size *= 10
    return rows
