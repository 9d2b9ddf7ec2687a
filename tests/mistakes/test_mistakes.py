"""The tests bite: each classic mistake, planted into a copy of the package, makes them fail."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ROOT, run
from tests.mistakes import HARMLESS, MISTAKES, Mistake, copy_repository, plant, planted
from tests.mistakes.__main__ import package_tests
from tests.mistakes.digits import corrupt_a_digit
from tests.mistakes.planting import Body
from tests.mistakes.running import Outcome, read_report

NAMES = [mistake.name for mistake in MISTAKES]
SOUND = "def half(x):\n    return x / 2\n"


def mistake(old: str, new: str, file: str = "half.py") -> Mistake:
    return Mistake("example", "An example.", file, old, new, ())


# --- the list -----------------------------------------------------------------------------------


@pytest.mark.parametrize("classic", [*MISTAKES, HARMLESS], ids=lambda classic: classic.name)
def test_its_place_is_in_the_package_exactly_once(classic: Mistake) -> None:
    text = (ROOT / classic.file).read_text(encoding="utf-8")
    assert planted(classic, text) != text
    assert classic.caught_by
    for test in classic.caught_by:
        file, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_list_is_long_and_every_name_is_its_own() -> None:
    assert len(MISTAKES) >= 14
    assert len(set(NAMES)) == len(NAMES)


# --- planting -----------------------------------------------------------------------------------


def test_a_mistake_is_planted_and_taken_out_again(tmp_path: Path) -> None:
    path = tmp_path / "half.py"
    path.write_text(SOUND, encoding="utf-8")
    with plant(mistake("x / 2", "x * 2"), tmp_path):
        assert path.read_text(encoding="utf-8") == "def half(x):\n    return x * 2\n"
    assert path.read_text(encoding="utf-8") == SOUND
    with pytest.raises(KeyboardInterrupt), plant(mistake("x / 2", "x * 2"), tmp_path):
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == SOUND


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x / 3", "x", "found 0 times"),
        ("x", "y", "found 2 times"),
        ("    return", "     return", "nothing but the layout"),
    ],
)
def test_a_list_that_has_rotted_is_noticed(old: str, new: str, message: str) -> None:
    with pytest.raises(LookupError, match=message):
        planted(mistake(old, new), SOUND)


OTHER = """class Halves:
    @property
    def first(self) -> int:
        \"\"\"The smaller half.\"\"\"
        rest = self.x
        return rest // 2

    def other(self): return 1


def other(): return 2
"""


def test_a_body_is_replaced_however_it_was_written(tmp_path: Path) -> None:
    change = mistake("", "\n            return (self.x + 1) // 2\n        ")
    wrong = planted(replace(change, old=Body("Halves.first")), OTHER)
    assert wrong == OTHER.replace(
        "        rest = self.x\n        return rest // 2\n", "        return (self.x + 1) // 2\n"
    )
    assert planted(replace(change, old=Body("half"), new="return x * 2"), SOUND).endswith("* 2\n")
    for missing in ("Halves.second", "Halves", "third"):
        with pytest.raises(LookupError, match=f"no function {missing}; write"):
            planted(replace(change, old=Body(missing)), OTHER)
    with pytest.raises(LookupError, match="nothing but the layout"):
        planted(replace(change, old=Body("half"), new="return (x / 2)"), SOUND)


def test_a_mistake_must_still_be_python() -> None:
    with pytest.raises(SyntaxError):
        planted(mistake("x / 2", "x /"), SOUND)


def test_the_full_run_meets_every_test_of_the_package() -> None:
    files = package_tests()
    assert len(files) > 80
    mirrored = {Path(name).parts[2] for name in files}
    assert mirrored >= {"training", "data", "distributions", "models", "metrics", "experiments"}
    for classic in MISTAKES:
        for test in classic.caught_by:
            file = test.partition("::")[0]
            assert file in files or not file.startswith("tests/vaebook/"), file


def test_the_working_tree_is_never_touched() -> None:
    before = (ROOT / MISTAKES[0].file).read_bytes()
    with pytest.raises(ValueError, match="never into the working tree"), plant(MISTAKES[0], ROOT):
        pass
    assert (ROOT / MISTAKES[0].file).read_bytes() == before


def test_a_copy_has_all_that_tests_and_chapters_need(tmp_path: Path) -> None:
    copy = copy_repository(tmp_path / "copy")
    for name in ("vaebook/data/fashion_subset.npz", "tests/conftest.py", "book", "pyproject.toml"):
        assert (copy / name).exists()
    # a planted mistake of the same length, at the same second, is what is imported all the same
    show = "import vaebook.distributions.divergences as d; print(d.__doc__[:6], d.__cached__)"
    path = copy / "vaebook" / "distributions" / "divergences.py"
    sound, times = path.read_text(encoding="utf-8"), (path.stat().st_atime, path.stat().st_mtime)
    shown = []
    for begins in (sound[3:9], "Wrong!"):
        path.write_text(sound[:3] + begins + sound[9:], encoding="utf-8")
        os.utime(path, times)
        done = run(sys.executable, "-B", "-c", show, cwd=copy, env=os.environ | {"PYTHONPATH": "."})
        text, cached = done.stdout.split(" /")
        assert Path(f"/{cached.strip()}").is_relative_to(copy)
        assert Path(f"/{cached.strip()}").exists()
        shown.append(text)
    assert shown == [sound[3:9], "Wrong!"]


@pytest.mark.parametrize(
    ("code", "failures", "errors", "caught"),
    [
        (1, (("test", "assert 1 == 2"),), (), True),
        (0, (), (), False),
        (1, (), ("test",), False),  # a fixture broke
        (1, (("test", "assert 1 == 2"),), ("other",), False),
        (2, (), ("test",), False),  # a file could not be imported
        (4, (), (), False),  # there is no such test
        (70, (), (), False),  # another package was tested
        (-11, (), (), False),  # the process died
    ],
)
def test_only_a_test_that_ran_and_failed_has_caught_anything(
    code: int, failures: tuple, errors: tuple, caught: bool
) -> None:
    assert Outcome(code, failures, errors, 0.0, "").caught is caught


REPORT = """
<testsuites><testsuite>
<testcase classname="tests.test_half" name="test_it[1.5]">
<failure message="assert 1 == 2&#10; +  where">
trace</failure></testcase>
<testcase classname="tests.test_half" name="test_other"/>
<testcase classname="book.01-one.ipynb" name="Cell 3">
<failure message="Notebook cell execution failed">
#x1B[91mNotebook cell execution failed#x1B[0m
  'is 0.5' == 'is 0.6'
  - is 0.6
  + is 0.5
</failure></testcase>
<testcase classname="book.01-one.ipynb" name="Cell 4"><failure message="">
#x1B[0;31mAssertionError#x1B[0m: the bound is above the evidence</failure></testcase>
<testcase classname="tests.test_half" name="test_third"><error message="no fixture"/></testcase>
</testsuite></testsuites>
"""


def test_a_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT.strip(), encoding="utf-8")
    failures, errors = read_report(path)
    assert failures == [
        ("tests/test_half.py::test_it[1.5]", "assert 1 == 2"),
        ("book/01-one.ipynb::Cell 3", "- is 0.6"),
        ("book/01-one.ipynb::Cell 4", "AssertionError: the bound is above the evidence"),
    ]
    assert errors == ["tests/test_half.py::test_third"]


def test_a_stored_digit_is_corrupted_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    cells = [
        {"cell_type": "markdown", "source": ["7"]},
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {}}]},
        {
            "cell_type": "code",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["KL\n", "is 0.29\n"]}],
        },
    ]
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    before = path.read_bytes()
    with corrupt_a_digit(path) as change:
        assert change == "is 0.29 → is 1.29"
        changed = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert changed[2]["outputs"][0]["text"] == ["KL\n", "is 1.29\n"]
        assert changed[:2] == cells[:2]
    assert path.read_bytes() == before
    path.write_text(json.dumps({"cells": cells[:2]}), encoding="utf-8")
    with pytest.raises(LookupError, match="stores no digit"), corrupt_a_digit(path):
        pass


# --- the proof ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Each mistake against the tests that should catch it, as ``make mistakes`` begins."""
    folder = tmp_path_factory.mktemp("mistakes")
    done: subprocess.CompletedProcess[str] = run(
        *(sys.executable, "-m", "tests.mistakes", "--quick"),
        *("--report", folder / "report.md", "--json", folder / "report.json"),
        cwd=ROOT,
        timeout=1800,
    )
    assert (folder / "report.json").is_file(), done.stdout + done.stderr
    rows = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    good = all(row["good"] for row in rows)
    assert done.returncode == (0 if good else 1), done.stderr
    written = (folder / "report.md").read_text(encoding="utf-8")
    assert all(f"| {row['name']} |" in written for row in rows)
    return {row["name"]: row for row in rows}


@pytest.mark.slow
def test_without_a_mistake_the_same_tests_pass(report: dict[str, dict]) -> None:
    assert report["no-mistake"]["good"], report["no-mistake"]["why"]
    assert report[HARMLESS.name]["good"], report[HARMLESS.name]["why"]


@pytest.mark.slow
@pytest.mark.parametrize("classic", MISTAKES, ids=NAMES)
def test_it_is_caught(classic: Mistake, report: dict[str, dict]) -> None:
    row = report[classic.name]
    assert row["good"], f"{classic.people} No test failed: {row['why']}"
    assert row["by"][0].partition("[")[0] in classic.caught_by
