"""Model weights and the state of a training run, in files that notice every flipped bit."""

import hashlib
import json
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from vaebook.training.description import description, differences, plain_module, plain_name
from vaebook.training.files import check_path, write_atomically

# A checkpoint is a file of torch.save, which ends with this and the SHA-256 of all before it.
MARK = b"\nvaebook checkpoint, SHA-256 "
DIGITS = 64

PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device, torch.Size)
OWN = "vaebook/"  # tensors of a file of weights that are not in the model's state begin so
ZIP = b"PK\x03\x04"


# --- weights ------------------------------------------------------------------------------------


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write a model's weights as safetensors; the file is replaced only when complete.

    It holds the model's settings too (:func:`description`), so that :func:`load_weights` can refuse
    a model that was built with others, and a checksum of every byte.

    Raises:
        ValueError: if the model's state is no tensor (``get_extra_state``).
        OSError: if the file cannot be written; an old one is kept.
    """
    metadata = {"description": json.dumps(settings_of(model))}
    write_atomically(path, sealed(weights_of(model), metadata))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill ``model`` with weights written by :func:`save_weights`, and end its training mode.

    Raises:
        FileNotFoundError: if there is no such file.
        PermissionError: if the file may not be read.
        ValueError: if the file is damaged, was written by something else, or belongs to a model of
            another shape or with other settings; ``model`` is then unchanged.
    """
    weights, metadata = unsealed(path)
    if "description" in metadata:
        here = settings_of(model)
        different = differences(json.loads(metadata["description"]), here)
        if different:
            raise ValueError(
                f"{path} does not fit this {here['class']}, which was built otherwise: "
                f"{first_of(different)}. Build the model with the settings it was saved with, or "
                "let load_model of vaebook.models build it."
            )
    fill(model, {k: value for k, value in weights.items() if not k.startswith(OWN)}, path)
    model.eval()


def settings_of(model: nn.Module) -> dict[str, Any]:
    """What two models must share to compute the same with the same weights."""
    return dict(description(model, tensors=False))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of ``model``'s state, each by itself in memory, under its name without compiling.

    An entry that is no tensor is refused with a ``ValueError``.
    """
    weights: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{name} in the state of {type(plain_module(model)).__name__} is a "
                f"{type(value).__name__}; a file of weights holds tensors only. Keep it in a "
                "buffer."
            )
        value = value.detach().contiguous()
        place = value.untyped_storage().data_ptr()
        if place in seen or value.untyped_storage().nbytes() != value.nbytes:
            value = value.clone()
        seen.add(place)
        weights[plain_name(name)] = value
    return weights


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load ``weights`` of ``path``, or none: a ``ValueError`` if a name, shape or type differs."""
    here = {plain_name(name): (name, value) for name, value in model.state_dict().items()}
    given = {plain_name(name): value for name, value in weights.items()}
    different = [
        f"{name} ({_kind(given.get(name))} in the file, {_kind(here.get(name, (name, None))[1])} "
        "here)"
        for name in [*here, *(name for name in given if name not in here)]
        if name not in given or name not in here or not _fits(given[name], here[name][1])
    ]
    if different:
        raise ValueError(
            f"{path} does not fit this {type(plain_module(model)).__name__}: they differ in "
            f"{first_of(different)}. Build the model with the settings it was saved with; if only "
            "the type differs, convert it first with model.to(dtype)."
        )
    model.load_state_dict({here[name][0]: value for name, value in given.items()})


def _fits(given: Any, here: Any) -> bool:
    """Whether ``here`` can take up ``given`` without losing anything."""
    if not (isinstance(given, Tensor) and isinstance(here, Tensor)):
        return type(given) is type(here)
    exact = torch.promote_types(given.dtype, here.dtype) == here.dtype
    return given.shape == here.shape and exact


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "absent" if value is None else type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def first_of(lines: list[str], count: int = 4) -> str:
    """The first lines in one, and how many more there are."""
    more = f" and {len(lines) - count} more" if len(lines) > count else ""
    return ", ".join(lines[:count]) + more


def sealed(tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file whose header holds the SHA-256 of the whole file.

    It is computed with zeros in its place, so that it covers the header too.
    """
    content = save(tensors)
    length = 8 + int.from_bytes(content[:8], "little")
    kept = {"sha256": "0" * DIGITS} | dict(metadata)  # safetensors puts them in any order
    header = json.dumps(
        {"__metadata__": kept} | json.loads(content[8:length]), separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)
    content = len(header).to_bytes(8, "little") + header + content[length:]
    at = _checksum_at(content, "0" * DIGITS)
    assert at is not None
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:at] + digest + content[at + DIGITS :]


def unsealed(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file written with :func:`sealed`.

    Raises the errors of :func:`load_weights`.
    """
    with _open(path, "weights", "save_weights or save_model") as file:
        content = file.read()
    metadata = _header(path, content)
    stored = metadata.pop("sha256", None)
    if stored is None:
        raise ValueError(
            f"{path} carries no checksum, so it was not written by save_weights. If it came from "
            "elsewhere, load it with safetensors.torch.load_model(model, path), which cannot tell "
            "damage."
        )
    at = _checksum_at(content, stored)
    whole = hashlib.sha256()
    if at is not None:
        for part in (content[:at], b"0" * DIGITS, content[at + DIGITS :]):
            whole.update(part)
    if at is None or whole.hexdigest() != stored:
        raise ValueError(
            f"{path} is damaged: its content does not match its checksum. "
            "Copy it again from where it came from, or save the model anew."
        )
    return load(content), metadata


def _checksum_at(content: bytes, digits: str) -> int | None:
    """Where the checksum stands; in a value, the quotes would be escaped."""
    end = 8 + int.from_bytes(content[:8], "little")
    key = f'"sha256":"{digits}"'.encode()
    at = content.find(key, 8, end)
    return at + len(key) - 1 - DIGITS if at >= 0 and len(digits) == DIGITS else None


def _header(path: str | Path, content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file; a ``ValueError`` if it is none, or is cut short."""
    what = f"{path} is no whole safetensors file"
    if content.startswith(ZIP):
        raise ValueError(
            f"{what}: it was written by torch.save, as checkpoints are. Give the file that "
            "save_weights or save_model wrote, or resume from this one with fit."
        )
    end = 8 + int.from_bytes(content[:8], "little")
    if len(content) < 8 or content[8:9] != b"{" or end > len(content):
        raise ValueError(f"{what}: it is cut short, damaged, or of another kind.")
    try:
        header = json.loads(content[8:end])
        metadata = header.pop("__metadata__", {})
        length = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except Exception as error:
        raise ValueError(f"{what}: its header is damaged.") from error
    if len(content) != end + length:
        raise ValueError(
            f"{what}: it has {len(content)} bytes of {end + length}. It was cut short on its way; "
            "copy it again, or save the model anew."
        )
    return {str(name): str(value) for name, value in metadata.items()}


# --- runs ---------------------------------------------------------------------------------------


def save_run(path: str | Path, state: dict[str, Any]) -> None:
    """Write the state of a training run, whole or not at all.

    Args:
        state: tensors and plain values, in dictionaries, lists and tuples.

    Raises:
        ValueError: if the state holds something that :func:`load_run` could not read.
        OSError: if the file cannot be written; an old one is kept.
    """
    num_bytes = size_of_run(state)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(state, file)
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with temporary.open("ab") as file:
            file.write(MARK + digest.encode())

    write_atomically(path, write, num_bytes=num_bytes)


def size_of_run(state: Any, name: str = "state") -> int:
    """About how many bytes :func:`save_run` will write; a ``ValueError`` for what no file keeps."""
    if isinstance(state, Tensor):
        return state.nbytes
    if type(state) in (dict, OrderedDict, Counter):
        return sum(
            size_of_run(key, f"a key of {name}") + size_of_run(value, f"{name}[{key!r}]")
            for key, value in state.items()
        )
    if type(state) in (list, tuple, set):
        return sum(size_of_run(value, f"{name}[{index}]") for index, value in enumerate(state))
    if type(state) in PLAIN:
        return len(state) if isinstance(state, str | bytes) else 8
    raise ValueError(
        f"{name} is a {type(state).__module__}.{type(state).__qualname__}; a checkpoint holds "
        "tensors and plain values (numbers, strings, lists, tuples, dictionaries). Convert it in "
        "state_dict(), for example with float() or .item()."
    )


def load_run(path: str | Path, keys: Collection[str] = ()) -> dict[str, Any]:
    """Read what :func:`save_run` wrote, on whatever device, into the main memory.

    Only tensors and plain values are unpickled, so a file cannot run code.

    Args:
        keys: what it must hold.

    Raises:
        OSError: as :func:`load_weights` does.
        ValueError: if the file is damaged, or no checkpoint with these keys.
    """
    with _open(path, "checkpoint", "fit(..., checkpoint=...)") as file:
        _check_seal(path, file)
        try:
            state = torch.load(file, weights_only=True, map_location="cpu")
        except Exception as error:  # of other versions, or made by hand: the content is as written
            raise ValueError(
                f"{path} cannot be read as a checkpoint by torch {torch.__version__}, though it is "
                f"undamaged ({type(error).__name__}: {str(error).splitlines()[0]}). "
                "Use the version that wrote it, or start again with resume=False."
            ) from error
    missing = set(keys) - (set(state) if isinstance(state, Mapping) else set())
    if missing:
        raise ValueError(
            f"{path} is no checkpoint of fit: it lacks {', '.join(sorted(missing))}. "
            "Give another file, or pass resume=False to start again."
        )
    return dict(state)


def _check_seal(path: str | Path, file: BinaryIO) -> None:
    """Refuse a file whose content is not what :func:`save_run` wrote."""
    size = file.seek(0, 2)
    at = size - len(MARK) - DIGITS
    again = "Give another file, or pass resume=False to start again."
    if at < 0:
        raise ValueError(f"{path} is no whole checkpoint: it has {size} bytes only. {again}")
    file.seek(0)
    start = file.read(len(ZIP))
    file.seek(at)
    seal = file.read()
    if not seal.startswith(MARK):
        if start != ZIP:
            raise ValueError(
                f"{path} is no checkpoint of fit: it is a file of another kind. {again}"
            )
        if zipfile.is_zipfile(file):
            raise ValueError(
                f"{path} carries no checksum: it was written by torch.save and not by fit, or by "
                f"fit before checkpoints had one. {again}"
            )
        raise ValueError(f"{path} was cut short or is damaged: the end of it is missing. {again}")
    file.seek(0)
    whole = hashlib.sha256()
    left = at
    while left:
        part = file.read(min(left, 2**20))
        whole.update(part)
        left -= len(part)
    file.seek(0)
    if whole.hexdigest().encode() != seal[len(MARK) :]:
        raise ValueError(f"{path} is damaged: its content does not match its checksum. {again}")


def _open(path: str | Path, what: str, writer: str) -> BinaryIO:
    """Open a file to read, with errors that say what is the matter."""
    path = Path(check_path(path))
    if path.is_dir():  # Windows calls it a matter of permission
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it.")
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no {what} at {path}; write them with {writer}.") from error
    except PermissionError as error:
        raise PermissionError(
            f"{path} is there, but you may not read it; ask its owner, or change its permissions."
        ) from error
    if file.seek(0, 2) == 0:
        file.close()
        raise ValueError(
            f"{path} is empty; give another file, or write the {what} again with {writer}."
        )
    file.seek(0)
    return file
