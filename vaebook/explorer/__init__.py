"""Pictures to play with, live on a page and in a notebook, without a kernel or a network."""

from vaebook.explorer.flow import FlowExplorer
from vaebook.explorer.kl import KLExplorer
from vaebook.explorer.latent_plane import LatentPlane
from vaebook.explorer.latent_sliders import LatentSliders
from vaebook.explorer.loss import LossCalculator
from vaebook.explorer.weights import pack_array, pack_network, unpack_array, unpack_network
from vaebook.explorer.widget import Widget

WIDGETS: dict[str, type[Widget]] = {
    widget.name: widget
    for widget in (LatentPlane, LatentSliders, KLExplorer, LossCalculator, FlowExplorer)
}
"""The widgets by the name under which a page asks for one."""

__all__ = [
    "WIDGETS", "FlowExplorer", "KLExplorer", "LatentPlane", "LatentSliders", "LossCalculator",
    "Widget", "pack_array", "pack_network", "unpack_array", "unpack_network",
]  # fmt: skip
