"""Proofs without an id: sphinx-proof gives every one of a page the same."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

SHARED_ID = "proof"


def remove_shared_id(app: Sphinx, doctree: nodes.document) -> None:
    """Take the id that all proofs of a page share from each of them."""
    for node in doctree.findall(nodes.Element):
        if SHARED_ID in node.get("ids", ()) and SHARED_ID in node.get("classes", ()):
            node["ids"] = [name for name in node["ids"] if name != SHARED_ID]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", remove_shared_id)
    return {"version": "1", "parallel_read_safe": True}
