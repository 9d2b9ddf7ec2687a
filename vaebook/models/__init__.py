"""The models of the book, built from shared encoders and decoders."""

from vaebook.models.autoencoder import Autoencoder
from vaebook.models.codebook import Codebook, Quantised
from vaebook.models.conditional_vae import ConditionalVAE
from vaebook.models.feature_network import ClassClassifier, FactorRegressor
from vaebook.models.gan import (
    GAN,
    discriminator_loss,
    gradient_penalty,
    minimax_loss,
    non_saturating_loss,
)
from vaebook.models.incomplete_gaussian import IncompleteGaussian
from vaebook.models.incomplete_vae import IncompleteVAE
from vaebook.models.interpolation import slerp
from vaebook.models.io import load_model, save_model
from vaebook.models.latent_variable import GenerativeModel, LatentVariableModel
from vaebook.models.networks import MLP, Conv, Network
from vaebook.models.optimal_decoder import OptimalDecoder
from vaebook.models.ppca import ProbabilisticPCA, best_covariance, posterior_gap
from vaebook.models.vae import VAE, Elbo
from vaebook.models.vae_gan import VAEGAN
from vaebook.models.vqvae import VQVAE
from vaebook.models.wae import WassersteinAutoencoder

__all__ = [
    "GAN", "MLP", "VAE", "VAEGAN", "VQVAE", "Autoencoder", "ClassClassifier", "Codebook",
    "ConditionalVAE", "Conv", "Elbo", "FactorRegressor", "GenerativeModel", "IncompleteGaussian",
    "IncompleteVAE", "LatentVariableModel", "Network", "OptimalDecoder", "ProbabilisticPCA",
    "Quantised", "WassersteinAutoencoder", "best_covariance", "discriminator_loss",
    "gradient_penalty", "load_model", "minimax_loss", "non_saturating_loss", "posterior_gap",
    "save_model", "slerp",
]  # fmt: skip
