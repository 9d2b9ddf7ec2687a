"""The KL divergence between two Gaussians, on a line or in a plane (chapter 04)."""

import math
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch.distributions import Normal

from vaebook.explorer.widget import Widget
from vaebook.plots import COLOURS

START = {
    "dims": "1",
    "direction": "qp",
    "mu": 1.0,
    "sigma": 0.5,
    "m": 0.0,
    "tau": 1.0,
    "q": {"x": 1.0, "y": 0.5, "a": 1.1, "b": 0.4, "turn": 0.5},
    "p": {"x": 0.0, "y": 0.0, "a": 1.0, "b": 1.0, "turn": math.pi},
}


class KLExplorer(Widget):
    """Two Gaussians to drag, and the pieces of the KL divergence between them, in nats.

    On a line q = N(μ, σ²) and p = N(m, τ²), with what the divergence adds up; in a plane two full
    covariances. Either direction, the closed form term by term, its gradient by q as arrows.

    Source:
        Chapter 04, the closed forms of one dimension and of full covariance.
    """

    name = "kl"
    title = "Two Gaussians and the KL divergence between them"
    shows = "two Gaussians to drag; the KL divergence, term by term, and where it pulls"
    alt = (
        "Two bells over one axis: p, wide, at 0, and q, narrow, at 1. Below them the curve of q "
        "log(q/p), a hill shaded in blue and two dips shaded in orange; KL(q ‖ p) is 0.82 nats."
    )

    def data(self) -> dict[str, Any]:
        """Where the two Gaussians start."""
        return {"start": START}

    def draw(self) -> Figure:
        """Densities above, the integrand below."""
        z = torch.linspace(-3.2, 3.2, 641)
        q, p = Normal(1.0, 0.5), Normal(0.0, 1.0)
        figure, (top, bottom) = plt.subplots(
            2, 1, sharex=True, figsize=(6.4, 3.9), height_ratios=(3, 2), layout="constrained"
        )
        for density, name, letter in ((p, "prior", "p"), (q, "posterior", "q")):
            height = density.log_prob(z).exp()
            top.plot(z, height, color=COLOURS[name], label=f"${letter}$")
            top.fill_between(z, height, color=COLOURS[name], alpha=0.16)
        price = q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z))
        bottom.plot(z, price, color="black", lw=1)
        bottom.fill_between(z, price.clamp(min=0), color=COLOURS["posterior"], alpha=0.75)
        bottom.fill_between(z, price.clamp(max=0), color=COLOURS["autoencoder"], alpha=0.75)
        top.set(ylabel="density", title="KL$(q\\,\\|\\,p)$ = 0.82 nats")
        top.legend()
        bottom.set(xlabel="$z$", ylabel=r"$q\,\log(q/p)$")
        return figure
