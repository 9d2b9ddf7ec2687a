"""All loops side by side: one training of each in a round, their ratios within the round."""

import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.loops import (
    Loop,
    by_dataloader,
    by_fit,
    by_fit_bfloat16,
    by_fit_compiled,
    by_hand,
)
from benchmarks.processor import has_bfloat16, matmul_peak, matmul_work, time_bare_matmuls
from benchmarks.pythae_environment import by_pythae
from benchmarks.task import BATCH_SIZE, Task, build, negative_elbo, spread, verdict

LARGEST_LOSS_GAP = 0.5  # nats
SHARE_OF_PEAK = 0.8
FIT = "fit"
BY_HAND = "eager loop by hand"
DATALOADER = "DataLoader loop"
PYTHAE = "pythae 0.1.2"
COMPILED = "compiled fit"
BFLOAT16 = "bfloat16 fit"


@dataclass(frozen=True)
class Goal:
    """What is wanted of a ratio of two loops' seconds.

    Args:
        above, below: the ratio is the first loop's seconds over the second's.
        bound: of the ratio.
        at_least: whether the ratio should be that large; otherwise, that small.
    """

    above: str
    below: str
    bound: float
    at_least: bool = False

    def met(self, ratio: float) -> bool:
        """Whether a ratio reaches the goal."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def verdict(self, ratio: float) -> str:
        """The goal in words, and whether it is met."""
        return verdict(f"at {'least' if self.at_least else 'most'} {self.bound}", self.met(ratio))


GOALS = (
    Goal(FIT, BY_HAND, 1.05),
    Goal(DATALOADER, FIT, 2.0, at_least=True),
    Goal(PYTHAE, FIT, 2.3, at_least=True),
    Goal(COMPILED, FIT, 1.0),
    Goal(BFLOAT16, FIT, 1.0),
)


def choose_loops(python: Path | None, *, all_loops: bool = False) -> dict[str, Loop]:
    """The loops that can be timed here; what is left out is said.

    Args:
        python: the interpreter of pythae's environment, if there is one.
        all_loops: time bfloat16 also where the processor has no arithmetic for it.
    """
    loops: dict[str, Loop] = {FIT: by_fit, BY_HAND: by_hand, DATALOADER: by_dataloader}
    if python is not None:
        loops[PYTHAE] = partial(by_pythae, python=python)
    else:
        print("pythae is not installed (--install-pythae does it): left out")
    loops[COMPILED] = by_fit_compiled
    bfloat16 = has_bfloat16()
    if bfloat16 is False:
        timed = "timed all the same" if all_loops else "not timed (--all does)"
        print(f"this processor has no bfloat16 arithmetic: fit(precision='bfloat16') is {timed}")
    if bfloat16 is not False or all_loops:
        loops[BFLOAT16] = by_fit_bfloat16
    return loops


def compare(
    loops: dict[str, Loop],
    pixels: np.ndarray,
    test_images: Tensor,
    *,
    num_epochs: int,
    num_rounds: int,
) -> int:
    """Time the loops, print their ratios; 1 if they do not reach the same loss."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    losses: dict[str, list[float]] = {name: [] for name in loops}
    bare: list[float] = []
    peaks: list[float] = []
    for loop in loops.values():  # libraries find their ways, models are compiled
        loop(Task(_few(pixels), 1, 0))
    order = list(loops)
    for round_ in range(num_rounds):
        peak = matmul_peak()
        for name in order:
            outcome = loops[name](Task(pixels, num_epochs, round_))
            seconds[name].append(outcome.seconds / num_epochs)
            losses[name].append(negative_elbo(outcome.weights, test_images))
        bare.append(time_bare_matmuls(build(), len(pixels)))
        peaks.append(max(peak, matmul_peak()))
        order = [*order[1:], order[0]]  # none is always the first
        times = ", ".join(f"{name} {values[-1]:.2f}" for name, values in seconds.items())
        print(f"round {round_}, seconds of an epoch: {times}, multiplications {bare[-1]:.2f}")
    _report_ratios(seconds, num_epochs, len(pixels))
    _report_peak(seconds[FIT], bare, peaks, matmul_work(build(), len(pixels)))
    return _report_losses(losses)


def _few(pixels: np.ndarray) -> np.ndarray:
    """Some pictures, with a last batch of the same size."""
    num_left = len(pixels) % BATCH_SIZE
    return pixels[: min(len(pixels), 10 * BATCH_SIZE + num_left)]


def _report_ratios(seconds: dict[str, list[float]], num_epochs: int, num_images: int) -> None:
    num_rounds = len(seconds[FIT])
    print(f"\n{num_rounds} rounds of {num_epochs} epochs of {num_images:,} images; median (range)")
    for name, values in seconds.items():
        print(f"  {name:20} {spread(values)} s an epoch")
    print("ratios within a round")
    for goal in GOALS:
        if goal.above not in seconds or goal.below not in seconds:
            continue
        pairs = zip(seconds[goal.above], seconds[goal.below], strict=True)
        ratios = [above / below for above, below in pairs]
        name = f"{goal.above} / {goal.below}"
        print(f"  {name:26} {spread(ratios)}, {goal.verdict(statistics.median(ratios))}")


def _report_peak(fit: list[float], bare: list[float], peaks: list[float], work: float) -> None:
    shares = [work / each / peak for each, peak in zip(fit, peaks, strict=True)]
    ceilings = [work / each / peak for each, peak in zip(bare, peaks, strict=True)]
    ratios = [each / least for each, least in zip(fit, bare, strict=True)]
    met = statistics.median(shares) >= SHARE_OF_PEAK
    print(f"peak of the multiplications: {spread(peaks, 0)} GFLOP/s")
    print(f"  fit reaches {spread(shares)} of it, {verdict(f'at least {SHARE_OF_PEAK}', met)}")
    print(f"  its multiplications with nothing between them {spread(ceilings)}: fit cannot do more")
    print(f"  fit / its multiplications {spread(ratios)}")


def _report_losses(losses: dict[str, list[float]]) -> int:
    means = {name: statistics.mean(values) for name, values in losses.items()}
    for name, mean in means.items():
        print(f"test −ELBO after training, {name}: {mean:.2f} nats")
    gap = max(means.values()) - min(means.values())
    met = gap <= LARGEST_LOSS_GAP
    print(f"largest gap {gap:.2f} nats, {verdict(f'at most {LARGEST_LOSS_GAP}', met)}")
    return int(not met)
