"""The models with a discriminator, in the comparison of chapter 12."""

from typing import Any

from torch import Tensor, nn

from vaebook.experiments import comparison


def run(
    seed: int,
    *,
    models: tuple[str, ...] = comparison.ADVERSARIAL,
    epochs: float = 1.0,
    num_images: int = 2000,
    num_judged: int = 100,
    pictures: dict[str, Tensor] | None = None,
    weights: dict[str, nn.Module] | None = None,
) -> list[dict[str, Any]]:
    """:func:`vaebook.experiments.comparison.run`: the same protocol for other models."""
    return comparison.run(
        seed,
        models=models,
        data_name="dogs",
        epochs=epochs,
        num_images=num_images,
        num_judged=num_judged,
        pictures=pictures,
        weights=weights,
    )
