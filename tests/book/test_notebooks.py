"""What every chapter must be, beside running: `pytest --nbval` runs it and compares its outputs.

The second half proves that the comparison bites: a wrong digit in a stored output is a failure.
"""

import copy
import re
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image, ImageChops, ImageDraw

from tests.conftest import ROOT, run
from tools.execute import (
    FOLDED,
    METADATA,
    UNSEEN,
    ChapterClient,
    chapters,
    code_cells,
    compact,
    execute,
    few_colours,
    pixels,
    stored_problems,
)
from vaebook.experiments import CLAIMS

CHAPTERS = chapters()
SECTIONS = [
    "question",
    "background",
    "picture",
    "derivation",
    "code",
    "experiment",
    "found",
    "readers",
    "exercises",
    "reading",
]
MOST_BYTES = 400_000
LEAST_COMPARED = 5  # cells whose printed numbers are compared
LEAST_ASSERTING = 3
LEAST_EXERCISES = 3
LEAST_CITED = 2
MOST_VISIBLE_LINES = 15
MOST_VISIBLE_COLUMNS = 76
MOST_WORDS_IN_BOX = 90
LEAST_WORDS_IN_BOX = 40
OUT_OF_SIGHT = {"hide-output", "hide-cell"}
SCAFFOLDING = {  # what nobody would type again, so that it does not stand open on a page
    "an import": r"^\s*(import|from)\s+\w",
    "reading of records": r"\bload_(recorded|pictures|provenance|trial|comparison)\w*\(",
    "plotting": r"\b(plt\.|sns\.|show_images\(|use_theme\()",
    "a check": r"^\s*assert\b|\bassert_\w+\(",
    "a verdict": r"\bverdict\(",
}
WITHOUT_TRAINING = {"04-gaussian-kl"}  # its subject is a formula
UNCHECKED = {  # tags that switch a check or a reader's view off
    "nbval-skip",
    "nbval-ignore-output",
    "nbval-raises-exception",
    "raises-exception",
    "skip-execution",
    "remove-cell",
    "remove-input",
    "remove-output",
    "remove-stdout",
    "remove-stderr",
}
ASSERTS = re.compile(r"^\s*(assert\b|(\w+\.)*assert_\w+\()", re.MULTILINE)

every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


@cache
def load(path: Path) -> NotebookNode:
    """A chapter, read once for all tests, which leave it as it is."""
    return read(path)


def prose(notebook: NotebookNode) -> str:
    """All markdown of a notebook, in order."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def images(cell: NotebookNode) -> list[NotebookNode]:
    """The outputs of a cell that are pictures."""
    return [
        output
        for output in cell.get("outputs", [])
        if any(kind.startswith("image/") for kind in output.get("data", {}))
    ]


def compared_text(cell: NotebookNode) -> str:
    """The stored text of a cell that nbval compares, less the note that a figure was drawn."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif "data" in output and output not in images(cell):
            parts.append(str(output.data.get("text/plain", "")))
    return "\n".join(parts)


def asserts(cell: NotebookNode) -> bool:
    return bool(ASSERTS.search(cell.source))


# ---------------------------------------------------------------- the table of contents


def test_every_notebook_is_a_chapter() -> None:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"]
    found = {path for folder in folders for path in folder.rglob("*.ipynb")}
    assert {path for path in found if ".ipynb_checkpoints" not in path.parts} == set(CHAPTERS)


def test_every_chapter_of_the_contents_exists_under_a_name_that_yaml_reads_as_text() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    for name in [toc["root"], *listed]:
        assert isinstance(name, str), f"write {name!r} in quotes"
        assert len(list(ROOT.glob(f"{name}.*"))) == 1, f"{name}: expected one source file"


# ---------------------------------------------------------------- each chapter


@every_chapter
def test_was_run_in_order_without_error_or_warning(path: Path) -> None:
    assert not stored_problems(load(path))


@every_chapter
def test_is_small_and_complete(path: Path) -> None:
    assert path.stat().st_size <= MOST_BYTES
    notebook = load(path)
    assert notebook.metadata.kernelspec == METADATA["kernelspec"]
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert all(cell.source.strip() for cell in notebook.cells), "an empty cell"


@every_chapter
def test_leaves_nothing_unchecked(path: Path) -> None:
    for cell in load(path).cells:
        assert not UNCHECKED & set(cell.metadata.get("tags", [])), cell.source
        if cell.cell_type == "code":
            assert "NBVAL_" not in cell.source, cell.source
            endings = [line for line in cell.source.splitlines() if line.rstrip().endswith(";")]
            assert not endings, f"a trailing semicolon hides an output: {endings}"


@every_chapter
def test_compares_enough(path: Path) -> None:
    cells = code_cells(load(path))
    compared = [cell for cell in cells if re.search(r"\d", compared_text(cell))]
    assert len(compared) >= LEAST_COMPARED
    assert sum(map(asserts, cells)) >= LEAST_ASSERTING
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if images(cell) and not asserts(cell):
            assert following is not None, f"no assertion after the figure {cell.source}"
            assert asserts(following), f"assert what the figure shows, after:\n{cell.source}"


@every_chapter
def test_every_figure_has_a_name_a_caption_and_a_description(path: Path) -> None:
    names = []
    for cell in code_cells(load(path)):
        shown = images(cell)
        settings = cell.metadata.get("mystnb", {})
        if not shown:
            assert not settings, f"caption without a figure:\n{cell.source}"
            continue
        assert len(shown) == 1, f"one figure a cell:\n{cell.source}"
        figure, alt = settings["figure"], settings["image"]["alt"]
        names.append(figure["name"])
        assert re.fullmatch(rf"fig-ch{path.stem[:2]}-[a-z0-9-]+", figure["name"])
        assert len(figure["caption"]) >= 20, figure
        assert len(alt) >= 20, figure
        assert alt != figure["caption"], "alt text says what is seen, a caption what it means"
    assert names, "a chapter has a figure"
    assert len(names) == len(set(names))


@every_chapter
def test_has_every_section_in_order(path: Path) -> None:
    number = path.stem[:2]
    labels = re.findall(rf"^\((ch{number}(?:-[\w-]+)?)\)=\n+#+ ", prose(load(path)), re.MULTILINE)
    required = [f"ch{number}", *(f"ch{number}-{section}" for section in SECTIONS)]
    assert [label for label in labels if label in required] == required


@every_chapter
def test_cites_its_sources(path: Path) -> None:
    roles = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", prose(load(path)))
    keys = {key.strip() for role in roles for key in role.split(",")}
    assert len(keys) >= LEAST_CITED


@every_chapter
def test_links_terms_to_the_glossary(path: Path) -> None:
    assert re.search(r"\{term\}`", prose(load(path)))


@every_chapter
def test_has_exercises_with_hidden_solutions_that_run(path: Path) -> None:
    exercises, solved = set(), set()
    inside, ran = None, False
    for cell in load(path).cells:
        if cell.cell_type == "code":
            ran |= inside is not None
            continue
        for line in cell.source.splitlines():
            if re.match(r"[`:]{3,}\{exercise(-start)?\}", line):
                exercises.add(None)
            if inside is None and (found := re.match(r"[`:]{3,}\{solution-start\} *(\S+)", line)):
                inside, ran = found[1], False
                block = cell.source.partition(found[0])[2]
                assert re.search(r"^:class: .*dropdown", block, re.MULTILINE), f"{inside} is open"
            elif re.match(r"[`:]{3,}\{solution-end\}", line):
                assert ran, f"the solution of {inside} has no code cell"
                solved.add(inside)
                inside = None
            elif found := re.match(r":label: (ex-\S+)", line):
                exercises.discard(None)
                exercises.add(found[1])
            assert not (inside and re.match(r"#+ ", line)), f"a heading within {inside}"
    assert inside is None, f"the solution of {inside} has no end"
    assert exercises == solved
    assert len(exercises) >= LEAST_EXERCISES


# ---------------------------------------------------------------- what a reader meets


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def shown_text(cell: NotebookNode) -> str:
    """Everything that a reader sees of a cell's output, less pictures."""
    parts = [compared_text(cell)]
    parts += [str(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
    return "\n".join(parts)


def outside_solutions(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that stand on the page before anything is opened."""
    found, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found += [] if inside else [cell]
            continue
        for line in cell.source.splitlines():
            inside |= bool(re.match(r"[`:]{3,}\{solution-start\}", line))
            inside &= not re.match(r"[`:]{3,}\{solution-end\}", line)
    return found


@every_chapter
def test_visible_code_is_short_and_narrow(path: Path) -> None:
    for cell in code_cells(load(path)):
        if tags(cell) & FOLDED:
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= MOST_VISIBLE_LINES, f"{cell.id}: {len(lines)} lines"
        wide = [line for line in lines if len(line) > MOST_VISIBLE_COLUMNS]
        assert not wide, f"{cell.id}: {wide}"


@every_chapter
def test_visible_code_is_what_a_reader_would_type_again(path: Path) -> None:
    for cell in outside_solutions(load(path)):
        if tags(cell) & FOLDED:
            continue
        for what, pattern in SCAFFOLDING.items():
            found = re.search(pattern, cell.source, re.MULTILINE)
            assert not found, f"{cell.id}: {what} stands open: {found[0]!r}"


@every_chapter
def test_the_model_and_its_fit_stand_open_once(path: Path) -> None:
    trained = [
        cell.id
        for cell in outside_solutions(load(path))
        if not tags(cell) & FOLDED and re.search(r"(?<!\w)(fit|fit_flow_matching)\(", cell.source)
    ]
    assert len(trained) == (0 if path.stem in WITHOUT_TRAINING else 1), trained


@every_chapter
def test_no_bare_boolean_stands_on_the_page(path: Path) -> None:
    for cell in code_cells(load(path)):
        if not tags(cell) & OUT_OF_SIGHT:
            assert not re.search(r"\b(True|False)\b", shown_text(cell)), cell.id


@every_chapter
def test_every_table_is_the_books(path: Path) -> None:
    for cell in code_cells(load(path)):
        assert 'class="dataframe"' not in shown_text(cell), f"{cell.id}: use vaebook.plots.table"


@every_chapter
def test_no_two_tables_have_one_name(path: Path) -> None:
    """A screen reader lists them by their labels."""
    shown = "\n".join(map(shown_text, code_cells(load(path))))
    labels = re.findall(r'class="table-scroll"[^>]*aria-label="([^"]*)"', shown)
    assert len(labels) == len(set(labels)), sorted(labels)


@every_chapter
def test_the_claims_of_a_chapter_end_in_cards(path: Path) -> None:
    claims = {claim.name for claim in CLAIMS if claim.chapters[-1] == int(path.stem[:2])}
    shown = "\n".join(map(shown_text, code_cells(load(path))))
    for name in claims:
        assert f'id="verdict-{name.lower()}"' in shown, f"show verdict_cards({name!r})"


@every_chapter
def test_opens_with_the_answer_in_one_minute(path: Path) -> None:
    first = load(path).cells[0].source
    box = re.search(
        r"^# .+\n+:::\{admonition\} In one minute\n:class: in-one-minute\n(.+?)^:::$",
        first,
        re.MULTILINE | re.DOTALL,
    )
    assert box, "the first cell: the title, then the box"
    seen = re.sub(r'\[([^]]*)\]\(\S+ "[^"]*"\)', r"\1", box[1])  # links to records
    words = re.sub(r"\{[\w:]+\}|<[^<>`]*>(?=`)|[`$*]", " ", seen).split()
    assert LEAST_WORDS_IN_BOX <= len(words) <= MOST_WORDS_IN_BOX, f"{len(words)} words"
    assert re.search(r"\d", box[1]), "no number"


# ---------------------------------------------------------------- the comparison bites


def nbval(path: Path) -> tuple[int, str]:
    """Run strict nbval on one notebook, as `make test` does."""
    options = ("--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "--color=no", "-q")
    done = run(sys.executable, "-m", "pytest", *options, "-c", ROOT / "pyproject.toml", path)
    return done.returncode, done.stdout + done.stderr


def small_notebook() -> NotebookNode:
    """A notebook with each kind of output that a chapter has, as it would be stored."""
    table = '"   rate\\n0  {value}".format(value=value)'  # as of a frame, less its import
    sources_and_outputs = [
        ("value = 0.25", None),
        ('print(f"The rate is {value:.2f} nats.")', "The rate is 0.25 nats.\n"),
        ("round(3 * value, 2)", {"text/plain": "0.75"}),
        (table, {"text/plain": "'   rate\\n0  0.25'"}),
    ]
    cells = []
    for count, (source, shown) in enumerate(sources_and_outputs, start=1):
        outputs = []
        if isinstance(shown, str):
            outputs = [new_output("stream", name="stdout", text=shown)]
        elif shown is not None:
            outputs = [new_output("execute_result", shown, execution_count=count)]
        cells.append(new_code_cell(source, execution_count=count, outputs=outputs))
    return new_notebook(cells=cells, metadata=METADATA)


def wrong_stream(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs[0].text = "The rate is 0.26 nats.\n"


def wrong_result(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs[0].data["text/plain"] = "0.76"


def wrong_table(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs[0].data["text/plain"] = "'   rate\\n0  0.35'"


def missing_output(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs = []


def new_warning(notebook: NotebookNode) -> None:
    notebook.cells[0].source += '\n\nimport warnings\n\nwarnings.warn("something is odd")'


def failed_assertion(notebook: NotebookNode) -> None:
    notebook.cells[0].source += "\n\nassert value > 1"


CORRUPTIONS = {
    new_warning: 0,
    wrong_result: 2,
    wrong_stream: 1,
    wrong_table: 3,
    failed_assertion: 0,
    missing_output: 2,
}


def honest_and_corrupted() -> NotebookNode:
    """The small notebook and its corruptions, one below the other: all in one kernel."""
    notebooks = [small_notebook() for _ in range(1 + len(CORRUPTIONS))]
    for corrupt, notebook in zip(CORRUPTIONS, notebooks[1:], strict=True):
        corrupt(notebook)
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    return new_notebook(cells=cells, metadata=METADATA)


def twice_with_a_wrong_digit(path: Path) -> tuple[NotebookNode, int]:
    """A chapter up to its first printed digit, that cell once with a wrong one; and its place."""
    notebook = read(path)
    place, cell = next(
        (index, cell)
        for index, cell in enumerate(code_cells(notebook))
        if any(re.search(r"\d", output.get("text", "")) for output in cell.outputs[:1])
    )
    wrong = copy.deepcopy(cell)
    wrong.id = "wrong"
    wrong.outputs[0].text = re.sub(
        r"\d", lambda digit: str((int(digit[0]) + 1) % 10), cell.outputs[0].text, count=1
    )
    # what comes later takes time and adds nothing
    notebook.cells = [*code_cells(notebook)[:place], wrong, cell]
    return notebook, place


def test_what_is_honest_passes_and_each_corruption_fails(tmp_path: Path) -> None:
    """Of a small notebook, and of a real chapter with a wrong digit."""
    nbformat.write(honest_and_corrupted(), tmp_path / "small.ipynb")
    # trains nothing before it prints a digit
    chapter, place = twice_with_a_wrong_digit(ROOT / "book" / "05-reparameterisation.ipynb")
    nbformat.write(chapter, tmp_path / "chapter.ipynb")
    code, log = nbval(tmp_path)
    assert code == 1, log
    assert "mismatch" in log
    failed = re.findall(r"^FAILED .*?(\w+)\.ipynb::Cell (\d+)", log, re.MULTILINE)
    expected = {("chapter", str(place))}
    for number, cell in enumerate(CORRUPTIONS.values(), start=1):
        expected.add(("small", str(4 * number + cell)))
    assert sorted(failed) == sorted(expected), log
    passed = 4 * (1 + len(CORRUPTIONS)) + place + 2 - len(failed)
    assert f"{len(failed)} failed, {passed} passed" in log, log


def test_a_cell_that_was_never_run_is_a_problem() -> None:
    """nbval passes it in silence, so the stored state is examined."""
    notebook = small_notebook()
    assert stored_problems(notebook) == []
    notebook.cells[2].execution_count = None
    assert "execution count" in stored_problems(notebook)[0]


# ---------------------------------------------------------------- the tool that runs chapters


def write_source(path: Path, *sources: str) -> None:
    cells = [new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    nbformat.write(new_notebook(cells=cells), path)


DRAW = (
    "import matplotlib.pyplot as plt\n\nplt.figure(figsize=(1, 1)).gca().plot([0, {}])\nplt.show()"
)


def test_running_twice_changes_nothing_and_a_new_picture_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chapter.ipynb"
    write_source(path, 'print("1 nat")', DRAW.format(1), DRAW.format(2))
    assert execute(path) == ([], True)
    first = path.read_bytes()
    notebook = read(path)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3]
    assert [cell.id for cell in notebook.cells] == ["cell-0", "cell-1", "cell-2"]
    assert notebook.metadata == METADATA
    assert all(not cell.metadata for cell in notebook.cells)
    made = copy.deepcopy(notebook.cells)

    # the last picture is not the one that the cell draws, by the colour of one pixel
    (output,) = images(notebook.cells[2])
    other = pixels(output.data["image/png"])
    other.putpixel((0, 0), (0, 0, 0, 255))
    output.data["image/png"] = compact(other)
    nbformat.write(notebook, path)
    assert execute(path) == ([], True)
    assert path.read_bytes() == first

    def as_before(client: ChapterClient) -> None:
        client.nb.cells = copy.deepcopy(made)

    monkeypatch.setattr(ChapterClient, "execute", as_before)
    assert execute(path) == ([], False)
    assert path.read_bytes() == first


def test_plots_lose_colours_that_nobody_sees_and_photographs_lose_nothing() -> None:
    plot = Image.new("RGBA", (400, 300), "white")
    # drawn at four times the size, then shrunk: soft edges in many colours
    large = plot.resize((1600, 1200))
    for index, colour in enumerate(("#0072B2", "#E69F00", "#009E73", "#CC79A7")):
        ImageDraw.Draw(large).line((0, 300 * index, 1600, 1200 - 250 * index), colour, 12)
    plot = large.resize(plot.size, Image.Resampling.LANCZOS)
    assert plot.getcolors(256) is None
    reduced = few_colours(plot)
    assert reduced.getcolors(256)
    assert max(high for _, high in ImageChops.difference(plot, reduced).getextrema()) <= UNSEEN
    assert few_colours(reduced) is reduced

    photograph = Image.effect_noise((64, 64), 90).convert("RGBA")
    photograph.putdata([(x * 4, y * 4, (x * y) % 256, 255) for y in range(64) for x in range(64)])
    assert few_colours(photograph) is photograph


def refused(path: Path, *sources: str) -> list[str]:
    """The problems of a chapter that is left as it was."""
    write_source(path, *sources)
    before = path.read_bytes()
    problems, changed = execute(path)
    assert not changed
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    return problems


def test_an_error_is_refused(tmp_path: Path) -> None:
    assert "ZeroDivisionError" in " ".join(refused(tmp_path / "chapter.ipynb", "1 / 0"))


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    messages = {
        'import warnings\n\nwarnings.warn("odd")': "wrote to stderr",
        "object()": "memory address",
        '%config InlineBackend.figure_formats = ["svg"]\n' + DRAW.format(1): "SVG",
        'print("1 nat")': None,
        'handle = display("a", display_id=True)\nhandle.update("b")': "cannot be compared",
    }
    *stored, made, updated = refused(tmp_path / "chapter.ipynb", *messages)
    for number, (source, problem) in enumerate(zip(messages, stored, strict=False), start=1):
        assert problem.startswith(f"cell [{number}] {source.splitlines()[0]!r}")
        assert messages[source] in problem
    assert len(stored) == 3
    assert [f"cell 4: {kind}" for kind in ("display_data", "update_display_data")] == [
        problem.split(" cannot be compared")[0] for problem in (made, updated)
    ]
