"""Schematics: nodes where they were put, arrows from outline to outline, errors that help."""

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text
from PIL import Image

from tests.properties import uniform
from vaebook.plots import COLOURS, schematic, use_theme

ROWS = ["x encoder z", ". prior decoder"]
NODES = {
    "x": "observed",
    "encoder": "narrowing",
    "decoder": ("widening", "vae"),
    "z": ("circle", "posterior"),
    "prior": "text",
}
PHONE = 350  # pixels that a phone of 390 leaves for a figure
LEAST_LETTERS = 9  # pixels


@pytest.fixture(autouse=True)
def drawing() -> Iterator[None]:
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    with mpl.rc_context():
        use_theme()
        yield
    plt.close("all")
    plt.switch_backend(backend)


def drawn(ax: Axes, kind: type) -> list[Any]:
    return [patch for patch in ax.patches if type(patch) is kind]


def texts(ax: Axes) -> dict[str, Text]:
    return {text.get_text(): text for text in ax.texts}


def test_nodes_stand_on_a_grid_under_their_names() -> None:
    found = texts(schematic(ROWS, NODES, []))
    assert list(found) == ["x", "encoder", "z", "prior", "decoder"]
    at = {name: np.array(text.get_position()) for name, text in found.items()}
    np.testing.assert_allclose(at["encoder"] - at["x"], at["z"] - at["encoder"])
    assert (at["z"] - at["x"])[0] > 0
    assert (at["z"] - at["x"])[1] == 0
    assert at["prior"][0] == at["encoder"][0]
    assert at["prior"][1] < at["encoder"][1]


def test_shapes_and_colours() -> None:
    ax = schematic(ROWS, NODES, [])
    observed, z = drawn(ax, Ellipse)
    assert to_hex(z.get_edgecolor()) == COLOURS["posterior"].lower()
    assert sum(observed.get_facecolor()[:3]) < sum(z.get_facecolor()[:3]), "observed is shaded"
    sides = []
    for network in drawn(ax, Polygon):
        corners = network.get_xy()
        left = np.ptp(corners[corners[:, 0] == corners[:, 0].min(), 1])
        right = np.ptp(corners[corners[:, 0] == corners[:, 0].max(), 1])
        sides.append((left, right))
    (encoder_in, encoder_out), (decoder_in, decoder_out) = sides
    assert encoder_in > encoder_out
    assert decoder_in < decoder_out
    (words,) = drawn(ax, FancyBboxPatch)  # of "prior", for arrows to end at
    assert words.get_edgecolor()[3] == 0


def test_a_name_without_a_look_is_a_box_wide_enough_for_its_words() -> None:
    ax = schematic(["a b"], {}, [], labels={"b": "many words in one box"})
    assert list(texts(ax)) == ["a", "many words in one box"]
    short, long = drawn(ax, FancyBboxPatch)
    words = ax.texts[1].get_window_extent()
    box = long.get_window_extent()
    assert box.x0 < words.x0
    assert words.x1 < box.x1
    assert short.get_width() < long.get_width()


def test_several_nodes_may_share_a_look_and_names_may_show_a_space() -> None:
    ax = schematic(["log_σ² z ."], {"log_σ² z": ("circle", "posterior")}, [])
    assert list(texts(ax)) == ["log σ²", "z"]
    assert [to_hex(node.get_edgecolor()).upper() for node in drawn(ax, Ellipse)] == [
        COLOURS["posterior"]
    ] * 2


def test_a_picture_is_shown_as_it_is_with_its_label_below() -> None:
    image = uniform(0, 1, 4, 4)
    ax = schematic(["x z"], {"x": image}, ["x -> z"], labels={"x": "a dog"})
    (shown,) = ax.images
    np.testing.assert_allclose(np.asarray(shown.get_array()), image[0], atol=1e-6)
    left, right, bottom, top = shown.get_extent()
    assert right - left == pytest.approx(top - bottom)
    assert texts(ax)["a dog"].get_position()[1] < bottom


def test_a_chain_of_arrows_and_its_label() -> None:
    ax = schematic(ROWS, NODES, ["x -> encoder ~> z: draw", "z -> decoder"])
    lines = drawn(ax, FancyArrowPatch)
    assert [line.get_linestyle() == "-" for line in lines] == [True, False, True]
    at = {name: text.get_position() for name, text in texts(ax).items()}
    assert at["encoder"][0] < at["draw"][0] < at["z"][0], "on the last of the chain"
    assert at["draw"][1] > at["z"][1], "above it"


def test_arrows_end_at_the_outlines() -> None:
    ax = schematic(["a b"], {"a": "circle", "b": "circle"}, ["a -> b"])
    plt.gcf().canvas.draw()
    a, b = (node.get_window_extent() for node in drawn(ax, Ellipse))
    (line,) = drawn(ax, FancyArrowPatch)
    whole = line.get_path()
    path = ax.transData.transform(whole.vertices[whole.codes != Path.CLOSEPOLY])
    assert path[:, 0].min() >= a.x1
    assert path[:, 0].max() <= b.x0
    assert np.ptp(path[:, 0]) > 0.8 * (b.x0 - a.x1)


def test_colours_of_arrows() -> None:
    lines = drawn(schematic(["a b"], {}, {"gan": ["a -> b"], "vae": ["b -> a"]}), FancyArrowPatch)
    assert [to_hex(line.get_edgecolor()).upper() for line in lines] == [
        COLOURS["gan"],
        COLOURS["vae"],
    ]


def height_of(ax: Axes, index: int) -> tuple[float, float]:
    """The lowest and the highest point of an arrow above its row, in inches."""
    line = drawn(ax, FancyArrowPatch)[index]
    vertices = line.get_path().interpolated(20).vertices[:, 1]
    return float(vertices.min()), float(vertices.max())


def test_arrows_bow_round_what_is_in_their_way() -> None:
    straight = schematic(["a . c"], {}, ["a -> c"])
    assert np.ptp(height_of(straight, 0)) < 0.2, "the head alone"
    below = schematic(["a b c"], {}, ["a -> c"])
    assert height_of(below, 0)[0] < -0.35, "below the box between"
    above = schematic(["a b c"], {}, ["c -> a"])
    assert height_of(above, 0)[1] > 0.35


def test_two_ways_do_not_lie_on_one_line() -> None:
    ax = schematic(["a b"], {}, ["a -> b", "b -> a"])
    assert height_of(ax, 0)[0] < -0.05
    assert height_of(ax, 1)[1] > 0.05


def test_letters_can_be_read_on_a_phone() -> None:
    row = "x encoder mean z decoder y"
    look = {"x": uniform(0, 1, 4, 4), "encoder": "narrowing", "decoder": "widening"}
    ax = schematic([row], look, ["x -> encoder -> mean -> z -> decoder -> y"])
    stored = io.BytesIO()
    plt.savefig(stored)
    width = Image.open(stored).width
    for text in ax.texts:
        letters = float(text.get_fontsize()) / 72 * mpl.rcParams["savefig.dpi"]
        assert letters * PHONE / width >= LEAST_LETTERS, text
    boxes = [patch.get_window_extent() for patch in ax.patches if not is_arrow(patch)]
    sides = sorted({(box.x0, box.x1) for box in boxes})
    assert len(sides) == len(row.split())
    assert all(left[1] < right[0] for left, right in pairwise(sides)), "neighbours touch"


def is_arrow(patch: object) -> bool:
    return isinstance(patch, FancyArrowPatch)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arrows": ["x -> q"]}, r"name 'q'; expected one of \['x', 'encoder'.*place in rows"),
        ({"nodes": {"q": "box"}}, "name 'q'; expected one of"),
        ({"labels": {"q": "a"}}, "name 'q'; expected one of"),
        ({"nodes": {"x": "square"}}, "'x' is 'square'; expected one of .*'box'.* a picture"),
        ({"nodes": {"x": uniform(0, 4, 4)}}, r"shape \(4, 4\); expected \[1, h, w\]"),
        ({"nodes": {"x": uniform(0, 2, 1, 4, 4)}}, r"images\[0\]"),
        ({"rows": ["x x"]}, "two nodes are called 'x'; .*labels"),
        ({"rows": ["a b c d e f g"]}, "row 0 has 7 places; expected at most 6"),
        ({"rows": ["."]}, "no node"),
        ({"rows": []}, "no node"),
        ({"arrows": ["x"]}, "no arrow in 'x'; expected .*'x -> z: label'"),
        ({"arrows": "x -> z"}, "one text; expected lists"),
        ({"rows": "x z"}, "one text; expected lists"),
        ({"arrows": ["x -> x"]}, "to itself"),
    ],
)
def test_errors_say_what_to_do(given: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {"rows": ROWS, "nodes": {}, "arrows": []}
    with pytest.raises(ValueError, match=message):
        schematic(**whole | given)
    assert not plt.get_fignums() or "nodes" in given, "nothing is drawn of what cannot be read"


def test_a_colour_without_a_name() -> None:
    with pytest.raises(KeyError, match="'red' has no colour"):
        schematic(ROWS, {"x": ("box", "red")}, [])
    with pytest.raises(KeyError, match="'red' has no colour"):
        schematic(ROWS, {}, {"red": ["x -> z"]})
