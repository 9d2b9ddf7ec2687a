"""Distributions over codes and images: Gaussians, their KL divergences, likelihoods, priors."""

from vaebook.distributions.autoregressive import AutoregressiveLikelihood
from vaebook.distributions.continuous_flow import ContinuousFlow, FlowState, integrate
from vaebook.distributions.density_estimation import (
    BoxCorners,
    fit_box,
    fit_diagonal_gaussian,
    fit_flow,
    fit_gaussian,
    fit_mixture,
)
from vaebook.distributions.discrepancy import kernel_matrix, mmd
from vaebook.distributions.discrete_codes import AutoregressiveCodes, fit_codes
from vaebook.distributions.divergences import (
    MonteCarlo,
    gaussian_kl,
    gaussian_kl_diagonal,
    gaussian_kl_full,
    gaussian_kl_quadrature,
    kl,
    monte_carlo_kl,
)
from vaebook.distributions.fixed_priors import unit_laplace, unit_uniform
from vaebook.distributions.flow import FlowDistribution, SplineFlow
from vaebook.distributions.flow_matching import (
    empirical_velocity,
    fit_flow_matching,
    flow_matching_loss,
    gaussian_velocity,
    straight_path,
)
from vaebook.distributions.gaussian import DiagonalGaussian, reparameterise, standard_normal
from vaebook.distributions.gradients import (
    SampleGradients,
    leave_one_out,
    pathwise_gradient,
    score_function_gradient,
)
from vaebook.distributions.grey_pixels import (
    ContinuousBernoulliLikelihood,
    PixelGaussianLikelihood,
    PredictedGaussianLikelihood,
    grey_level_log_prob,
    optimal_sigma,
)
from vaebook.distributions.jensen_shannon import jensen_shannon
from vaebook.distributions.laplace_pixels import LaplaceLikelihood
from vaebook.distributions.learned_priors import (
    FlowPrior,
    LearnedGaussianPrior,
    MixturePrior,
    VampPrior,
)
from vaebook.distributions.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
)
from vaebook.distributions.loss_conventions import (
    CONVENTIONS,
    LossConvention,
    LossTranslation,
    translate_loss,
)
from vaebook.distributions.made import MADE
from vaebook.distributions.mixture import Mixture
from vaebook.distributions.priors import FixedPrior, Prior, as_prior
from vaebook.distributions.quadrature import quadrature_kl
from vaebook.distributions.spherical import HypersphericalUniform, PowerSpherical
from vaebook.distributions.stretched_beta import StretchedBeta
from vaebook.distributions.truncation import truncate
from vaebook.distributions.velocity import VelocityNetwork, exact_divergence

__all__ = [
    "CONVENTIONS", "MADE", "AutoregressiveCodes", "AutoregressiveLikelihood", "BernoulliLikelihood",
    "BoxCorners", "ContinuousBernoulliLikelihood", "ContinuousFlow", "DiagonalGaussian",
    "DiscretizedLogisticLikelihood", "FixedPrior", "FlowDistribution", "FlowPrior", "FlowState",
    "GaussianLikelihood", "HypersphericalUniform", "LaplaceLikelihood", "LearnedGaussianLikelihood",
    "LearnedGaussianPrior", "Likelihood", "LossConvention", "LossTranslation", "Mixture",
    "MixturePrior", "MonteCarlo", "PixelGaussianLikelihood", "PowerSpherical",
    "PredictedGaussianLikelihood", "Prior", "SampleGradients", "SplineFlow", "StretchedBeta",
    "VampPrior", "VelocityNetwork", "as_prior", "empirical_velocity", "exact_divergence", "fit_box",
    "fit_codes", "fit_diagonal_gaussian", "fit_flow", "fit_flow_matching", "fit_gaussian",
    "fit_mixture", "flow_matching_loss", "gaussian_kl", "gaussian_kl_diagonal", "gaussian_kl_full",
    "gaussian_kl_quadrature", "gaussian_velocity", "grey_level_log_prob", "integrate",
    "jensen_shannon", "kernel_matrix", "kl", "leave_one_out", "mmd", "monte_carlo_kl",
    "optimal_sigma", "pathwise_gradient", "quadrature_kl", "reparameterise",
    "score_function_gradient", "standard_normal", "straight_path", "translate_loss", "truncate",
    "unit_laplace", "unit_uniform",
]  # fmt: skip
