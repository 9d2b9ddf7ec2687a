"""Small books that a test has built, by Sphinx in this process: most of a build is to begin."""

import gc
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from sphinx.cmd.build import main
from sphinx.config import Config

from tests.conftest import run


def sphinx(*arguments: object) -> tuple[int, str, str]:
    """Run ``sphinx-build``: the exit code, what it prints, and its warnings and errors."""
    return called(main, *arguments)


def jupyter_book(*arguments: object) -> tuple[int, str, str]:
    """Run ``jupyter-book``, like :func:`sphinx`, but in a process of its own.

    Its table of contents looks through all objects of the process, and breaks off at one that a
    test has left half alive.
    """
    command = ("-c", "from jupyter_book.cli.main import main; main()")
    done = run(sys.executable, *command, *arguments, env={**os.environ, "PYTHONUTF8": "1"})
    return done.returncode, done.stdout, done.stderr


def called(command: Callable[[list[str]], int], *arguments: object) -> tuple[int, str, str]:
    """Run the entry point of a command that builds a book."""
    out, err = io.StringIO(), io.StringIO()
    with nothing_left_to_the_next(), redirect_stdout(out), redirect_stderr(err):
        try:
            code = command([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), err.getvalue()


@contextmanager
def nothing_left_to_the_next() -> Iterator[None]:
    """Put back what a build changes, and forget what it imported from a folder of its own."""
    path, modules, collects = sys.path[:], set(sys.modules), gc.isenabled()
    suffixes = Config.config_values["source_suffix"].default  # extensions add theirs to it
    before = dict(suffixes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own, at which a build does not stop either
            yield
    finally:
        own = [Path(folder) for folder in sys.path if folder not in path]
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).parent in own:
                del sys.modules[name]
        sys.path[:] = path
        suffixes.clear()
        suffixes.update(before)
        if collects:
            gc.enable()
