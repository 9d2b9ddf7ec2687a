"""What a mistake is, and how it gets into a copy of the repository."""

import ast
import compileall
import py_compile
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the tests and the chapters need; the working tree itself is never touched.
COPIED = (
    *("vaebook", "tests", "book", "benchmarks", "tools"),
    *("README.md", "pyproject.toml", "_toc.yml", "_config.yml"),
)


@dataclass(frozen=True)
class Body:
    """All of a function but its signature and its docstring, however it is written."""

    function: str  # such as "gaussian_kl" or "VAE.rate"

    def replaced(self, text: str, new: str) -> str:
        """``text`` with this body replaced by ``new``, which may be indented as one likes."""
        names = self.function.split(".")
        node: ast.AST = ast.parse(text)
        for name in names:
            inside = (
                each for each in ast.iter_child_nodes(node) if getattr(each, "name", "") == name
            )
            node = next(inside, ast.Pass())
        if not isinstance(node, ast.FunctionDef):
            raise LookupError(f"there is no function {self.function}; write the mistake anew.")
        rest = node.body[1:] if ast.get_docstring(node) is not None else node.body
        lines = text.splitlines(keepends=True)
        indent = " " * rest[0].col_offset
        body = textwrap.indent(textwrap.dedent(new).strip("\n") + "\n", indent)
        return "".join([*lines[: rest[0].lineno - 1], body, *lines[rest[-1].end_lineno :]])


@dataclass(frozen=True)
class Mistake:
    """One replacement in the package: of a function's body, or where that is long, of a snippet."""

    name: str
    people: str  # what people do, and why it looks right
    file: str
    old: Body | str  # a snippet must be found exactly once
    new: str
    caught_by: tuple[str, ...]  # tests that must fail, the most telling first


def planted(mistake: Mistake, text: str) -> str:
    """``text`` with the mistake in it.

    Raises:
        LookupError: if the function is not there, or the snippet not exactly once: the package has
            changed, and the mistake must be written anew.
    """
    if isinstance(mistake.old, Body):
        changed = mistake.old.replaced(text, mistake.new)
    else:
        found = text.count(mistake.old)
        if found != 1:
            raise LookupError(
                f"{mistake.name}: its snippet is found {found} times in {mistake.file}, expected "
                f"once. The code has changed; write the mistake anew:\n{mistake.old}"
            )
        changed = text.replace(mistake.old, mistake.new)
    if ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text)):
        raise LookupError(f"{mistake.name}: the replacement changes nothing but the layout.")
    return changed


@contextmanager
def plant(mistake: Mistake, root: Path) -> Iterator[None]:
    """Have the mistake in the copy at ``root`` inside the block, and the sound code after it."""
    if root.resolve() == ROOT:
        raise ValueError("a mistake is planted into a copy, never into the working tree.")
    path = root / mistake.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(planted(mistake, sound), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(sound, encoding="utf-8")


def copy_repository(target: Path) -> Path:
    """A copy with byte code of the package, so that no process needs to compile it again.

    It holds the hash of the source that it was made from, so that it cannot outlive it: Python
    compiles a file that has a mistake in it anew.
    """
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "_build")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=ignore)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    compileall.compile_dir(
        target / "vaebook",
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )
    return target
