"""Mistakes about what the loss means (chapter 07)."""

from tests.mistakes.planting import Mistake

LOSSES: tuple[Mistake, ...] = ()
