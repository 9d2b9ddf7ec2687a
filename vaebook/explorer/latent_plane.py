"""The latent plane: drag a code, slide β, change the prior."""

from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from torch import Tensor

from vaebook.explorer.kinds import FRAME, KINDS
from vaebook.explorer.plane_models import EDGE, decoder_of, load_plane, model_names, own_layers
from vaebook.explorer.weights import pack_array, pack_network
from vaebook.explorer.widget import Widget
from vaebook.metrics.dogs import DOG_THRESHOLD
from vaebook.plots import COLOURS

SIDE = FRAME.stop - FRAME.start  # pixels of a picture
START = (1.5, -0.75)  # a code that is a dog to the VAE, and a ghost to the autoencoder
FIRST = "beta 1"
NUM_ELLIPSES = 24


class LatentPlane(Widget):
    """A plane of codes of two numbers, an autoencoder's beside a VAE's, under one pointer.

    Dragging shows what both decode the code to, and how far that is from the nearest possible dog.
    The distance is measured beforehand by ``nearest_dog`` on a grid of codes of each model,
    and read between them by interpolation; the planes are shaded by it. The slider goes
    through five VAEs. The switch changes the coordinates by an invertible map, which turns the
    prior into another and leaves every picture as it is.

    Source:
        Chapter 2, "holes"; chapter 8, "what the KL does"; chapter 9, the theorem of coordinates.
    """

    name = "latent-plane"
    title = "The latent plane: codes of an autoencoder and of a VAE"
    shows = "codes of two numbers, an autoencoder beside five VAEs, under four priors"
    alt = (
        "Two planes of codes of dogs of five kinds, grey where what is decoded is no dog. Left, "
        "the autoencoder: five islands of dots with grey between and around them; the marked code "
        "lies between two and gives a ghost. Right, a VAE with β = 1: the islands fill the dashed "
        "rings of the normal prior, with thin grey lines between; one dog's code is a small "
        "ellipse, and the marked code gives a dog."
    )

    def __init__(self) -> None:
        self.plane = load_plane()
        self.names = model_names(self.plane)

    def decode(self, name: str, codes: Tensor) -> Tensor:
        """What a model decodes codes ``[n, 2]`` to: pixels ``[n, p]``, clipped to [0, 1].

        Raises:
            ValueError: if no model has that name.
        """
        if name not in self.names:
            raise ValueError(f"no model {name!r}; expected one of {', '.join(self.names)}.")
        with torch.no_grad():
            return decoder_of(self.plane, name)(codes).clamp(0, 1)

    def data(self) -> dict[str, Any]:
        """The six models, their codes and their measured distances, packed."""
        last = pack_network(decoder_of(self.plane, self.names[0]))[-1]
        return {
            "side": SIDE,
            "edge": EDGE,
            "threshold": DOG_THRESHOLD,
            "start": START,
            "first": FIRST,
            "ellipses": NUM_ELLIPSES,
            "kindNames": KINDS,
            "kinds": [int(kind) for kind in self.plane["kinds"]],
            "last": last,
            "models": [self._packed(name) for name in self.names],
        }

    def _packed(self, name: str) -> dict[str, Any]:
        spreads = self.plane.get(f"{name}.spreads")
        return {
            "name": name,
            "layers": pack_network(own_layers(self.plane, name), "int8"),
            "codes": pack_array(self.plane[f"{name}.codes"]),
            "spreads": None if spreads is None else pack_array(spreads),
            "distances": pack_array(self.plane[f"{name}.distances"], "uint8"),
        }

    def draw(self) -> Figure:
        """Both planes at the start, each with the dog that it decodes."""
        figure, axes = plt.subplots(
            1, 4, figsize=(9.2, 3.2), width_ratios=[1.6, 1, 1.6, 1], layout="constrained"
        )
        for place, name in enumerate(("autoencoder", FIRST)):
            self._draw_plane(axes[2 * place], name)
            image = self.decode(name, torch.tensor([START])).view(SIDE, SIDE)
            ax = axes[2 * place + 1]
            ax.imshow(image.numpy(), vmin=0, vmax=1, interpolation="bicubic")
            ax.set(xticks=[], yticks=[], title="decoded")
        return figure

    def _draw_plane(self, ax: Axes, name: str) -> None:
        codes, shade = self.plane[f"{name}.codes"], self.plane[f"{name}.distances"]
        extent = (-EDGE, EDGE, -EDGE, EDGE)
        ax.imshow(
            shade.numpy(), cmap="Greys", vmin=DOG_THRESHOLD / 2, vmax=0.3, extent=extent,
            origin="lower", interpolation="bilinear",
        )  # fmt: skip
        vae = f"{name}.spreads" in self.plane
        colour = COLOURS["aggregate" if vae else "autoencoder"]
        ax.plot(*codes.T.numpy(), ".", ms=3, color=colour)
        if vae:
            for radius in (1, 2):
                ring = Circle((0, 0), radius, fill=False, ec=COLOURS["prior"], ls="--", lw=2)
                ax.add_patch(ring)
            nearest = int((codes - torch.tensor(START)).square().sum(1).argmin())
            wide, high = (4 * self.plane[f"{name}.spreads"][nearest]).tolist()
            centre = (float(codes[nearest, 0]), float(codes[nearest, 1]))
            ax.add_patch(Ellipse(centre, wide, high, fill=False, ec=COLOURS["posterior"], lw=2))
        ax.plot(*START, "o", ms=9, color="#222222", mec="white", mew=2)
        ax.set(
            xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xticks=[], yticks=[],
            title="VAE, β = 1" if vae else "autoencoder",
        )  # fmt: skip
