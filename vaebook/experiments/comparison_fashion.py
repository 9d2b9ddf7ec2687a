"""VAE against GAN on photographs of clothes, where no oracle knows the truth (chapter 12)."""

from typing import Any

from torch import Tensor

from vaebook.experiments import comparison


def run(
    seed: int,
    *,
    models: tuple[str, ...] = (*comparison.CONTROLS, *comparison.LIKELIHOOD),
    epochs: float = 1.0,
    num_images: int = 2000,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """:func:`vaebook.experiments.comparison.run`: the same protocol on Fashion-MNIST."""
    return comparison.run(
        seed,
        models=models,
        data_name="fashion",
        epochs=epochs,
        num_images=num_images,
        pictures=pictures,
    )
