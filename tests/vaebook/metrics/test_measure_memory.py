"""No measure builds a matrix of all pairs, or decodes all codes at once."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.memory import MIB, peak_memory
from tests.properties import normal, uniform
from tests.vaebook.metrics.measure_table import all_measures
from vaebook import metrics
from vaebook.distributions import DiagonalGaussian
from vaebook.models import MLP, VAE
from vaebook.training import seeded

LIMIT = 128 * MIB  # a matrix of 4,000 × 4,000 numbers is 61 MiB, and a measure needs several
N = 4000


def vae(latent_dim: int = 2) -> VAE:
    with seeded(0):
        return VAE((1, 32, 32), latent_dim, network=MLP((16,)))


def pictures(n: int) -> torch.Tensor:
    return uniform(0, n, 1, 32, 32).float()


def posterior() -> DiagonalGaussian:
    return DiagonalGaussian(normal(1, N, 8).float(), normal(2, N, 8).float())


def without_gradient(measure: Callable[[], Any]) -> Any:
    with torch.no_grad():
        return measure()


features, others = normal(3, N, 4).float(), normal(4, N, 4).float()
# Sizes at which the whole matrix, or all decoded pictures, would break the limit.
LARGE: dict[str, Callable[[], Any]] = {
    "aggregate_log_prob": lambda: metrics.aggregate_log_prob(posterior(), normal(5, 2000, 8)),
    "auroc": lambda: metrics.auroc(features[:, 0], others[:, 0], num_resamples=50),
    "density_coverage": lambda: metrics.density_coverage(features, others),
    "evaluate_elbo": lambda: metrics.evaluate_elbo(vae(), pictures(2000)),
    "frechet_distance": lambda: metrics.frechet_distance(
        normal(6, 8000, 300).float(), normal(7, 8000, 300).float()
    ),
    "gradient_energy": lambda: metrics.gradient_energy(pictures(4000)),
    "grid_posterior": lambda: metrics.grid_posterior(vae(), pictures(20), num_points=50),
    "importance_log_weights": lambda: metrics.importance_log_weights(
        vae(), pictures(100), num_samples=200
    ),
    "importance_weighted_nll": lambda: metrics.importance_weighted_nll(
        vae(), pictures(100), num_samples=200
    ),
    "invert": lambda: metrics.invert(vae(), pictures(3000), num_candidates=50, num_steps=1),
    "laplace_proposal": lambda: metrics.laplace_proposal(vae(10), pictures(1000), num_steps=1),
    "mmd_test": lambda: metrics.mmd_test(features[:2000], others[:2000], num_permutations=9),
    "kernel_distance": lambda: metrics.kernel_distance(features, others),
    "minibatch_mutual_information": lambda: metrics.minibatch_mutual_information(
        posterior(), batch_size=2000, num_batches=1
    ),
    "measure_samples": lambda: metrics.measure_samples(
        pictures(2000),
        metrics.Reference(1 - pictures(2000), pictures(2000), lambda images: images.mean((2, 3))),
        ["sharpness", "spectrum", "pixels", "features", "novelty"],
    ),
    "nearest_distance": lambda: metrics.nearest_distance(pictures(N), pictures(N)),
    "neighbour_distance": lambda: metrics.neighbour_distance(features, others),
    "novelty": lambda: metrics.novelty(pictures(N), pictures(N), uniform(8, 50)),
    "power_spectrum": lambda: metrics.power_spectrum(pictures(4000)),
    "precision_recall": lambda: metrics.precision_recall(features, others),
    "prior_monte_carlo_log_likelihood": lambda: metrics.prior_monte_carlo_log_likelihood(
        vae(), pictures(100), num_samples=1000
    ),
    "quadrature_elbo": lambda: without_gradient(
        lambda: metrics.quadrature_elbo(vae(), pictures(60))
    ),
    "relative_sharpness": lambda: metrics.relative_sharpness(pictures(2000), pictures(2000)),
    "sharpness": lambda: metrics.sharpness(pictures(4000)),
    "spectral_energy": lambda: metrics.spectral_energy(pictures(4000)),
    "split_rate": lambda: metrics.split_rate(posterior(), num_samples=2000),
    "vae_anomaly_scores": lambda: metrics.vae_anomaly_scores(vae(), pictures(100), num_samples=200),
}
# What these need grows with what they are given, and no faster; nearest_dog goes in batches of 256.
LINEAR = {
    "active_units", "aggregate_moments", "choose_threshold", "classifier_test", "coverage",
    "draw_aggregate", "effective_sample_size", "expected_coverage", "factor_overlap",
    "factor_regression", "flagged", "frechet_bias", "gaussian_frechet", "kl_lower_bound",
    "kolmogorov_smirnov", "log_ball_volume", "log_mean_interval", "log_mean_weight",
    "mahalanobis", "nearest_dog", "overlap_ceiling", "picture_classifier_test",
    "posterior_parameters", "principal_dimensions", "rate_per_dimension",
    "share_in_orthants_of", "validity",
}  # fmt: skip


def test_every_measure_is_in_one_of_the_lists() -> None:
    assert sorted([*LARGE, *LINEAR]) == sorted(all_measures())


def test_the_peak_is_what_a_call_holds_at_one_time() -> None:
    def three_then_one() -> None:
        held = [torch.empty(MIB) for _ in range(3)]
        del held
        torch.empty(MIB)

    assert peak_memory(three_then_one) == 12 * MIB


@pytest.mark.parametrize("name", LARGE)
def test_the_peak_stays_below_the_limit(name: str) -> None:
    assert peak_memory(LARGE[name]) < LIMIT
