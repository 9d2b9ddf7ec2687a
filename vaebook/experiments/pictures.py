"""What models are trained on, measured against, and what is held up as a control: dogs, clothes."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.data import Split, load_dogs, load_fashion, render, sample_factors
from vaebook.data.dogs import factor_range
from vaebook.models.feature_network import ClassClassifier, FactorRegressor, FeatureNetwork

DATA_NAMES = ("dogs", "fashion")
NUM_FRESH_PER_CLASS = 200  # training photographs of each class that no model sees


class PictureData(NamedTuple):
    """Pictures of one kind, by what they are for."""

    name: str
    train: Split  # what every model and the feature network are trained on
    test: Split  # what samples are compared with: 2,000 pictures
    fresh: Float[Tensor, "n c h w"]  # as many real ones, in no other set: what is the best score?

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one picture."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load_pictures_of(name: str) -> PictureData:
    """Dogs or clothes.

    Fresh dogs are drawn. Fresh clothes are 200 of each class's training photographs, which are
    taken out of the training set: 8,000 are left.

    Raises:
        ValueError: if the name is not one of ``DATA_NAMES``.
    """
    if name not in DATA_NAMES:
        raise ValueError(f"data_name is {name!r}; expected one of {DATA_NAMES}.")
    if name == "dogs":
        data = load_dogs()
        with torch.no_grad():
            fresh = render(sample_factors(2000, seed=50_000_001))
        return PictureData(name, data.train, data.test, fresh)
    data = load_fashion()
    images, labels = data.train.images, data.train.labels
    assert labels is not None
    held_back = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(data.label_names)):
        held_back[(labels == label).nonzero()[-NUM_FRESH_PER_CLASS:, 0]] = True
    train = Split(images[~held_back], labels[~held_back])
    return PictureData(name, train, data.test, images[held_back])


def feature_network(name: str) -> FeatureNetwork:
    """The network whose features stand for a picture, not yet trained.

    Of dogs it reads the sixteen factors; of clothes it names the class.
    """
    if name == "dogs":
        return FactorRegressor((1, 32, 32), *factor_range(), background=0.95)
    return ClassClassifier((1, 28, 28), 10)
