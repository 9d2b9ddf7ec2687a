"""The three data sets of the book; nothing is downloaded unless asked for."""

from vaebook.data._dataset import ImageData, Split
from vaebook.data.digits import load_digits
from vaebook.data.fashion import load_fashion

__all__ = ["ImageData", "Split", "load_digits", "load_fashion"]
