"""Linear VAEs against probabilistic PCA: the gap between the ELBO and the exact log p(x).

Two decoders: one that learns with the encoder, and one held at the maximum-likelihood solution
turned by a random rotation, which leaves p(x) as it is. Four families of posterior. The exact ELBO
is maximised by L-BFGS, so that what remains is the family's doing; ``optimiser="adam"`` is the
ordinary training with one sample per image.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaebook.data import load_digits
from vaebook.distributions import LearnedGaussianLikelihood
from vaebook.models import MLP, VAE, ProbabilisticPCA, best_covariance, posterior_gap
from vaebook.models.networks import linear_layer
from vaebook.models.ppca import GaussianFamily
from vaebook.training import fit, seeded

FAMILIES: tuple[GaussianFamily, ...] = ("full", "diagonal", "isotropic", "unit")


class TieVariances(nn.Module):
    """Restrict the encoder's log-variances: one for all dimensions, or 0 for all."""

    def __init__(self, family: GaussianFamily) -> None:
        super().__init__()
        self.family = family

    def forward(self, output: Float[Tensor, "n 2*d"]) -> Float[Tensor, "n 2*d"]:
        """The same means, restricted log-variances."""
        mu, log_var = output.chunk(2, dim=1)
        if self.family == "isotropic":
            log_var = log_var.mean(1, keepdim=True).expand_as(mu)
        else:
            log_var = torch.zeros_like(mu)
        return torch.cat([mu, log_var], 1)


class Standardise(nn.Module):
    """Subtract the mean image and divide by the overall spread: linear, and much easier to fit."""

    def __init__(self, images: Float[Tensor, "n c h w"]) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", images.mean(0))
        self.scale = float((images - self.mean).square().mean().sqrt())

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The same images in units of their spread."""
        return (images - self.mean) / self.scale


def build(
    latent_dim: int, family: GaussianFamily, images: Float[Tensor, "n c h w"], seed: int
) -> VAE:
    """An untrained linear VAE whose posterior is of the family."""
    _, channels, height, width = images.shape
    with seeded(seed):
        model = VAE(
            (channels, height, width),
            latent_dim,
            network=MLP(hidden=()),
            likelihood=LearnedGaussianLikelihood(0.3, mean="identity"),
            posterior="full" if family == "full" else "diagonal",
        )
    layers: list[nn.Module] = [Standardise(images), model.encoder]
    if family in ("isotropic", "unit"):
        layers.append(TieVariances(family))
    model.encoder = nn.Sequential(*layers)
    return model


def hold_decoder(model: VAE, truth: ProbabilisticPCA) -> None:
    """Put ``truth`` into the decoder and freeze it: only the encoder is left to learn."""
    decoder, pixels = linear_layer(model.decoder), model.likelihood
    assert isinstance(pixels, LearnedGaussianLikelihood)
    with torch.no_grad():
        decoder.weight.copy_(truth.weights)
        decoder.bias.copy_(truth.offset)
        pixels.log_sigma.copy_(truth.log_sigma)
    model.decoder.requires_grad_(False)
    model.likelihood.requires_grad_(False)


def maximise_exact_elbo(
    model: VAE, images: Float[Tensor, "n c h w"], *, num_iterations: int
) -> None:
    """L-BFGS on the exact ELBO of a linear VAE, in double precision and without noise."""
    model.double()
    images = images.double()
    optimiser = torch.optim.LBFGS(
        [weight for weight in model.parameters() if weight.requires_grad],
        max_iter=num_iterations,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        exact = ProbabilisticPCA.from_vae(model).elbo(images, model.posterior(images))
        value = -exact.elbo.mean()
        value.backward()
        return value

    optimiser.step(loss)


@torch.no_grad()
def measure(
    model: VAE, family: GaussianFamily, best: ProbabilisticPCA, images: Float[Tensor, "n c h w"]
) -> dict[str, float]:
    """Log-likelihoods and gaps in nats per image, all exact."""
    own = ProbabilisticPCA.from_vae(model)
    log_p = float(own.log_likelihood(images).mean())
    log_p_best = float(best.log_likelihood(images).mean())
    posterior = model.posterior(images.to(model.dtype))
    terms = own.elbo(images, posterior)
    precision = own.posterior_precision
    return {
        "log_p_best": log_p_best,
        "log_p": log_p,
        "elbo": float(terms.elbo.mean()),
        "rate": float(terms.rate.mean()),
        "gap": log_p - float(terms.elbo.mean()),
        "predicted_gap": posterior_gap(precision, best_covariance(precision, family)),
        "model_gap": log_p_best - log_p,
        "sigma": float(own.sigma),
    }


def run(
    seed: int,
    *,
    latent_dims: tuple[int, ...] = (2, 4, 8, 16),
    families: tuple[GaussianFamily, ...] = FAMILIES,
    num_iterations: int = 250,
    adam: tuple[tuple[float, int], ...] = ((1e-2, 100), (1e-3, 30)),
) -> list[dict]:
    """Rows: one for each latent dimension, decoder, family and optimiser, on training digits.

    Args:
        families: covariances that the posterior may have.
        adam: learning rates with their epochs; ``()`` leaves ordinary training out.
    """
    images = load_digits().train.images
    rows: list[dict] = []
    for latent_dim in latent_dims:
        best = ProbabilisticPCA.fit(images, latent_dim)
        with seeded(seed):
            rotation = torch.linalg.qr(torch.randn(latent_dim, latent_dim).double())[0]
        for decoder in ("learned", "rotated"):
            for family in families:
                model = build(latent_dim, family, images, seed)
                if decoder == "rotated":
                    hold_decoder(model, best.rotated(rotation))
                maximise_exact_elbo(model, images, num_iterations=num_iterations)
                key = {"latent_dim": latent_dim, "decoder": decoder, "family": family}
                rows.append(key | {"optimiser": "lbfgs"} | measure(model, family, best, images))
        if adam:
            model = build(latent_dim, "diagonal", images, seed)
            for lr, num_epochs in adam:
                fit(model, images, num_epochs=num_epochs, lr=lr, seed=seed)
            key = {"latent_dim": latent_dim, "decoder": "learned", "family": "diagonal"}
            rows.append(key | {"optimiser": "adam"} | measure(model, "diagonal", best, images))
    return rows
