"""What every widget must ship: a still picture as it is drawn now, a fixed text, little HTML."""

import io

import numpy as np
import pytest
from PIL import Image

from vaebook.explorer import WIDGETS, Widget

MOST_BYTES = {  # of a widget's HTML; all but the first stand in a notebook
    "latent-plane": 440_000,
    "latent-sliders": 100_000,
    "kl": 65_000,
    "loss": 150_000,
    "flow": 85_000,
}
MOST_DIFFERENCE = 2.0  # of 255, on average: another version of a font may move a letter


@pytest.fixture(params=sorted(WIDGETS))
def widget(request: pytest.FixtureRequest) -> Widget:
    return WIDGETS[request.param]()


def test_its_text_is_fixed(widget: Widget) -> None:
    assert repr(widget) == f"{type(widget).__name__}: {widget.shows}"
    assert len(widget.alt) >= 60


def test_its_html_is_small_and_the_same_wherever_it_is_stored(widget: Widget) -> None:
    html = widget._repr_html_()
    assert html == type(widget)()._repr_html_()
    assert len(html.encode()) <= MOST_BYTES[widget.name]


def test_its_still_picture_is_what_it_draws(widget: Widget) -> None:
    stored, drawn = (
        Image.open(io.BytesIO(png)).convert("RGB") for png in (widget.still(), widget.redraw())
    )
    small = [np.asarray(image.resize((64, 48)), dtype=float) for image in (stored, drawn)]
    assert np.abs(small[0] - small[1]).mean() < MOST_DIFFERENCE, (
        "the still picture is not what draw() gives: python -m vaebook.explorer stills"
    )
