"""Mistakes about where the blur comes from (chapter 10)."""

from tests.mistakes.planting import Mistake

BLUR: tuple[Mistake, ...] = ()
