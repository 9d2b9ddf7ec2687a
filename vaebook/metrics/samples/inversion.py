"""The noise that a generator would have needed for a given picture (chapter 11)."""

from contextlib import nullcontext
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook._checks import check_count, check_real
from vaebook._random import seeded
from vaebook.metrics._inputs import as_images
from vaebook.metrics.batches import to_model
from vaebook.models.latent_variable import evaluating

_PIXELS_AT_ONCE = 2**21  # of the pictures that are compared with each other, or improved together


class Generator(Protocol):
    """What an inversion asks of a model: a prior of its noise, and a differentiable decoder."""

    @property
    def prior(self) -> Distribution:
        """Distribution of the noise, over vectors."""
        ...

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The picture of each noise vector."""
        ...


class Inversion(NamedTuple):
    """The best noise that was found for each picture."""

    codes: Float[Tensor, "n d"]
    distance: Float[Tensor, " n"]  # RMSE over the pixels, in units of brightness


def invert(
    model: Generator,
    images: Float[Tensor, "n c h w"],
    *,
    num_candidates: int = 2000,
    num_starts: int = 4,
    num_steps: int = 200,
    lr: float = 0.05,
    seed: int = 0,
) -> Inversion:
    """Search for the noise whose picture is nearest to each given one.

    Of ``num_candidates`` draws from the prior, the ``num_starts`` nearest are improved by Adam.
    Nothing holds the noise near the prior, so the result is an upper bound of the distance from the
    picture to whatever the generator can draw. The model itself does not change.

    Args:
        model: a generator with a ``prior`` and ``decode``: a GAN, or a VAE.
        images: pictures in [0, 1] of the model's shape.
        num_candidates: draws of the prior from which the starts are taken.
        num_starts: starts for each picture.
        num_steps: steps of Adam, whose rate falls to 0 along a cosine.
        lr: Adam's first learning rate, in units of the noise.
        seed: of the draws.

    Raises:
        ValueError: if the images or a setting are unusable.

    Source:
        Zhu et al. (2016), with squared pixels as the distance.
    """
    if not hasattr(model, "decode") or not hasattr(model, "prior"):
        raise ValueError(
            f"model is a {type(model).__name__}; expected a generator with a prior and decode."
        )
    images = as_images("images", images, getattr(model, "image_shape", None))
    check_count("num_starts", num_starts)
    check_count("num_candidates", num_candidates, minimum=num_starts)
    check_count("num_steps", num_steps)
    check_real("lr", lr, above=0)
    batch_size = max(1, _PIXELS_AT_ONCE // (num_starts * images[0].numel()))
    with evaluating(model) if isinstance(model, nn.Module) else nullcontext():
        with torch.no_grad(), seeded(seed):
            drawn = to_model(model, model.prior.sample((num_candidates,)))  # [k, d]
            pictures = torch.cat([model.decode(part).flatten(1) for part in drawn.split(1000)])
        parts = []
        for batch in images.split(batch_size):
            batch = to_model(model, batch)
            distances = torch.cdist(batch.flatten(1), pictures)
            nearest = distances.topk(num_starts, largest=False).indices
            parts.append(_improve(model, batch, drawn[nearest], num_steps=num_steps, lr=lr))
    codes, distance = (torch.cat(each).to(images.device) for each in zip(*parts, strict=True))
    return Inversion(codes, distance)


def _improve(
    model: Generator,
    images: Float[Tensor, "n c h w"],
    starts: Float[Tensor, "n s d"],
    *,
    num_steps: int,
    lr: float,
) -> Inversion:
    """The best of several starts for each image, after Adam. Each goes its own way."""
    num_starts = starts.shape[1]
    codes = starts.flatten(0, 1).requires_grad_()  # [n·s, d]
    targets = images.repeat_interleave(num_starts, 0)
    optimiser = torch.optim.Adam([codes], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, num_steps)
    for _ in range(num_steps):
        error = (model.decode(codes) - targets).square().flatten(1).mean(1)  # [n·s]
        # the sum: each start has its own gradient; autograd.grad leaves the model's weights alone
        (codes.grad,) = torch.autograd.grad(error.sum(), codes)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        error = (model.decode(codes) - targets).square().flatten(1).mean(1)
    best = error.view(-1, num_starts).argmin(1)
    rows = torch.arange(len(images), device=best.device) * num_starts + best
    return Inversion(codes.detach()[rows], error[rows].sqrt())
