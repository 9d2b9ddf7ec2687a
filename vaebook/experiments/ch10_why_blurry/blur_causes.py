"""Where the blur comes from: overlap, decoder and prior measured apart, on dogs (chapter 10)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from vaebook.data import ImageData, load_fashion
from vaebook.data.dogs import load_dogs, render, sample_factors
from vaebook.distributions import (
    DiagonalGaussian,
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    fit_gaussian,
)
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.experiments.settings import DOG_DEEP, DOG_DEEP_TRAINING, DOG_LATENT_DIM
from vaebook.metrics import posterior_parameters, power_spectrum, rate_per_dimension, sharpness
from vaebook.metrics.samples.sharpness import gradient_energy, spectral_energy
from vaebook.models import MLP, VAE
from vaebook.models.optimal_decoder import OptimalDecoder
from vaebook.training import fit, seeded

AUTOENCODER = "autoencoder"
# σ of a pixel; None learns it. The autoencoder has neither noise in its codes nor a KL term.
VARIANTS: dict[str, float | None] = {
    AUTOENCODER: 0.1,
    "σ = 0.1": 0.1,
    "σ = 0.2": 0.2,
    "σ = 0.4": 0.4,
    "learned σ": None,
}
FRESH_SEED = 12_345  # of dogs that are in no split
NUM_KEPT = 10
NUM_BRACKET = 250  # codes decoded over the fresh dogs, which takes longest
FINE = 0.25  # cycles per pixel: half the highest frequency; what is above counts as fine detail


class Paired(NamedTuple):
    """Pictures made for codes, beside the real ones that they stand for."""

    images: Tensor  # [m, c, h, w]
    real: Tensor  # [m or more, c, h, w]
    paired: bool  # whether the i-th image stands for the i-th real one


def train(
    variant: str,
    data: ImageData,
    *,
    seed: int,
    network: MLP,
    latent_dim: int,
    training: dict[str, Any],
) -> VAE:
    """One of ``VARIANTS``, trained."""
    sigma = VARIANTS[variant]
    with seeded(seed):
        model = VAE(
            data.image_shape,
            latent_dim,
            network=network,
            likelihood=LearnedGaussianLikelihood() if sigma is None else GaussianLikelihood(sigma),
            beta=0.0 if variant == AUTOENCODER else 1.0,
            sample_codes=variant != AUTOENCODER,
        )
    fit(model, data.train.images, seed=seed, **training)
    return model


def codes_of(model: VAE, posterior: DiagonalGaussian, seed: int) -> Tensor:
    """The codes that the decoder was trained on: draws, or means in the autoencoder."""
    with seeded(seed):
        return posterior.sample() if model.sample_codes else posterior.mu


@torch.no_grad()
def decode(model: VAE, codes: Tensor) -> Tensor:
    """The mean picture of each code, a thousand at a time."""
    return torch.cat([model.decode(part) for part in codes.split(1000)])


def steps_of(
    model: VAE, data: ImageData, *, seed: int, num_codes: int, num_fresh: int
) -> dict[str, Paired]:
    """The pictures along the way from real ones to samples.

    ``f*`` is the optimal decoder over the training pictures. The steps named ``aggregate`` take
    codes drawn from q(z | x) of the first training pictures, ``prior`` from N(0, I), ``fitted``
    from a Gaussian fitted to the training codes, ``held out`` from test pictures. One step has
    the pictures of ``f*`` in place of the real ones: the decoder's own part of the error.
    """
    real, test = data.train.images[:num_codes], data.test.images[:num_codes]
    posterior = posterior_parameters(model, data.train.images)
    all_codes = codes_of(model, posterior, seed)
    codes = all_codes[:num_codes]
    with seeded(seed):
        new = model.prior.sample((num_codes,))
        fitted = fit_gaussian(all_codes).sample((num_codes,))
    test_posterior = posterior_parameters(model, test)
    drawn = codes_of(model, test_posterior, seed)
    steps = {
        "decoder at aggregate": Paired(decode(model, codes), real, True),
        "reconstruction": Paired(decode(model, test_posterior.mu), test, True),
        "decoder, held out": Paired(decode(model, drawn), test, True),
        "decoder at prior": Paired(decode(model, new), data.train.images, False),
        "decoder at fitted": Paired(decode(model, fitted), data.train.images, False),
    }
    if not model.sample_codes:  # posteriors are points: the optimal decoder has no blur at all
        return steps
    best = OptimalDecoder(posterior, data.train.images)
    ideal = best.decode(codes)
    steps |= {
        "f* at aggregate": Paired(ideal, real, True),
        "decoder against f*": Paired(steps["decoder at aggregate"].images, ideal, True),
        "f* at prior": Paired(best.decode(new), data.train.images, False),
        "f*, held out": Paired(best.decode(drawn), test, True),
    }
    if num_fresh and data.name == "dogs":
        num_fresh_codes = min(num_codes, NUM_BRACKET)
        steps |= bracket(model, num_codes=num_fresh_codes, num_fresh=num_fresh, seed=seed)
    return steps


def bracket(model: VAE, *, num_codes: int, num_fresh: int, seed: int) -> dict[str, Paired]:
    """The optimal decoder over fresh dogs: with the dog a code came from, and without it.

    For dogs that the model never saw, the first is too good and the second not good enough: in
    expectation their errors bracket E Var[x | z] over all possible dogs (chapter 10).
    """
    with torch.no_grad():
        fresh = render(sample_factors(num_fresh, seed=FRESH_SEED + seed))
    posterior = posterior_parameters(model, fresh)
    best = OptimalDecoder(posterior, fresh)
    own = torch.arange(num_codes)
    with seeded(seed):
        codes = DiagonalGaussian(posterior.mu[:num_codes], posterior.log_var[:num_codes]).sample()
    # a batch holds 100 codes, and weights in double precision for all fresh dogs
    return {
        "f*, fresh, itself included": Paired(best.decode(codes, batch_size=100), fresh[own], True),
        "f*, fresh, itself left out": Paired(
            best.decode(codes, leave_out=own, batch_size=100), fresh[own], True
        ),
        "decoder, fresh": Paired(decode(model, codes), fresh[own], True),
    }


def fine_power(spectrum: Tensor, size: int) -> float:
    """The power in the upper half of the frequencies."""
    return float(spectrum[round(FINE * size) :].sum())


def measure(step: Paired) -> dict[str, float]:
    """Sharpness, fine detail and spectrum relative to the real pictures; the error if paired.

    ``lost`` and ``lost_fine`` are the energies of the difference from the real picture: by the
    Pythagorean theorem what an optimal decoder loses.
    """
    size = step.images.shape[-1]
    ours, real = power_spectrum(step.images), power_spectrum(step.real)
    energy = float(sharpness(step.real).mean())
    measures = {
        "sharpness": float(sharpness(step.images).mean()) / energy,
        "fine": fine_power(ours, size) / fine_power(real, size),
        "error": float("nan"),
        "lost": float("nan"),
        "lost_fine": float("nan"),
    }
    if step.paired:
        difference = step.images - step.real
        measures["error"] = float(difference.square().sum((1, 2, 3)).mean())
        measures["lost"] = float(gradient_energy(difference).mean()) / energy
        measures["lost_fine"] = fine_power(spectral_energy(difference), size) / fine_power(
            real, size
        )
    for k, ratio in enumerate((ours / real).tolist()):
        measures[f"power_{k}"] = ratio
    return measures


def conflict_cosine(model: VAE, images: Tensor, *, seed: int, num_samples: int = 4) -> float:
    """Cosine of the gradients of distortion and rate with respect to the encoder's weights."""
    with seeded(seed):
        terms = model.elbo(images, num_samples=num_samples)
    weights = list(model.encoder.parameters())
    distortion, rate = (
        parameters_to_vector(torch.autograd.grad(term.mean(), weights, retain_graph=True))
        for term in (terms.distortion, terms.rate)
    )
    return float(torch.cosine_similarity(distortion, rate, dim=0))


def settings_of(data_name: str) -> tuple[ImageData, MLP, dict[str, Any]]:
    """Data, network and training for ``"dogs"`` or ``"fashion"``."""
    if data_name not in ("dogs", "fashion"):
        raise ValueError(f"data_name is {data_name!r}; expected 'dogs' or 'fashion'.")
    if data_name == "dogs":
        return load_dogs(), DOG_DEEP, DOG_DEEP_TRAINING
    return load_fashion(), MLP((512,)), {"num_epochs": 10, "batch_size": 128, "lr": 1e-3}


def run(
    seed: int,
    *,
    variants: tuple[str, ...] = tuple(VARIANTS),
    data_name: str = "dogs",
    latent_dim: int = DOG_LATENT_DIM,
    num_codes: int = 2000,
    num_fresh: int = 100_000,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each variant and measure the pictures at every step from real to sampled.

    Args:
        num_codes: codes decoded at each step.
        num_fresh: dogs drawn anew for the bracket.
        pictures: filled with the first images of each step, under ``"variant/step"``.

    Returns:
        A row per variant and step of :func:`steps_of`, with the measures of :func:`measure`, the
        rate and σ of the model, ``nats`` (the error in nats: divided by 2σ²) and
        ``conflict_cosine``.
    """
    data, network, training = settings_of(data_name)
    rows = []
    if pictures is not None:
        pictures["real"] = data.train.images[:NUM_KEPT]
        pictures["test"] = data.test.images[:NUM_KEPT]
    for variant in variants:
        model = train(
            variant, data, seed=seed, network=network, latent_dim=latent_dim, training=training
        )
        assert isinstance(model.likelihood, OneSigmaLikelihood)
        sigma = model.likelihood.sigma
        common = {
            "variant": variant,
            "sigma": sigma,
            "rate": float(rate_per_dimension(model, data.test.images).sum()),
            "conflict_cosine": conflict_cosine(model, data.train.images[:2000], seed=seed)
            if model.sample_codes
            else float("nan"),
        }
        steps = steps_of(model, data, seed=seed, num_codes=num_codes, num_fresh=num_fresh)
        for name, step in steps.items():
            measures = measure(step)
            nats = measures["error"] / (2 * sigma**2)
            rows.append({**common, "step": name, "nats": nats, **measures})
            if pictures is not None:
                pictures[f"{variant}/{name}"] = step.images[:NUM_KEPT]
    return rows
