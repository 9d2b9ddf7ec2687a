"""Plant random small mistakes in the package, and list those that no test notices.

python -m pip install cosmic-ray
python -m tools.mutate --number 100 --seed 0

The operators are cosmic-ray's. First the tests run on the sound package, and note which line each
of them runs; what fails there, has no say later. A mutant then meets the tests that run its line,
and after them the rest of their files, the quickest first: half a minute's worth. What survives
may still fall to slower tests, to chapters or to a test of the experiments. Of a mutant whose code
needs a GPU, nothing is said without one.
"""

import argparse
import ast
import importlib
import multiprocessing
import pickle
import random
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from coverage import Coverage

from tests.mistakes import copy_repository, running

PACKAGES = ("distributions", "models", "training", "metrics")
SECONDS = 30  # of tests, as long as they take on the sound package
SURVIVED, FAILED, BROKEN = 0, 1, 2  # pytest's exit codes; the last is an error on import
# Of the operators for operators: what is an error at once tells nothing.
REPLACED = {
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "FloorDiv_Mul", "Mod_FloorDiv"),
    *("Delete_USub", "Delete_Not", "Delete_Invert", "Is_IsNot", "IsNot_Is"),
    *(
        f"{one}_{other}"
        for one, other in permutations(("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"), 2)
    ),
}
# Arguments that no result depends on: a check, another of what has been checked, and who waits.
NO_RESULT = {"strict", "validate_args", "non_blocking"}
OPERATORS = [
    get_operator(name)
    for name in operator_names()
    if (kind := name.partition("Operator_")[2]) in REPLACED or (not kind and "Variable" not in name)
]


def computes(node: Any) -> bool:
    """Whether a node is part of more than annotations, imports and messages."""
    while parent := node.parent:
        if parent.type in {"raise_stmt", "fstring", "import_name", "import_from", "tfpdef"}:
            return False
        if parent.type == "argument" and parent.get_first_leaf().value in NO_RESULT:
            return False
        if parent.type == "parameters" and node.type == "operator":  # a lone *
            return False
        if parent.type == "funcdef" and node is parent.annotation:
            return False
        if parent.type == "annassign" and node is parent.children[1]:
            return False
        node = parent
    return True


def mutants(path: Path) -> dict[int, list[tuple[type, int]]]:
    """For each line, the operators that change it, and which of their places in the file it is."""
    by_line: dict[int, list[tuple[type, int]]] = {}
    nodes = list(ast_nodes(get_ast(path.read_text(encoding="utf-8"))))
    for operator in OPERATORS:
        places = [(node, at) for node in nodes for at in operator().mutation_positions(node)]
        for place, (node, ((line, _), _)) in enumerate(places):
            if computes(node):
                by_line.setdefault(line, []).append((operator, place))
    return by_line


@dataclass
class Sound:
    """What the tests do on the sound package."""

    seconds: dict[str, float] = field(default_factory=dict)  # of each test that passes
    failed: set[str] = field(default_factory=set)
    tests: dict[str, dict[int, set[str]]] = field(default_factory=dict)  # which run a file's line


class Watch:
    """A plugin of pytest that notes which lines each test runs, and for how long."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage, self.sound = coverage, Sound()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around each test."""
        start = time.process_time()
        self.coverage.switch_context(item.nodeid)
        yield
        self.coverage.switch_context("")
        self.sound.seconds[item.nodeid] = time.process_time() - start

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After each test."""
        if report.failed:
            self.sound.failed.add(report.nodeid)


class Choice:
    """A plugin of pytest that runs chosen tests only, in their order."""

    def __init__(self, chosen: list[str]) -> None:
        self.place = {test: place for place, test in enumerate(chosen)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """After collection."""
        items[:] = [item for item in items if item.nodeid in self.place]
        items.sort(key=lambda item: self.place[item.nodeid])


def watch_tests(root: Path, folders: list[str]) -> None:
    """In a process of its own, run the tests of ``folders``, and write what they do to a file."""
    here = [str(root / "vaebook" / name / "*") for name in PACKAGES]
    coverage = Coverage(data_file=None, config_file=False, include=here, messages=False)
    watch = Watch(coverage)
    coverage.start()
    try:
        run_pytest(root, folders, watch)
    finally:
        coverage.stop()
        data = coverage.get_data()
        for name in data.measured_files():
            tests = watch.sound.tests[str(Path(name).relative_to(root))] = {}
            for line, contexts in data.contexts_by_lineno(name).items():
                tests[line] = set(contexts)
        (root / "sound").write_bytes(pickle.dumps(watch.sound))


def run_pytest(root: Path, tests: list[str], plugin: object, *options: str) -> None:
    """In a process of its own."""
    pytest.main = partial(pytest.main, plugins=[plugin])
    options = ("-q", "-p", "no:cacheprovider", "--tb=line", *options)
    running.pytest_in(root, [*options, *tests], root / "log.txt")


def run_chosen(root: Path, chosen: list[str], seconds: float) -> None:
    """In a process of its own, until one fails; an endless loop is cut off."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    files = dict.fromkeys(test.partition("::")[0] for test in chosen)
    run_pytest(root, [*files], Choice(chosen), "-x")


def around(text: str, line: int) -> list[range]:
    """The lines of all that a line is part of: its expressions, statements, functions, the file."""
    found = [range(1, text.count("\n") + 2)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.expr | ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            found.append(range(node.lineno, (node.end_lineno or 0) + 1))
    return sorted(found, key=len)


def tests_of(sound: Sound, file: str, text: str, line: int) -> tuple[list[str], bool]:
    """The tests to run, half a minute's worth, and whether one of them runs the line itself."""
    by_line = sound.tests.get(file, {})
    lines = [range(line, line + 1), *around(text, line)]
    near = [set().union(*(by_line.get(each, ()) for each in inside)) for inside in lines]
    seen = any(near[:2])  # on import, at least
    nearest = next((tests - {""} for tests in near if tests - {""}), set())
    nearest &= sound.seconds.keys()
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in sound.seconds:
        by_file[test.partition("::")[0]].append(test)

    def order(test: str) -> tuple[bool, float]:
        return test not in nearest, sound.seconds[test]

    def distance(name: str) -> tuple[bool, float]:
        direct = [test for test in by_file[name] if test in nearest]
        seconds = sum(sound.seconds[test] for test in direct)
        return Path(name).stem != f"test_{Path(file).stem}", seconds

    files = {test.partition("::")[0] for test in nearest}
    chosen, left = [], float(SECONDS)
    for most in (True, False):  # what runs the line, of every file, before the rest of the files
        for name in sorted(files, key=distance):
            for test in sorted(by_file[name], key=order):
                if (test in nearest) == most and left > 0:
                    chosen.append(test)
                    left -= sound.seconds[test]
    return chosen, seen


def needs_gpu(text: str, line: int) -> bool:
    """Whether the file is about CUDA, or the function around the line names it."""
    tree = ast.parse(text)
    if "CUDA" in (ast.get_docstring(tree) or ""):
        return True
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = [node for node in functions if node.lineno <= line <= (node.end_lineno or 0)]
    return any("cuda" in ast.unparse(node) for node in inside)


def run(context: Any, seconds: float | None, target: Any, *arguments: object) -> int:
    """A process and its exit code."""
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode or 0


def verdict_of(context: Any, root: Path, chosen: list[str], sound: Sound) -> str:
    """Of the mutant that is in the copy at ``root``: the first file alone may do, and is quick."""
    if not chosen:  # no test runs anything of the file
        return "SURVIVED"
    first = [test for test in chosen if test.partition("::")[0] == chosen[0].partition("::")[0]]
    for tests in (first, [test for test in chosen if test not in {*first}]):
        if not tests:
            continue
        limit = 30 + 3 * sum(sound.seconds[test] for test in tests)
        code = run(context, 10 * limit, run_chosen, root, tests, limit)
        if code < 0:
            return "hung"
        if code not in (SURVIVED, FAILED, BROKEN):
            raise RuntimeError((root / "log.txt").read_text(errors="replace"))
        if code != SURVIVED:
            return "killed"
    return "SURVIVED"


def main() -> None:
    """Draw the mutants, and run the tests on each."""
    parser = argparse.ArgumentParser(description="Mutants that no test notices.")
    parser.add_argument("--number", type=int, default=100, help="how many lines are mutated")
    parser.add_argument("--skip", type=int, default=0, help="how many to pass over")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", nargs="*", default=PACKAGES, choices=PACKAGES)
    options = parser.parse_args()
    for name in (*running.PRELOADED, "playwright.sync_api", "xdist.remote"):
        importlib.import_module(name)  # once, and forked
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        root = copy_repository(Path(folder) / "copy")
        found = [root / "vaebook" / name for name in PACKAGES]
        paths = sorted(path for each in found for path in each.rglob("*.py"))
        lines = [(path, line, at) for path in paths for line, at in sorted(mutants(path).items())]
        draw = random.Random(options.seed)
        draw.shuffle(lines)
        drawn = [(path, line, *draw.choice(at)) for path, line, at in lines]
        run(context, None, watch_tests, root, [f"tests/vaebook/{name}" for name in PACKAGES])
        sound: Sound = pickle.loads((root / "sound").read_bytes())
        print(f"{len(sound.seconds)} tests, {sum(sound.seconds.values()):.0f} s", flush=True)
        for test in sorted(sound.failed):
            print(f"fails on the sound package: {test}", flush=True)
            sound.seconds.pop(test, None)
        count: Counter[str] = Counter()
        for path, line, operator, place in drawn[options.skip :][: options.number]:
            file, text = str(path.relative_to(root)), path.read_text(encoding="utf-8")
            if path.relative_to(root / "vaebook").parts[0] not in options.only:
                continue
            mutated = mutate_code(text, operator(), place)
            chosen, seen = tests_of(sound, file, text, line)
            if not seen and not torch.cuda.is_available() and needs_gpu(text, line):
                verdict = "no GPU"
            else:
                path.write_text(mutated, encoding="utf-8")
                verdict = verdict_of(context, root, chosen, sound)
                path.write_text(text, encoding="utf-8")
            count[verdict] += 1
            new = " ".join(mutated.splitlines()[line - 1].split())
            note = "" if seen else "  [no test runs it]"
            print(f"{verdict:8} {file}:{line} {operator.__name__}: {new}{note}", flush=True)
    caught, tried = count["killed"] + count["hung"], count.total() - count["no GPU"]
    print(
        f"{caught} of {tried} noticed: {count['killed']} by a test that failed, {count['hung']} by "
        f"tests that did not end; {count['SURVIVED']} survived; {count['no GPU']} not tried, for "
        f"they need a GPU"
    )


if __name__ == "__main__":
    main()
