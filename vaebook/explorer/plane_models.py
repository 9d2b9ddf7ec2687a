"""The trained models of the latent plane, as they ship with the package."""

import torch
from torch import Tensor, nn

from vaebook.explorer.weights import trained_weights

EDGE = 3.25  # the plane goes from −EDGE to EDGE on both axes


def load_plane() -> dict[str, Tensor]:
    """What ``measured_plane`` made, in single precision."""
    return trained_weights("latent-plane")


def model_names(plane: dict[str, Tensor]) -> list[str]:
    """``"autoencoder"`` and ``"beta 0.1"`` to ``"beta 125"``, by weight."""
    names = {key.partition(".0.weight")[0] for key in plane if key.endswith(".0.weight")}
    return sorted(names, key=lambda name: float(name.removeprefix("beta ")) if " " in name else -1)


def decoder_of(plane: dict[str, Tensor], name: str) -> nn.Sequential:
    """The decoder of a model, from codes ``[n, 2]`` to pixels ``[n, p]``."""
    return nn.Sequential(*own_layers(plane, name), linear(plane["basis"].T, plane["mean"]))


def own_layers(plane: dict[str, Tensor], name: str) -> nn.Sequential:
    """The layers of a decoder that are its own, from codes ``[n, 2]`` to components ``[n, c]``."""
    modules: list[nn.Module] = []
    place = 0
    while f"{name}.{place}.weight" in plane:
        weight, bias = (plane[f"{name}.{place}.{part}"] for part in ("weight", "bias"))
        modules += [linear(weight, bias), nn.SiLU()]
        place += 1
    return nn.Sequential(*modules[:-1])


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with these numbers."""
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
