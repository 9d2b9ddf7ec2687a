"""Mistakes about what the KL does (chapter 08)."""

from tests.mistakes.planting import Mistake

LATENTS: tuple[Mistake, ...] = ()
