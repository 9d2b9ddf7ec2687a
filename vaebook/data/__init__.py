"""The three data sets of the book; nothing is downloaded unless asked for."""

from vaebook.data._dataset import ImageData, Split
from vaebook.data.digits import load_digits
from vaebook.data.dogs import (
    FACTOR_NAMES,
    FACTORS,
    Factor,
    factor_range,
    load_dogs,
    render,
    sample_factors,
)
from vaebook.data.fashion import load_fashion

__all__ = [
    "FACTORS", "FACTOR_NAMES", "Factor", "ImageData", "Split", "factor_range", "load_digits",
    "load_dogs", "load_fashion", "render", "sample_factors",
]  # fmt: skip
