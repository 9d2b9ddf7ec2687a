"""Models in files that say how to build them: nobody has to remember the settings.

For a place without this package, ``torch.export`` and ONNX take the networks inside a model::

    model.eval()
    images = torch.zeros(2, *model.image_shape)
    codes = torch.zeros(2, model.latent_dim)
    pictures = torch.nn.Sequential(model.decoder, torch.nn.Sigmoid())
    number = {0: torch.export.Dim("number")}  # any number of images
    for name, part, example in ("encoder", model.encoder, images), ("decoder", pictures, codes):
        program = torch.export.export(part, (example,), dynamic_shapes=(number,))
        torch.export.save(program, f"{name}.pt2")
        torch.onnx.export(program, f=f"{name}.onnx")  # needs onnx and onnxscript

The encoder of a VAE gives the numbers of its posterior, ``latent_dim`` means first: these are the
codes. The decoder ends linearly, and what follows is the likelihood's: a sigmoid for most.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform

from vaebook._configuration import Configured, rebuild
from vaebook._random import seeded
from vaebook.distributions.priors import empty
from vaebook.training.checkpoint import OWN, fill, sealed, settings_of, unsealed, weights_of
from vaebook.training.description import MODULE_ATTRIBUTES, differences, lasting, plain_module
from vaebook.training.files import write_atomically
from vaebook.training.settings import move

PACKAGES = (
    "vaebook.models",
    "vaebook.distributions",
    "torch.distributions",
    "torch.distributions.transforms",
)
ROOMS = ("vaebook.models.", "vaebook.distributions.")
SCALARS = (type(None), bool, int, float, str)


def save_model(model: nn.Module, path: str | Path) -> None:
    """Write a model with everything that :func:`load_model` needs to build it again.

    The file is one of safetensors. Its header holds the class of the model, the arguments that it
    was built with and the attributes changed since, such as ``beta``, as JSON; so reading it runs
    no code. Before anything is written, the model is built from that once and compared.

    Args:
        model: a model of ``vaebook.models``, or of a class that inherits from one.
        path: the file; its folder must exist.

    Raises:
        ValueError: if an argument cannot be described in a file, or the model is no longer what its
            arguments build. :func:`~vaebook.training.save_weights` needs neither.
        OSError: if the file cannot be written; an old one is kept.
    """
    model = plain_module(model)
    _check_model(model)
    writer = _Writer({id(part) for part in model.modules()})
    plan: dict[str, Any] = {"model": writer.described(model, type(model).__name__)}
    twin = _built(plan["model"], writer.tensors, classes=writer.classes)
    twin = _converted(twin, weights_of(model))
    plan["attributes"] = _changed_attributes(model, twin)
    plan["buffers"] = _changed_buffers(model, twin, writer)
    _set_attributes(twin, plan["attributes"])
    different = differences(settings_of(model), settings_of(twin))
    if different:
        raise ValueError(
            f"this {type(model).__name__} is no longer what its arguments build: "
            f"{', '.join(different[:4])} (then: as it is, now: built again). Change it by its "
            "arguments (network=, prior=, likelihood=), or use save_weights."
        )
    weights = weights_of(model)
    fill(twin, weights, path)
    metadata = {"description": json.dumps(settings_of(model)), "model": json.dumps(plan)}
    write_atomically(path, sealed(weights | writer.tensors, metadata))


def load_model(
    path: str | Path, device: str | torch.device | None = None, *, classes: Iterable[type] = ()
) -> Any:
    """Build the model that :func:`save_model` wrote, in evaluation mode.

    Only classes of ``vaebook`` and of ``torch.distributions`` are built, and those in ``classes``.

    Args:
        path: the file.
        device: where the model goes; the main memory by default, whatever it was saved from.
        classes: your own classes that the file may name: ``classes=[MyModel]``.

    Raises:
        FileNotFoundError: if there is no such file.
        PermissionError: if the file may not be read.
        ValueError: if the file is damaged, holds weights only, or names a class that is not known.
    """
    tensors, metadata = unsealed(path)
    if "model" not in metadata:
        raise ValueError(
            f"{path} holds weights only, and not how their model is built. Build it and call "
            "load_weights(model, path), and next time save with save_model."
        )
    plan = json.loads(metadata["model"])
    model = _built(plan["model"], tensors, classes, path)
    weights = {name: value for name, value in tensors.items() if not name.startswith(OWN)}
    model = _converted(model, weights)
    _set_attributes(model, plan["attributes"])
    for name, key in plan["buffers"].items():
        part, _, buffer = name.rpartition(".")
        setattr(model.get_submodule(part), buffer, tensors[key])
    fill(model, weights, path)
    model.eval()
    if device is not None:
        move(model, device)
    return model


class _Writer:
    """Describes objects as JSON; what tensors they hold is collected beside it.

    Args:
        parts: ids of the modules whose weights the model's own state holds.
    """

    def __init__(self, parts: set[int]) -> None:
        self.parts = parts
        self.tensors: dict[str, Tensor] = {}
        self.classes: list[type] = []

    def keep(self, tensor: Tensor) -> str:
        """Put a copy of a tensor into the file, and return its name there."""
        key = f"{OWN}{len(self.tensors)}"
        self.tensors[key] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return key

    def described(self, value: Any, name: str) -> Any:
        """``value`` as JSON, or a ``ValueError`` if it cannot be described."""
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) in SCALARS:
            return value
        if isinstance(value, Tensor):
            return {"tensor": self.keep(value)}
        if isinstance(value, np.ndarray):
            return {"array": self.keep(torch.as_tensor(value))}
        if isinstance(value, list):
            return [self.described(entry, f"{name}[{i}]") for i, entry in enumerate(value)]
        if type(value) in (tuple, torch.Size):
            return {"tuple": self.described(list(value), name)}
        if type(value) is dict and all(isinstance(key, str) for key in value):
            return {"dict": self._all(value, name)}
        if isinstance(value, Distribution | Transform):
            return {"class": self._class(value), "fields": self._all(lasting(value), name)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type | nn.Module):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
            return {"class": self._class(value), "arguments": self._all(fields, name)}
        if isinstance(value, Configured):
            arguments = self._all(value.configuration, name)
            described = {"class": self._class(value), "arguments": arguments}
            if isinstance(value, nn.Module) and id(value) not in self.parts:
                described["weights"] = self._all(weights_of(value), name)
            return described
        hint = "a number, a string, a tuple, a plan of networks (a dataclass), a prior"
        if isinstance(value, nn.Module):
            hint = "a module of vaebook, or one of a class that inherits from Configured"
        raise ValueError(
            f"{name} is a {type(value).__module__}.{type(value).__qualname__}, which a file cannot "
            f"describe; expected {hint}. Use save_weights(model, path), which keeps the weights "
            "only, and build the model yourself before load_weights."
        )

    def _all(self, values: Mapping[str, Any], name: str) -> dict[str, Any]:
        return {key: self.described(value, f"{name}.{key}") for key, value in values.items()}

    def _class(self, value: Any) -> str:
        """The public name of an object's class."""
        cls = type(value)
        self.classes.append(cls)
        for package in PACKAGES:
            if getattr(import_module(package), cls.__name__, None) is cls:
                return f"{package}.{cls.__name__}"
        return f"{cls.__module__}.{cls.__qualname__}"


def _check_model(model: Any) -> None:
    """Refuse what cannot be saved."""
    if isinstance(model, nn.Module) and isinstance(model, Configured):
        return
    cure = "Use save_weights" if isinstance(model, nn.Module) else "Save what it was fitted to"
    raise ValueError(
        f"a {type(model).__name__} does not keep the arguments that it was built with; expected a "
        f"model of vaebook.models that is trained, or of a class that inherits from one. {cure}."
    )


def _built(
    plan: Any, tensors: Mapping[str, Tensor], classes: Iterable[type] = (), path: str | Path = ""
) -> Any:
    """The object that ``plan`` describes; torch's global generator is left as it was."""
    with seeded(0):
        return _Reader(tensors, {cls.__qualname__: cls for cls in classes}, path).build(plan)


@dataclasses.dataclass
class _Reader:
    """Builds what :class:`_Writer` described."""

    tensors: Mapping[str, Tensor]
    classes: Mapping[str, type]
    path: str | Path

    def build(self, plan: Any) -> Any:
        """The object."""
        if isinstance(plan, list):
            return [self.build(entry) for entry in plan]
        if not isinstance(plan, dict):
            return plan
        if "tensor" in plan:
            return self.tensors[plan["tensor"]].clone()
        if "array" in plan:
            return self.tensors[plan["array"]].numpy()
        if "tuple" in plan:
            return tuple(self.build(plan["tuple"]))
        if "dict" in plan:
            return self._all(plan["dict"])
        cls = self._find(plan["class"])
        if "fields" in plan:
            value: Any = empty(cls)
            vars(value).update(self._all(plan["fields"]))
            return value
        value = rebuild(cls, self._all(plan["arguments"]))
        if "weights" in plan:
            fill(value, self._all(plan["weights"]), self.path)
        return value

    def _all(self, plans: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.build(plan) for name, plan in plans.items()}

    def _find(self, name: str) -> type:
        """The class of that name, or a ``ValueError`` if a file may not name it."""
        package, _, short = name.rpartition(".")
        for qualname, cls in self.classes.items():
            if name == qualname or name.endswith(f".{qualname}"):
                return cls
        if package in PACKAGES or package.startswith(ROOMS):
            with suppress(ImportError):
                found = getattr(import_module(package), short, None)
                kinds = (Configured, Distribution, Transform)
                plan = dataclasses.is_dataclass(found) and package.startswith("vaebook.models")
                if isinstance(found, type) and (issubclass(found, kinds) or plan):
                    return found
        raise ValueError(
            f"{self.path} holds a {name}, which is no class of vaebook. If it is yours, name it: "
            f"load_model(path, classes=[{short}])."
        )


def _converted(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """``model`` in the floating-point type of ``weights``, or in the several types of theirs."""
    kinds = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(kinds) == 1:
        return model.to(kinds.pop())
    for name, value in model.state_dict(keep_vars=True).items():
        if name in weights and value.dtype != weights[name].dtype:
            value.data = value.data.to(weights[name].dtype)
    return model


def _plain_attributes(model: nn.Module) -> dict[tuple[str, str], Any]:
    return {
        (name, key): value
        for name, part in model.named_modules()
        for key, value in vars(part).items()
        if key not in MODULE_ATTRIBUTES and key != "configuration" and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(_is_plain(entry) for entry in value)
    return type(value) in SCALARS


def _changed_attributes(model: nn.Module, twin: nn.Module) -> list[tuple[str, str, Any]]:
    """Numbers and strings in the parts of ``model`` that are not those of ``twin``."""
    built = _plain_attributes(twin)
    return [
        (name, key, _Writer(set()).described(value, key))
        for (name, key), value in _plain_attributes(model).items()
        if repr(built.get((name, key), built)) != repr(value)
    ]


def _set_attributes(model: nn.Module, attributes: Iterable[tuple[str, str, Any]]) -> None:
    for name, key, value in attributes:
        setattr(model.get_submodule(name), key, _Reader({}, {}, "").build(value))


def _changed_buffers(model: nn.Module, twin: nn.Module, writer: _Writer) -> dict[str, str]:
    """The buffers that the model's state leaves out and that training has changed.

    Returns:
        For each name its key in the file.
    """
    built = dict(twin.named_buffers())
    saved = model.state_dict().keys()
    return {
        name: writer.keep(value)
        for name, value in model.named_buffers()
        if name not in saved and name in built and not _same(value, built[name])
    }


def _same(one: Tensor, other: Tensor) -> bool:
    one, other = one.detach().cpu(), other.detach().cpu()
    return one.dtype == other.dtype and torch.equal(one, other)
