"""An object that a page and a notebook show live, without a kernel, a network or a framework.

To add a widget:

1. A class in a module of its own, derived from :class:`Widget`: its ``name``, ``title``, ``shows``
   and ``alt``, ``data`` (what the script gets as JSON; ``pack_array`` and ``pack_network`` of
   ``weights.py`` shrink numbers) and ``draw`` (the still picture, by matplotlib).
2. ``static/<name>.js``, with one call ``vaebookExplorer.define("<name>", (explorer) => { … })``.
   In it ``explorer.state`` gets its first values; ``explorer.plane``, ``slider``, ``choice``,
   ``button`` and ``picture`` build the parts, which go into ``explorer.live``;
   ``explorer.describe = (state) => "…"`` says in words what is seen;
   ``explorer.decode = (code) => pixels`` where there is a decoder. Parts read the state and change
   it by ``explorer.set({…})``; functions pushed to ``explorer.parts`` run at each change.
   ``static/<name>.css`` is added where it exists.
3. The class in ``WIDGETS`` of ``__init__.py``, and its still, which ships as a file so that a saved
   page is the same everywhere: ``python -m vaebook.explorer stills``.
4. A line in ``tests/book/test_explorer.py``.
"""

import base64
import html
import json
from importlib.resources import files
from io import BytesIO
from typing import Any, ClassVar

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from vaebook.explorer.look import colour_table
from vaebook.plots import use_theme

FOLDER = files("vaebook.explorer")


class Widget:
    """What all explorers are: a still picture that a script brings to life.

    Attributes:
        name: of its script, such as ``"latent-plane"``.
        title: what it is, for those who hear the page.
        shows: one line for ``repr``.
        alt: what the still picture shows.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    shows: ClassVar[str]
    alt: ClassVar[str]

    def data(self) -> dict[str, Any]:
        """What the script gets, as JSON. Colours are added to it."""
        raise NotImplementedError(f"{type(self).__name__} has no data; define it.")

    def draw(self) -> Figure:
        """The still picture, drawn anew in the book's theme."""
        raise NotImplementedError(f"{type(self).__name__} has no draw; define it.")

    def still(self) -> bytes:
        """The still picture that ships with the package, a PNG."""
        return (FOLDER / "stills" / f"{self.name}.png").read_bytes()

    def redraw(self) -> bytes:
        """The still picture as :meth:`draw` gives it now, a PNG."""
        buffer = BytesIO()
        with plt.rc_context():
            use_theme()
            figure = self.draw()
            figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
            plt.close(figure)
        return _with_few_colours(buffer)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.shows}"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.still()).decode("ascii")
        data = json.dumps(
            {**self.data(), "colours": colour_table()}, ensure_ascii=False, separators=(",", ":")
        ).replace("<", "\\u003c")
        return (
            f'<div class="explorer" data-explorer="{self.name}" role="group" '
            f'aria-label="{html.escape(self.title)}">\n'
            f"<style>{_static('core.css')}{_static(f'{self.name}.css', needed=False)}</style>\n"
            f'<img class="explorer-still" alt="{html.escape(self.alt)}" '
            f'src="data:image/png;base64,{picture}">\n'
            f'<script type="application/json" class="explorer-data">{data}</script>\n'
            f"<script>{_static('core.js')}{_static(f'{self.name}.js')}{START}</script>\n</div>"
        )


def _with_few_colours(png: BytesIO) -> bytes:
    """The picture in 128 colours, which nobody tells from the original: a third of the bytes."""
    drawn = Image.open(png).convert("RGB")
    palette = drawn.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small = BytesIO()
    palette.save(small, format="png", optimize=True)
    return small.getvalue()


# The root is where the script stands. JupyterLab runs it in place too; where a page does not say
# which script runs, all roots that wait are started, and a started one stays as it is.
START = """(() => {
  const here = document.currentScript && document.currentScript.closest(".explorer");
  const roots = here ? [here] : document.querySelectorAll(".explorer");
  for (const root of roots) vaebookExplorer.start(root);
})();
"""


def _static(name: str, *, needed: bool = True) -> str:
    path = FOLDER / "static" / name
    return path.read_text(encoding="utf-8") if needed or path.is_file() else ""
