"""Evaluate a model on many images: in evaluation mode, in batches, on its device, from a seed."""

from collections.abc import Callable
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal

from vaebook._checks import check_count
from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian
from vaebook.metrics._inputs import as_images
from vaebook.models import VAE, ConditionalVAE
from vaebook.models.latent_variable import evaluating

_PIXELS_AT_ONCE = 2**21  # of decoded pictures: 8 MiB, and a few times that inside a network
_PICTURES_AT_ONCE = 64  # that share the decoded codes of a block
_CODES_AT_ONCE = 2048  # under a prior that may have hundreds of components


def check_model(model: object) -> None:
    """Raise a ``ValueError`` unless ``model`` is what a VAE is: q(z | x), p(x | z) and p(z)."""
    kind = type(model).__name__
    if isinstance(model, ConditionalVAE):
        raise ValueError(
            f"model is a {kind}; expected a VAE without conditions. "
            "Use model.elbo(images, conditions)."
        )
    parts = ("posterior", "likelihood_of", "image_shape", "latent_dim")
    missing = [part for part in parts if not hasattr(model, part)]
    if missing:
        raise ValueError(f"model is a {kind} without {', '.join(missing)}; expected a VAE.")


def images_of(model: VAE, images: object) -> Float[Tensor, "n c h w"]:
    """Images that fit the model, where they were; a ``ValueError`` if they do not."""
    check_model(model)
    return as_images("images", images, model.image_shape)


def to_model(model: object, values: Tensor) -> Tensor:
    """The values on the device of the model's weights and in their type."""
    weights = chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else ()
    for weight in weights:
        if weight.is_floating_point():
            return values.to(weight.device, weight.dtype)
    return values


def evaluate_in_batches(
    model: nn.Module,
    images: Tensor,
    measure: Callable[[Tensor], tuple[Tensor, ...]],
    *,
    seed: int,
    batch_size: int,
) -> tuple[Tensor, ...]:
    """Concatenate ``measure(batch)`` over the batches, with the model in evaluation mode.

    A batch is moved to the model, its results back to where the images are.
    """
    check_count("batch_size", batch_size)
    with torch.no_grad(), evaluating(model), seeded(seed):
        parts = [
            [column.to(images.device) for column in measure(to_model(model, batch))]
            for batch in images.split(int(batch_size))
        ]
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


def log_likelihood(
    model: VAE, codes: Float[Tensor, "k n d"], images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "k n"]:
    """log p(x | z) in nats of k codes for each image, decoded a few at a time.

    Codes ``[k, 1, d]`` are shared by all images and decoded once.
    """
    at_once = max(1, _PIXELS_AT_ONCE // images[0].numel())
    shared = codes.shape[1] == 1 and len(images) > 1
    num_images = min(len(images), _PICTURES_AT_ONCE if shared else at_once)
    num_codes = max(1, at_once // num_images)
    targets = images.split(num_images)
    if shared:
        targets = tuple(to_model(model, part) for part in targets)
        rows = []
        for some in codes.split(num_codes):
            pixels = model.likelihood_of(some)
            rows.append(torch.cat([pixels.log_prob(part) for part in targets], 1))
        return torch.cat(rows)
    columns = []
    for own, part in zip(codes.split(num_images, 1), targets, strict=True):
        target = to_model(model, part)
        found = [model.likelihood_of(some).log_prob(target) for some in own.split(num_codes)]
        columns.append(torch.cat(found))
    return torch.cat(columns, 1)


def log_prior(model: VAE, codes: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """log p(z) in nats, a few codes at a time."""
    prior = model.prior
    parts = codes.reshape(-1, codes.shape[-1]).split(_CODES_AT_ONCE)
    return torch.cat([prior.log_prob(part) for part in parts]).reshape(codes.shape[:-1])


def posterior_of(model: VAE, images: Float[Tensor, "n c h w"]) -> Distribution:
    """q(z | x) of all images, on the model's device; a Gaussian one is encoded in batches."""
    parts = [model.posterior(to_model(model, batch)) for batch in images.split(500)]
    if len(parts) == 1:
        return parts[0]
    diagonal = [part for part in parts if isinstance(part, DiagonalGaussian)]
    if len(diagonal) == len(parts):
        mu = torch.cat([part.mu for part in diagonal])
        return DiagonalGaussian(mu, torch.cat([part.log_var for part in diagonal]))
    full = [part for part in parts if isinstance(part, MultivariateNormal)]
    if len(full) == len(parts):
        factor = torch.cat([part.scale_tril for part in full])
        mean = torch.cat([part.loc for part in full])
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)
    return model.posterior(to_model(model, images))
