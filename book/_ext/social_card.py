"""The picture that is shown with a link to a page: its title, its description, the book's bell."""

import re
from functools import cache, partial
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vaebook.plots import COLOURS

WIDTH, HEIGHT = 1200, 630  # pixels, what the sites that show such pictures ask for
DPI = 100
INK, GREY, BELL, DOT = "#1d2733", "#4a5663", "#2f7fc1", "#e08214"  # the last two are the logo's
LOOK = "1"  # count up when the drawing changes, so that stored cards are drawn again


def bell_of(logo: Path) -> np.ndarray:
    """The curve of the logo, in its units of 128: shape (points, 2)."""
    path = re.search(r'<path d="([^"]+)"', logo.read_text(encoding="utf-8"))
    if path is None:
        raise ValueError(f"{logo.name} has no path to draw the bell from")
    return np.array(re.findall(r"-?[\d.]+", path[1]), dtype=float).reshape(-1, 2)


@cache
def blank_card(book: str, logo: Path) -> Figure:
    """A card without its title and description, which are the same for all pages."""
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()

    # codes drawn at random stand under the bell, as they do in the book
    ground, centre, spread = 74, 988, 66
    x = np.linspace(0, WIDTH, 601)
    height = 190 * np.exp(-0.5 * ((x - centre) / spread) ** 2)
    axes.fill_between(x, ground, ground + height, color=COLOURS["prior"], alpha=0.16, lw=0)
    axes.plot(x, ground + height, color=COLOURS["prior"], alpha=0.55, lw=3)
    codes = np.random.default_rng(0).normal(centre, spread, 40)
    axes.scatter(codes, np.full(40, ground - 24), s=46, color=DOT, alpha=0.5, lw=0)
    axes.fill_between([0, WIDTH], 0, 12, color=COLOURS["vae"], lw=0)

    left, top, size = 72, HEIGHT - 48, 62
    bell = bell_of(logo) / 128 * size
    axes.plot(left + bell[:, 0], top - bell[:, 1], color=BELL, lw=3.6, solid_capstyle="round")
    axes.scatter(left + size / 2, top - 118 / 128 * size, s=40, color=DOT, lw=0)
    axes.text(left + size + 20, top - size / 2, book, size=23, color=INK, va="center")
    return figure


def balanced(text: str, most: int) -> str:
    """The text in as few lines as it needs, none much shorter than the others."""
    fewest = len(wrap(text, most))
    narrowest = next(
        width for width in range(most // 2, most + 1) if len(wrap(text, width)) <= fewest
    )
    return "\n".join(wrap(text, narrowest))


def draw_card(target: Path, *, title: str, description: str, book: str, logo: Path) -> None:
    """Draw a page's card, unless the file holds it already."""
    text = "\n".join((LOOK, book, title, description))
    if target.is_file():
        with Image.open(target) as drawn:
            if drawn.info.get("Description") == text:
                return
    figure = blank_card(book, logo)
    axes = figure.axes[0]
    large, lines = next(
        (size, lines)
        for size, most in ((46, 25), (40, 29), (34, 34), (28, 42))
        if len(lines := wrap(title, most)) <= 2 or size == 28
    )
    place = partial(axes.text, 72, va="top", parse_math=False)
    top, step = HEIGHT - 150, 1.2 * large * DPI / 72
    head = place(top, "\n".join(lines), size=large, weight="bold", color=INK, linespacing=1.2)
    below = top - len(lines) * step - 36
    body = place(below, balanced(description, 54), size=20, color=GREY, linespacing=1.4)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    head.remove()
    body.remove()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    note = PngInfo()
    note.add_itxt("Description", text)
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(128, dither=Image.Dither.NONE).save(target, pnginfo=note)
