"""scikit-learn's 8×8 handwritten digits: for examples that finish in a second."""

import torch
from sklearn.datasets import load_digits as sklearn_digits

from vaebook.data._dataset import ImageData, Split


def load_digits() -> ImageData:
    """1,797 handwritten digits of 8×8 grey pixels, shipped with scikit-learn.

    Returns:
        1,197 training, 200 validation and 400 test images ``[n, 1, 8, 8]`` in [0, 1] (multiples
        of 1/16) with labels 0 to 9. The splits are disjoint and the same on every machine.

    Source:
        E. Alpaydin & C. Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998).
    """
    raw = sklearn_digits()
    images = torch.as_tensor(raw.images, dtype=torch.float32)[:, None] / 16.0
    labels = torch.as_tensor(raw.target, dtype=torch.int64)
    # A fixed shuffle: the source is ordered by writer.
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1998))
    train, validation, test = (
        Split(images[part].contiguous(), labels[part]) for part in order.split([1197, 200, 400])
    )
    return ImageData("digits", train, validation, test, tuple(str(digit) for digit in range(10)))
