"""The noise that a generator would have needed for a given picture (chapter 11)."""

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count, check_images, check_positive
from vaebook._random import seeded


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
        Zhu et al. (2016), section 3.1, with squared pixels as the distance.
    """
    check_images(images)
    check_count("num_starts", num_starts)
    check_count("num_candidates", num_candidates, minimum=num_starts)
    check_count("num_steps", num_steps)
    check_positive("lr", lr)
    with torch.no_grad(), seeded(seed):
        drawn = model.prior.sample((num_candidates,))  # [k, d]
        pictures = model.decode(drawn).flatten(1)
    nearest = torch.cdist(images.flatten(1), pictures).topk(num_starts, largest=False).indices
    codes = drawn[nearest.flatten()].clone().requires_grad_()  # [n·s, d]
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
    rows = torch.arange(len(images)) * num_starts + best
    return Inversion(codes.detach()[rows], error[rows].sqrt())
