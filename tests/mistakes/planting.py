"""What a mistake is, and how it gets into a copy of the repository."""

import ast
import shutil
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
class Mistake:
    """One replacement of a snippet of the package."""

    name: str
    people: str  # what people do, and why it looks right
    file: str
    old: str  # must be found exactly once
    new: str
    caught_by: tuple[str, ...]  # tests that must fail, the most telling first


def planted(mistake: Mistake, text: str) -> str:
    """``text`` with the mistake in it.

    Raises:
        LookupError: if the snippet is not found exactly once: the package has changed, and the
            mistake must be written anew.
    """
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
    """A copy without byte code, which could outlive the source it was made from."""
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "_build")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=ignore)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target
