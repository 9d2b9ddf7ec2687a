"""Figures: images where they should be, one theme, colours that can be told apart."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from tests.properties import uniform
from vaebook.plots import COLOURS, colour_of, image_grid, show_images, use_theme


@pytest.fixture(autouse=True)
def drawing() -> Iterator[None]:
    """No window, and rcParams as they were."""
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    with mpl.rc_context():
        yield
    plt.close("all")
    plt.switch_backend(backend)


def test_images_are_laid_out_row_by_row() -> None:
    images = torch.arange(1, 6).float().reshape(5, 1, 1, 1).expand(-1, 1, 2, 3) / 10
    grid = image_grid(images, num_columns=3, gap=1)
    assert grid.shape == (2 * 2 + 1, 3 * 3 + 2)
    for index in range(5):
        row, column = divmod(index, 3)
        tile = grid[row * 3 : row * 3 + 2, column * 4 : column * 4 + 3]
        assert (tile == (index + 1) / 10).all(), f"image {index}"
    assert (grid[2] == 1).all(), "white between the rows"
    assert (grid[:, [3, 7]] == 1).all(), "and between the columns"
    assert (grid[3:, 8:] == 1).all(), "and where images have run out"


def test_without_a_gap() -> None:
    images = uniform(0, 4, 1, 2, 2)
    a, b, c, d = images[:, 0].numpy()
    grid = image_grid(images, num_columns=2, gap=0)
    np.testing.assert_array_equal(grid, np.block([[a, b], [c, d]]))


def test_more_columns_than_images() -> None:
    assert image_grid(uniform(0, 2, 1, 2, 2), num_columns=5, gap=1).shape == (2, 14)


def test_pixels_survive_a_transposed_image() -> None:
    image = uniform(0, 1, 1, 2, 3)
    np.testing.assert_array_equal(image_grid(image, num_columns=1), image[0, 0])


def test_show_images_draws_the_grid() -> None:
    images = uniform(0, 6, 1, 4, 4).float().requires_grad_()
    ax = show_images(images, num_columns=3, title="Dogs", row_labels=("first", "second"))
    (drawn,) = ax.images
    np.testing.assert_array_equal(drawn.get_array(), image_grid(images, num_columns=3))
    assert drawn.get_clim() == (0, 1)
    assert ax.get_title() == "Dogs"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert list(ax.get_xticks()) == []
    assert not any(side.get_visible() for side in ax.spines.values())
    ax.figure.canvas.draw()


def test_show_images_into_axes_of_ones_own() -> None:
    figure, ax = plt.subplots()
    assert show_images(torch.full((2, 1, 4, 4), 1.7), ax=ax) is ax
    assert plt.get_fignums() == [figure.number], "no other figure appears"
    assert ax.images[0].get_array().max() == 1.0, "values outside [0, 1] are clipped"
    assert list(ax.get_yticks()) == []


def test_the_theme_sets_the_look_when_called() -> None:
    mpl.rcdefaults()
    before = dict(mpl.rcParams)
    use_theme()
    assert mpl.rcParams["image.cmap"] == "gray"
    assert mpl.rcParams["figure.facecolor"] == "white"
    cycle = [entry["color"] for entry in mpl.rcParams["axes.prop_cycle"]]
    assert to_rgb(cycle[0]) == pytest.approx(to_rgb(COLOURS["vae"]))
    first = dict(mpl.rcParams)
    use_theme()
    assert dict(mpl.rcParams) == first, "twice is the same as once"
    assert first != before


def test_colours_can_be_told_apart() -> None:
    """Models that share a figure differ by a visible distance."""
    models = ("autoencoder", "noise", "kl", "vae", "gan", "vae-gan", "pca", "data")
    for i, first in enumerate(models):
        for second in models[:i]:
            difference = np.subtract(to_rgb(colour_of(first)), to_rgb(COLOURS[second]))
            assert np.linalg.norm(difference) > 0.2, f"{first} and {second}"


def test_wrong_input_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2, 4, 4\), and so 2 channels; expected 1"):
        image_grid(uniform(0, 2, 2, 4, 4), num_columns=2)
    with pytest.raises(ValueError, match="num_columns is 0"):
        image_grid(uniform(0, 2, 1, 4, 4), num_columns=0)
    with pytest.raises(ValueError, match="1 row labels for 2 rows"):
        show_images(uniform(0, 4, 1, 4, 4), num_columns=2, row_labels=["one"])
    with pytest.raises(KeyError, match="'flow' has no colour"):
        colour_of("flow")


def test_colours_are_laid_out_like_grey() -> None:
    images = uniform(0, 5, 3, 2, 4).float()
    grid = image_grid(images, num_columns=3, gap=1)
    assert grid.shape == (5, 14, 3)
    for colour in range(3):
        grey = image_grid(images[:, colour : colour + 1], num_columns=3, gap=1)
        np.testing.assert_array_equal(grid[..., colour], grey)
    ax = show_images(images, num_columns=3)
    np.testing.assert_array_equal(ax.images[0].get_array(), image_grid(images, num_columns=3))
    ax.figure.canvas.draw()


def test_what_cannot_be_shown() -> None:
    grey = torch.rand(2, 1, 4, 4)
    wrong = {
        "is a ndarray; expected a torch tensor": grey.numpy(),
        r"images\[None\] for a single one": grey[0],
        r"shape \(0, 1, 4, 4\); expected one or more": grey[:0],
        "2 channels; expected 1 for grey.*show one": torch.rand(2, 2, 4, 4),
        r"images.permute\(0, 3, 1, 2\)": torch.rand(2, 8, 8, 3),
        r"dtype torch.uint8; expected floats": (255 * grey).byte(),
    }
    for message, images in wrong.items():
        with pytest.raises(ValueError, match=message):
            show_images(images)  # type: ignore[arg-type]
