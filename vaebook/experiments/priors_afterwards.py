"""Codes without a KL term and a density fitted afterwards, in the trial of chapter 09."""

from typing import Any

from torch import Tensor

from vaebook.experiments import priors


def run(
    seed: int,
    *,
    models: tuple[str, ...] = priors.AFTERWARDS,
    num_epochs: int = 12,
    num_images: int = 100,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """See :func:`vaebook.experiments.priors.run`: the same for other models."""
    return priors.run(
        seed, models=models, num_epochs=num_epochs, num_images=num_images, pictures=pictures
    )
