"""Points carried from noise to codes along a learned field (chapter 14)."""

import math
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from vaebook.distributions import integrate, standard_normal
from vaebook.distributions.velocity import NUM_FREQUENCIES, Velocity
from vaebook.explorer.kinds import KINDS
from vaebook.explorer.weights import pack_array, pack_network, trained_weights
from vaebook.explorer.widget import Widget
from vaebook.plots import COLOURS
from vaebook.training import seeded

NOISES = ("normal", "uniform")
NUM_STEPS = 32  # of the page's Runge-Kutta
EDGE = 2.7  # of what is drawn, in both directions
START = (0.2, 1.6)
NEAR = 0.2  # how near to a code a point has arrived


class FlowExplorer(Widget):
    """Noise that flows to codes: a clock to turn, a point to drag, two kinds of noise.

    The codes are those of an autoencoder with two numbers, of dogs of five kinds. A small velocity
    network was trained by flow matching for each noise; the page follows it by Runge and Kutta's
    method of fourth order.

    Source:
        Chapter 14, the loss of flow matching; ``python -m vaebook.explorer train flow``.
    """

    name = "flow"
    title = "Points carried from noise to codes along a learned field"
    shows = "noise that flows to the codes of five kinds of dogs, from a normal or a uniform start"
    alt = (
        "Three panels at times 0, one half and 1. A round cloud of points at time 0 is drawn apart "
        "into five groups, which at time 1 lie on the codes of five kinds of dogs."
    )

    def data(self) -> dict[str, Any]:
        """Fields, codes, and a dog of each kind."""
        shipped = load_flow()
        return {
            "fields": {noise: pack_network(layers_of(shipped, noise)) for noise in NOISES},
            "codes": pack_array(shipped["codes"]),
            "kinds": shipped["kinds"].tolist(),
            "names": list(KINDS),
            "pictures": pack_array(shipped["pictures"], "uint8"),
            "start": START,
            "edge": EDGE,
            "near": NEAR,
            "steps": NUM_STEPS,
            "frequencies": NUM_FREQUENCIES,
        }

    def draw(self) -> Figure:
        """Three moments of the flow from normal noise."""
        shipped = load_flow()
        with seeded(0):
            noise = standard_normal(2).sample((300,))
        velocity = field_of(shipped, "normal")
        figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), sharey=True, layout="constrained")
        for ax, time in zip(axes, (0, 0.5, 1), strict=True):
            points = integrate(velocity, noise, end=time, num_steps=100).points if time else noise
            ax.plot(*shipped["codes"].T, "s", ms=2, color=COLOURS["data"], alpha=0.3)
            ax.plot(*points.T, "o", ms=2.5, color=COLOURS["flow matching"])
            ax.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", title=f"$t$ = {time:g}")
            ax.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        return figure


def load_flow() -> dict[str, Tensor]:
    """What ``train_flow`` made, in single precision."""
    return trained_weights("flow")


def layers_of(shipped: dict[str, Tensor], noise: str) -> nn.Sequential:
    """The layers of a field: of a point, the time, and sines and cosines of the time."""
    hidden, inputs = shipped[f"{noise}.0.weight"].shape
    layers = nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
        nn.Linear(hidden, 2),
    )  # fmt: skip
    layers.load_state_dict(
        {
            key.removeprefix(f"{noise}."): value
            for key, value in shipped.items()
            if key.startswith(f"{noise}.")
        }
    )
    return layers.requires_grad_(False)


def field_of(shipped: dict[str, Tensor], noise: str) -> Velocity:
    """Where a point moves: a function of points ``[n, 2]`` and times ``[n]``."""
    layers = layers_of(shipped, noise)
    turns = math.pi * torch.arange(1, NUM_FREQUENCIES + 1)

    def velocity(x: Float[Tensor, "n 2"], t: Float[Tensor, " n"]) -> Float[Tensor, "n 2"]:
        angles = t[:, None] * turns
        found: Tensor = layers(torch.cat([x, t[:, None], angles.sin(), angles.cos()], 1))
        return found

    return velocity
