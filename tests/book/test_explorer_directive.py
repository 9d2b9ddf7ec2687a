"""The directive ``{explorer}``, and the still picture where there are no scripts: in LaTeX."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.conftest import ROOT, run
from tools.execute import METADATA
from vaebook.explorer import WIDGETS

NAME = "kl"


def build(folder: Path, builder: str) -> tuple[int, str]:
    """Build what lies in a folder, warnings fatal."""
    settings = [
        "extensions = ['myst_nb', 'explorer']",
        f"import sys; sys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})",
        "nb_execution_mode = 'off'",
    ]
    (folder / "conf.py").write_text("\n".join(settings), encoding="utf-8")
    done = run(sys.executable, "-m", "sphinx", "-W", "-b", builder, folder, folder / builder)
    return done.returncode, done.stdout + done.stderr


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


@pytest.mark.parametrize("write", [write_page, write_notebook])
def test_html_gets_the_widget_as_it_is(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path)
    code, log = build(tmp_path, "html")
    assert code == 0, log
    html = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert html.count(WIDGETS[NAME]()._repr_html_()) == 1


@pytest.mark.parametrize("write", [write_page, write_notebook])
def test_latex_gets_the_still_picture(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path)
    code, log = build(tmp_path, "latex")
    assert code == 0, log
    (text,) = (path.read_text(encoding="utf-8") for path in (tmp_path / "latex").glob("*.tex"))
    assert text.count(r"\sphinxincludegraphics") == 1
    assert repr(WIDGETS[NAME]()) not in text
    still = WIDGETS[NAME]().still()
    assert [still] == [path.read_bytes() for path in (tmp_path / "latex").glob("index-*.png")]


def test_a_mistyped_name_fails_the_build(tmp_path: Path) -> None:
    write_page(tmp_path, "latent-plain")
    code, log = build(tmp_path, "html")
    assert code != 0
    assert "no explorer 'latent-plain'; expected one of" in log
