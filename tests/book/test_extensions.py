"""The book's own Sphinx extensions."""

import textwrap
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.builds import sphinx
from tests.conftest import ROOT
from tools.execute import METADATA

EXTENSIONS = ROOT / "book" / "_ext"


@pytest.fixture(autouse=True)
def _extensions_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXTENSIONS)


def test_docstrings_are_left_out_and_nothing_else() -> None:
    from package_source import without_docstrings

    source = '''
        class Thing:
            """Docstring."""

            text = """not a docstring"""

            def method(self):
                """Docstring
                of two lines.
                """
                return "σ"  # kept

            def empty(self):
                """Only this."""
    '''
    expected = '''
        class Thing:
            text = """not a docstring"""

            def method(self):
                return "σ"  # kept

            def empty(self):
                ...
    '''
    shown = without_docstrings(textwrap.dedent(source).strip("\n"))
    assert shown == textwrap.dedent(expected).lstrip("\n").rstrip() + "\n"


def test_notes_to_tools_are_left_out() -> None:
    from package_source import without_tool_comments

    assert without_tool_comments("a = 1  # noqa: E501\nb = 2  # [n]\n") == "a = 1\nb = 2  # [n]\n"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("vaebook.distributions.divergences.gaussian_kl", "vaebook.distributions.gaussian_kl"),
        ("vaebook.models.VAE.elbo", "vaebook.models.VAE.elbo"),
        ("vaebook.models.vae.VAE", "vaebook.models.VAE"),
    ],
)
def test_an_object_is_linked_under_its_public_name(path: str, name: str) -> None:
    from package_source import find_object, public_name

    found, _, _ = find_object(path)
    assert public_name(found, path) == name


def build(folder: Path, text: str) -> tuple[int, str, str]:
    """Build one page with the directive, warnings fatal."""
    settings = [
        "extensions = ['myst_parser', 'sphinx.ext.autodoc', 'package_source']",
        f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r})",
        "numfig = True",
    ]
    (folder / "conf.py").write_text("\n".join(settings), encoding="utf-8")
    (folder / "index.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    code, out, err = sphinx("-W", "-b", "html", folder, folder / "html")
    page = folder / "html" / "index.html"
    html = page.read_text(encoding="utf-8") if page.exists() else ""
    return code, out + err, html


API = "```{eval-rst}\n.. autofunction:: vaebook.distributions.gaussian_kl\n```\n\n"
SOURCE = "```{source} vaebook.distributions.divergences.gaussian_kl\n```"


def test_the_directive_shows_source_with_a_link_and_a_number(tmp_path: Path) -> None:
    code, log, html = build(tmp_path, API + SOURCE)
    assert code == 0, log
    assert 'href="#vaebook.distributions.gaussian_kl"' in html
    assert "vaebook/distributions/divergences.py" in html
    assert "Listing 1" in html


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```{source} vaebook.distributions.gaussian_cl\n```", "cannot show"),
        ("```{source} vaebuch.distributions.gaussian_kl\n```", "no module vaebuch"),
        ("```{source} vaebook.plots.COLOURS\n```", "cannot show"),
        (SOURCE, "reference target not found"),
    ],
    ids=["no such name", "no such module", "no source", "not in the API page"],
)
def test_a_mistake_in_the_directive_fails_the_build(
    text: str, message: str, tmp_path: Path
) -> None:
    code, log, _ = build(tmp_path, text)
    assert code != 0
    assert message in log


def test_a_formula_in_a_cell_output_is_set(tmp_path: Path) -> None:
    """Under the book's setting; without it a reader meets a bare ``$q(z \\mid x)$``."""
    text = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    setting = text["sphinx"]["config"].get("nb_render_markdown_format")
    settings = ["extensions = ['myst_nb']", "myst_enable_extensions = ['dollarmath']"]
    settings += ["nb_execution_mode = 'off'"]
    if setting is not None:
        settings.append(f"nb_render_markdown_format = {setting!r}")
    (tmp_path / "conf.py").write_text("\n".join(settings), encoding="utf-8")
    shown = {"text/plain": "<Markdown>", "text/markdown": "The code $q(z \\mid x)$ is *one*."}
    cell = new_code_cell("page", execution_count=1)
    cell.outputs = [new_output("execute_result", shown, execution_count=1)]
    notebook = new_notebook(cells=[new_markdown_cell("# A page"), cell], metadata=METADATA)
    nbformat.write(notebook, tmp_path / "index.ipynb")
    code, out, err = sphinx("-W", "-b", "html", tmp_path, tmp_path / "html")
    assert code == 0, out + err
    page = BeautifulSoup((tmp_path / "html" / "index.html").read_text("utf-8"), "html.parser")
    output = page.find(class_="cell_output")
    assert "q(z" in output.find(class_="math").text
    assert "$" not in output.text
    assert output.find("em").text == "one"


@pytest.mark.parametrize(
    "parts",
    [
        ["**a term**", ".", "\n", "The code ", "$z$", ".", "\n", "And ", "(", "$p(z)$", ")."],
        ["$a$", ", (", "$b$", "), and ", "$c$", ", ", "$d$", ","],
        ["No formula", ".", "None."],
    ],
    ids=["equal stops", "brackets", "no formula"],
)
def test_keeping_formulas_together_moves_no_character(parts: list[str]) -> None:
    """A full stop is equal to every other full stop, and must not be taken for it."""
    from formulas import KEPT, KeptTogether

    document = new_document("page")
    paragraph = nodes.paragraph()
    for part in parts:
        kind = nodes.math if part[0] == "$" else nodes.strong if part[0] == "*" else None
        text = part.strip("$*")
        paragraph += nodes.Text(part) if kind is None else kind(text, text)
    document += paragraph
    text, formulas = paragraph.astext(), list(paragraph.findall(nodes.math))
    transform = KeptTogether(document)
    for formula in formulas:
        transform.keep(formula)
    assert paragraph.astext() == text
    spans = [node for node in paragraph.findall(nodes.inline) if KEPT in node["classes"]]
    assert sum(len(list(span.findall(nodes.math))) for span in spans) == len(formulas)
    for before, after in pairwise(paragraph.children):
        if before in spans and isinstance(after, nodes.Text) and after.astext():
            assert after.astext()[0].isspace(), "punctuation was parted from its formula"
