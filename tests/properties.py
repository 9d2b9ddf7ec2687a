"""What the property tests share: how many examples they try, and random Gaussians."""

import hypothesis.strategies as st
import torch
from hypothesis import settings
from torch import Tensor

# The same examples on every machine and nothing written to disk: a failure repeats.
a_few = settings(max_examples=40, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**20)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int, spread: float = 1.0) -> Tensor:
    """Standard normal numbers times ``spread``, in double precision."""
    return spread * torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def uniform(seed: int, *shape: int) -> Tensor:
    """Images or numbers in [0, 1], in double precision."""
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def lower_triangular(seed: int, *batch: int, d: int) -> Tensor:
    """Cholesky factors ``[*batch, d, d]`` with a diagonal from about 0.2 to 3."""
    factor = normal(seed, *batch, d, d, spread=0.5)
    diagonal = torch.exp(factor.diagonal(dim1=-2, dim2=-1))
    return factor.tril(-1) + torch.diag_embed(diagonal)
