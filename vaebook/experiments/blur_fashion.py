"""Where the blur comes from, on photographs of clothes (chapter 10)."""

from typing import Any

from torch import Tensor

from vaebook.experiments import blur_causes

VARIANTS = ("autoencoder", "σ = 0.1", "σ = 0.2", "learned σ")


def run(
    seed: int,
    *,
    variants: tuple[str, ...] = VARIANTS,
    num_codes: int = 2000,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """:func:`vaebook.experiments.blur_causes.run` on Fashion-MNIST, where none are drawn anew."""
    return blur_causes.run(
        seed,
        variants=variants,
        data_name="fashion",
        num_codes=num_codes,
        num_fresh=0,
        pictures=pictures,
    )
