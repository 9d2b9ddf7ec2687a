"""Small books that a test has Sphinx build, in this process: most of a build is to begin."""

import gc
import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout

from sphinx.cmd.build import main
from sphinx.config import Config


def sphinx(*arguments: object) -> tuple[int, str, str]:
    """Run ``sphinx-build``: the exit code, what it prints, and its warnings and errors.

    Extensions stay imported; all else that a build would leave to the next one is put back.
    """
    out, err = io.StringIO(), io.StringIO()
    path, collects = sys.path[:], gc.isenabled()
    suffixes = Config.config_values["source_suffix"].default  # extensions add theirs to it
    before = dict(suffixes)
    try:
        with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
            warnings.simplefilter("ignore")  # Python's own, at which a build does not stop either
            code = main([str(argument) for argument in arguments])
    finally:
        sys.path[:] = path
        suffixes.clear()
        suffixes.update(before)
        if collects:
            gc.enable()
    return code, out.getvalue(), err.getvalue()
