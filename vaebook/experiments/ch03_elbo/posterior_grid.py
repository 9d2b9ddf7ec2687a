"""q(z | x) against the true posterior on a grid: a VAE with two-dimensional codes of digits.

log p(x) − ELBO is split into what the shared encoder loses against the best diagonal Gaussian for
each image, what that loses against the best Gaussian, and what no Gaussian reaches.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaebook.data import load_digits
from vaebook.distributions import DiagonalGaussian, LearnedGaussianLikelihood
from vaebook.metrics import GridPosterior, grid_posterior, importance_weighted_nll, quadrature_elbo
from vaebook.models import MLP, VAE
from vaebook.models.posteriors import PosteriorFamily
from vaebook.training import fit, seeded


def train(seed: int, family: PosteriorFamily = "diagonal", *, num_epochs: int = 200) -> VAE:
    """A VAE with two latent dimensions, fitted to the training digits."""
    data = load_digits()
    with seeded(seed):
        model = VAE(
            data.image_shape,
            latent_dim=2,
            network=MLP(hidden=(64,), activation="silu"),
            likelihood=LearnedGaussianLikelihood(0.2),
            posterior=family,
        )
    fit(model, data.train.images, num_epochs=num_epochs, lr=3e-3, seed=seed)
    return model


def correlation(truth: GridPosterior) -> Float[Tensor, " n"]:
    """Of the two dimensions of z under the true posterior of each image."""
    mean = truth.expectation(truth.codes[:, :, None])  # [2, n]
    offset = truth.codes[:, :, None] - mean
    variance = truth.expectation(offset**2)
    covariance = truth.expectation(offset[:, 0] * offset[:, 1])
    return covariance / variance.prod(0).sqrt()


def grid_kl(
    truth: GridPosterior, posterior: DiagonalGaussian | MultivariateNormal
) -> Float[Tensor, " n"]:
    """KL(q(z | x) ‖ p(z | x)) of each image, summed over the grid, in nats."""
    log_q = posterior.log_prob(truth.codes[:, None]).double()
    return (log_q.exp() * (log_q - truth.log_posterior)).sum(0) * truth.cell


def best_gaussian(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    start: DiagonalGaussian | MultivariateNormal,
    family: PosteriorFamily,
    *,
    num_steps: int = 200,
) -> DiagonalGaussian | MultivariateNormal:
    """The Gaussian for each image, free of any encoder, that maximises its ELBO near ``start``."""
    mu = start.mean.detach().clone().requires_grad_()
    log_std = start.stddev.detach().log().requires_grad_()
    tilt = torch.zeros(len(images), requires_grad=family == "full")

    def posterior() -> DiagonalGaussian | MultivariateNormal:
        if family == "diagonal":
            return DiagonalGaussian(mu, 2 * log_std)
        factor = torch.diag_embed(log_std.exp())
        factor = factor + torch.diag_embed(tilt[:, None], offset=-1)
        return MultivariateNormal(mu, scale_tril=factor, validate_args=False)

    free = [mu, log_std, tilt] if family == "full" else [mu, log_std]
    optimiser = torch.optim.Adam(free, lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, num_steps)
    for _ in range(num_steps):
        optimiser.zero_grad()
        loss = -quadrature_elbo(model, images, posterior(), num_nodes=10).elbo.sum()
        loss.backward(inputs=free)
        optimiser.step()
        schedule.step()
    mu, log_std, tilt = mu.detach(), log_std.detach(), tilt.detach()
    return posterior()


def start_at_mode(truth: GridPosterior, *, std: float = 0.1) -> DiagonalGaussian:
    """A small Gaussian at the most probable code of each image."""
    mu = truth.codes[truth.log_posterior.argmax(0)]
    return DiagonalGaussian(mu, torch.full_like(mu, 2.0).mul(torch.tensor(std).log()))


def measure(
    model: VAE, images: Float[Tensor, "n c h w"], *, seed: int = 0, decompose: bool = True
) -> dict[str, float]:
    """Means over the images of log p(x), ELBO, and the parts of the gap, in nats."""
    truth = grid_posterior(model, images)
    with torch.no_grad():
        q = model.posterior(images)
        assert isinstance(q, DiagonalGaussian | MultivariateNormal)
        terms = quadrature_elbo(model, images, q)
        kl = grid_kl(truth, q)
    gap = truth.log_evidence - terms.elbo
    row = {
        "log_p": float(truth.log_evidence.mean()),
        "elbo": float(terms.elbo.mean()),
        "rate": float(terms.rate.mean()),
        "gap": float(gap.mean()),
        "median_gap": float(gap.median()),
        "largest_gap": float(gap.max()),
        "identity_error": float((gap - kl).abs().max()),
        "correlation_sd": float(correlation(truth).std()),
    }
    for num_samples in (10, 100, 1000):
        nll = importance_weighted_nll(model, images, num_samples=num_samples, seed=seed)
        row[f"iwae_{num_samples}_error"] = float((-nll - truth.log_evidence).mean())
    if decompose:
        diagonal = best_gaussian(model, images, start_at_mode(truth), "diagonal")
        full = best_gaussian(model, images, diagonal, "full")
        with torch.no_grad():
            best_diagonal = quadrature_elbo(model, images, diagonal).elbo
            best_full = quadrature_elbo(model, images, full).elbo
        row |= {
            "encoder_gap": float((best_diagonal - terms.elbo).mean()),
            "diagonal_gap": float((best_full - best_diagonal).mean()),
            "gaussian_gap": float((truth.log_evidence - best_full).mean()),
        }
    return row


def run(
    seed: int,
    *,
    families: tuple[PosteriorFamily, ...] = ("diagonal", "full"),
    num_epochs: int = 200,
    num_images: int = 60,
) -> list[dict]:
    """Rows: one for each family of q and each split, on the first images of the split.

    Args:
        families: covariance of the encoder's posterior.
    """
    data = load_digits()
    rows: list[dict] = []
    for family in families:
        model = train(seed, family, num_epochs=num_epochs)
        for split, part in (("train", data.train), ("test", data.test)):
            row = measure(model, part.images[:num_images], seed=seed)
            rows.append({"family": family, "split": split} | row)
    return rows
