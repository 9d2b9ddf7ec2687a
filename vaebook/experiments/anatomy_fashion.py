"""From autoencoder to VAE, one change at a time, on photographs of clothes (chapter 06)."""

from typing import Any

from torch import Tensor

from vaebook.experiments import anatomy


def run(
    seed: int,
    *,
    latent_dim: int = 16,
    num_epochs: int = 8,
    num_images: int = 1000,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """:func:`vaebook.experiments.anatomy.run` on Fashion-MNIST, where no oracle knows the truth."""
    return anatomy.run(
        seed,
        latent_dim=latent_dim,
        num_epochs=num_epochs,
        num_images=num_images,
        data_name="fashion",
        pictures=pictures,
    )
