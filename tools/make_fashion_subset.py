"""Write the balanced subset of Fashion-MNIST that ships inside the package.

Run ``python tools/make_fashion_subset.py [FOLDER]``; FOLDER holds the four original files.
The first images of each class in the original order are taken, so the result is reproducible:
1,000 per class for training, the next 100 for validation, and 200 per class of the test set.
"""

import sys
from pathlib import Path

import numpy as np

from vaebook.data.fashion import read_full

TARGET = Path(__file__).parents[1] / "vaebook" / "data" / "fashion_subset.npz"


def first_of_each_class(labels: np.ndarray, start: int, count: int) -> np.ndarray:
    """Indices, in rising order, of members ``start`` to ``start + count`` of each class."""
    chosen = [np.flatnonzero(labels == label)[start : start + count] for label in range(10)]
    return np.sort(np.concatenate(chosen))


def main() -> None:
    """Write the file."""
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    train_images, train_labels, test_images, test_labels = read_full(folder)
    train = first_of_each_class(train_labels, 0, 1_000)
    validation = first_of_each_class(train_labels, 1_000, 100)
    test = first_of_each_class(test_labels, 0, 200)
    np.savez_compressed(
        TARGET,
        train_images=train_images[train],
        train_labels=train_labels[train],
        validation_images=train_images[validation],
        validation_labels=train_labels[validation],
        test_images=test_images[test],
        test_labels=test_labels[test],
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
