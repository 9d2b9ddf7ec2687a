"""``python -m benchmarks.gpu``: ``fit`` on a CUDA device, eager and captured, against two loops.

The loops are written by hand for the same model and the same operations: one eager, one captured
as a CUDA graph and replayed. All four take the same number of steps on 60,000 pictures of 28×28
that lie on the device, side by side in one run, round after round.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.task import verdict
from vaebook.distributions import GaussianLikelihood
from vaebook.models import GAN, MLP, VAE, VQVAE
from vaebook.training import already_checked, fit, seeded
from vaebook.training.players import Player, players_of

SHAPE = (1, 28, 28)
NUM_IMAGES = 60_000
BATCH_SIZES = (128, 512, 4096)
GOALS = {"eager": 1.3, "captured": 1.3}  # fit's seconds over those by hand


def build(name: str) -> nn.Module:
    """A model of the benchmark, the same weights each time, on the device."""
    with seeded(0):
        model: nn.Module
        if name == "VAE":
            model = VAE(SHAPE, 20, network=MLP((400,)), likelihood=GaussianLikelihood(1.0))
        elif name == "GAN":
            model = GAN(SHAPE, 20, network=MLP((400,), "leaky relu"))
        else:
            model = VQVAE(SHAPE, 16, 64, network=MLP((400,)), likelihood=GaussianLikelihood(1.0))
    return model.cuda()


def optimizers_of(model: nn.Module) -> list[torch.optim.Optimizer]:
    """What ``fit`` makes: a fused Adam for each player."""
    return [
        torch.optim.Adam(
            player.trained,
            lr=torch.tensor(1e-3 * player.lr_factor, device="cuda"),
            betas=player.betas,
            fused=True,
            capturable=True,
        )
        for player in players_of(model)
    ]


def take_step(
    players: Sequence[Player], optimizers: Sequence[torch.optim.Optimizer], batch: Tensor
) -> None:
    """A step of each player on a batch, as it is written by hand."""
    for player, optimizer in zip(players, optimizers, strict=True):
        with already_checked():
            loss = player.loss(batch).mean()
        optimizer.zero_grad()
        loss.backward(inputs=player.trained)
        optimizer.step()


def hand_eager(model: nn.Module, images: Tensor, batch_size: int, num_epochs: int) -> list[float]:
    """Seconds of each epoch of the plainest loop; no losses are collected."""
    players, optimizers = players_of(model), optimizers_of(model)
    model.train()
    seconds = []
    for _ in range(num_epochs):
        start = time.perf_counter()
        order = torch.randperm(len(images), device="cuda")
        for rows in order.split(batch_size)[: len(images) // batch_size]:
            take_step(players, optimizers, images.index_select(0, rows))
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def hand_captured(
    model: nn.Module, images: Tensor, batch_size: int, num_epochs: int
) -> list[float]:
    """Seconds of each epoch of the same loop, its step captured once and replayed."""
    players, optimizers = players_of(model), optimizers_of(model)
    model.train()
    batch = images[:batch_size].clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            take_step(players, optimizers, batch)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        take_step(players, optimizers, batch)
    seconds = []
    for _ in range(num_epochs):
        start = time.perf_counter()
        order = torch.randperm(len(images), device="cuda")
        for rows in order.split(batch_size)[: len(images) // batch_size]:
            torch.index_select(images, 0, rows, out=batch)
            graph.replay()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def by_fit(capture: bool) -> Callable[[nn.Module, Tensor, int, int], list[float]]:
    """Seconds of each epoch of ``fit``."""

    def run(model: nn.Module, images: Tensor, batch_size: int, num_epochs: int) -> list[float]:
        history = fit(
            model,
            images,
            num_epochs=num_epochs,
            batch_size=batch_size,
            drop_last=True,
            progress=False,
            capture=capture,
        )
        assert history.engine.startswith("captured" if capture else "eager"), history.engine
        return history["seconds"]

    return run


LOOPS: dict[str, Callable[[nn.Module, Tensor, int, int], list[float]]] = {
    "fit, eager": by_fit(False),
    "fit, captured": by_fit(True),
    "by hand, eager": hand_eager,
    "by hand, captured": hand_captured,
}


def report(num_rounds: int = 3) -> None:
    """Print seconds of an epoch and ratios."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; median seconds of an epoch")
    with seeded(0):
        images = torch.rand(NUM_IMAGES, *SHAPE).cuda()
    for name in ("VAE", "GAN", "VQ-VAE"):
        for batch_size in BATCH_SIZES:
            num_epochs = 3 if batch_size == 128 else 8
            seconds: dict[str, list[float]] = {loop: [] for loop in LOOPS}
            for _ in range(num_rounds):
                for loop, run in LOOPS.items():
                    # the first epoch makes the graph, and warms up
                    seconds[loop] += run(build(name), images, batch_size, num_epochs)[1:]
            medians = {loop: statistics.median(values) for loop, values in seconds.items()}
            times = ", ".join(f"{loop} {value:.4f}" for loop, value in medians.items())
            print(f"{name}, batch {batch_size}: {times}")
            for how, goal in GOALS.items():
                ratio = medians[f"fit, {how}"] / medians[f"by hand, {how}"]
                met = verdict(f"at most {goal}", ratio <= goal)
                print(f"  fit / by hand, {how}: {ratio:.2f}, {met}", flush=True)


def main() -> int:
    """Time the loops, if there is a CUDA device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if torch.cuda.is_available():
        report(arguments.rounds)
    else:
        print("no CUDA device here: nothing is timed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
