"""Fields of a NamedTuple are documented by the comment at the end of their line.

Python gives each field the docstring "Alias for field number 0", which tells a reader nothing. The
comment in the source does; a field without one stands with its type alone.
"""

import ast
import importlib
import inspect
import re
import textwrap
from functools import cache
from typing import Any

from sphinx.application import Sphinx

ALIAS = re.compile(r"Alias for field number \d+")
MARKUP = re.compile(r"([\\*`|_])")


@cache
def comments(owner: type) -> dict[str, str]:
    """The comment at the end of the line of each annotated field of a class."""
    source = textwrap.dedent(inspect.getsource(owner))
    lines = source.splitlines()
    tree = ast.parse(source).body[0]
    found = {}
    for field in getattr(tree, "body", ()):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            rest = lines[(field.end_lineno or field.lineno) - 1].encode()[field.end_col_offset :]
            comment = rest.decode().strip()
            if comment.startswith("#"):
                found[field.target.id] = comment.lstrip("# ")
    return found


def describe(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Replace the docstring of a field by its comment."""
    if not any(ALIAS.fullmatch(line.strip()) for line in lines):
        return
    path, _, field = name.rpartition(".")
    module, _, owner = path.rpartition(".")
    found: Any = getattr(importlib.import_module(module), owner)
    comment = comments(found).get(field, "")
    lines[:] = [MARKUP.sub(r"\\\1", comment)] if comment else []


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", describe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
