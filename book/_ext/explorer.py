"""The directive ``{explorer}``: a picture to play with on a page.

    ```{explorer} latent-plane
    ```

Names are those of :data:`vaebook.explorer.WIDGETS`. HTML gets the live widget, everything else its
still picture, also where a chapter shows a widget as the output of a cell.
"""

import base64
import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from vaebook.explorer import WIDGETS

STILL = re.compile(
    r'<img class="explorer-still" alt="(?P<alt>[^"]*)" src="data:image/png;base64,(?P<png>[^"]+)">'
)


class Explorer(SphinxDirective):
    """See the module."""

    required_arguments = 1
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in WIDGETS:
            raise self.error(f"no explorer {name!r}; expected one of {', '.join(WIDGETS)}")
        return [nodes.raw("", WIDGETS[name]()._repr_html_(), format="html")]


class StillPictures(SphinxPostTransform):
    """Put the still picture where a page has no scripts: in the PDF."""

    default_priority = 2  # before the output of a cell is reduced to what the PDF can show

    def run(self, **kwargs: Any) -> None:
        assert self.app.builder is not None
        if self.app.builder.format == "html":
            return
        for node in list(self.document.findall(nodes.raw)):
            found = STILL.search(node.astext())
            if found is None:
                continue
            bundle = next(
                (up for up in _ancestors(node) if up.get("nb_element") == "mime_bundle"), node
            )
            bundle.replace_self(self.image(base64.b64decode(found["png"]), found["alt"]))

    def image(self, png: bytes, alt: str) -> nodes.image:
        """An image of the document that is read from a file of the build."""
        number = sum(1 for _ in self.document.findall(nodes.image))
        file = Path(self.app.doctreedir) / "stills" / f"{self.env.docname}-{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png)
        uri = file.as_posix()
        self.env.images.add_file(self.env.docname, uri)
        return nodes.image(uri=uri, alt=alt, candidates={"*": uri})


def _ancestors(node: nodes.Node) -> list[nodes.Element]:
    found = []
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.Element):
            found.append(node)
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both."""
    app.add_directive("explorer", Explorer)
    app.add_post_transform(StillPictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
