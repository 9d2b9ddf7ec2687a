"""Plant random small mistakes in the package, and list those that no test notices.

python -m pip install cosmic-ray
python -m tools.mutate --number 300 --seed 0

The operators are cosmic-ray's. A mutant meets the test files of its package that name most of what
its file defines, for a minute of processor time; what survives may still fall to other files.
"""

import argparse
import importlib
import multiprocessing
import random
import re
import resource
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mistakes import copy_repository, running
from tests.mistakes.planting import ROOT

PACKAGES = ("distributions", "models", "training", "metrics")
SECONDS = 60
NUM_FILES = 2
SLOW = ("memory", "measures", "bad_inputs", "checks", "lightning")  # files to be taken last
# Of the operators for operators: what is an error at once tells nothing.
REPLACED = {
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "FloorDiv_Mul", "Mod_FloorDiv"),
    *("Delete_USub", "Delete_Not", "Delete_Invert", "Is_IsNot", "IsNot_Is"),
    *(
        f"{one}_{other}"
        for one, other in permutations(("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"), 2)
    ),
}
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
        if (
            parent.type == "argument" and parent.get_first_leaf().value == "strict"
        ):  # of zip: a check
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


def definitions(path: Path) -> set[str]:
    """What a module calls its functions and classes."""
    text = path.read_text(encoding="utf-8")
    return set(re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE))


def tests_of(path: Path) -> list[str]:
    """The test files of the package that name most of what a module, or its users, define."""
    package = path.relative_to(ROOT / "vaebook").parts[0]
    by_use = [other for other in (ROOT / "vaebook").rglob("*.py") if uses(other, path)]
    tests = [*(ROOT / "tests" / "vaebook" / package).rglob("test_*.py")]
    words = {test: set(re.findall(r"\w+", test.read_text(encoding="utf-8"))) for test in tests}
    found: dict[Path, float] = {}
    for weight, names in ((1.0, definitions(path)), (0.1, set().union(*map(definitions, by_use)))):
        for test in tests:
            found[test] = found.get(test, 0) + weight * len(words[test] & names)
    for test in tests:
        found[test] += 100 * (test.stem == f"test_{path.stem}") - 100 * test.stem.endswith(SLOW)
    best = sorted(tests, key=lambda test: (-found[test], test))[:NUM_FILES]
    named = [str(test.relative_to(ROOT)) for test in best if found[test] > 0.5]
    return named or [f"tests/vaebook/{package}"]


def uses(other: Path, path: Path) -> bool:
    """Whether a module imports another."""
    return re.search(rf"\b{path.stem} import ", other.read_text(encoding="utf-8")) is not None


def run_pytest(root: Path, tests: list[str]) -> None:
    """In a process of its own, whose processor time is limited."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line"]
    running.pytest_in(root, [*options, *tests], root / "log.txt")


def main() -> None:
    """Draw the mutants, and run the tests on each."""
    parser = argparse.ArgumentParser(description="Mutants that no test notices.")
    parser.add_argument("--number", type=int, default=300, help="how many lines are mutated")
    parser.add_argument("--skip", type=int, default=0, help="how many to pass over")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", nargs="*", default=PACKAGES, choices=PACKAGES)
    options = parser.parse_args()
    folders = [ROOT / "vaebook" / name for name in PACKAGES]
    paths = sorted(path for folder in folders for path in folder.rglob("*.py"))
    lines = [(path, line, found) for path in paths for line, found in sorted(mutants(path).items())]
    draw = random.Random(options.seed)
    draw.shuffle(lines)
    drawn = [(path, line, *draw.choice(found)) for path, line, found in lines]
    chosen = drawn[options.skip :][: options.number]
    for name in (*running.PRELOADED, "playwright.sync_api", "xdist.remote"):
        importlib.import_module(name)  # once, and forked
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        root = copy_repository(Path(folder) / "copy")
        for path, line, operator, place in chosen:
            if path.relative_to(ROOT / "vaebook").parts[0] not in options.only:
                continue
            sound, copy = path.read_text(encoding="utf-8"), root / path.relative_to(ROOT)
            mutated = mutate_code(sound, operator(), place)
            copy.write_text(mutated, encoding="utf-8")
            process = context.Process(target=run_pytest, args=(root, tests_of(path)))
            process.start()
            process.join(10 * SECONDS)
            process.kill()
            process.join()
            copy.write_text(sound, encoding="utf-8")
            code = process.exitcode or 0
            verdict = "SURVIVED" if code == 0 else "timeout" if code < 0 else "killed"
            new = " ".join(mutated.splitlines()[line - 1].split())
            print(
                f"{verdict:8} {path.relative_to(ROOT)}:{line} {operator.__name__}: {new}",
                flush=True,
            )


if __name__ == "__main__":
    main()
