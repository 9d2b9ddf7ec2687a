"""The directive ``{source}``: show the real source of a package object.

    ```{source} vaebook.distributions.gaussian.gaussian_kl
    ```

The code is read from the installed package when the book is built, so text and code cannot drift
apart. Docstrings are left out (the API page, to which the caption links, has them). An object that
does not exist is a warning, and warnings are fatal.
"""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


def find_object(path: str) -> tuple[Any, ModuleType, str]:
    """Import the object at a dotted path.

    Returns:
        The object, the deepest module on its path, and the rest of the path ("Class.method").

    Raises:
        LookupError: if no module or no attribute of that name exists.
    """
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name + ".").startswith(error.name + "."):
                continue  # this prefix is not a module; try a shorter one
            raise
        found: Any = module
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                raise LookupError(f"module {name} has no {'.'.join(parts[cut:])}")
            found = getattr(found, attribute)
        return found, module, ".".join(parts[cut:])
    raise LookupError(f"there is no module {parts[0]}")


def public_name(found: Any, path: str) -> str:
    """The shortest name under which a package's ``__all__`` exports the object, else its path.

    A method is named after its class: ``vaebook.models.vae.VAE.elbo`` is exported as
    ``vaebook.models.VAE.elbo``.
    """
    module = getattr(found, "__module__", None) or path.rpartition(".")[0]
    owner, _, rest = getattr(found, "__qualname__", path.rpartition(".")[2]).partition(".")
    packages = module.split(".")
    for depth in range(1, len(packages) + 1):
        package = sys.modules.get(".".join(packages[:depth]))
        if owner in getattr(package, "__all__", ()):
            return ".".join([*packages[:depth], owner, *([rest] if rest else [])])
    return ".".join([module, owner, *([rest] if rest else [])])


def without_tool_comments(source: str) -> str:
    """The source less its notes to the linter and the type checker."""
    return re.sub(r"[ \t]*# (?:type: ignore|noqa)[^\n#]*", "", source)


def without_docstrings(source: str) -> str:
    """The source, dedented, less the docstring of the object and of everything defined in it."""
    source = textwrap.dedent(source)
    lines = source.splitlines()
    drop: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        first = node.body[0]
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            continue
        if not isinstance(first.value.value, str):
            continue
        start, stop = first.lineno - 1, first.end_lineno or first.lineno
        if len(node.body) == 1:  # nothing but a docstring: keep the block valid
            lines[start] = " " * first.col_offset + "..."
            start += 1
        else:
            while stop < len(lines) and not lines[stop].strip():
                stop += 1  # the blank lines that followed the docstring
        drop.update(range(start, stop))
    return "\n".join(line for i, line in enumerate(lines) if i not in drop).rstrip() + "\n"


class SourceDirective(SphinxDirective):
    """``{source} dotted.path`` with the options ``name`` (a label) and ``docstring`` (keep it)."""

    required_arguments = 1
    option_spec: ClassVar = {"name": directives.unchanged, "docstring": directives.flag}

    def run(self) -> list[nodes.Node]:
        path = self.arguments[0]
        try:
            found, module, _ = find_object(path)
            target = inspect.unwrap(getattr(found, "fget", found))  # a property shows its getter
            source = inspect.getsource(target)
            filename = Path(inspect.getsourcefile(target) or "")
        except (LookupError, TypeError, OSError, ImportError) as error:
            logger.warning("source: cannot show %s: %s", path, error, location=self.get_location())
            return []
        strip = textwrap.dedent if "docstring" in self.options else without_docstrings
        code = without_tool_comments(strip(source))
        self.env.note_dependency(str(filename))

        name = public_name(target, path)
        top = importlib.import_module(module.__name__.partition(".")[0])
        root = Path(inspect.getsourcefile(top) or "").parent.parent
        shown = filename.relative_to(root).as_posix()

        block = nodes.literal_block(code, code, language="python")
        self.set_source_info(block)
        link = addnodes.pending_xref(
            "",
            nodes.literal("", name, classes=["xref", "py"]),
            refdomain="py",
            reftype="obj",
            reftarget=name,
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,  # an object that the API page lacks is a warning
        )
        caption = nodes.caption("", "", link, nodes.Text(" in "), nodes.literal("", shown))
        self.set_source_info(caption)
        self.set_source_info(link)
        wrapper = nodes.container(
            "", caption, block, literal_block=True, classes=["literal-block-wrapper", "source"]
        )
        self.set_source_info(wrapper)
        # numbered like a captioned code block: "Listing 1.1"
        self.options.setdefault("name", f"source {self.env.docname.rpartition('/')[2]} {name}")
        self.add_name(wrapper)
        return [wrapper]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("source", SourceDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
