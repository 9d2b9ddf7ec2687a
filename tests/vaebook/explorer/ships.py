"""What every widget must ship: a still picture as it is drawn now, a fixed text, little HTML."""

import io

import numpy as np
from PIL import Image

from vaebook.explorer import WIDGETS, Widget

MOST_BYTES = 150_000
MOST_DIFFERENCE = 2.0  # of 255, on average: another version of a font may move a letter


def assert_ships(widget: Widget) -> None:
    """The still, the text and the size of a widget."""
    assert WIDGETS[widget.name] is type(widget)
    assert repr(widget) == f"{type(widget).__name__}: {widget.shows}"
    shown = widget._repr_html_()
    assert shown == type(widget)()._repr_html_(), "the same wherever it is stored"
    assert len(shown.encode()) <= MOST_BYTES
    assert len(widget.alt) >= 60
    stored, drawn = (
        Image.open(io.BytesIO(png)).convert("RGB") for png in (widget.still(), widget.redraw())
    )
    small = [np.asarray(image.resize((64, 48)), dtype=float) for image in (stored, drawn)]
    assert np.abs(small[0] - small[1]).mean() < MOST_DIFFERENCE, (
        "the still picture is not what draw() gives: python -m vaebook.explorer stills"
    )
