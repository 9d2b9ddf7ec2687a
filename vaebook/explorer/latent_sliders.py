"""The sliders of a VAE with codes of sixteen numbers."""

from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from vaebook.explorer.plane_models import linear
from vaebook.explorer.weights import pack_array, pack_network, trained_weights
from vaebook.explorer.widget import Widget
from vaebook.plots import COLOURS

SIZE = 28  # pixels of a picture's side, in training
ROWS, COLUMNS = slice(3, 25), slice(1, 27)  # with a dog in them; the paper round them is left out
HEIGHT, WIDTH = ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start
LATENT_DIM = 16
ACTIVE = 0.05  # nats a latent carries at least to have a slider of its own


class LatentSliders(Widget):
    """A slider for each number of a code that carries something, and one for all that do not.

    The decoder is that of a VAE with sixteen latents, trained on dogs of all sixteen factors in 28
    by 28 pixels, small enough for a page; its weights are whole numbers of 8 bits. Which latents
    are active is computed: those whose KL term, averaged over test dogs, is 0.05 nats or more. A
    random sample draws all sixteen numbers from N(0, 1); two dogs of the test set can be chosen,
    and the way between their codes be walked.

    Source:
        Chapter 6, "what is in a code".
    """

    name = "latent-sliders"
    title = "Sixteen numbers of a code, and the dog that they decode to"
    shows = "a slider for each active latent of a VAE with sixteen, and the decoded dog"
    alt = (
        "Bars of the KL term of sixteen latents: a few carry one to two nats each, the others "
        "nothing. Beside them the dogs that come out when the three strongest latents are moved "
        "to −2 and to 2: its direction, its coat and its size change."
    )

    def __init__(self) -> None:
        self.trained = trained_weights(self.name)

    @property
    def decoder(self) -> nn.Sequential:
        """From codes ``[n, 16]`` to pixels ``[n, p]`` in [0, 1]."""
        layers: list[nn.Module] = []
        for place in range(3):
            weight, bias = (self.trained[f"decoder.{place}.{part}"] for part in ("weight", "bias"))
            layers += [linear(weight, bias), nn.SiLU()]
        return nn.Sequential(*layers[:-1], nn.Sigmoid())

    def decode(self, codes: Float[Tensor, "n 16"]) -> Float[Tensor, "n p"]:
        """What codes decode to: pixels in [0, 1]."""
        with torch.no_grad():
            return self.decoder(codes)

    def active(self) -> list[int]:
        """Latents with a slider of their own, the strongest first."""
        rates = self.trained["rates"]
        return [j for j in rates.argsort(descending=True).tolist() if rates[j] >= ACTIVE]

    def data(self) -> dict[str, Any]:
        """The decoder, what each latent carries, and the codes of some dogs."""
        return {
            "height": HEIGHT,
            "width": WIDTH,
            "layers": pack_network(self.decoder, "int8"),
            "rates": [round(float(rate), 3) for rate in self.trained["rates"]],
            "active": self.active(),
            "codes": pack_array(self.trained["codes"]),
        }

    def draw(self) -> Figure:
        """What each latent carries, and what the strongest do."""
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(6.4, 2.6), width_ratios=(3, 2), layout="constrained"
        )
        rates, order = self.trained["rates"].sort(descending=True)
        left.bar(range(LATENT_DIM), rates.tolist(), color=COLOURS["posterior"])
        left.set_xticks(range(LATENT_DIM), [str(j + 1) for j in order.tolist()], fontsize=8)
        left.set(xlabel="latent", ylabel="KL term (nats)")
        left.grid(axis="x", visible=False)
        codes = torch.zeros(6, LATENT_DIM)
        for row, latent in enumerate(self.active()[:3]):
            codes[2 * row : 2 * row + 2, latent] = torch.tensor([-2.0, 2.0])
        images = self.decode(codes).view(3, 2, HEIGHT, WIDTH)
        grid = images.permute(0, 2, 1, 3).reshape(3 * HEIGHT, 2 * WIDTH)
        right.imshow(grid.numpy(), vmin=0, vmax=1)
        right.set_xticks([WIDTH / 2, 1.5 * WIDTH], ["−2", "2"])
        names = [f"$z_{{{latent + 1}}}$" for latent in self.active()[:3]]
        right.set_yticks([HEIGHT * (row + 0.5) for row in range(3)], names)
        right.grid(visible=False)
        return figure
