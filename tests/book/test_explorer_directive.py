"""The directive ``{explorer}``, and the still picture where there are no scripts: in LaTeX."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.builds import sphinx
from tests.conftest import ROOT
from tools.execute import METADATA
from vaebook.explorer import WIDGETS

NAME = "kl"
SETTINGS = [
    "extensions = ['myst_nb', 'explorer']",
    f"import sys; sys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})",
    "nb_execution_mode = 'off'",
]
Built = Callable[[str, str], tuple[Path, int, str]]


def write_page(folder: Path, name: str = NAME) -> None:
    text = f"# A page\n\n```{{explorer}} {name}\n```\n"
    (folder / "index.md").write_text(text, encoding="utf-8")


def write_notebook(folder: Path) -> None:
    widget = WIDGETS[NAME]()
    data = {"text/html": widget._repr_html_(), "text/plain": repr(widget)}
    output = new_output("execute_result", data, execution_count=1)
    cell = new_code_cell("widget", outputs=[output], execution_count=1)
    notebook = new_notebook(cells=[new_markdown_cell("# A chapter"), cell], metadata=METADATA)
    nbformat.write(notebook, folder / "index.ipynb")


SOURCES = {
    "page": write_page,
    "notebook": write_notebook,
    "mistyped": lambda folder: write_page(folder, "latent-plain"),
}
WANTED = [(source, kind) for source in ("page", "notebook") for kind in ("html", "latex")]
WANTED.append(("mistyped", "html"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What came of a source and a builder: the folder, the exit code and the log."""
    results = {}
    for source, kind in WANTED:
        folder = tmp_path_factory.mktemp(f"{source}-{kind}")
        (folder / "conf.py").write_text("\n".join(SETTINGS), encoding="utf-8")
        SOURCES[source](folder)
        code, out, err = sphinx("-W", "-b", kind, folder, folder / kind)
        results[source, kind] = (folder / kind, code, out + err)
    return lambda source, kind: results[source, kind]


@pytest.mark.parametrize("source", ["page", "notebook"])
def test_html_gets_the_widget_as_it_is(built: Built, source: str) -> None:
    folder, code, log = built(source, "html")
    assert code == 0, log
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert html.count(WIDGETS[NAME]()._repr_html_()) == 1


@pytest.mark.parametrize("source", ["page", "notebook"])
def test_latex_gets_the_still_picture(built: Built, source: str) -> None:
    folder, code, log = built(source, "latex")
    assert code == 0, log
    (text,) = (path.read_text(encoding="utf-8") for path in folder.glob("*.tex"))
    assert text.count(r"\sphinxincludegraphics") == 1
    assert repr(WIDGETS[NAME]()) not in text
    still = WIDGETS[NAME]().still()
    assert [still] == [path.read_bytes() for path in folder.glob("index-*.png")]


def test_a_mistyped_name_fails_the_build(built: Built) -> None:
    _, code, log = built("mistyped", "html")
    assert code != 0
    assert "no explorer 'latent-plain'; expected one of" in log
