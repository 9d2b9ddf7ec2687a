"""Measures of likelihood, of latent codes, and of samples."""

from vaebook.metrics.detection import (
    Auroc,
    auroc,
    choose_threshold,
    flagged,
    neighbour_distance,
    vae_anomaly_scores,
)
from vaebook.metrics.latent.aggregate import (
    RateSplit,
    aggregate_log_prob,
    draw_aggregate,
    minibatch_mutual_information,
    split_rate,
)
from vaebook.metrics.latent.factor_regression import factor_regression
from vaebook.metrics.latent.geometry import (
    log_ball_volume,
    mahalanobis,
    principal_dimensions,
    share_in_orthants_of,
)
from vaebook.metrics.latent.kl_bound import KlBound, kl_lower_bound
from vaebook.metrics.latent.posteriors import (
    AggregateMoments,
    active_units,
    aggregate_moments,
    posterior_parameters,
    rate_per_dimension,
)
from vaebook.metrics.latent.two_sample import (
    ClassifierTest,
    MarginalTest,
    MmdTest,
    classifier_test,
    kolmogorov_smirnov,
    mmd_test,
)
from vaebook.metrics.likelihood.bounds import (
    evaluate_elbo,
    importance_weighted_nll,
    prior_monte_carlo_log_likelihood,
)
from vaebook.metrics.likelihood.importance import (
    effective_sample_size,
    importance_log_weights,
    log_mean_interval,
    log_mean_weight,
)
from vaebook.metrics.likelihood.laplace import laplace_proposal
from vaebook.metrics.likelihood.quadrature import GridPosterior, grid_posterior, quadrature_elbo
from vaebook.metrics.samples.density_coverage import (
    DensityCoverage,
    density_coverage,
    expected_coverage,
)
from vaebook.metrics.samples.frechet import frechet_bias, frechet_distance, gaussian_frechet
from vaebook.metrics.samples.inversion import Inversion, invert
from vaebook.metrics.samples.kernel_distance import kernel_distance
from vaebook.metrics.samples.measure import MEASURES, Reference, measure_samples
from vaebook.metrics.samples.novelty import Novelty, nearest_distance, novelty
from vaebook.metrics.samples.picture_classifier import picture_classifier_test
from vaebook.metrics.samples.precision_recall import PrecisionRecall, precision_recall
from vaebook.metrics.samples.sharpness import (
    gradient_energy,
    power_spectrum,
    relative_sharpness,
    sharpness,
    spectral_energy,
)

__all__ = [
    "MEASURES", "AggregateMoments", "Auroc", "ClassifierTest", "DensityCoverage", "GridPosterior",
    "Inversion", "KlBound", "MarginalTest", "MmdTest", "Novelty", "PrecisionRecall", "RateSplit",
    "Reference", "active_units", "aggregate_log_prob", "aggregate_moments", "auroc",
    "choose_threshold", "classifier_test", "density_coverage", "draw_aggregate",
    "effective_sample_size", "evaluate_elbo", "expected_coverage", "factor_regression", "flagged",
    "frechet_bias", "frechet_distance", "gaussian_frechet", "gradient_energy", "grid_posterior",
    "importance_log_weights", "importance_weighted_nll", "invert", "kernel_distance",
    "kl_lower_bound", "kolmogorov_smirnov", "laplace_proposal", "log_ball_volume",
    "log_mean_interval", "log_mean_weight", "mahalanobis", "measure_samples",
    "minibatch_mutual_information", "mmd_test", "nearest_distance", "neighbour_distance", "novelty",
    "picture_classifier_test", "posterior_parameters", "power_spectrum", "precision_recall",
    "principal_dimensions", "prior_monte_carlo_log_likelihood", "quadrature_elbo",
    "rate_per_dimension", "relative_sharpness", "share_in_orthants_of", "sharpness",
    "spectral_energy", "split_rate", "vae_anomaly_scores",
]  # fmt: skip
