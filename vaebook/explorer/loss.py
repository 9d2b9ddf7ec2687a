"""What a written loss says about σ and β, with pictures of a model trained so (chapter 07)."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from vaebook.distributions import CONVENTIONS
from vaebook.explorer.weights import pack_array, trained_weights
from vaebook.explorer.widget import Widget

NUM_SHOWN = 4  # pictures in a row
DRAWN = ("squared error 0.1", "squared error 0.7", "squared error 2.8", "squared error 5.6")
WEIGHTS = {"batch/N": "128/10000", "1/M": "1/M"}  # as the page writes them
START = {
    "convention": "squared error, mean + 0.00025 · KL",
    "shape": "3 × 64 × 64",
    "code": "128",
}


class LossCalculator(Widget):
    """Describe a VAE's loss, and read the decoder's σ and the β that it implies.

    The numbers are those of ``vaebook.distributions.translate_loss``. Beside them stand pictures of
    the small model, of several trained on Fashion-MNIST, whose σ or β is the nearest.

    Source:
        Chapter 07, the equations of ``translate_loss``; ``python -m vaebook.explorer train loss``.
    """

    name = "loss"
    title = "A calculator for the loss of a VAE"
    shows = "the σ and the β that a written loss implies, and pictures of a model trained so"
    alt = (
        "Five rows of four small pictures of clothes: photographs, then what models trained at a "
        "growing sigma make of them. At 0.1 they keep their shapes, at 2.8 they "
        "blur, at 5.6 all are one grey smudge."
    )

    def data(self) -> dict[str, Any]:
        """The losses in circulation, and the pictures of the trained models."""
        shipped = load_pictures()
        photographs = shipped.pop("data")
        return {
            "start": START,
            "conventions": [
                {
                    "name": how.name,
                    "reconstruction": how.reconstruction,
                    "pixels": how.over_pixels,
                    "latents": how.over_latents,
                    "weight": f"{how.reconstruction_weight:g}",
                    "kl": WEIGHTS.get(str(how.kl_weight)) or f"{how.kl_weight:g}",
                }
                for how in CONVENTIONS
            ],
            "photographs": pack_array(photographs, "uint8"),
            "trained": [
                {"family": family, "at": float(value), "pictures": pack_array(pictures, "uint8")}
                for name, pictures in shipped.items()
                for family, _, value in [name.rpartition(" ")]
            ],
        }

    def draw(self) -> Figure:
        """Photographs, and their reconstructions at four σ."""
        shipped = load_pictures()
        rows = {"photographs": shipped["data"]}
        rows |= {f"σ = {name.split()[-1]}": shipped[name] for name in DRAWN}
        figure, axes = plt.subplots(len(rows), NUM_SHOWN, figsize=(2.9, 3.1), layout="constrained")
        for line, (name, pictures) in zip(axes, rows.items(), strict=True):
            for ax, picture in zip(line, pictures[:NUM_SHOWN], strict=True):
                ax.imshow(picture.numpy(), vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        return figure


def load_pictures() -> dict[str, Tensor]:
    """What ``train_loss`` made, by model, brightness from 0 to 1; the least σ or β comes first."""
    found = {key: value.float() / 255 for key, value in trained_weights("loss").items()}
    number = {key: float(key.split()[-1]) if key != "data" else 0.0 for key in found}
    return {key: found[key] for key in sorted(found, key=lambda key: (key.split()[0], number[key]))}
