"""What every data set of the book returns."""

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from vaebook._checks import check_images


@dataclass(frozen=True)
class Split:
    """Images of one split, with what is known of each.

    Args:
        images: floats in [0, 1].
        labels: class of each image, or ``None``.
        factors: the generating factors of each image, or ``None``.

    Raises:
        ValueError: if images are no ``[n, c, h, w]`` floats in [0, 1], or the lengths differ.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int[Tensor, " n"] | None = None
    factors: Float[Tensor, "n f"] | None = None

    def __post_init__(self) -> None:
        check_images(self.images)
        for name in ("labels", "factors"):
            known = getattr(self, name)
            if known is not None and len(known) != len(self.images):
                raise ValueError(
                    f"{len(known)} {name} for {len(self.images)} images; expected one for each."
                )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageData:
    """A data set in three disjoint splits.

    Args:
        name: short name, as used in tables and file names.
        train: what models are fitted to.
        validation: what choices (thresholds, stopping) are made on.
        test: what is reported.
        label_names: name of each class, empty where there are no labels.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    label_names: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def splits(self) -> Iterator[tuple[str, Split]]:
        """The three splits with their names."""
        yield from (("train", self.train), ("validation", self.validation), ("test", self.test))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits())
        return f"ImageData({self.name!r}, {self.image_shape}, {sizes})"
