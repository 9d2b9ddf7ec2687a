"""The models of the book, built from shared encoders and decoders."""

from vaebook.models.autoencoder import Autoencoder
from vaebook.models.codebook import Codebook, Quantised
from vaebook.models.interpolation import slerp
from vaebook.models.networks import MLP, Conv, Network
from vaebook.models.optimal_decoder import OptimalDecoder
from vaebook.models.ppca import ProbabilisticPCA, best_covariance, posterior_gap
from vaebook.models.vae import VAE, Elbo
from vaebook.models.vqvae import VQVAE
from vaebook.models.wae import WassersteinAutoencoder

__all__ = [
    "MLP",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "Codebook",
    "Conv",
    "Elbo",
    "Network",
    "OptimalDecoder",
    "ProbabilisticPCA",
    "Quantised",
    "WassersteinAutoencoder",
    "best_covariance",
    "posterior_gap",
    "slerp",
]
