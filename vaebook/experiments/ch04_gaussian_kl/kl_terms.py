"""The KL term of a trained VAE beside each picture's divergence and that of all (chapter 04)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal

from vaebook.data import load_dogs
from vaebook.distributions import (
    DiagonalGaussian,
    LearnedGaussianLikelihood,
    gaussian_kl,
    quadrature_kl,
)
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import evaluate_elbo, posterior_parameters, split_rate
from vaebook.models import VAE
from vaebook.training import seeded, stream_seed

REACH, NUM_POINTS = 30.0, 16001  # the grid goes from -REACH to REACH: exact from σ = 0.008 on
# Of a training that broke down: its codes tell nothing apart, and no gap of any VAE is as large.
FAILED = {"rate": 0.0, "picture_gap": 1e3, "aggregate_gap": 0.0, "apart": 0.0}


def divergences(posterior: DiagonalGaussian) -> Float[Tensor, " n"]:
    """KL(q(z | x_i) ‖ N(0, I)) of each picture in nats, by quadrature in double precision.

    A dimension at a time: q and p have independent ones, so that their divergences add up.

    Args:
        posterior: batch shape ``[n]``.
    """
    mu, log_var = posterior.mu.double(), posterior.log_var.double()
    p = Normal(mu.new_zeros(()), mu.new_ones(()))
    return torch.stack(
        [
            quadrature_kl(q, p, low=-REACH, high=REACH, num_points=NUM_POINTS).sum()
            for q in map(Normal, mu, (0.5 * log_var).exp())
        ]
    )


def random_posteriors(number: int, latent_dim: int = LATENT_DIM) -> DiagonalGaussian:
    """In double precision; μ is uniform in ±3, log σ² uniform from −6 to 2."""
    mu, log_var = torch.rand(2, number, latent_dim, dtype=torch.float64)
    return DiagonalGaussian(6 * mu - 3, 8 * log_var - 6)


def largest_gap(posterior: DiagonalGaussian, quadrature: Float[Tensor, " n"]) -> float:
    """Nats between the closed form in double precision and the quadrature, at most."""
    closed = gaussian_kl(posterior.mu.double(), posterior.log_var.double())
    return float((closed - quadrature).abs().max())


def measure(model: VAE, images: Float[Tensor, "n c h w"], *, seed: int) -> dict[str, float]:
    """The loss's rate held against the divergences of single pictures and of all codes together.

    Returns:
        As :func:`run`, with the ``quadrature_gap`` of the first 50 pictures' posteriors.
    """
    elbo_seed, codes_seed = stream_seed(seed, "noise of the ELBO"), stream_seed(seed, "aggregate")
    rate = float(evaluate_elbo(model, images, seed=elbo_seed).rate.mean())
    posterior = posterior_parameters(model, images)
    each = divergences(posterior)
    together = split_rate(posterior, seed=codes_seed).aggregate_kl
    some = DiagonalGaussian(posterior.mu[:50], posterior.log_var[:50])
    return {
        "rate": rate,
        "picture_gap": abs(rate - float(each.mean())),
        "aggregate_gap": abs(rate - together),
        "apart": abs(float(each.mean()) - together),
        "quadrature_gap": largest_gap(some, each[:50]),
    }


def run(
    seed: int,
    *,
    num_images: int = 0,
    num_judged: int = 200,
    network: str = "convolutional",
    budget: str = "× 1",
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Train the reference VAE of dogs, with a learned σ, and look at its KL term.

    Args:
        num_images: training pictures; 0 takes all.
        num_judged: held-out pictures; the aggregate is that of their posteriors.
        network, budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.

    Returns:
        One row. ``rate``: the loss's term, mean over the pictures. In nats, from it to the mean
        over the pictures of KL(q(z | x) ‖ N(0, I)) by quadrature, ``picture_gap``, and to
        KL(q(z) ‖ N(0, I)) of all codes together, ``aggregate_gap``; between these two, ``apart``,
        which is what the codes tell of which of these pictures they are of, and no more than the
        logarithm of their number: it says that the two differ, not by how much over all dogs.
        ``quadrature_gap``: between closed form and quadrature in double precision, the largest of
        50 random posteriors and 50 of the model's. ``failed``: why the training broke down, if it
        did; then the codes count as telling nothing apart.
    """
    data = load_dogs()
    with seeded(seed, "random posteriors"):
        drawn = random_posteriors(50)
    gap = largest_gap(drawn, divergences(drawn))
    try:
        model = train_reference(
            lambda plan: VAE(
                data.image_shape, LATENT_DIM, network=plan, likelihood=LearnedGaussianLikelihood()
            ),
            data.train.images[: num_images or None],
            data_name="dogs",
            seed=seed,
            stream="VAE",
            network=network,
            budget=budget,
            scale=scale,
        )
        found = measure(model, data.test.images[:num_judged], seed=seed)
    except ValueError as error:  # what fit raises when a loss is no number any more
        return [{**FAILED, "quadrature_gap": gap, "failed": str(error)}]
    return [{**found, "quadrature_gap": max(gap, found["quadrature_gap"]), "failed": ""}]
