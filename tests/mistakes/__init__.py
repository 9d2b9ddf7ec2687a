"""Classic VAE mistakes, planted one at a time into a copy of the repository: the tests must fail.

A test suite that passes shows little until one knows that it can fail. Each mistake here is one
that people make, written as the wrong body of a function or a replacement of one snippet.
``python -m tests.mistakes`` (``make mistakes``) plants each in turn, runs the tests and reports
which one caught it; a mistake that survives makes the command fail. ``test_mistakes.py`` beside
this file runs the quick form of it with every ``make test``.
"""

from tests.mistakes.adversarial import ADVERSARIAL
from tests.mistakes.blur import BLUR
from tests.mistakes.classics import CLASSICS, HARMLESS
from tests.mistakes.comparison import COMPARISON
from tests.mistakes.latent_flow import LATENT_FLOW
from tests.mistakes.latents import LATENTS
from tests.mistakes.losses import LOSSES
from tests.mistakes.planting import Mistake, copy_repository, plant, planted
from tests.mistakes.priors import PRIORS
from tests.mistakes.training import TRAINING
from tests.mistakes.uses import USES

MISTAKES: tuple[Mistake, ...] = (
    *(*CLASSICS, *TRAINING, *LOSSES, *LATENTS, *PRIORS, *BLUR),
    *(*ADVERSARIAL, *COMPARISON, *LATENT_FLOW, *USES),
)

__all__ = ["HARMLESS", "MISTAKES", "Mistake", "copy_repository", "plant", "planted"]
