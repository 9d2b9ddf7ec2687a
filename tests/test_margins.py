"""The command that looks how close assertions are to failing: it sees the sides of each."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.margins import margins_of, movements


@pytest.mark.filterwarnings("ignore")  # of the kernel's transport
def test_every_comparison_of_an_assertion_is_seen(tmp_path: Path) -> None:
    cells = [
        "import numpy as np\nx = np.array([1.0, 2.5])",
        "assert 0.5 < x[0] <= 3 and (x > 0.75).all()\nassert x[1] == 2.5 and 'a' < 'b'",
        "assert abs(x[1] - 2) < 0.75, 'far'",
    ]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(text) for text in cells]), path)
    found = margins_of(path)
    assert sorted(found) == [
        "0.5 < x[0] <= 3 and (x > 0.75).all()",
        "abs(x[1] - 2) < 0.75",
    ]
    assert found["0.5 < x[0] <= 3 and (x > 0.75).all()"] == [-0.5, -2, 0.25]
    assert found["abs(x[1] - 2) < 0.75"] == [-0.25]


def test_what_moves_as_far_as_its_margin_is_on_a_knifes_edge() -> None:
    here = {"a < b": [-0.4, -1.0], "c > d": [2.0], "same": [0.1], "edge": [0.0]}
    there = {"a < b": [-0.5, -1.1], "c > d": [1.0], "same": [0.1], "edge": [0.1]}
    moved = movements(here, there)
    assert moved["a < b"] == pytest.approx(0.25)
    assert moved["c > d"] == pytest.approx(1)
    assert moved["edge"] == float("inf")
    assert "same" not in moved
