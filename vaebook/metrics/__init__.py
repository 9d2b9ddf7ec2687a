"""Measures of likelihood, of latent codes, and of samples."""

from vaebook.metrics.aggregate import (
    RateSplit,
    aggregate_log_prob,
    draw_aggregate,
    minibatch_mutual_information,
    split_rate,
)
from vaebook.metrics.detection import (
    Auroc,
    auroc,
    choose_threshold,
    flagged,
    neighbour_distance,
    vae_anomaly_scores,
)
from vaebook.metrics.frechet import frechet_bias, frechet_distance, gaussian_frechet
from vaebook.metrics.geometry import (
    log_ball_volume,
    mahalanobis,
    principal_dimensions,
    share_in_orthants_of,
)
from vaebook.metrics.importance import (
    effective_sample_size,
    importance_log_weights,
    log_mean_interval,
    log_mean_weight,
)
from vaebook.metrics.inversion import Inversion, invert
from vaebook.metrics.laplace import laplace_proposal
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
from vaebook.metrics.novelty import Novelty, nearest_distance, novelty
from vaebook.metrics.precision_recall import PrecisionRecall, precision_recall
from vaebook.metrics.quadrature import GridPosterior, grid_posterior, quadrature_elbo
from vaebook.metrics.sharpness import (
    gradient_energy,
    power_spectrum,
    relative_sharpness,
    sharpness,
    spectral_energy,
)
from vaebook.metrics.two_sample import (
    ClassifierTest,
    MarginalTest,
    MmdTest,
    classifier_test,
    kolmogorov_smirnov,
    mmd_test,
)

__all__ = [
    "AggregateMoments",
    "Auroc",
    "ClassifierTest",
    "GridPosterior",
    "Inversion",
    "MarginalTest",
    "MmdTest",
    "Novelty",
    "PrecisionRecall",
    "RateSplit",
    "active_units",
    "aggregate_log_prob",
    "aggregate_moments",
    "auroc",
    "choose_threshold",
    "classifier_test",
    "draw_aggregate",
    "effective_sample_size",
    "evaluate_elbo",
    "flagged",
    "frechet_bias",
    "frechet_distance",
    "gaussian_frechet",
    "gradient_energy",
    "grid_posterior",
    "importance_log_weights",
    "importance_weighted_nll",
    "invert",
    "kolmogorov_smirnov",
    "laplace_proposal",
    "log_ball_volume",
    "log_mean_interval",
    "log_mean_weight",
    "mahalanobis",
    "minibatch_mutual_information",
    "mmd_test",
    "nearest_distance",
    "neighbour_distance",
    "novelty",
    "posterior_parameters",
    "power_spectrum",
    "precision_recall",
    "principal_dimensions",
    "prior_monte_carlo_log_likelihood",
    "quadrature_elbo",
    "rate_per_dimension",
    "relative_sharpness",
    "share_in_orthants_of",
    "sharpness",
    "spectral_energy",
    "split_rate",
    "vae_anomaly_scores",
]
