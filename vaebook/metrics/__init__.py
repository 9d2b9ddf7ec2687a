"""Measures of likelihood, of latent codes, and of samples."""

from vaebook.metrics.geometry import (
    log_ball_volume,
    mahalanobis,
    principal_dimensions,
    share_in_orthants_of,
)
from vaebook.metrics.importance import (
    effective_sample_size,
    importance_log_weights,
    log_mean_weight,
)
from vaebook.metrics.latent import (
    AggregateMoments,
    active_units,
    aggregate_moments,
    posterior_parameters,
    rate_per_dimension,
)
from vaebook.metrics.likelihood import (
    evaluate_elbo,
    importance_weighted_nll,
    prior_monte_carlo_log_likelihood,
)
from vaebook.metrics.manifold import PrecisionRecall, precision_recall
from vaebook.metrics.quadrature import GridPosterior, grid_posterior, quadrature_elbo
from vaebook.metrics.sharpness import power_spectrum, sharpness

__all__ = [
    "AggregateMoments",
    "GridPosterior",
    "PrecisionRecall",
    "active_units",
    "aggregate_moments",
    "effective_sample_size",
    "evaluate_elbo",
    "grid_posterior",
    "importance_log_weights",
    "importance_weighted_nll",
    "log_ball_volume",
    "log_mean_weight",
    "mahalanobis",
    "posterior_parameters",
    "power_spectrum",
    "precision_recall",
    "principal_dimensions",
    "prior_monte_carlo_log_likelihood",
    "quadrature_elbo",
    "rate_per_dimension",
    "share_in_orthants_of",
    "sharpness",
]
