"""Fashion-MNIST: real photographs, a subset of which ships with the package."""

import gzip
import io
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaebook.data._dataset import ImageData, Split

LABEL_NAMES = (
    *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SOURCE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# Of the files as published. Debian packs the same arrays anew, so its files differ.
SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
# The four bytes that open an idx file of bytes, by number of dimensions.
_IDX_MAGIC = {3: b"\x00\x00\x08\x03", 1: b"\x00\x00\x08\x01"}


def load_fashion(
    folder: str | Path | None = None, *, full: bool = False, download: bool = False
) -> ImageData:
    """Fashion-MNIST: 28×28 grey photographs of clothes in ten classes.

    Args:
        folder: where the four original ``.gz`` files lie, or should be downloaded to. Given a
            folder, the full set is loaded from it.
        full: load all images, from ``folder`` or from Debian's package ``dataset-fashion-mnist``.
            By default the subset inside the package: no file and no network are needed.
        download: fetch missing files into ``folder`` (or a cache folder) and check their SHA-256.

    Returns:
        The subset: 10,000 training, 1,000 validation and 2,000 test images, balanced over the
        classes. In full: 55,000, 5,000 and 10,000. The test images are of the original test set.

    Raises:
        FileNotFoundError: if the full set is asked for and its files are nowhere to be found.
        ValueError: if a file is damaged.

    Source:
        Xiao, Rasul & Vollgraf (2017); © Zalando SE, MIT licence (beside the data).
    """
    if folder is None and not full and not download:
        return _load_subset()
    train_images, train_labels, test_images, test_labels = read_full(folder, download=download)
    cut = len(train_images) - 5_000
    return ImageData(
        "fashion",
        Split(_as_images(train_images[:cut]), _as_labels(train_labels[:cut])),
        Split(_as_images(train_images[cut:]), _as_labels(train_labels[cut:])),
        Split(_as_images(test_images), _as_labels(test_labels)),
        LABEL_NAMES,
    )


def read_full(
    folder: str | Path | None = None, *, download: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The original bytes: training images and labels, test images and labels.

    Args and errors as in :func:`load_fashion`; images are ``uint8 [n, 28, 28]``.
    """
    if download:
        import pooch  # here, because importing it warns in notebooks without widgets

        target = Path(folder) if folder is not None else Path(pooch.os_cache("vaebook-fashion"))
        fetcher = pooch.create(path=target, base_url=SOURCE, registry=SHA256)
        paths = [Path(fetcher.fetch(name)) for name in SHA256]
    else:
        place = Path(folder) if folder is not None else DEBIAN_FOLDER
        paths = [place / name for name in SHA256]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{', '.join(missing)} not found in {place}; expected the four original files of "
                "Fashion-MNIST. Name their folder, pass download=True, or install Debian's "
                "package dataset-fashion-mnist. load_fashion() without arguments needs no file."
            )
    train_images, train_labels, test_images, test_labels = (
        _read_idx(path, dims) for path, dims in zip(paths, (3, 1, 3, 1), strict=True)
    )
    for name, images, labels in (
        ("train", train_images, train_labels),
        ("t10k", test_images, test_labels),
    ):
        if len(images) != len(labels):
            raise ValueError(
                f"the {name} files hold {len(images)} images but {len(labels)} labels; expected "
                "as many of both. The files do not belong together: fetch them again."
            )
    return train_images, train_labels, test_images, test_labels


def _read_idx(path: Path, dims: int) -> np.ndarray:
    """The array of ``dims`` dimensions in one gzipped idx file of bytes."""
    try:
        with gzip.open(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is no complete gzip file ({error}). Delete it and fetch it again."
        ) from error
    header = 4 + 4 * dims
    if raw[:4] != _IDX_MAGIC[dims] or len(raw) < header:
        raise ValueError(
            f"{path} is no idx file of bytes in {dims} dimensions: it opens with {raw[:4]!r}, "
            f"expected {_IDX_MAGIC[dims]!r}. Images and labels may have changed places."
        )
    shape = tuple(np.frombuffer(raw, ">u4", count=dims, offset=4).astype(int).tolist())
    body = np.frombuffer(raw, np.uint8, offset=header)
    if body.size != np.prod(shape):
        raise ValueError(
            f"{path} announces {shape} but holds {body.size} bytes. Delete it and fetch it again."
        )
    return body.reshape(shape)


def _as_images(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255.0)[:, None]


def _as_labels(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))


def _load_subset() -> ImageData:
    file = resources.files("vaebook.data") / "fashion_subset.npz"
    with np.load(io.BytesIO(file.read_bytes())) as stored:
        train, validation, test = (
            Split(_as_images(stored[f"{name}_images"]), _as_labels(stored[f"{name}_labels"]))
            for name in ("train", "validation", "test")
        )
    return ImageData("fashion", train, validation, test, LABEL_NAMES)
