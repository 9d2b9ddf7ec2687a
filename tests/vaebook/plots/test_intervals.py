"""Means with bars: where they stand, how long they are, what is refused."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from vaebook.plots import dot_panel, interval_plot, log_ticks

ROWS = pd.DataFrame(
    {"d": [2, 8, 32], "mean": [0.1, 0.5, 0.9], "low": [-0.1, 0.4, 0.7], "high": [0.2, 0.6, 1.1]},
    index=["VAE", "GAN", "PCA"],
)


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def bars(ax: Axes, which: int = 0) -> list[list[list[float]]]:
    """The ends of each bar of a set."""
    segments = ax.containers[which].lines[2][0].get_segments()
    return [np.round(segment, 9).tolist() for segment in segments]


def test_means_and_bars_against_a_column(ax: Axes) -> None:
    interval_plot(ax, ROWS, "d", factor=100, within=(0, 100), marker="s", label="dogs")
    assert ax.containers[0].lines[0].get_xydata().tolist() == [[2, 10], [8, 50], [32, 90]]
    assert bars(ax) == [[[2, 0], [2, 20]], [[8, 40], [8, 60]], [[32, 70], [32, 100]]]
    assert ax.get_legend_handles_labels()[1] == ["dogs"]


def test_means_against_values_of_its_own(ax: Axes) -> None:
    interval_plot(ax, ROWS, [1, 2, 3])
    assert bars(ax)[0] == [[1, -0.1], [1, 0.2]]


def test_a_bar_is_never_negative_where_a_mean_lies_beyond_what_is_possible(ax: Axes) -> None:
    interval_plot(ax, ROWS, "d", within=(0.2, 0.8))
    assert bars(ax)[0] == [[2, 0.1], [2, 0.2]]


def test_dots_stand_one_below_another_under_their_names(ax: Axes) -> None:
    names = {"GAN": "adversarial", "flow": "never measured", "VAE": "variational"}
    dot_panel(ax, ROWS, names, shift=0.1, colour={"GAN": "red", "VAE": "blue"}, label="dogs")
    dot_panel(ax, ROWS, names, shift=-0.1, colour="black", label="cats", marker="^")
    points = {tuple(point) for part in ax.containers for point in part.lines[0].get_xydata()}
    assert points == {(0.5, 0.1), (0.1, 2.1), (0.5, -0.1), (0.1, 1.9)}
    assert [text.get_text() for text in ax.get_yticklabels()] == list(names.values())
    assert ax.get_ylim() == (2.5, -0.5), "the first stands on top"
    assert ax.get_legend_handles_labels()[1] == ["dogs", "cats"], "each set once"
    colours = [part.lines[0].get_color() for part in ax.containers]
    assert colours == ["red", "blue", "black"]


def test_dots_are_called_by_their_index_by_default(ax: Axes) -> None:
    dot_panel(ax, ROWS)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["VAE", "GAN", "PCA"]
    assert bars(ax)[0] == [[-0.1, 0], [0.2, 0]]


def test_a_logarithmic_axis_has_these_ticks_only(ax: Axes) -> None:
    interval_plot(ax, ROWS, "d")
    log_ticks(ax.xaxis, [2, 8, 1000], base=2)
    log_ticks(ax.yaxis, [0.05, 1])
    ax.figure.canvas.draw()
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "8", "1,000"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.05", "1"]
    assert not len(ax.xaxis.get_minorticklocs())
    assert not len(ax.yaxis.get_minorticklocs())


def test_what_is_missing_is_said(ax: Axes) -> None:
    with pytest.raises(ValueError, match=r"no column 'low'.*summarise"):
        interval_plot(ax, ROWS.drop(columns="low"), "d")
    with pytest.raises(ValueError, match="no column 'size'; expected one of"):
        interval_plot(ax, ROWS, "size")
    with pytest.raises(ValueError, match="two rows are called 'VAE'"):
        dot_panel(ax, ROWS.rename({"GAN": "VAE"}))
