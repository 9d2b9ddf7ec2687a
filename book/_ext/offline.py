"""What keeps the built book free of the network, and its pages valid.

* Formulas: MathJax is copied from the pinned package ``sphinx-mathjax-offline``. Of its variants we
  take the one with SVG output, a single file that needs no fonts, so that a page opened straight
  from disk shows every formula in every browser.
* Thebe, which Jupyter Book always loads, would fetch its code from a CDN when started: it is left
  out.
* Every theorem, exercise and gated solution comes with a section of the same id: the id is dropped.
"""

from importlib.metadata import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.fileutil import copy_asset_file

MATHJAX = "static/mathjax/tex-svg-full.js"
SHARED_IDS = {"proof-content", "exercise-content", "solution-content"}


def mathjax_file() -> Path:
    """The MathJax script inside the installed ``sphinx-mathjax-offline``."""
    for file in files("sphinx-mathjax-offline") or ():
        if file.as_posix().endswith(MATHJAX):
            return Path(str(file.locate()))
    raise FileNotFoundError(f"sphinx-mathjax-offline is installed without {MATHJAX}")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Put MathJax where ``mathjax_path`` in _config.yml looks for it."""
    if exception is None and app.builder.format == "html":
        copy_asset_file(mathjax_file(), Path(app.outdir) / "_static" / app.config.mathjax_path)


def leave_out_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Drop Thebe's scripts from a page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", script)).lower()
        and "thebe" not in str(getattr(script, "attributes", {}).get("body", "")).lower()
    ]


class UniqueIds(SphinxPostTransform):
    """Drop the ids that all theorems, exercises and solutions of a page share."""

    default_priority = 400

    def run(self, **kwargs: Any) -> None:
        for section in self.document.findall(nodes.section):
            section["ids"] = [id_ for id_ in section["ids"] if id_ not in SHARED_IDS]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the three."""
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.add_post_transform(UniqueIds)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
