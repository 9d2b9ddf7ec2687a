"""``python -m benchmarks.cost``: an example's cost by batch size, number of examples, code size.

Every point is the median of three trainings of ``fit`` on random pictures; beside the batch sizes
stands the eager loop written by hand, and beside the numbers of examples the peak of the memory, of
a process that does nothing else.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from benchmarks.loops import eager_loop
from benchmarks.task import BATCH_SIZE, SHAPE, build
from vaebook.plots import colour_of, use_theme
from vaebook.training import fit, seeded

FIGURE = Path(__file__).parents[1] / "_build" / "bench" / "cost.png"
BATCH_SIZES = (32, 128, 512, 2048, 8192)
NUM_EXAMPLES = (1_000, 10_000, 100_000, 1_000_000)
CODE_SIZES = (2, 8, 32, 128, 512)
NUM_IMAGES = 16_384  # where it is not what varies
REPEATS = 3
GIB = 2**30


@dataclass
class Cost:
    """The points of the three panels: microseconds of an example in a pass, and bytes."""

    batch_size: dict[int, float] = field(default_factory=dict)
    batch_size_by_hand: dict[int, float] = field(default_factory=dict)
    num_examples: dict[int, float] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)
    code_size: dict[int, float] = field(default_factory=dict)


def pictures(num_images: int) -> Tensor:
    """Random pictures: what they show makes no difference to the time."""
    with seeded(0):
        return torch.rand(num_images, *SHAPE)


def seconds_of_fit(images: Tensor, batch_size: int, latent_dim: int = 20) -> float:
    """Seconds of one pass of ``fit``, without its set-up."""
    model = build(latent_dim=latent_dim)
    history = fit(model, images, num_epochs=1, batch_size=batch_size, progress=False)
    return history.seconds


def seconds_by_hand(images: Tensor, batch_size: int) -> float:
    """Seconds of one pass of the eager loop."""
    model = build()
    with seeded(0):
        start = time.perf_counter()
        eager_loop(model, images, num_epochs=1, batch_size=batch_size)
        return time.perf_counter() - start


def pass_alone(num_examples: int, num_threads: int) -> tuple[float, int]:
    """Seconds of a pass over so many examples, and the bytes that the process took at most."""
    torch.set_num_threads(num_threads)
    images = pictures(num_examples)
    seconds_of_fit(images[:BATCH_SIZE], BATCH_SIZE)  # libraries find their ways
    repeats = 1 if num_examples > 100_000 else REPEATS
    seconds = [seconds_of_fit(images, BATCH_SIZE) for _ in range(repeats)]
    return statistics.median(seconds), peak_memory()


def peak_memory() -> int:
    """The most bytes of memory that this process has held; 0 where it cannot be told."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would give the parent's peak to a new process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory() -> float:
    """Bytes of memory that are free, or infinity where that cannot be told."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def measure(
    *,
    batch_sizes: tuple[int, ...] = BATCH_SIZES,
    num_examples: tuple[int, ...] = NUM_EXAMPLES,
    code_sizes: tuple[int, ...] = CODE_SIZES,
    num_images: int = NUM_IMAGES,
) -> Cost:
    """Time all points. A number of examples that takes over half of the free memory is left out."""
    cost = Cost()
    images = pictures(num_images)
    seconds_of_fit(images[:1_024], BATCH_SIZE)  # libraries find their ways
    for size in batch_sizes:
        ours, by_hand = [], []
        for _ in range(REPEATS):  # side by side
            ours.append(seconds_of_fit(images, size))
            by_hand.append(seconds_by_hand(images, size))
        cost.batch_size[size] = 1e6 * statistics.median(ours) / num_images
        cost.batch_size_by_hand[size] = 1e6 * statistics.median(by_hand) / num_images
    for latent_dim in code_sizes:
        each = [seconds_of_fit(images, BATCH_SIZE, latent_dim) for _ in range(REPEATS)]
        cost.code_size[latent_dim] = 1e6 * statistics.median(each) / num_images
    context = multiprocessing.get_context("spawn")
    for num in num_examples:
        if num_bytes(num) > free_memory() / 2:
            print(f"{num:,} examples: left out, too little memory is free")
            continue
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            seconds, peak = alone.submit(pass_alone, num, torch.get_num_threads()).result()
        cost.num_examples[num], cost.memory[num] = 1e6 * seconds / num, peak
    return cost


def num_bytes(num_examples: int) -> int:
    """Bytes of so many pictures as floats."""
    return 4 * num_examples * SHAPE[1] * SHAPE[2]


def draw(cost: Cost, file: Path) -> None:
    """The figure of three panels."""
    use_theme()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    colour, other = colour_of("vae"), colour_of("pca")
    left.plot(*points(cost.batch_size_by_hand), "s--", color=other, label="eager, by hand")
    left.plot(*points(cost.batch_size), "o-", color=colour, label="fit")
    left.legend()
    left.set(xlabel="batch size", title="Larger batches")
    middle.plot(*points(cost.num_examples), "o-", color=colour)
    middle.set(xlabel="examples", title="More examples")
    memory = middle.twinx()
    taken = {num: peak / GIB for num, peak in cost.memory.items() if peak}
    memory.plot(*points(taken), "^:", color=other)
    memory.set(ylabel="peak memory (GiB, triangles)", ylim=(0, None))
    memory.grid(visible=False)
    right.plot(*points(cost.code_size), "o-", color=colour)
    right.set(xlabel="numbers in a code", title="Longer codes")
    for axes in (left, middle, right):
        axes.set(xscale="log", ylabel="time of an example in a pass (µs)")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    plt.close(figure)


def points(values: dict[int, float]) -> tuple[list[int], list[float]]:
    """A dictionary as two lists."""
    return list(values), list(values.values())


def report(cost: Cost) -> None:
    """Print the points."""
    print("microseconds of an example in a pass of fit")
    for size, value in cost.batch_size.items():
        print(f"  batch {size:>9,}: {value:6.1f}, by hand {cost.batch_size_by_hand[size]:6.1f}")
    for latent_dim, value in cost.code_size.items():
        print(f"  code  {latent_dim:>9,}: {value:6.1f}")
    for num, value in cost.num_examples.items():
        held = f"{cost.memory[num] / GIB:.2f} GiB at most" if cost.memory[num] else "memory unknown"
        print(f"  of    {num:>9,}: {value:6.1f}, {held}, {num_bytes(num) / GIB:.2f} the pictures")


def main() -> int:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--output", type=Path, default=FIGURE, help="the figure's file")
    arguments = parser.parse_args()
    start = time.perf_counter()
    cost = measure()
    report(cost)
    draw(cost, arguments.output)
    print(f"drawn in {arguments.output}, after {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
