"""Digits and Fashion-MNIST: splits that share nothing, and files that may be damaged."""

import gzip
import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from vaebook.data import ImageData, Split, fashion, load_digits, load_dogs, load_fashion

FILES = tuple(fashion.SHA256)


def pixels(split: Split) -> list[bytes]:
    return [row.tobytes() for row in split.images.numpy()]


def check_splits(data: ImageData) -> None:
    """Float images in [0, 1] with labels; no image twice, in one split or in two."""
    seen: list[bytes] = []
    for _, split in data.splits():
        assert split.images.dtype == torch.float32
        assert split.images.is_contiguous()
        assert split.images.min() >= 0
        assert split.images.max() <= 1
        assert split.labels is not None
        assert split.labels.dtype == torch.int64
        assert len(split.labels) == len(split)
        seen += pixels(split)
    assert len(set(seen)) == len(seen)


# --- digits -------------------------------------------------------------------------------------


def test_digits() -> None:
    data = load_digits()
    check_splits(data)
    assert data.image_shape == (1, 8, 8)
    assert [len(split) for _, split in data.splits()] == [1197, 200, 400]
    assert data.label_names == tuple("0123456789")
    assert repr(data) == "ImageData('digits', (1, 8, 8), 1,197 train, 200 validation, 400 test)"
    for _, split in data.splits():
        assert torch.equal(split.images * 16, (split.images * 16).round()), "17 grey levels"
        # shuffled: every split has every digit, none more than twice as often as expected
        counts = torch.bincount(split.labels, minlength=10)
        assert counts.min() > 0.5 * len(split) / 10
        assert counts.max() < 2 * len(split) / 10


def test_digits_are_scikit_learns_with_their_labels() -> None:
    raw = sklearn_digits()
    label_of = {
        (image / 16).astype(np.float32).tobytes(): label
        for image, label in zip(raw.images, raw.target, strict=True)
    }
    found = 0
    for _, split in load_digits().splits():
        for image, label in zip(pixels(split), split.labels.tolist(), strict=True):
            assert label_of[image] == label
            found += 1
    assert found == len(raw.images)


def test_digits_are_the_same_every_time() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = load_digits(), load_digits()
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(torch.get_rng_state(), before)
    # torch's generator is the same on every machine; a change here changes every record
    assert first.train.labels[:10].tolist() == [2, 6, 1, 9, 6, 9, 0, 5, 0, 6]


# --- Fashion-MNIST, the subset ------------------------------------------------------------------


def test_the_subset_is_balanced_and_disjoint() -> None:
    data = load_fashion()
    check_splits(data)
    assert data.image_shape == (1, 28, 28)
    for (_, split), size in zip(data.splits(), (10_000, 1_000, 2_000), strict=True):
        assert len(split) == size
        assert torch.bincount(split.labels).tolist() == [size // 10] * 10
        assert torch.equal(split.images * 255, (split.images * 255).round()), "bytes / 255"
    assert len(set(data.label_names)) == 10


def test_the_subset_comes_from_the_original_files() -> None:
    """Where Debian's package is installed: each image and label is where the tool took it from."""
    if not fashion.DEBIAN_FOLDER.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    train_images, train_labels, test_images, test_labels = fashion.read_full()
    data = load_fashion()
    places = {}
    for split, images, labels, start, count in (
        (data.train, train_images, train_labels, 0, 1_000),
        (data.validation, train_images, train_labels, 1_000, 100),
        (data.test, test_images, test_labels, 0, 200),
    ):
        members = [np.flatnonzero(labels == label)[start : start + count] for label in range(10)]
        chosen = np.sort(np.concatenate(members))
        np.testing.assert_array_equal((split.images[:, 0] * 255).round().byte(), images[chosen])
        np.testing.assert_array_equal(split.labels, labels[chosen])
        places[len(places)] = set(chosen)
    assert not places[0] & places[1], "no image of the training split is in validation"

    full = load_fashion(full=True)
    assert [len(split) for _, split in full.splits()] == [55_000, 5_000, 10_000]
    assert torch.bincount(full.test.labels).tolist() == [1_000] * 10
    np.testing.assert_array_equal((full.train.images[-1, 0] * 255).round(), train_images[54_999])
    np.testing.assert_array_equal(full.validation.labels, train_labels[55_000:])


# --- Fashion-MNIST, the files -------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    """An idx file of bytes, after its description at yann.lecun.com."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The four files with 5,020 training and 30 test images of 2×2 pixels."""
    numbers = np.random.default_rng(0)
    place = tmp_path / "files"
    place.mkdir()
    for name, count in (("train", 5_020), ("t10k", 30)):
        images = numbers.integers(0, 256, (count, 2, 2), np.uint8)
        labels = numbers.integers(0, 10, count, np.uint8)
        place.joinpath(f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        place.joinpath(f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    assert {path.name for path in place.iterdir()} == set(FILES)
    return place


def test_a_folder_of_ones_own(folder: Path) -> None:
    data = load_fashion(folder)
    assert [len(split) for _, split in data.splits()] == [5_020 - 5_000, 5_000, 30]
    images, labels, _, _ = fashion.read_full(str(folder))
    assert images.shape == (5_020, 2, 2)
    np.testing.assert_array_equal((data.train.images[:, 0] * 255).round(), images[:20])
    np.testing.assert_array_equal(data.validation.labels, labels[20:])


def test_missing_files_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / FILES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"^{FILES[1]} not found in .*download=True"):
        load_fashion(folder)
    monkeypatch.setattr(fashion, "DEBIAN_FOLDER", folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"Debian's package dataset-fashion-mnist"):
        load_fashion(full=True)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    packed = path.read_bytes()
    raw = gzip.decompress(packed)
    middle = len(packed) // 2
    other_dims = idx(np.zeros(4, np.uint8) if "images" in name else np.zeros((4, 2, 2), np.uint8))
    for content, message in (
        (packed[:middle], "no complete gzip file"),
        (packed[:-4], "no complete gzip file"),
        (b"", "no idx file"),
        (b"<html>404 Not Found</html>", "no complete gzip file"),
        # bits flipped within: the deflate stream or its checksum is wrong
        (packed[:12] + b"\xff" * 8 + packed[20:], "no complete gzip file"),
        (packed[:-8] + b"\0" * 4 + packed[-4:], "no complete gzip file"),
        (gzip.compress(b"\x00\x00\x0d\x03" + raw[4:]), "no idx file of bytes"),
        (gzip.compress(other_dims), "Images and labels may have changed places"),
        (gzip.compress(raw[:6]), "no idx file of bytes"),
        (gzip.compress(raw[:-1]), r"announces \(.*\) but holds"),
        (gzip.compress(raw + b"\0"), r"announces \(.*\) but holds"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as error:
            load_fashion(folder)
        assert str(path) in str(error.value)
        assert "np.int" not in str(error.value)


def test_images_and_labels_must_belong_together(folder: Path) -> None:
    (folder / FILES[3]).write_bytes(gzip.compress(idx(np.zeros(29, np.uint8))))
    with pytest.raises(ValueError, match="t10k files hold 30 images but 29 labels"):
        load_fashion(folder)


# --- Fashion-MNIST, the download ----------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve the files on this machine in place of the real address, with their checksums."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setattr(fashion, "SOURCE", f"http://127.0.0.1:{running.server_port}/")
        monkeypatch.setattr(
            fashion,
            "SHA256",
            {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES},
        )
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        yield folder
        running.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(server: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    data = load_fashion(target, download=True)
    assert torch.equal(data.train.images, load_fashion(server).train.images)
    for name in FILES:
        assert (target / name).read_bytes() == (server / name).read_bytes()

    (target / FILES[0]).write_bytes(b"damaged")
    assert len(load_fashion(target, download=True).test) == 30, "a damaged file is fetched again"

    for path in server.iterdir():
        path.unlink()
    assert len(load_fashion(target, download=True).test) == 30, "whole files are not fetched"


def test_a_download_goes_to_the_cache_by_default(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    assert len(load_fashion(download=True).test) == 30
    assert (tmp_path / "cache" / "vaebook-fashion" / FILES[0]).is_file()


def test_a_wrong_checksum_is_refused(server: Path, tmp_path: Path) -> None:
    (server / FILES[2]).write_bytes(gzip.compress(b"something else"))
    target = tmp_path / "new"
    with pytest.raises(ValueError, match="hash of downloaded file"):
        load_fashion(target, download=True)
    assert not (target / FILES[2]).exists()


def test_the_published_checksums_are_complete() -> None:
    assert len(FILES) == 4
    for digest in fashion.SHA256.values():
        assert len(bytes.fromhex(digest)) == 32


# --- what every data set returns ----------------------------------------------------------------


def test_a_split_checks_itself() -> None:
    images = torch.rand(3, 1, 2, 2)
    assert len(Split(images, torch.zeros(3).long(), torch.zeros(3, 5))) == 3
    with pytest.raises(ValueError, match="2 labels for 3 images"):
        Split(images, torch.zeros(2).long())
    with pytest.raises(ValueError, match="4 factors for 3 images"):
        Split(images, factors=torch.zeros(4, 5))
    with pytest.raises(ValueError, match="Divide bytes by 255"):
        Split(255 * images)


@pytest.mark.parametrize("load", [partial(load_dogs, 20, 10, 10), load_digits, load_fashion])
def test_what_a_caller_does_to_the_data_is_not_seen_by_others(
    load: Callable[[], ImageData],
) -> None:
    first, kept = load(), load()
    for (_, split), (_, other) in zip(first.splits(), kept.splits(), strict=True):
        for tensor, same in ((split.images, other.images), (split.labels, other.labels),
                             (split.factors, other.factors)):  # fmt: skip
            if tensor is not None and same is not None:
                assert torch.equal(tensor, same)
                tensor.zero_()
    for (_, split), (_, other) in zip(load().splits(), kept.splits(), strict=True):
        assert split.images.max() > 0
        assert torch.equal(split.images, other.images)
        for known, same in ((split.labels, other.labels), (split.factors, other.factors)):
            assert known is None or (same is not None and torch.equal(known, same))


def test_dogs_first_drawn_in_inference_can_be_trained_on() -> None:
    with torch.inference_mode():
        load_dogs(5, 5, 5, seed=77)
    factors = load_dogs(5, 5, 5, seed=77).train.factors
    assert factors is not None
    assert not factors.is_inference()
