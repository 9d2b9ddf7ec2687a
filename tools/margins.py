"""How close the chapters' assertions are to failing on another processor.

    python tools/margins.py                       every chapter, some ten minutes
    python tools/margins.py book/04-gaussian-kl.ipynb

Runs each chapter twice: with the kernels of this processor, and with those that every processor
has. A comparison in an assertion has a margin, the distance between its two sides. What matters is
how far the margin moves between the runs: at a movement of 100 % of itself the assertion may fail.
The ten that move most are printed; from half of the margin on, the command fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.execute import CELL_SECONDS, chapters  # noqa: E402

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
}
SHOWN = 10
MOST = 0.5  # of a margin

# Runs in the kernel before the chapter: writes down both sides of each comparison of an assertion.
RECORDER = """
import ast as _ast, json as _json
import numpy as _np

_margins = {}

def _number(value):
    return _np.asarray(value.detach() if hasattr(value, "detach") else value, float)

def _margin(where, operator, left, right):
    try:
        gap = _number(left) - _number(right)
        if gap.size and _np.isfinite(gap).any():
            gaps = gap[_np.isfinite(gap)].ravel()
            _margins.setdefault(where, []).append(float(gaps[_np.abs(gaps).argmin()]))
    except (TypeError, ValueError):
        pass  # no numbers
    return {"<": lambda: left < right, "<=": lambda: left <= right,
            ">": lambda: left > right, ">=": lambda: left >= right}[operator]()

class _Recorder(_ast.NodeTransformer):
    SIGNS = {_ast.Lt: "<", _ast.LtE: "<=", _ast.Gt: ">", _ast.GtE: ">="}

    def visit_Assert(self, node):
        node.test = _Inside(_ast.unparse(node.test)).visit(node.test)
        return _ast.fix_missing_locations(node)

class _Inside(_ast.NodeTransformer):
    def __init__(self, text):
        self.text = text

    def visit_Compare(self, node):
        self.generic_visit(node)
        signs = [_Recorder.SIGNS.get(type(op)) for op in node.ops]
        if None in signs:
            return node
        sides = [node.left, *node.comparators]
        parts = [
            _ast.Call(_ast.Name("_margin", _ast.Load()),
                      [_ast.Constant(self.text), _ast.Constant(sign), left, right], [])
            for sign, left, right in zip(signs, sides, sides[1:])
        ]
        return parts[0] if len(parts) == 1 else _ast.BoolOp(_ast.And(), parts)

get_ipython().ast_transformers.append(_Recorder())
"""
WRITER = "import json\nopen({path!r}, 'w').write(json.dumps(_margins))"


def margins_of(path: Path) -> dict[str, list[float]]:
    """The margins of a chapter, by the text of the assertion, with the kernels of this process."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "margins.json"
        notebook.cells.insert(0, new_code_cell(RECORDER))
        notebook.cells.append(new_code_cell(WRITER.format(path=str(written))))
        resources = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=2 * CELL_SECONDS, resources=resources).execute()
        found: dict[str, list[float]] = json.loads(written.read_text("utf-8"))
    return found


def margins_elsewhere(path: Path) -> dict[str, list[float]]:
    """:func:`margins_of` a chapter with the kernels that every processor has."""
    command = [sys.executable, __file__, "--print", str(path)]
    done = subprocess.run(
        command, env=os.environ | PORTABLE, check=True, capture_output=True, encoding="utf-8"
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def movements(here: dict[str, list[float]], there: dict[str, list[float]]) -> dict[str, float]:
    """How far each margin moves, as a share of the smaller of the two."""
    moved: dict[str, float] = {}
    for text, gaps in here.items():
        for gap, other in zip(gaps, there.get(text, []), strict=False):
            least = min(abs(gap), abs(other))
            if gap != other:
                share = abs(gap - other) / least if least else float("inf")
                moved[text] = max(moved.get(text, 0.0), share)
    return moved


def main() -> int:
    """Print the margins of one chapter, or compare those of all."""
    parser = argparse.ArgumentParser(description="How close the assertions are to failing.")
    parser.add_argument("paths", nargs="*", type=Path, help="chapters; all by default")
    parser.add_argument("--print", action="store_true", help="print the margins of one chapter")
    arguments = parser.parse_args()
    if arguments.print:
        print(json.dumps(margins_of(arguments.paths[0])))
        return 0
    found: list[tuple[float, str, str]] = []
    compared = 0
    for path in arguments.paths or chapters():
        here = margins_of(path)
        compared += sum(map(len, here.values()))
        moved = movements(here, margins_elsewhere(path))
        found += [(share, path.stem, text) for text, share in moved.items()]
    found.sort(reverse=True)
    print(f"{compared} comparisons; the {SHOWN} whose margin moves most between kernels:")
    for share, chapter, text in found[:SHOWN]:
        print(f"{share:8.2%}  {chapter}: {text[:90]}")
    return int(any(share > MOST for share, _, _ in found))


if __name__ == "__main__":
    sys.exit(main())
