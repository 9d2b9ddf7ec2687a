"""The oracle of the dogs: is this a dog, which one, and do many dogs cover what dogs can be?"""

from vaebook.metrics.dogs.coverage import coverage, factor_overlap, overlap_ceiling
from vaebook.metrics.dogs.nearest_dog import DOG_THRESHOLD, NearestDog, nearest_dog, validity

__all__ = [
    "DOG_THRESHOLD", "NearestDog", "coverage", "factor_overlap", "nearest_dog", "overlap_ceiling",
    "validity",
]  # fmt: skip
