"""What tells data from other data, in a few words and hashes."""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vaebook.training.description import describe, description

FINGERPRINT_BYTES = 2**26  # of each tensor
MAX_DEPTH = 6
MAX_ENTRIES = 8  # more are described by one hash
TABLES = (pd.DataFrame, pd.Series, pd.Index)


def fingerprint(values: Tensor | np.ndarray) -> str:
    """Shape, type and a hash of the rows, or of evenly spaced ones where there are too many."""
    size = values.nbytes
    rows = values[:: max(1, size // FINGERPRINT_BYTES)] if values.ndim else values
    if isinstance(rows, Tensor):
        content = rows.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    else:
        content = np.frombuffer(rows.tobytes(), np.uint8)
    digest = hashlib.sha256(content.data).hexdigest()
    return f"{tuple(values.shape)} {values.dtype} {digest[:16]}"


def loader_contents(loader: DataLoader[Any]) -> dict[str, Any]:
    """What decides on a loader's batches: its dataset, and how rows are ordered, grouped, joined.

    Of objects the public attributes count, however deep, and private ones that may hold the data:
    tensors, arrays, tables, lists. Of a path the last name counts, so that a folder may move; what
    a file holds does not.
    """
    data = loader.dataset
    found = dict(_contents(data, "", {id(loader)}, 0))
    found.pop("class")
    known = {id(loader), id(data)}
    for name in ("sampler", "batch_sampler", "collate_fn"):
        found |= dict(_contents(getattr(loader, name), name, known, 0))
        known.add(id(loader.sampler))
    return found


def _contents(value: Any, name: str, known: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    """The entries for one value, whatever it is; nothing for objects in ``known``."""
    if isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype != object):
        yield name, fingerprint(value)
    elif isinstance(value, TABLES):
        yield name, fingerprint(pd.util.hash_pandas_object(value).to_numpy())
    elif isinstance(value, PurePath):
        yield name, value.name
    elif isinstance(value, Mapping | list | tuple):
        yield from _collection(value, name, known, depth)
    elif isinstance(value, nn.Module):
        yield from ((f"{name}.{inner}", part) for inner, part in description(value).items())
    elif hasattr(value, "__qualname__") or isinstance(value, functools.partial):
        yield from describe(name, value)
    elif hasattr(value, "__dict__") or hasattr(value, "__slots__"):
        if id(value) not in known:
            known.add(id(value))
            yield f"{name}.class".lstrip("."), type(value).__name__
            for key, part in _attributes(value):
                yield from _contents(part, f"{name}.{key}".lstrip("."), known, depth + 1)
    else:
        yield from describe(name, value)


def _collection(
    values: Mapping[Any, Any] | list[Any] | tuple[Any, ...], name: str, known: set[int], depth: int
) -> Iterator[tuple[str, Any]]:
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    if depth > MAX_DEPTH:
        return
    found = [
        entry for key, part in items for entry in _contents(part, f"{name}.{key}", known, depth + 1)
    ]
    if len(values) <= MAX_ENTRIES:
        yield from found
    else:
        digest = hashlib.sha256(repr(found).encode()).hexdigest()
        yield name, f"{len(values)} entries {digest[:16]}"


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that count."""
    slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    for name, part in (held | getattr(value, "__dict__", {})).items():
        if not name.startswith("_") or isinstance(part, (Tensor, np.ndarray, list, *TABLES)):
            yield name, part
