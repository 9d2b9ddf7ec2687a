"""What a model is, apart from what it has learned: to name how two models differ."""

import contextlib
import dataclasses
import functools
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, ExpTransform
from torch.distributions.utils import lazy_property

Plain = bool | int | float | str | tuple | None
# the last is left by torch.compile where Lightning is imported
COMPILED = {"_compiled_call_impl", "_is_torch_compile", "_compile_kwargs"}
MODULE_ATTRIBUTES = {*vars(nn.Module()), *COMPILED}
MAX_NUMBERS = 8  # a longer tensor is described by its hash
MAX_DEPTH = 6
Inverse = type(ExpTransform().inv)  # torch's class of inverse transforms, which has no public name


def description(model: nn.Module, *, tensors: bool = True) -> dict[str, Plain]:
    """The settings of ``model``, as flat names with plain values.

    For every part: its class, its attributes (numbers, strings, functions, the fields of plans),
    what it was built with, fixed distributions with their tensors, buffers that are not saved; long
    tensors by a hash. Left out are parameters, saved buffers and the training mode.

    Args:
        model: any module.
        tensors: take in the tensors that a part holds itself, such as buffers that are not saved;
            some count what happens in training.
    """
    model = plain_module(model)
    parts = dict(model.named_modules())
    known = {id(part) for part in parts.values()}
    described: dict[str, Plain] = {}
    for name, part in parts.items():
        if not hasattr(part, "_orig_mod"):
            described.update(_describe_module(plain_name(name), part, known, tensors))
    return described


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """How two descriptions differ, one line for each name: ``"beta 1.0 then, 4.0 now"``.

    Where a part is of another class, what is inside it is not compared.
    """
    names = [*now, *(name for name in then if name not in now)]
    different = [
        name
        for name in names
        if name not in then or name not in now or _listed(then[name]) != _listed(now[name])
    ]
    others = [
        name.removesuffix("class")
        for name in different
        if name.split(".")[-1] == "class" and name in then and name in now
    ]
    return [
        f"{_public(name)} {_shown(then, name)} then, {_shown(now, name)} now"
        for name in different
        if not any(name.startswith(other) and name != f"{other}class" for other in others)
    ]


def describe(name: str, value: Any) -> Iterator[tuple[str, Plain]]:
    """The entries for one value, such as a number, a function or a distribution."""
    return _describe(name, value, set(), 0)


def plain_module(model: nn.Module) -> nn.Module:
    """What ``torch.compile`` was given, or ``model`` itself."""
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, nn.Module) else model


def plain_name(name: str) -> str:
    """The name of a parameter or a part as it was before ``torch.compile``."""
    return re.sub(r"(?<![^.])_orig_mod(\.|$)", "", name).removesuffix(".")


def _public(name: str) -> str:
    """A name without the underscores that say who may use it."""
    return re.sub(r"(?<![^.])_+", "", name)


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "absent"


def _listed(value: Any) -> Any:
    """Tuples as lists, as they come out of JSON."""
    return [_listed(entry) for entry in value] if isinstance(value, tuple | list) else value


def _join(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _describe_module(
    name: str, module: nn.Module, known: set[int], tensors: bool
) -> Iterator[tuple[str, Plain]]:
    yield _join(name, "class"), type(module).__name__
    seen: list[list[tuple[str, Plain]]] = []
    for key, value in vars(module).items():
        if key == "configuration":  # what it was built with; objects are described as its parts
            own = {*vars(module), *module._modules, *module._parameters, *module._buffers}  # noqa: SLF001 (also those that are None)
            for argument, given in value.items():
                plain = None if argument in own else _plain(given)
                if plain is not None and plain is not NotImplemented:
                    yield _join(name, f"{key}.{argument}"), plain
        elif key not in MODULE_ATTRIBUTES and (tensors or not isinstance(value, Tensor)):
            entries = list(_describe("", value, known, 0))
            if len(entries) > 1 and entries in seen:
                continue  # a second view of the same
            seen.append(entries)
            for inner, plain in entries:
                yield _join(_join(name, key), inner) if inner else _join(name, key), plain
    if tensors:
        for key in sorted(module._non_persistent_buffers_set):  # noqa: SLF001 (nothing public tells)
            yield from _describe(_join(name, key), getattr(module, key), known, 0)


def _describe(name: str, value: Any, known: set[int], depth: int) -> Iterator[tuple[str, Plain]]:
    """The entries for one value, whatever it is."""
    if isinstance(value, nn.Module):
        if id(value) not in known:
            known.add(id(value))
            for inner, part in description(value).items():
                yield _join(name, inner), part
    elif isinstance(value, Tensor | np.ndarray):
        if not (isinstance(value, Tensor) and value.requires_grad):
            yield name, _digest(torch.as_tensor(value))
    elif (plain := _plain(value)) is not NotImplemented:
        yield name, plain
    elif depth == MAX_DEPTH:
        yield name, type(value).__name__
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _describe(_join(name, key), entry, known, depth + 1)
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _describe(_join(name, index), entry, known, depth + 1)
    elif isinstance(value, functools.partial):
        parts = {"function": value.func, "arguments": value.args, "keywords": value.keywords}
        yield from _describe(name, parts, known, depth + 1)
    elif callable(value) and hasattr(value, "__qualname__"):
        yield name, _function(value)
    else:
        yield _join(name, "class"), type(value).__name__
        for key, entry in _fields(value).items():
            yield from _describe(_join(name, key), entry, known, depth + 1)


def _plain(value: Any) -> Any:
    """``value`` in Python's own types, or ``NotImplemented`` if it has none."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Enum | torch.dtype | torch.device | complex | bytes | slice | range):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)  # NaN differs from itself
    if isinstance(value, set | frozenset):
        return tuple(sorted(str(entry) for entry in value))
    if isinstance(value, list | tuple):
        entries = tuple(_plain(entry) for entry in value)
        return NotImplemented if NotImplemented in entries else entries
    return NotImplemented


def _digest(tensor: Tensor) -> str:
    """A short tensor's numbers; a long one's type, shape and hash."""
    kind = f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
    if tensor.is_meta:
        return kind
    tensor = tensor.detach().cpu().contiguous()
    if tensor.numel() <= MAX_NUMBERS:
        return f"{kind} {tensor.reshape(-1).tolist()}"
    content = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{kind} {hashlib.sha256(content).hexdigest()[:16]}"


def _function(value: Any) -> str:
    """A function's name; of one made on the spot also the names and numbers in it.

    These are its constants, its defaults, and what it has from the function that made it.
    """
    name = f"{value.__module__}.{value.__qualname__}"
    code = getattr(value, "__code__", None)
    if code is None or ("<" not in name and value.__module__ != "__main__"):
        return name
    constants = [part for part in code.co_consts if part is None or part != value.__doc__]
    given = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    for cell in value.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            given.append(cell.cell_contents)
    numbers = [repr(part) for part in (*constants, *given) if _plain(part) is not NotImplemented]
    return f"{name} {(*code.co_names, *numbers)}"


def lasting(value: Any) -> dict[str, Any]:
    """What an object holds, without what a transform of torch only remembers of its last use."""
    left_out = {"_cached_x_y"}
    if not isinstance(value, Inverse):  # of which that is all there is
        left_out.add("_inv")
    return {key: entry for key, entry in vars(value).items() if key not in left_out}


def _fields(value: Any) -> dict[str, Any]:
    """What an object holds, without what it has only worked out for later."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields = {
        key: entry
        for key, entry in (lasting(value) if hasattr(value, "__dict__") else {}).items()
        if not key.startswith("_cache") and key != "_validate_args"
    }
    if not isinstance(value, Distribution):
        return fields
    lazy = {
        key for parent in type(value).__mro__ for key in vars(parent)
        if isinstance(vars(parent)[key], lazy_property)
    }  # fmt: skip
    shapes = {"_batch_shape", "_event_shape"}  # the tensors tell them
    kept = {key: entry for key, entry in fields.items() if key not in lazy | shapes}
    if not any(isinstance(entry, Tensor) for entry in kept.values()):
        # all it has is lazy: the first parameter, whichever of them was given
        kept.update(
            {key: getattr(value, key) for key in [*value.arg_constraints][:1] if key in lazy}
        )
    return kept
