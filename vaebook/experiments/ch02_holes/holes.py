"""How often a code drawn at random decodes to a dog, by density and code size (chapter 02)."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import (
    BoxCorners,
    fit_box,
    fit_diagonal_gaussian,
    fit_gaussian,
    fit_mixture,
    standard_normal,
)
from vaebook.experiments.pixel_errors import rmse
from vaebook.experiments.settings import DOG_NETWORK, DOG_TRAINING
from vaebook.metrics import (
    Reference,
    log_ball_volume,
    mahalanobis,
    measure_samples,
    nearest_distance,
    principal_dimensions,
    share_in_orthants_of,
)
from vaebook.metrics.dogs import NearestDog, factor_overlap, nearest_dog
from vaebook.models import VAE, Autoencoder, LatentVariableModel, slerp
from vaebook.training import fit, seeded

Codes = Float[Tensor, "n d"]

NUM_IMAGES = 50  # judged per sampler and seed
LATENT_DIMS = (2, 4, 8, 16, 32, 64)
NUM_KEPT = 8  # of them, pictures that the record keeps
NUM_COMPONENTS = 10  # of the mixture
COPY_NOISE = 0.1  # of "noisy codes", in standard deviations of each dimension

FITS: dict[str, Callable[[Codes], Distribution]] = {
    "standard normal": lambda codes: standard_normal(codes.shape[1]),
    "fitted normal": fit_gaussian,
    "fitted diagonal": fit_diagonal_gaussian,
    "box": fit_box,
    "corners": BoxCorners,
    "mixture": lambda codes: fit_mixture(codes, NUM_COMPONENTS),
}

# What is judged at every code size, and what only at the sizes of MORE_AT.
SAMPLERS = {"autoencoder": (*FITS, "held-out codes"), "vae": ("standard normal",)}
MORE_SAMPLERS = {
    "autoencoder": ("noisy codes", "midpoints", "slerp midpoints"),
    "vae": ("mixture", "held-out codes", "midpoints", "slerp midpoints"),
}
MORE_AT = (2, 16, 64)


def train(model_name: str, latent_dim: int, seed: int) -> Autoencoder | VAE:
    """The ``"autoencoder"`` or the ``"vae"``: same network, same pixels, same budget."""
    dogs = load_dogs()
    build = {"autoencoder": Autoencoder, "vae": VAE}[model_name]
    with seeded(seed):
        model: Autoencoder | VAE = build(dogs.image_shape, latent_dim, network=DOG_NETWORK)
    fit(model, dogs.train.images, seed=seed, **DOG_TRAINING)
    return model


@torch.no_grad()
def codes_of(
    model: LatentVariableModel, images: Float[Tensor, "n c h w"], *, seed: int = 0
) -> Codes:
    """The codes that a model's decoder is trained on; for a VAE a draw of q(z | x) per image."""
    if isinstance(model, VAE):
        with seeded(seed):
            return model.posterior(images).sample()
    return model.encode(images)


def densities(codes: Codes, names: Iterable[str] = tuple(FITS)) -> dict[str, Distribution]:
    """What a code could be drawn from: one density that ignores the codes, five fitted to them."""
    return {name: FITS[name](codes) for name in names if name in FITS}


def draw_codes(
    fitted: dict[str, Distribution], codes: Codes, held_out: Codes, num_codes: int, *, seed: int
) -> dict[str, Codes]:
    """Codes drawn in every way that the chapter compares, ``num_codes`` of each.

    Beside the densities: ``"noisy codes"`` of training dogs; ``"held-out codes"``, the ceiling,
    since these codes are right; and the middle of two of those, by a straight walk
    (``"midpoints"``) and by a great circle round the codes' mean (``"slerp midpoints"``); pairs
    on opposite sides of the mean, which have no shortest circle, are left out.
    """
    drawn = {}
    for name, density in fitted.items():
        with seeded(seed):
            drawn[name] = density.sample((num_codes,))
    with seeded(seed):
        some = codes[torch.randperm(len(codes))[:num_codes]]
        drawn["noisy codes"] = some + COPY_NOISE * codes.std(0) * torch.randn_like(some)
        order = torch.randperm(len(held_out))
    drawn["held-out codes"] = held_out[order[:num_codes]]
    centre = codes.mean(0)
    start, end = (held_out[order] - centre).chunk(2)
    apart = functional.cosine_similarity(start, end) > -0.99  # opposite codes have no one circle
    start, end = start[apart][:num_codes], end[apart][:num_codes]
    drawn["midpoints"] = centre + torch.lerp(start, end, 0.5)
    drawn["slerp midpoints"] = centre + slerp(start, end, 0.5)
    return drawn


def judge(images: Float[Tensor, "n 1 s s"], found: NearestDog, data: ImageData) -> dict[str, float]:
    """What share of the images are dogs, how new are they, and of how many kinds?

    Returns:
        ``dogs`` of :func:`vaebook.metrics.measure_samples`; ``factor_overlap`` of the nearest dogs
        of all the images, also where these are no dogs; ``training_distance``, the median RMSE to
        the nearest training dog.
    """
    return measure_samples(images, Reference(data.test.images), ["dogs"], found=found) | {
        "factor_overlap": float(factor_overlap(found.factors).mean()),
        "training_distance": float(nearest_distance(images, data.train.images).median()),
    }


@torch.no_grad()
def posterior_variance(model: Autoencoder | VAE, images: Float[Tensor, "n c h w"]) -> float:
    """The variance of q(z | x), averaged over images and dimensions; 0 for an autoencoder."""
    return float(model.posterior(images).variance.mean()) if isinstance(model, VAE) else 0.0


def code_geometry(codes: Codes, held_out: Codes) -> dict[str, float | int]:
    """How codes fill their box.

    Returns:
        ``principal_dims``: components with 99 % of the variance. ``orthants``: how many the codes
        occupy, and ``held_out_orthants``: the share of held-out codes in one of these.
        ``log_box``: logarithm of the box's volume. ``log_ellipsoid``: that of the fitted normal's
        ellipsoid with 99 % of the held-out codes. ``code_mean``: ‖mean‖ / √d. ``code_variance``:
        of the codes, mean over the dimensions.
    """
    normal = fit_gaussian(codes)
    radius = float(mahalanobis(held_out, normal).quantile(0.99))
    share, occupied = share_in_orthants_of(held_out, codes)
    log_axes = float(normal.scale_tril.diagonal().log().sum())
    return {
        "principal_dims": principal_dimensions(codes),
        "orthants": occupied,
        "held_out_orthants": share,
        "log_box": float((codes.amax(0) - codes.amin(0)).log().sum()),
        "log_ellipsoid": log_ball_volume(codes.shape[1], radius) + log_axes,
        "code_mean": float(codes.mean(0).square().mean().sqrt()),
        "code_variance": float(codes.var(0).mean()),
    }


def measure_sampler(
    density: Distribution | None, drawn: Codes, codes: Codes, held_out: Codes
) -> dict[str, float]:
    """How a sampler's codes lie to those of real dogs.

    Returns:
        ``log_density``: mean over the held-out codes of the sampler's log-density in nats (for the
        box of those inside it; NaN for the corners and where there is no density).
        ``nearest_code``: distance to the nearest training code, in units of a held-out code's,
        after every dimension is scaled to a variance of 1. ``norm``: mean of ‖z‖ / √d.
    """
    scale = codes.std(0)
    usual = torch.cdist(held_out[:500] / scale, codes / scale).amin(1).median()
    here = torch.cdist(drawn / scale, codes / scale).amin(1).median()
    at_codes = density.log_prob(held_out) if density else torch.full((1,), torch.nan)
    log_density = float(at_codes[at_codes.isfinite()].mean())  # NaN if there is none
    return {
        "log_density": log_density,
        "nearest_code": float(here / usual),
        "norm": float(drawn.norm(dim=1).mean()) / math.sqrt(drawn.shape[1]),
    }


def run(
    seed: int,
    *,
    latent_dims: tuple[int, ...] = LATENT_DIMS,
    num_images: int = NUM_IMAGES,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train an autoencoder and a VAE of each code size; draw codes, decode, look for dogs.

    Args:
        num_images: pictures judged per sampler; a share s of them has a binomial standard error of
            √(s (1 − s) / num_images), on top of the spread between models.
        pictures: filled with the first images of each row at the sizes of ``MORE_AT``, under
            ``"model/latent_dim/sampler"``.

    Returns:
        A row per model, code size and sampler: the model's held-out ``rmse``,
        :func:`code_geometry` and :func:`posterior_variance`, then :func:`measure_sampler` and
        :func:`judge`.
    """
    data = load_dogs()
    rows = []
    for latent_dim in latent_dims:
        for model_name in ("autoencoder", "vae"):
            model = train(model_name, latent_dim, seed)
            kept = pictures if latent_dim in MORE_AT else None
            rows += measure_model(
                model, model_name, data, num_images=num_images, seed=seed, pictures=kept
            )
    return rows


def measure_model(
    model: Autoencoder | VAE,
    model_name: str,
    data: ImageData,
    *,
    num_images: int = NUM_IMAGES,
    seed: int = 0,
    samplers: tuple[str, ...] = (),
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """The rows of one trained model, for ``samplers`` or all that are recorded; see :func:`run`."""
    if not samplers:
        more = MORE_SAMPLERS[model_name] if model.latent_dim in MORE_AT else ()
        samplers = SAMPLERS[model_name] + more
    codes = codes_of(model, data.train.images, seed=seed)
    held_out = codes_of(model, data.test.images, seed=seed)
    with torch.no_grad():
        centres = model.encode(data.test.images)  # of a VAE the means
        error = rmse(model.decode(centres), data.test.images)
    common = {"model": model_name, "latent_dim": model.latent_dim, "rmse": error}
    common |= code_geometry(codes, held_out)
    common["posterior_variance"] = posterior_variance(model, data.test.images)
    fitted = densities(codes, samplers)
    drawn = draw_codes(fitted, codes, centres, num_images, seed=seed)
    with torch.no_grad():
        images = model.decode(torch.cat([drawn[name] for name in samplers]))
    found = nearest_dog(images)  # of all at once, which is quicker
    rows = []
    for index, name in enumerate(samplers):
        part = slice(index * num_images, (index + 1) * num_images)
        if pictures is not None:
            pictures[f"{model_name}/{model.latent_dim}/{name}"] = images[part][:NUM_KEPT]
        lie = measure_sampler(fitted.get(name), drawn[name], codes, held_out)
        verdict = judge(images[part], NearestDog(*(column[part] for column in found)), data)
        rows.append({**common, "sampler": name, **lie, **verdict})
    return rows
