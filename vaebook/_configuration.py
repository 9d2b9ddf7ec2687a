"""What an object was built with, so that a file can tell how to build it again."""

import functools
import inspect
from contextlib import nullcontext
from typing import Any

from torch import nn

from vaebook._random import unseeded

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Configured:
    """Keeps the arguments that an object was built with in ``configuration``, by their names.

    Defaults are among them. A subclass with an ``__init__`` of its own needs to do nothing.
    """

    configuration: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls.__init__, "records"):
            type.__setattr__(cls, "__init__", _recording(cls.__init__))


def _recording(init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 (it takes its place)
        if "configuration" in vars(self):  # this is the __init__ of a base class
            init(self, *args, **kwargs)
            return
        with unseeded() if isinstance(self, nn.Module) else nullcontext():  # it draws weights
            try:
                bound = signature.bind(self, *args, **kwargs)
            except TypeError:  # the call itself says so better
                init(self, *args, **kwargs)
                return
            bound.apply_defaults()
            vars(self)["configuration"] = {
                name: list(value) if type(value) is list else value
                for name, value in list(bound.arguments.items())[1:]
                if signature.parameters[name].kind not in VARIABLE or value
            }
            init(self, *args, **kwargs)

    vars(__init__)["records"] = True
    return __init__


def rebuild(cls: type, configuration: dict[str, Any]) -> Any:
    """A new object of ``cls`` from the arguments that :class:`Configured` kept."""
    signature = inspect.signature(cls)
    known = {name: configuration[name] for name in signature.parameters if name in configuration}
    bound = inspect.BoundArguments(signature, known)
    return cls(*bound.args, **bound.kwargs)
