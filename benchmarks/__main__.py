"""``python -m benchmarks``: ``fit`` against other loops, side by side in one run.

All loops train one 784-400-20 VAE with pixels of unit variance on 60,000 Fashion-MNIST images, in
batches of 128. A round runs each loop once, so that a machine that slows down slows all, and ratios
are taken within a round. All weights are then judged by one function, the mean negative ELBO of the
test images, which must agree within 0.5 nat. Goals for times are printed beside what was measured.
"""

import argparse
from functools import partial

import torch

from benchmarks import comparison, cost, gpu, recipe
from benchmarks.pythae_environment import by_pythae, pythae_python
from benchmarks.task import training_pixels
from vaebook.data import load_fashion

PARTS = ("loops", "cost", "recipe", "gpu")


def main() -> int:
    """Run the benchmark; 1 if the loops do not reach the same loss."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=3, help="of each loop in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, help="only so many of the 60,000")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--all", action="store_true", help="bfloat16 where it is emulated, too")
    parser.add_argument("--install-pythae", action="store_true", help="make its environment")
    arguments = parser.parse_args()
    pixels = training_pixels(arguments.images)
    test_images = load_fashion().test.images
    python = pythae_python(install=arguments.install_pythae)
    failed = 0
    if "loops" in arguments.only:
        loops = comparison.choose_loops(python, all_loops=arguments.all)
        failed = comparison.compare(
            loops,
            pixels,
            test_images,
            num_epochs=arguments.epochs,
            num_rounds=arguments.rounds,
        )
    if "recipe" in arguments.only:
        rival = None if python is None else partial(by_pythae, python=python)
        recipe.time_to_target(rival, pixels, test_images, num_rounds=min(3, arguments.rounds))
    if "cost" in arguments.only:
        measured = cost.measure()
        cost.report(measured)
        cost.draw(measured, cost.FIGURE)
        print(f"drawn in {cost.FIGURE}")
    if "gpu" in arguments.only:
        if torch.cuda.is_available():
            gpu.report(num_rounds=arguments.rounds)
        else:
            print("no CUDA device here: captured steps are not timed")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
