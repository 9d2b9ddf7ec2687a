"""``python warm.py JOBS``: commands of Python in processes that are forked from this one.

Each is a process of its own, with its own arguments, environment and folder, and so is what it
starts in its turn; but torch and Lightning are imported once, not once for each. ``JOBS`` is a JSON
list of folders with the commands that run at once there, one folder after the other.
Where processes cannot well be forked, outside of Linux, they are started as usual.
"""

import gc
import importlib
import inspect
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
IMPORTED_ONCE = (
    *("lightning", "torch.distributed.run", "torch.distributed.launcher.api"),
    *("vaebook.training.lightning", "vaebook.models", "vaebook.metrics"),
)
TIMEOUT = 300  # seconds


class Ended(NamedTuple):
    """A command that has ended: its exit code and all that it printed."""

    code: int
    log: str


def run_warm(*jobs: tuple[Path, Sequence[Sequence[object]]]) -> list[list[Ended]]:
    """Run commands, each a list that begins after ``python``: for each folder what came of them."""
    told = json.dumps([[str(at), [list(map(str, line)) for line in lines]] for at, lines in jobs])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, __file__, told],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [[Ended(*each) for each in job] for job in json.loads(done.stdout)]


# ---------------------------------------------------------------- in the warm process


class ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Starts processes as usual, but forks those of this Python."""

    def _execute_child(self, *arguments: Any) -> None:
        as_usual = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(as_usual).bind(*arguments).arguments
        python, *rest = [given["args"]] if given["shell"] else given["args"]
        if python != sys.executable or (rest[0] not in ("-u", "-m") and rest[0].startswith("-")):
            return as_usual(*arguments)
        self.pid = os.fork()
        if self.pid == 0:
            become(rest, given)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(given[end] for end in pipes))  # type: ignore[attr-defined]
        return None


def become(arguments: list[str], given: dict[str, Any]) -> NoReturn:
    """In the new process: the script or the module that the arguments name, to its end."""
    code = 1
    try:
        if given["start_new_session"]:
            os.setsid()
        for number, end in enumerate(("p2cread", "c2pwrite", "errwrite")):
            if given[end] != -1:
                os.dup2(given[end], number)
        os.chdir(given["cwd"] or os.curdir)
        if given["env"] is not None:
            os.environ.clear()
            os.environ.update(given["env"])
        while arguments[0] == "-u":
            del arguments[0]
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path[0] = os.getcwd()
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = str(Path(arguments[0]).resolve().parent)
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_at_once(folder: str, commands: list[list[str]]) -> list[tuple[int, str]]:
    """Exit codes and logs."""
    with ExitStack() as files:
        logs = [
            files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in commands
        ]
        processes = [
            subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for command, log in zip(commands, logs, strict=True)
        ]
        try:
            codes = [process.wait(TIMEOUT) for process in processes]
        finally:
            for process in processes:
                process.kill()  # one that hangs; of one that has ended there is nothing to kill
        for log in logs:
            log.seek(0)
        return [(code, log.read()) for code, log in zip(codes, logs, strict=True)]


def main(jobs: list[tuple[str, list[list[str]]]]) -> None:
    """Run them all and print, as JSON, what came of them."""
    if sys.platform == "linux":
        subprocess.Popen = ForkingPopen  # type: ignore[misc]  # before others take its name
        for name in IMPORTED_ONCE:
            importlib.import_module(name)
        gc.freeze()
    print(json.dumps([run_at_once(folder, commands) for folder, commands in jobs]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
