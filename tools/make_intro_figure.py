"""Draw the figure of the introduction from the recorded pictures of the experiment ``anatomy``."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch

from vaebook.experiments import load_pictures
from vaebook.plots import show_images, use_theme

BOOK = Path(__file__).parents[1] / "book"
ROWS = {
    "data": "real dogs",
    "vae/reconstruction": "VAE:\nencoded, decoded",
    "autoencoder/prior": "autoencoder:\nN(0, I)",
    "autoencoder/fitted": "autoencoder:\nfitted normal",
    "vae/prior": "VAE: N(0, I)",
}


def main() -> None:
    """Write ``book/_static/intro-codes.png``."""
    matplotlib.use("Agg")
    use_theme()
    pictures = load_pictures("anatomy", BOOK / "results")
    rows = torch.cat([pictures[name][:8] for name in ROWS])
    _, ax = plt.subplots(figsize=(7.2, 3.8))
    show_images(rows, num_columns=8, row_labels=list(ROWS.values()), ax=ax)
    plt.savefig(BOOK / "_static" / "intro-codes.png")


if __name__ == "__main__":
    main()
