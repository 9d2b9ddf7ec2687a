"""``python -m tests.mistakes``: plant each mistake, run the tests, report what caught it."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import Queue

from tests.mistakes import HARMLESS, MISTAKES, Mistake, copy_repository, plant
from tests.mistakes.digits import corrupt_a_digit
from tests.mistakes.planting import ROOT
from tests.mistakes.running import Outcome, run_tests, start_processes_from_a_warm_one

# Slow, or not about what the package computes.
NOT_OF_THE_PACKAGE = {"test_package", "test_gpu"}
CONTROL = Mistake("no-mistake", "None, for control: the copy must pass.", "", "", "", ())
NBVAL = ("--nbval", "--nbval-current-env", "--nbval-cell-timeout=300")


@dataclass(frozen=True)
class Row:
    """A line of the report."""

    name: str
    people: str
    good: bool  # a mistake was caught, a control passed
    by: tuple[str, ...]
    why: str
    seconds: float


def package_tests() -> list[str]:
    """The test files of the package."""
    paths = sorted((ROOT / "tests" / "vaebook").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in paths if path.stem not in NOT_OF_THE_PACKAGE]


def chapters() -> list[str]:
    """The notebooks of the book."""
    return [f"book/{path.name}" for path in sorted((ROOT / "book").glob("*.ipynb"))]


def row_of(mistake: Mistake, outcome: Outcome, seconds: float) -> Row:
    """What the report says of one mistake."""
    if outcome.caught:
        why = outcome.failures[0][1]
    elif outcome.code == 0:
        why = "all tests passed"
    else:
        why = f"exit code {outcome.code}: {outcome.log.strip()[-2000:]}"
    by = tuple(name for name, _ in outcome.failures)
    return Row(mistake.name, mistake.people, outcome.caught, by, why, round(seconds, 1))


def try_mistake(
    mistake: Mistake, root: Path, context: BaseContext, options: argparse.Namespace
) -> Row:
    """Its own tests first, then all tests of the package, then the chapters, until one fails."""
    start = time.perf_counter()
    stages: list[Callable[[], Outcome]] = []
    run = partial(run_tests, context, root)
    if not options.thorough:
        stages.append(partial(run, mistake.caught_by))
    if not options.quick:
        stages.append(partial(run, package_tests(), stop_early=not options.thorough))
        if not options.no_chapters and chapters():
            stages.append(partial(run, [*NBVAL, *chapters()]))
    with plant(mistake, root):
        for stage in stages:
            outcome = stage()
            if outcome.caught:
                break
    return row_of(mistake, outcome, time.perf_counter() - start)


def try_digit(chapter: str, root: Path, context: BaseContext) -> Row:
    """One stored digit of a chapter changed; the chapter run again."""
    start = time.perf_counter()
    with corrupt_a_digit(root / chapter) as change:
        outcome = run_tests(context, root, [*NBVAL, chapter])
    mistake = Mistake(f"stored-digit-of-{Path(chapter).stem}", change, chapter, "", "", ())
    return row_of(mistake, outcome, time.perf_counter() - start)


def control(root: Path, context: BaseContext, options: argparse.Namespace) -> Row:
    """The sound copy must pass: else every mistake would seem to be caught."""
    start = time.perf_counter()
    tests = package_tests()
    if options.quick:
        tests = sorted({test for mistake in options.mistakes for test in mistake.caught_by})
    outcome = run_tests(context, root, tests)
    row = row_of(CONTROL, outcome, time.perf_counter() - start)
    return replace(row, good=outcome.code == 0)


def harmless(root: Path, context: BaseContext, options: argparse.Namespace) -> Row:
    """A planted change that changes no result must pass: planting itself breaks nothing."""
    start = time.perf_counter()
    with plant(HARMLESS, root):
        outcome = run_tests(context, root, HARMLESS.caught_by)
    row = row_of(HARMLESS, outcome, time.perf_counter() - start)
    return replace(row, good=outcome.code == 0)


def shorten(text: str, length: int) -> str:
    """One line for a table."""
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= length else text[: length - 1] + "…"


def table(rows: list[Row]) -> str:
    """The report."""
    lines = [
        "| mistake | what people do | as it should be | failed | why | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        by = row.by[0] if row.by else ""
        by += f" and {len(row.by) - 1} more" if len(row.by) > 1 else ""
        good = "yes" if row.good else "**no**"
        cells = (row.name, shorten(row.people, 200), good, by, shorten(row.why, 160), row.seconds)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


@contextmanager
def copies(number: int) -> Iterator["Queue[Path]"]:
    """As many copies of the repository, to be taken and given back."""
    with tempfile.TemporaryDirectory(prefix="mistakes-") as folder:
        free: Queue[Path] = Queue()
        for index in range(number):
            free.put(copy_repository(Path(folder) / str(index)))
        yield free


def main() -> int:
    """Parse the command line, run everything, print and write the report."""
    names = [mistake.name for mistake in MISTAKES]
    parser = argparse.ArgumentParser(prog="python -m tests.mistakes", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mistakes to plant (default all)")
    parser.add_argument("--quick", action="store_true", help="each mistake's own tests only")
    parser.add_argument("--thorough", action="store_true", help="list all tests that fail")
    parser.add_argument("--no-chapters", action="store_true", help="leave the notebooks out")
    parser.add_argument("--jobs", type=int, default=2, help="mistakes at a time (default 2)")
    parser.add_argument("--report", type=Path, default=ROOT / "_build" / "mistakes.md")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(
            f"no mistake {', '.join(sorted(unknown))}; expected some of {', '.join(names)}"
        )
    options.mistakes = [m for m in MISTAKES if not options.names or m.name in options.names]
    digits = [] if options.quick or options.no_chapters or options.names else chapters()

    context = start_processes_from_a_warm_one()
    with copies(options.jobs) as free, ThreadPoolExecutor(options.jobs) as pool:

        def in_a_copy(attempt: Callable[[Path], Row]) -> Row:
            root = free.get()
            try:
                row = attempt(root)
            finally:
                free.put(root)
            print(f"{'good' if row.good else 'BAD '} {row.seconds:6.1f} s  {row.name}")
            for name in row.by[:1]:
                print(f"                {name}", flush=True)
            return row

        attempts: list[Callable[[Path], Row]] = [
            partial(control, context=context, options=options),
            partial(harmless, context=context, options=options),
            *(partial(try_mistake, m, context=context, options=options) for m in options.mistakes),
            *(partial(try_digit, chapter, context=context) for chapter in digits),
        ]
        rows = list(pool.map(in_a_copy, attempts))

    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(table(rows), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    bad = [row.name for row in rows if not row.good]
    print(f"{len(rows) - len(bad)} of {len(rows)} as they should be; report in {options.report}")
    for name in bad:
        print(f"NOT AS IT SHOULD BE: {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
