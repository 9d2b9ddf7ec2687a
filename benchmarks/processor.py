"""What the processor could do at best: its peak, and the model's multiplications by themselves."""

import time
from pathlib import Path

import torch

from benchmarks.task import BATCH_SIZE
from vaebook.models import VAE

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is Arm's


def has_bfloat16() -> bool | None:
    """Whether this processor multiplies in bfloat16; ``None`` where /proc/cpuinfo is not there."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return None
    return bool(words & BFLOAT16_FLAGS)


def matmul_peak(size: int = 2048, repeats: int = 12) -> float:
    """The best of several square float32 matrix multiplications, in GFLOP/s."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def matmul_work(model: VAE, num_images: int) -> float:
    """GFLOP of the matrix multiplications in one epoch.

    Each layer multiplies three times: forward, gradient of its weight, gradient of its input. The
    first layer's input needs no gradient.
    """
    weights = [p for p in model.parameters() if p.ndim == 2]
    multiplications = 3 * sum(w.numel() for w in weights) - weights[0].numel()
    return 2 * multiplications * num_images / 1e9


def time_bare_matmuls(model: VAE, num_images: int) -> float:
    """Seconds of an epoch's multiplications alone, batch by batch: no training loop beats them."""
    weights = [p.detach() for p in model.parameters() if p.ndim == 2]  # [out, in] each
    sizes = [BATCH_SIZE] * (num_images // BATCH_SIZE)
    sizes += [num_images % BATCH_SIZE] if num_images % BATCH_SIZE else []
    sides = [
        (torch.randn(BATCH_SIZE, w.shape[1]), torch.randn(BATCH_SIZE, w.shape[0]), w)
        for w in weights
    ]
    start = time.perf_counter()
    for size in sizes:
        for index, (inputs, gradient, weight) in enumerate(sides):
            torch.mm(inputs[:size], weight.T)
            torch.mm(gradient[:size].T, inputs[:size])
            if index > 0:
                torch.mm(gradient[:size], weight)
    return time.perf_counter() - start
