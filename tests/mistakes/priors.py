"""Mistakes about priors (chapter 09)."""

from tests.mistakes.planting import Mistake

PRIORS: tuple[Mistake, ...] = ()
