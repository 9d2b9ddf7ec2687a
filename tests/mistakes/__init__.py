"""Classic VAE mistakes, planted one at a time into a copy of the repository: the tests must fail.

A test suite that passes shows little until one knows that it can fail. Each mistake here is one
that people make, written as a replacement of one snippet of the package. ``python -m
tests.mistakes`` (``make mistakes``) plants each in turn, runs the tests and reports which one
caught it; a mistake that survives makes the command fail. ``test_mistakes.py`` beside this file
runs the quick form of it with every ``make test``.
"""

from tests.mistakes.classics import HARMLESS, MISTAKES
from tests.mistakes.planting import Mistake, copy_repository, plant, planted

__all__ = ["HARMLESS", "MISTAKES", "Mistake", "copy_repository", "plant", "planted"]
