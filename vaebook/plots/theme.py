"""One look for all figures."""

import matplotlib.pyplot as plt
import seaborn as sns

# Okabe & Ito's palette, its yellow replaced by a wine red; safe for colour-blind readers.
# A model keeps its colour in the whole book.
COLOURS: dict[str, str] = {
    "data": "#000000",
    "autoencoder": "#E69F00",
    "noise": "#882255",
    "kl": "#CC79A7",
    "vae": "#0072B2",
    "gan": "#D55E00",
    "vae-gan": "#009E73",
    "prior": "#56B4E9",
    "posterior": "#0072B2",
    "aggregate": "#009E73",
    "pca": "#999999",
    "optimal": "#332288",
    "learned prior": "#009E73",
    "discrete codes": "#D55E00",
    "fitted afterwards": "#E69F00",
    "flow matching": "#882255",
}


def colour_of(name: str) -> str:
    """The colour of a model or distribution.

    Raises:
        KeyError: if it has none yet; add it to ``COLOURS``.
    """
    if name not in COLOURS:
        raise KeyError(f"{name!r} has no colour; expected one of {sorted(COLOURS)}.")
    return COLOURS[name]


def use_theme() -> None:
    """Set the book's look for all figures that follow. Call it once, at the top of a notebook."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette=[COLOURS[name] for name in ("vae", "autoencoder", "vae-gan", "gan", "kl", "prior")],
    )
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 4.0),
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "savefig.bbox": "tight",
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "axes.titlesize": 12,
            "axes.labelsize": 12,
            "legend.fontsize": 10,
            "legend.frameon": True,
            "lines.linewidth": 2.0,
            "errorbar.capsize": 3.0,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
        }
    )
