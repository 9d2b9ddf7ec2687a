"""Run tests on a copy of the repository, each time in a process of its own.

Starting Python and importing torch takes longer than most tests. On Linux the processes are
therefore forked from one that has imported all that vaebook needs, but not vaebook.
"""

import gc
import multiprocessing
import os
import re
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mistakes.planting import ROOT

PRELOADED = [
    *("torch", "torch.distributions", "torch.func", "torch.optim", "torch.testing"),
    *("torch._dynamo", "numpy", "pandas", "scipy.integrate", "scipy.optimize", "scipy.special"),
    *("scipy.stats", "sklearn.datasets", "sklearn.mixture", "sklearn.decomposition", "seaborn"),
    *("matplotlib.pyplot", "safetensors.torch", "pooch", "requests", "jaxtyping", "tqdm.auto"),
    *("hypothesis", "hypothesis.strategies", "pytest", "nbval.plugin", "http.server"),
    *("playwright.sync_api", "filelock", "xdist.remote", "xdist.scheduler", "zuko"),
    *("pikepdf", "yaml", "lxml.html", "lxml.html.builder"),
    # what pytest would load itself, in each process anew
    *("_hypothesis_pytestplugin", "xdist.plugin", "xdist.looponfail", "pdb", "readline"),
    *("_pytest.assertion.rewrite", "_pytest.cacheprovider", "_pytest.capture", "_pytest.doctest"),
    *("_pytest.debugging", "_pytest.faulthandler", "_pytest.junitxml", "_pytest.logging"),
    *("_pytest.runner", "_pytest.skipping", "_pytest.terminal", "_pytest.unittest"),
]
TIMEOUT = 1800  # seconds
FAILED = 1  # pytest's exit code when tests ran and some failed
WRONG_PACKAGE = 70


@dataclass(frozen=True)
class Outcome:
    """What a run of tests came to."""

    code: int
    failures: tuple[tuple[str, str], ...]  # node id and the first line of what went wrong
    errors: tuple[str, ...]  # what could not be run: collection, fixtures
    seconds: float
    log: str

    @property
    def caught(self) -> bool:
        """A test ran and failed; a suite that could not even be imported has caught nothing."""
        return self.code == FAILED and bool(self.failures) and not self.errors


def start_processes_from_a_warm_one() -> multiprocessing.context.BaseContext:
    """The context that :func:`run_tests` starts its processes in. Call it once."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run_tests(
    context: multiprocessing.context.BaseContext,
    root: Path,
    arguments: Sequence[str],
    *,
    stop_early: bool = True,
) -> Outcome:
    """Run pytest with ``arguments`` in the copy at ``root``."""
    log, report = root / "log.txt", root / "report.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-p", "no:cacheprovider", "--tb=line", f"--junitxml={report}"]
    options += ["-x"] if stop_early else []
    start = time.perf_counter()
    process = context.Process(target=pytest_in, args=(root, [*options, *arguments], log))  # type: ignore[attr-defined]
    process.start()
    process.join(TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()
    seconds = time.perf_counter() - start
    failures, errors = read_report(report) if report.is_file() else ([], [])
    return Outcome(
        process.exitcode, tuple(failures), tuple(errors), seconds, log.read_text(errors="replace")
    )


def pytest_in(root: Path, arguments: list[str], log: Path) -> None:
    """In the new process: the copy's package and the copy's tests, output into the log."""
    gc.freeze()  # what was imported before need not be looked through: pytest collects often
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(root)
    ours = ("tests", "vaebook", "benchmarks")
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    sys.path = [str(root), *(place for place in sys.path if Path(place or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(root)  # for the kernels of notebooks, and other processes
    sys.dont_write_bytecode = True
    import pytest

    import vaebook

    if root.resolve() not in Path(vaebook.__file__).resolve().parents:
        print(f"vaebook was imported from {vaebook.__file__}, not from the copy")
        sys.exit(WRONG_PACKAGE)
    sys.exit(int(pytest.main(arguments)))


def read_report(report: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Failures with their reasons, and errors, in a report in JUnit's format."""
    failures, errors = [], []
    for case in ET.parse(report).iter("testcase"):
        place, name = case.get("classname", ""), case.get("name", "")
        is_chapter = place.endswith(".ipynb")
        path = place.removesuffix(".ipynb").replace(".", "/") + (".ipynb" if is_chapter else ".py")
        failures += [
            (f"{path}::{name}", _reason(failure, is_chapter)) for failure in case.iter("failure")
        ]
        errors += [f"{path}::{name}" for _ in case.iter("error")]
    return failures, errors


def _reason(failure: ET.Element, is_chapter: bool) -> str:
    """The line that says what went wrong."""
    text = (failure.text if is_chapter else failure.get("message")) or ""
    lines = re.sub(r"(#x1B|\x1b)\[[\d;]*m", "", text).strip().splitlines() or [""]
    if is_chapter:  # nbval's message is the same for every failure; its text shows what differs
        telling = [line for line in lines if re.match(r"\w*Error\b|\s*- ", line)]
        return (telling or lines)[0].strip()
    return lines[0]
