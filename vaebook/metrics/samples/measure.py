"""Every measure of a set of pictures, under the names that all records use."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_count
from vaebook._random import check_seed
from vaebook.data.dogs import FACTOR_NAMES
from vaebook.metrics._inputs import as_images
from vaebook.metrics.dogs import DOG_THRESHOLD, NearestDog, coverage, nearest_dog
from vaebook.metrics.samples.density_coverage import density_coverage
from vaebook.metrics.samples.frechet import frechet_distance
from vaebook.metrics.samples.kernel_distance import kernel_distance
from vaebook.metrics.samples.novelty import nearest_distance, novelty
from vaebook.metrics.samples.picture_classifier import picture_classifier_test
from vaebook.metrics.samples.precision_recall import precision_recall
from vaebook.metrics.samples.sharpness import power_spectrum, relative_sharpness

MEASURES = (
    *("dogs", "sharpness", "spectrum", "pixels", "features", "novelty"),
    *("neighbours", "kernel", "classifier"),
)
# in units of DOG_THRESHOLD, beside the threshold itself: RMSE of 0.02, 0.03, 0.05, 0.06, 0.08
THRESHOLDS = (0.5, 0.75, 1.25, 1.5, 2)
FINE = 0.25  # cycles per pixel: half the highest frequency; what is above counts as fine detail

Features = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n f"]]


@dataclass(frozen=True)
class Reference:
    """Real pictures that samples are held against; what is known of them is computed once.

    Args:
        test: pictures that the model was not trained on.
        training: those that it was trained on, for ``novelty``.
        features: of pictures, for ``features``.
        factors: names of the dogs' factors over which ``coverage`` is taken.
    """

    test: Float[Tensor, "n c h w"]
    training: Float[Tensor, "m c h w"] | None = None
    features: Features | None = None
    factors: tuple[str, ...] = FACTOR_NAMES

    @cached_property
    def test_features(self) -> Float[Tensor, "n f"]:
        """Features of the test pictures."""
        return self.features_of(self.test)

    @cached_property
    def held_out_distance(self) -> Float[Tensor, " n"]:
        """From each test picture to the nearest training picture."""
        return nearest_distance(self.test, self.known)

    @property
    def known(self) -> Float[Tensor, "m c h w"]:
        """The training pictures."""
        if self.training is None:
            raise ValueError("novelty needs what the model was trained on: Reference(training=…).")
        return self.training

    def features_of(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Features of any pictures."""
        if self.features is None:
            raise ValueError("features needs a function of pictures: Reference(features=…).")
        return self.features(images)


def measure_samples(
    samples: Float[Tensor, "n c h w"],
    reference: Reference,
    measures: Collection[str],
    *,
    num_judged: int | None = None,
    num_told_apart: int | None = None,
    found: NearestDog | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """What can be told from samples alone. One name is one quantity, here and in every record.

    ``dogs``
        ``validity``, the share within ``DOG_THRESHOLD`` of the nearest possible dog, and within
        multiples of it, ``validity_at_0.5`` to ``validity_at_2``; ``distance``, the median RMSE to
        it; ``coverage`` of the factors by those that are dogs, relative to as many real dogs.
    ``sharpness``
        ``sharpness``, relative to the test pictures.
    ``spectrum``
        ``power_0``, ``power_1``, …: power at each frequency, relative to the test pictures, and
        ``fine``, that of the upper half of frequencies.
    ``pixels``
        ``precision_pixels``, ``recall_pixels``, against as many test pictures, the last ones.
    ``features``
        ``precision``, ``recall``, ``frechet``, in features.
    ``novelty``
        ``novelty``, the median distance to the training pictures relative to that of the test
        pictures; ``copies``.
    ``neighbours``
        ``neighbour_density``, ``neighbour_coverage``, in features.
    ``kernel``
        ``kernel_distance``, in features.
    ``classifier``
        ``told_apart``, the share of pictures of which a network says rightly whether they are
        samples or test pictures, ½ for a coin, of as many test pictures, the first ones.

    Args:
        samples: pictures in [0, 1]. Their number biases most measures: compare equal ones.
        reference: real pictures.
        measures: which of ``MEASURES``.
        num_judged: how many samples, from the first, get their nearest dog; all by default.
        num_told_apart: how many, from the first, the classifier sees; all by default. It is told
            less of fewer, so compare equal numbers.
        found: the nearest dogs, if they are known.
        seed: of the classifier.

    Raises:
        ValueError: if a measure is unknown, or lacks what it needs of the reference.
    """
    if (
        isinstance(measures, str)
        or not isinstance(measures, Collection)
        or not set(measures) <= set(MEASURES)
    ):
        raise ValueError(f"measures is {measures!r}; expected a collection out of {MEASURES}.")
    samples = as_images("samples", samples)
    if not isinstance(reference, Reference):
        raise ValueError(f"reference is a {type(reference).__name__}; expected a Reference.")
    if found is not None and not isinstance(found, NearestDog):
        raise ValueError(f"found is a {type(found).__name__}; expected what nearest_dog gives.")
    for name, number in (("num_judged", num_judged), ("num_told_apart", num_told_apart)):
        if number is not None:
            check_count(name, number)
    check_seed(seed)
    test, row = reference.test, dict[str, float]()
    if "dogs" in measures:
        found = nearest_dog(samples[:num_judged]) if found is None else found
        row["validity"] = float((found.distance <= DOG_THRESHOLD).float().mean())
        for factor in THRESHOLDS:
            near = found.distance <= factor * DOG_THRESHOLD
            row[f"validity_at_{factor:g}"] = float(near.float().mean())
        row["distance"] = float(found.distance.median())
        dogs = found.factors[found.distance <= DOG_THRESHOLD]
        row["coverage"] = coverage(dogs, reference.factors)
    if {"features", "neighbours", "kernel"} & set(measures):
        real, ours = reference.test_features, reference.features_of(samples)
        if "features" in measures:
            row |= precision_recall(real, ours)._asdict()
            row["frechet"] = frechet_distance(real, ours)
        if "neighbours" in measures:
            row["neighbour_density"], row["neighbour_coverage"] = density_coverage(real, ours)
        if "kernel" in measures:
            row["kernel_distance"] = kernel_distance(real, ours)
    if "classifier" in measures:
        size = min(len(samples), len(test), num_told_apart or len(samples))
        told = picture_classifier_test(test[:size], samples[:size], seed=seed)
        row["told_apart"] = told.accuracy
    if "pixels" in measures:
        precision, recall = precision_recall(test[-len(samples) :], samples)
        row |= {"precision_pixels": precision, "recall_pixels": recall}
    if "sharpness" in measures:
        row["sharpness"] = relative_sharpness(samples, test)
    if "spectrum" in measures:
        power, of_test = power_spectrum(samples), power_spectrum(test)
        fine = round(FINE * test.shape[-1])
        row["fine"] = float(power[fine:].sum() / of_test[fine:].sum())
        row |= {f"power_{k}": ratio for k, ratio in enumerate((power / of_test).tolist())}
    if "novelty" in measures:
        new = novelty(samples, reference.known, reference.held_out_distance)
        row |= {"novelty": new.relative, "copies": new.copies}
    return row
