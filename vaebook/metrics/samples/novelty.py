"""Are samples new? How far they are from the pictures that a model was trained on."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.metrics._inputs import as_images, as_item_sets, as_vector, in_blocks


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
    training = as_images("training", training)
    rows, targets = as_item_sets(images=as_images("images", images), training=training)
    parts = []
    for part in in_blocks(rows, len(targets)):
        nearest = torch.cdist(part, targets).argmin(1)
        # once more, directly: the fast way expands the square, and puts a copy at 1e-3
        parts.append((part - targets[nearest]).square().mean(1).sqrt())
    return torch.cat(parts)


def novelty(
    samples: Float[Tensor, "n c h w"],
    training: Float[Tensor, "m c h w"],
    held_out_distance: Float[Tensor, " k"],
) -> Novelty:
    """Compare the samples' distances to the training pictures with those of held-out ones.

    A model that copies has a ratio near 0. A ratio of 1 is what new pictures have. A blurry
    picture lies near to many, so that its ratio is below 1 without any copying: look at the
    nearest training pictures before you call it one.

    Args:
        samples: what the model makes.
        training: what it was trained on.
        held_out_distance: :func:`nearest_distance` of real pictures it was not trained on.

    Raises:
        ValueError: as :func:`nearest_distance`, or if the held-out distances are no finite vector.

    Source:
        Chapter 12; the comparison with held-out pictures after Meehan, Chaudhuri & Dasgupta (2020).
    """
    held_out_distance = as_vector(
        "held_out_distance", held_out_distance, what="one distance for each held-out picture"
    )
    if not held_out_distance.median() > 0:
        raise ValueError(
            f"held_out_distance has a median of {float(held_out_distance.median()):g}; expected "
            "one above 0. Hold out pictures that the training set does not contain."
        )
    distance = nearest_distance(as_images("samples", samples), training)
    low = torch.quantile(held_out_distance, 0.01)
    return Novelty(
        relative=float(distance.median() / held_out_distance.median()),
        copies=float((distance < low).float().mean()),
    )
