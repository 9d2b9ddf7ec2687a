"""Are samples new? How far they are from the pictures that a model was trained on."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_images


class Novelty(NamedTuple):
    """How near samples come to training pictures, against how near held-out pictures come."""

    relative: float  # median distance, divided by that of held-out pictures; 0 for copies
    copies: float  # share of samples nearer than 99 % of held-out pictures; 0.01 if none copies


def nearest_distance(
    images: Float[Tensor, "n c h w"], training: Float[Tensor, "m c h w"]
) -> Float[Tensor, " n"]:
    """RMSE per pixel from each image to the nearest training picture.

    Raises:
        ValueError: if either is no images in [0, 1], or their shapes differ.
    """
    check_images(training, name="training")
    check_images(images, (training.shape[1], training.shape[2], training.shape[3]))
    targets = training.flatten(1)
    parts = [
        # the direct sum, not the expanded square: a copy must come out at 0
        torch.cdist(part, targets, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
        for part in images.detach().flatten(1).split(250)
    ]
    return torch.cat(parts) / targets.shape[1] ** 0.5


def novelty(
    samples: Float[Tensor, "n c h w"],
    training: Float[Tensor, "m c h w"],
    held_out: Float[Tensor, "k c h w"],
) -> Novelty:
    """Compare the samples' distances to the training pictures with those of held-out ones.

    A model that copies has a ratio near 0. A ratio of 1 is what new pictures have. A blurry
    picture lies near to many, so that its ratio is below 1 without any copying: look at the
    nearest training pictures before you call it one.

    Args:
        samples: what the model makes.
        training: what it was trained on.
        held_out: real pictures it was not trained on.

    Source:
        Chapter 12; the comparison with held-out pictures after Meehan, Chaudhuri & Dasgupta (2020).
    """
    ours = nearest_distance(samples, training)
    theirs = nearest_distance(held_out, training)
    low = torch.quantile(theirs, 0.01)
    return Novelty(
        relative=float(ours.median() / theirs.median()), copies=float((ours < low).float().mean())
    )
