"""Seeds that leave no trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block and restore the global generator's state after it.

    Use it round whatever draws random numbers (building a model, sampling), so that a result does
    not depend on what ran before::

        with seeded(0):
            model = VAE(data.image_shape, latent_dim=20)

    Raises:
        ValueError: if ``seed`` is not a whole number of at least 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is {seed!r}; expected a whole number of at least 0.")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
