"""Where batches come from: tensors, a torch ``Dataset``, or a ``DataLoader``."""

import math
from collections.abc import Callable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from vaebook._checks import how_to_convert
from vaebook._random import Stream, alone
from vaebook.training.fingerprint import fingerprint as fingerprint_of
from vaebook.training.fingerprint import loader_contents

Batch = tuple[Tensor, ...]
Data = Tensor | Sequence[Tensor] | Dataset[Any] | DataLoader[Any]
Check = Callable[..., object]

CHECKED_ROWS = 10_000  # at a time, so that no copy of large data is made


class Batches(Protocol):
    """A source of batches; a pass goes over all of them once."""

    length: int | None  # batches in a pass, if that is known
    batch_size: int | None  # of all but the last; None where a loader does not say
    description: dict[str, Any]  # what tells these data from others

    def one_pass(self, order: Stream, skip: int = 0) -> Iterator[Batch]:
        """The batches of a pass, on the device, without the first ``skip``.

        The order is drawn at once, before the first batch is asked for.
        """
        ...


class TensorBatches:
    """Tensors that hold one example in each row, gathered in a new order in each pass.

    They stay on the device as a whole where they take less than half of its free memory, so that
    nothing is moved and no Python runs for an example; otherwise each batch is moved.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        *,
        batch_size: int,
        drop_last: bool,
        device: torch.device,
        check: Check,
        shuffle: bool = True,
        fingerprint: bool = False,
    ) -> None:
        self.num_examples = len(tensors[0])
        for start in range(0, self.num_examples, CHECKED_ROWS):
            check(*(tensor[start : start + CHECKED_ROWS] for tensor in tensors))
        stay = _fits(tensors, device)
        self.tensors = tuple(tensor.to(device) if stay else tensor for tensor in tensors)
        self.device = device
        self.batch_size: int | None = batch_size
        self.shuffle, self.drop_last = shuffle, drop_last
        whole = self.num_examples / batch_size
        self.length: int | None = math.floor(whole) if drop_last else math.ceil(whole)
        if not self.length:
            raise ValueError(
                f"{self.num_examples} examples give no batch of {batch_size} with drop_last=True; "
                "give more examples, or a smaller batch_size."
            )
        self.description = {
            f"tensor {index}": fingerprint_of(tensor) if fingerprint else tuple(tensor.shape)
            for index, tensor in enumerate(tensors)
        }

    def one_pass(self, order: Stream, skip: int = 0) -> Iterator[Batch]:
        """The batches of a pass, on the device, without the first ``skip``."""
        if self.shuffle:
            with alone, order:
                rows = torch.randperm(self.num_examples)
        else:
            rows = torch.arange(self.num_examples)
        rows = rows.to(self.tensors[0].device)
        assert self.batch_size is not None
        return map(self._gather, islice(rows.split(self.batch_size), skip, self.length))

    def _gather(self, rows: Tensor) -> Batch:
        batch = (tensor.index_select(0, rows) for tensor in self.tensors)
        return tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)


class LoaderBatches:
    """What a ``DataLoader`` gives, moved to the device.

    Whatever the loader and its dataset draw from torch (order, augmentation) comes from the stream
    of the order, so that a resumed run meets the same batches; it reads again those that are done.
    Batches are checked in the first pass, and one of validation data at once.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        *,
        device: torch.device,
        check: Check,
        fingerprint: bool = False,
        name: str = "data",
    ) -> None:
        self.loader, self.device, self.check = loader, device, check
        self.batch_size = loader.batch_size
        self._checked = False
        try:
            self.length: int | None = len(loader)
        except TypeError:  # a stream
            self.length = None
        if self.length == 0:
            raise ValueError(
                f"{name} gives no batch of {self.batch_size} with drop_last={loader.drop_last}; "
                "give more examples, or a smaller batch_size."
            )
        kind = type(loader.dataset).__name__
        self.description: dict[str, Any] = {"dataset": kind, "batches": self.length}
        if fingerprint:
            if name == "data":
                _check_repeatable(loader)
            self.description |= loader_contents(loader)
        if name != "data" and not isinstance(loader.dataset, IterableDataset):
            try:  # a look at the first batch: the data are needed after an epoch only
                next(self.one_pass(Stream(0)), None)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def one_pass(self, order: Stream, skip: int = 0) -> Iterator[Batch]:
        """The batches of a pass, on the device, without the first ``skip``."""
        with alone, order:
            iterator = iter(self.loader)
            for _ in islice(iterator, skip):
                pass
        return self._rest(iterator, order, skip)

    def _rest(self, iterator: Iterator[Any], order: Stream, index: int) -> Iterator[Batch]:
        while True:
            with alone, order:
                given = next(iterator, None)
            if given is None:
                break
            batch = as_batch(given)
            if not self._checked:
                self.check(*batch)
            index += 1
            self._checked = self._checked or index == self.length
            yield tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)
        self._checked = True


def as_batches(
    data: Data,
    *,
    batch_size: int | None,
    device: torch.device,
    check: Check,
    drop_last: bool = False,
    shuffle: bool = True,
    fingerprint: bool = False,
    name: str = "data",
) -> Batches:
    """The batches of whatever ``fit`` is given, which has the same arguments, on a device.

    Args:
        check: raises an error for a batch that cannot be used; called once for all data.
        shuffle: a new order in each pass, for data that are no ``DataLoader``.
        fingerprint: describe tensors by their values instead of their shapes.
        name: how messages call the data.

    Raises:
        ValueError: if the data are of another kind, hold no example, or hold tensors of different
            lengths; if a setting is given that a ``DataLoader`` already has.
    """
    if isinstance(data, DataLoader):
        for setting, is_set in (("batch_size", batch_size is not None), ("drop_last", drop_last)):
            if is_set:
                raise ValueError(
                    f"{setting} is given beside a DataLoader, which has its own; set it in the "
                    f"DataLoader({setting}=…) and leave it out here."
                )
        return LoaderBatches(data, device=device, check=check, fingerprint=fingerprint, name=name)
    batch_size = 128 if batch_size is None else batch_size
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, Tensor):
        data = (data,)
    if isinstance(data, Dataset):
        stream = isinstance(data, IterableDataset)
        if not stream:
            if not isinstance(data, Sized):
                raise ValueError(
                    f"{name} is a {type(data).__name__} without a length; expected a Dataset with "
                    "__len__, or a stream that inherits from IterableDataset."
                )
            if not len(data):
                raise ValueError(f"{name} is empty; give at least one example.")
        loader: DataLoader[Any] = DataLoader(
            data, batch_size, shuffle=shuffle and not stream, drop_last=drop_last
        )
        return LoaderBatches(loader, device=device, check=check, fingerprint=fingerprint, name=name)
    if not isinstance(data, Sequence) or not all(isinstance(item, Tensor) for item in data):
        raise ValueError(
            f"{name} is a {_kind(data)}; expected a tensor, a tuple of tensors, a torch Dataset or "
            f"a DataLoader. {how_to_convert(data)}"
        )
    lengths = {len(tensor) if tensor.ndim else 0 for tensor in data}
    if lengths == {0} or not data:
        raise ValueError(f"{name} is empty; give at least one example.")
    if len(lengths) > 1:
        shapes = [tuple(tensor.shape) for tensor in data]
        raise ValueError(
            f"{name} holds tensors of shapes {shapes}; expected one row for each example in each."
        )
    try:
        return TensorBatches(
            data,
            batch_size=batch_size,
            drop_last=drop_last,
            device=device,
            check=check,
            shuffle=shuffle,
            fingerprint=fingerprint,
        )
    except ValueError as error:
        if name == "data":
            raise
        raise ValueError(f"{name}: {error}") from None


def _check_repeatable(loader: DataLoader[Any]) -> None:
    """Raise a ``ValueError`` if its batches depend on what no checkpoint holds."""
    if loader.persistent_workers:
        raise ValueError(
            "the DataLoader keeps its workers, and with them random numbers that are in no "
            "checkpoint, so that a run could not be resumed with the same batches. Leave out "
            "persistent_workers=True."
        )
    samplers = (loader, loader.sampler, getattr(loader.batch_sampler, "sampler", None))
    if any(getattr(sampler, "generator", None) is not None for sampler in samplers):
        raise ValueError(
            "the DataLoader draws its order from a generator of its own, so that a run could not "
            "be resumed with the same batches. Leave out generator=: the order follows fit's seed."
        )


def as_batch(given: Any) -> Batch:
    """What a loader gave, as a tuple of tensors; a ``ValueError`` if it is something else."""
    items = (given,) if isinstance(given, Tensor) else given
    if not isinstance(items, list | tuple) or not all(isinstance(item, Tensor) for item in items):
        raise ValueError(
            f"the DataLoader gave a {_kind(given)}; expected a tensor or a tuple of tensors, which "
            "is handed to loss(*batch). Pass a collate_fn that returns one."
        )
    return tuple(items)


def _kind(given: object) -> str:
    """The class of what was given, and of all that a list or a tuple holds."""
    kind = type(given).__name__
    if isinstance(given, list | tuple):
        return f"{kind} of {sorted({type(item).__name__ for item in given})}"
    return kind


def _fits(tensors: Sequence[Tensor], device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    needed = sum(t.numel() * t.element_size() for t in tensors if t.device != device)
    free, _ = torch.cuda.mem_get_info(device)
    return needed < free / 2
