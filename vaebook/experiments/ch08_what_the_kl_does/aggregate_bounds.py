"""How far from N(0, I) all codes together are at least, for each weight of the KL (chapter 08)."""

import math
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from vaebook.data import load_dogs, render, sample_factors
from vaebook.distributions import (
    GaussianLikelihood,
    fit_mixture,
    gaussian_kl,
    quadrature_kl,
    standard_normal,
)
from vaebook.experiments.ch06_vae.anatomy import FIXED_SIGMA
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import classifier_test, kl_lower_bound, posterior_parameters
from vaebook.models import VAE
from vaebook.training import seeded, stream_seed

BETAS = (0.25, 1.0, 4.0, 9.0, 16.0, 36.0, 81.0, 196.0)
PLANTED = 0.2  # nats that the planted codes diverge from N(0, I)
NUM_DIRECTIONS = 4  # along which they do
NUM_COMPONENTS = 10  # of the density: full covariances
NUM_CODES = 40_000  # half of them for the density, half for the bound
NUM_TOLD = 4000  # of them that the classifier sees, half to learn from
# Of a training that broke down: no code is as far, and its rate is not asked.
FAILED = {"rate": 0.0, "kl_bound": 1e3, "bound_error": 0.0, "accuracy": 1.0, "classifier_p": 0.0}

Codes = Float[Tensor, "n d"]


def two_heaps(place: float) -> MixtureSameFamily:
    """Numbers round −place and +place alike, with mean 0 and variance 1; ``place`` is below 1."""
    at = torch.tensor([-place, place], dtype=torch.float64)
    heaps = Normal(at, math.sqrt(1 - place**2))
    return MixtureSameFamily(Categorical(torch.ones_like(at)), heaps)


def heaps_divergence(place: float) -> float:
    """KL(two heaps ‖ N(0, 1)) in nats, by quadrature."""
    zero = torch.zeros((), dtype=torch.float64)
    return float(quadrature_kl(two_heaps(place), Normal(zero, zero + 1), low=-10, high=10))


def planted_codes(
    number: int, latent_dim: int, *, num_directions: int = NUM_DIRECTIONS, nats: float = PLANTED
) -> Codes:
    """Codes with KL(q ‖ N(0, I)) of just so many nats, and with mean 0 and covariance I.

    Two heaps along each of some directions at right angles that are drawn at random, N(0, I) across
    them: no single Gaussian, and no look at the codes' moments, sees anything of it. The more
    directions share the nats, the less a mixture of Gaussians sees.
    """
    place = brentq(lambda at: num_directions * heaps_divergence(at) - nats, 0.0, 0.99)
    codes = torch.randn(number, latent_dim)
    codes[:, :num_directions] = two_heaps(place).sample((number, num_directions)).float()
    turn, _ = torch.linalg.qr(torch.randn(latent_dim, latent_dim))
    return codes @ turn.T


def bound_of(codes: Codes, *, seed: int, num_components: int = NUM_COMPONENTS) -> tuple[float, ...]:
    """KL(q ‖ N(0, I)) is at least so many nats; and the bound's standard error.

    Args:
        codes: independent draws of q.
        seed: of the fit of the density.
        num_components: of the density, a mixture of Gaussians fitted to the first half.
    """
    fit = partial(fit_mixture, num_components=num_components, seed=seed % 2**32)
    return tuple(kl_lower_bound(codes, standard_normal(codes.shape[1]), fit_density=fit))


def measure_codes(
    codes: Codes, *, seed: int, name: str, num_components: int = NUM_COMPONENTS
) -> dict[str, float]:
    """What can be told of codes, of which each is of a picture of its own.

    Args:
        codes: one draw of q(z | x) for each picture.
        seed: of the trial.
        name: of the streams.
        num_components: of the density.

    Returns:
        ``kl_bound``, ``bound_error``, ``accuracy`` and ``classifier_p``; see :func:`run`.
    """
    bound, error = bound_of(
        codes, seed=stream_seed(seed, f"{name}: density"), num_components=num_components
    )
    told = codes[:NUM_TOLD]
    with seeded(seed, f"{name}: prior"):
        prior = torch.randn_like(told)
    classifier = classifier_test(told, prior, seed=stream_seed(seed, f"{name}: classifier") % 2**32)
    return {
        "kl_bound": bound,
        "bound_error": error,
        "accuracy": classifier.accuracy,
        "classifier_p": classifier.p_value,
    }


def controls(seed: int, num_codes: int, num_components: int = NUM_COMPONENTS) -> dict[str, float]:
    """Bounds, by the same density, of codes whose divergence is known: ``PLANTED`` nats, and 0."""
    with seeded(seed, "planted codes"):
        planted = planted_codes(num_codes, LATENT_DIM)
    with seeded(seed, "null codes"):
        null = torch.randn(num_codes, LATENT_DIM)
    return {
        f"{name}_bound": bound_of(
            codes, seed=stream_seed(seed, f"{name}: density"), num_components=num_components
        )[0]
        for name, codes in (("planted", planted), ("null", null))
    }


def run(
    seed: int,
    *,
    betas: tuple[float, ...] = BETAS,
    num_images: int = 0,
    num_judged: int = NUM_CODES,
    num_components: int = NUM_COMPONENTS,
    network: str = "convolutional",
    budget: str = "× 1",
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Train a VAE of dogs for each β, σ of a pixel fixed at 0.1, and look at codes of fresh dogs.

    The fresh dogs are the same for all β, and in no data set. The planted and the null codes do not
    depend on β: their bounds stand in each row.

    Args:
        betas: weights of the rate.
        num_images: training pictures; 0 takes all.
        num_judged: fresh dogs, of each of which one code is drawn.
        num_components: of the density.
        network, budget, scale: as in :func:`vaebook.experiments.reference.train_reference`.

    Returns:
        A row per ``beta``. ``rate``: of the fresh dogs. In nats, what KL(q ‖ N(0, I)) is at least
        by a density fitted to other codes: ``kl_bound`` of the model's codes, with its standard
        error ``bound_error``; ``planted_bound`` of as many codes that diverge by 0.2 nats,
        ``null_bound`` of as many of N(0, I). ``accuracy``: the share of held-out codes of which a
        classifier says rightly whether they are of a fresh dog or of N(0, I), with its p-value
        ``classifier_p``.
        ``failed``: why the training broke down, if it did; then the codes count as far away.
    """
    data = load_dogs()
    with torch.no_grad():
        fresh = render(sample_factors(num_judged, seed=stream_seed(seed, "fresh dogs")))
    known = controls(seed, num_judged, num_components)
    rows = []
    for beta in betas:
        name = f"β = {beta:g}"
        build = partial(
            VAE, data.image_shape, LATENT_DIM, likelihood=GaussianLikelihood(FIXED_SIGMA), beta=beta
        )
        try:
            model = train_reference(
                lambda plan, build=build: build(network=plan),  # type: ignore[misc]
                data.train.images[: num_images or None],
                data_name="dogs",
                seed=seed,
                stream=name,
                network=network,
                budget=budget,
                scale=scale,
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            rows.append({"beta": beta, **FAILED, **known, "failed": str(error)})
            continue
        posterior = posterior_parameters(model, fresh)
        with seeded(seed, f"{name}: codes"):
            codes = posterior.sample()
        found = measure_codes(codes, seed=seed, name=name, num_components=num_components)
        rate = float(gaussian_kl(posterior.mu, posterior.log_var).mean())
        rows.append({"beta": beta, "rate": rate, **found, **known, "failed": ""})
    return rows
