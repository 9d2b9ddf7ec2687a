"""Which streams of random numbers an experiment begins."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

# The data sets are the same in every seed, and have small seeds of torch's own.
DATA = range(10)


@contextmanager
def begun() -> Iterator[Counter[int]]:
    """Counts, while the block runs, how often torch's generator is set to each seed."""
    seeds: Counter[int] = Counter()
    start = torch.manual_seed

    def manual_seed(seed: int) -> torch.Generator:
        seeds[seed] += 1
        return start(seed)

    with patch.object(torch, "manual_seed", manual_seed):
        yield seeds


def shared(seeds: Counter[int]) -> list[int]:
    """Those that began more than once: what drew from them drew the same numbers."""
    return [seed for seed, times in seeds.items() if times > 1 and seed not in DATA]
