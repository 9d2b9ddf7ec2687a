"""``python -m benchmarks``: the training loop against two others, pair by pair, in one run.

Each round times ours next to a rival, so that a machine that slows down slows both; the ratio is
taken within the pair. All train one 784-400-20 VAE with unit-variance Gaussian pixels on 60,000
Fashion-MNIST images, and all weights are then judged by one function: the mean negative ELBO of
the test images, which must agree within 0.5 nat.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import dataloader_loop
from vaebook.data import load_fashion
from vaebook.data.fashion import read_full
from vaebook.distributions import GaussianLikelihood
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

ROOT = Path(__file__).parents[1]
PYTHAE_ENVIRONMENT = ROOT / ".venv-pythae"
BATCH_SIZE = 128
LARGEST_LOSS_GAP = 0.5  # nats
GOALS = {"DataLoader loop": 2.0, "pythae 0.1.2": 2.3}
GOAL_OF_PEAK = 0.8


def training_pixels() -> np.ndarray:
    """60,000 images ``uint8 [n, 28, 28]``: the full set if it is here, else the subset repeated."""
    try:
        return read_full()[0].copy()  # what is read from a file is not writable
    except FileNotFoundError:
        print("the full Fashion-MNIST is not here: the embedded 10,000 images repeated 6 times")
        subset = (load_fashion().train.images[:, 0] * 255).round().to(torch.uint8).numpy()
        return np.ascontiguousarray(np.tile(subset, (6, 1, 1)))


def build() -> VAE:
    """The VAE that all three loops train."""
    return VAE((1, 28, 28), 20, network=MLP((400,)), likelihood=GaussianLikelihood(sigma=1.0))


def time_ours(pixels: np.ndarray, num_epochs: int, seed: int) -> tuple[float, dict[str, Tensor]]:
    """Seconds of ``fit``, with the conversion of bytes to floats counted; and the weights."""
    with seeded(seed):
        model = build()
    start = time.perf_counter()
    images = torch.from_numpy(pixels.astype(np.float32) / 255.0)[:, None]
    fit(model, images, num_epochs=num_epochs, batch_size=BATCH_SIZE, seed=seed, progress=False)
    return time.perf_counter() - start, model.state_dict()


def time_pythae(
    python: Path, images_file: Path, num_epochs: int, seed: int
) -> tuple[float, dict[str, Tensor]]:
    """Seconds of ``BaseTrainer.train`` in pythae's own environment; and the weights."""
    weights_file = images_file.with_name("pythae.pt")
    script = Path(__file__).with_name("pythae_trainer.py")
    arguments = [str(images_file), str(weights_file), str(num_epochs), str(BATCH_SIZE), str(seed)]
    finished = subprocess.run(
        [str(python), str(script), *arguments], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise RuntimeError(f"pythae failed:\n{finished.stderr[-2000:]}")
    return float(finished.stdout.split("seconds")[-1]), torch.load(weights_file)


def pythae_python(install: bool) -> Path | None:
    """The interpreter of pythae's environment, made first if ``install``."""
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = PYTHAE_ENVIRONMENT / folder / "python"
    if not python.exists() and install:
        print(f"installing pythae 0.1.2 into {PYTHAE_ENVIRONMENT.name} …", flush=True)
        venv.create(PYTHAE_ENVIRONMENT, with_pip=True)
        packages = ["torch==2.13.0", "pythae==0.1.2"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    return python if python.exists() else None


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
    """Seconds of these multiplications alone, batch by batch: what no training loop can beat."""
    weights = [p.detach() for p in model.parameters() if p.ndim == 2]  # [out, in] each
    sides = [
        (torch.randn(BATCH_SIZE, w.shape[1]), torch.randn(BATCH_SIZE, w.shape[0]), w)
        for w in weights
    ]
    start = time.perf_counter()
    for _ in range(num_images // BATCH_SIZE):
        for index, (inputs, gradient, weight) in enumerate(sides):
            torch.mm(inputs, weight.T)
            torch.mm(gradient.T, inputs)
            if index > 0:
                torch.mm(gradient, weight)
    return time.perf_counter() - start


def negative_elbo(weights: dict[str, Tensor], images: Tensor) -> float:
    """Mean negative ELBO in nats of ``images`` under a model with these weights."""
    model = build()
    model.load_state_dict(weights, strict=False)
    return -float(evaluate_elbo(model, images, num_samples=4).elbo.mean())


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> int:
    """Run the benchmark; 1 if the loops do not reach the same loss."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--install-pythae", action="store_true", help="make its environment")
    arguments = parser.parse_args()
    pixels = training_pixels()
    test_images = load_fashion().test.images
    python = pythae_python(arguments.install_pythae)
    if python is None:
        print("pythae is not installed (--install-pythae does it): its pairs are left out")
    ratios: dict[str, list[float]] = {name: [] for name in GOALS}
    losses: dict[str, list[float]] = {name: [] for name in ("vaebook", *GOALS)}
    shares: list[float] = []
    ceilings: list[float] = []
    work = matmul_work(build(), len(pixels)) * arguments.epochs
    time_ours(pixels[:12800], 1, 0)  # warm up
    with tempfile.TemporaryDirectory() as folder:
        images_file = Path(folder) / "images.npy"
        np.save(images_file, pixels)
        for round_ in range(arguments.rounds):
            for rival in GOALS:
                if rival == "pythae 0.1.2" and python is None:
                    continue
                peak = matmul_peak()
                ours, our_weights = time_ours(pixels, arguments.epochs, round_)
                if rival == "DataLoader loop":
                    theirs, their_weights = dataloader_loop.train(
                        pixels, num_epochs=arguments.epochs, batch_size=BATCH_SIZE, seed=round_
                    )
                else:
                    assert python is not None
                    theirs, their_weights = time_pythae(
                        python, images_file, arguments.epochs, round_
                    )
                peak = max(peak, matmul_peak())
                ratios[rival].append(theirs / ours)
                bare = time_bare_matmuls(build(), len(pixels))
                shares.append(work / ours / peak)
                ceilings.append(work / arguments.epochs / bare / peak)
                losses["vaebook"].append(negative_elbo(our_weights, test_images))
                losses[rival].append(negative_elbo(their_weights, test_images))
                print(
                    f"round {round_}: vaebook {ours:6.2f} s, {rival} {theirs:6.2f} s, "
                    f"ratio {theirs / ours:.2f}; {work / ours:.0f} of {peak:.0f} GFLOP/s",
                    flush=True,
                )
    print(f"\n{arguments.epochs} epochs of {len(pixels):,} images; median (range) of the pairs")
    for rival, values in ratios.items():
        if values:
            print(f"vaebook.training.fit against {rival}: {spread(values)}×, goal {GOALS[rival]}×")
    print(f"share of the matrix-multiply peak: {spread(shares)}, goal {GOAL_OF_PEAK}")
    print(f"the same multiplications with nothing between them: {spread(ceilings)} of the peak")
    means = {name: statistics.mean(values) for name, values in losses.items() if values}
    gap = max(means.values()) - min(means.values())
    for name, mean in means.items():
        print(f"test −ELBO after training, {name}: {mean:.2f} nats")
    print(f"largest gap {gap:.2f} nats, allowed {LARGEST_LOSS_GAP}")
    return int(gap > LARGEST_LOSS_GAP)


if __name__ == "__main__":
    raise SystemExit(main())
