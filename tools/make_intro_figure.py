"""Draw the picture of the first page: one picture's code, the codes of all, and the prior.

    python tools/make_intro_figure.py

Trains a VAE with codes of two numbers on dogs that differ in two numbers, about two minutes on one
core, and writes ``book/_static/intro-light.png`` and ``intro-dark.png``.
"""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, Rectangle
from torch import Tensor

from vaebook.data.dogs import FACTOR_NAMES, factor_range, render
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, VAE
from vaebook.plots import COLOURS
from vaebook.training import fit, seeded

STATIC = Path(__file__).parents[1] / "book" / "_static"
SIZE = 112  # pixels of a picture's side
NUM_DOGS = 3000
SIGMA = 1.0  # of the pixels: wide enough that one picture's ellipse can be seen
HELD = {  # what all these dogs have in common
    "size": 1.15,
    "facing": 0.9,
    "tail_angle": 50.0,
    "ear_angle": 60.0,
    "snout_length": 0.09,
    "ear_length": 0.09,
    "tail_length": 0.14,
}
CROP = slice(11, 101)  # the paper round a dog is left out
CHOSEN = (0.7, 0.45)  # length of the legs and brightness of the coat, from 0 to 1
DOGS = {  # place in the figure, and which dog
    (-4.3, 2.1): (0.95, 0.05),
    (-4.3, -2.1): (0.05, 0.05),
    (4.3, 2.1): (0.95, 0.9),
    (4.3, -2.1): (0.05, 0.9),
}
BETWEEN = (4.3, 0.0)  # place of what lies half way between the last two
DOG = 1.85  # side of a drawn dog
TEXT = 16


class Look(NamedTuple):
    """Colours of one scheme."""

    name: str
    paper: str
    ink: str
    prior: str
    prior_text: str
    cloud: str
    posterior: str


PRIOR, CLOUD, POSTERIOR = (COLOURS[name] for name in ("prior", "aggregate", "posterior"))
LOOKS = (
    Look("light", "#ffffff", "#222222", PRIOR, "#2a7fae", CLOUD, POSTERIOR),
    Look("dark", "#121212", "#e6e6e6", PRIOR, PRIOR, "#2fc59b", "#7db9f0"),
)


def dogs_of_two_numbers(numbers: Float[Tensor, "n 2"]) -> Float[Tensor, "n 1 s s"]:
    """Dogs that differ in the length of their legs and the brightness of their coat.

    Args:
        numbers: the two, from 0 to 1.
    """
    low, high = factor_range()
    factors = ((low + high) / 2).repeat(len(numbers), 1)
    for name, value in HELD.items():
        factors[:, FACTOR_NAMES.index(name)] = value
    for column, name in enumerate(("leg_length", "coat")):
        place = FACTOR_NAMES.index(name)
        factors[:, place] = low[place] + (high[place] - low[place]) * numbers[:, column]
    coat = factors[:, FACTOR_NAMES.index("coat")]
    factors[:, FACTOR_NAMES.index("patch")] = 0.6 * coat + 0.05
    return render(factors, size=SIZE)


def turn_of(bright: Float[Tensor, "2 2"]) -> Float[Tensor, "2 2"]:
    """The rotation (and mirror) of the plane that brings two codes to the right, the first on top.

    N(0, I) has no preferred direction, so the loss does not say which way the codes lie.
    """
    along = bright.mean(0) / bright.mean(0).norm()
    across = torch.stack([-along[1], along[0]])
    if (bright[0] - bright[1]) @ across < 0:
        across = -across
    return torch.stack([along, across], 1)


def draw_dog(
    ax: Axes, image: Float[Tensor, "1 s s"], centre: tuple[float, float], edge: str
) -> None:
    """Put a picture into the figure, in a frame."""
    x, y = centre
    box = (x - DOG / 2, x + DOG / 2, y - DOG / 2, y + DOG / 2)
    shown = image[0, CROP, CROP]
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=box, interpolation="bicubic", zorder=3)
    frame = Rectangle((box[0], box[2]), DOG, DOG, fill=False, ec=edge, lw=2, zorder=4)
    ax.add_patch(frame)


def draw(model: VAE, images: Float[Tensor, "n 1 s s"], look: Look) -> None:
    """Write one of the two files."""
    with torch.no_grad(), seeded(3):
        cloud = model.posterior(images).sample()
        known = dogs_of_two_numbers(torch.tensor([CHOSEN, *DOGS.values()]))
        posterior = model.posterior(known)
        codes = torch.cat([posterior.mean, posterior.mean[-2:].mean(0, keepdim=True)])
        decoded = model.decode(codes)
    turn = turn_of(codes[-3:-1])
    cloud, codes = cloud @ turn, codes @ turn
    covariance = turn.T @ posterior.variance[0].diag() @ turn
    spread, axes = torch.linalg.eigh(covariance)
    figure = plt.figure(figsize=(9.0, 5.5), facecolor=look.paper)
    ax = figure.add_axes((0, 0, 1, 1))
    for radius in (1, 2):
        ring = Circle((0, 0), radius, fill=False, ec=look.prior, lw=2.4, ls=(0, (4, 3)), zorder=1)
        ax.add_patch(ring)
    ax.plot(*cloud.T, ".", ms=3, color=look.cloud, alpha=0.75, mew=0, zorder=0)
    long, short = (4 * spread.sqrt()).tolist()  # two standard deviations to either side
    angle = float(torch.atan2(axes[1, 0], axes[0, 0]).rad2deg())
    middle = (float(codes[0, 0]), float(codes[0, 1]))
    for alpha, fill in ((0.35, True), (1.0, False)):
        colour = {"fc": look.posterior if fill else "none", "ec": look.posterior}
        ellipse = Ellipse(middle, long, short, angle=angle, alpha=alpha, lw=3, zorder=2, **colour)
        ax.add_patch(ellipse)

    places = [(-4.3, 0.0), *DOGS, BETWEEN]
    for place, code, image in zip(places, codes.tolist(), decoded, strict=True):
        edge = look.posterior if place == places[0] else look.ink
        side = place[0] - DOG / 2 * (1 if place[0] > 0 else -1)
        ax.plot([side, code[0]], [place[1], code[1]], color=edge, lw=1.6, zorder=2)
        ax.plot(*code, "o", ms=8, color=edge, mec=look.paper, mew=1.5, zorder=5)
        draw_dog(ax, image, place, edge)
    label: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 6}
    label |= {"fontsize": TEXT, "fontweight": "bold"}
    ax.text(-1.75, 2.95, "prior N(0, I)", color=look.prior_text, **label)
    ax.text(1.6, 2.95, "codes of all dogs", color=look.cloud, **label)
    ax.text(0, -2.95, "one dog's code q(z | x)", color=look.posterior, **label)
    ax.set(xlim=(-5.4, 5.4), ylim=(-3.3, 3.3), aspect="equal")
    ax.axis("off")
    figure.savefig(STATIC / f"intro-{look.name}.png", dpi=160, facecolor=look.paper)
    plt.close(figure)


def main() -> None:
    """Train the model and write both files."""
    matplotlib.use("Agg")
    with seeded(11):
        images = dogs_of_two_numbers(torch.rand(NUM_DOGS, 2))
    network = MLP((256, 128), background=0.95)
    with seeded(0):
        model = VAE((1, SIZE, SIZE), 2, network=network, likelihood=GaussianLikelihood(SIGMA))
    fit(model, images, num_epochs=40, batch_size=64, lr=1e-3, seed=0)
    model.eval()
    for look in LOOKS:
        draw(model, images, look)


if __name__ == "__main__":
    main()
