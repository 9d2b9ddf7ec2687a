"""Small networks trained with answers, whose last hidden layer serves as features of a picture."""

from abc import ABC, abstractmethod
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaebook._checks import (
    ImageShape,
    as_image_shape,
    check_count,
    check_images,
    check_real,
    check_same_shape,
    kind_of,
)
from vaebook._configuration import Configured

Images = Float[Tensor, "n c h w"]


class FeatureNetwork(Configured, nn.Module, ABC):
    """Three strided convolutions, a layer of features, and one linear map to the answers.

    Distances between pixels hardly say how alike two pictures look. Those between the features of
    a network that has learned to answer a question about pictures say how alike they are in what
    the question asks, and in nothing else.

    Args:
        image_shape: ``(channels, height, width)``.
        num_outputs: numbers in an answer.
        num_features: numbers in the last hidden layer.
        background: brightness of an empty pixel, subtracted from what the network sees.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        num_outputs: int,
        *,
        num_features: int = 64,
        background: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("num_outputs", num_outputs)
        check_count("num_features", num_features)
        check_real("background", background)
        self.image_shape: ImageShape = as_image_shape(image_shape)
        self.background = background
        channels, height, width = self.image_shape
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((channels, 16, 32, 64)):
            layers += [nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1), nn.SiLU()]
        inner = 64 * -(-height // 8) * -(-width // 8)  # each convolution halves, rounding up
        layers += [nn.Flatten(), nn.Linear(inner, num_features), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(num_features, num_outputs)

    def features(self, images: Images) -> Float[Tensor, "n f"]:
        """The last hidden layer of each image."""
        check_images(images, self.image_shape, dtype=self.head.weight.dtype)
        return self.body(images - self.background)

    def forward(self, images: Images) -> Float[Tensor, "n o"]:
        """The network's answer for each image."""
        return self.head(self.features(images))

    @abstractmethod
    def loss(self, images: Tensor, answers: Tensor) -> Float[Tensor, " n"]:
        """How wrong the network is about each image, for ``fit(network, (images, answers))``."""


class FactorRegressor(FeatureNetwork):
    """Reads the factors of a dog off its picture: trained by squared error on scaled factors.

    Args:
        image_shape: ``(channels, height, width)``.
        low, high: range of each factor, ``[f]``; they are scaled to [−1, 1].
        num_features, background: as in :class:`FeatureNetwork`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        low: Float[Tensor, " f"],
        high: Float[Tensor, " f"],
        *,
        num_features: int = 64,
        background: float = 0.0,
    ) -> None:
        check_same_shape(low=low, high=high)
        if low.ndim != 1 or not (low < high).all():
            raise ValueError("low and high are no ranges; expected vectors [f] with low < high.")
        super().__init__(image_shape, len(low), num_features=num_features, background=background)
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", low.clone(), persistent=False)
        self.register_buffer("high", high.clone(), persistent=False)

    def factors(self, images: Images) -> Float[Tensor, "n f"]:
        """The factors as the network reads them, in their units; they may leave their ranges."""
        return self.low + (self.high - self.low) * (self(images) + 1) / 2

    def loss(self, images: Images, answers: Float[Tensor, "n f"]) -> Float[Tensor, " n"]:
        """Mean squared error of the factors scaled to [−1, 1], of each image."""
        found = self(images)
        if answers.shape != found.shape:
            raise ValueError(
                f"answers have shape {tuple(answers.shape)}; expected {tuple(found.shape)}, a row "
                "of factors for each image."
            )
        targets = 2 * (answers - self.low) / (self.high - self.low) - 1
        return (found - targets).square().mean(1)


class ClassClassifier(FeatureNetwork):
    """Names the class of a picture: trained by cross-entropy, in nats."""

    def loss(self, images: Images, answers: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """−log of the probability that the network gives the right class, of each image."""
        if answers.shape != (len(images),) or answers.dtype != torch.long:
            raise ValueError(
                f"answers are {kind_of(answers)}; expected whole numbers (torch.long) "
                f"[{len(images)}], the class of each image."
            )
        return F.cross_entropy(self(images), answers, reduction="none")
