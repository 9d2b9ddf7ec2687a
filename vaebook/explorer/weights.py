"""Arrays and small networks, packed for a page: whole numbers times a scale, in base64."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load
from torch import Tensor, nn

from vaebook._checks import check_choice, check_tensor

LARGEST = {"uint8": 255, "int8": 127, "int16": 32767}
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def trained_weights(name: str) -> dict[str, Tensor]:
    """What ``python -m vaebook.explorer train NAME`` wrote, in single precision."""
    file = files("vaebook.explorer") / "weights" / f"{name}.safetensors"
    return {key: _cast(value, torch.float32) for key, value in load(file.read_bytes()).items()}


def in_half_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they are kept; what is no float stays as it is."""
    return {key: _cast(value, torch.float16) for key, value in tensors.items()}


def _cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def linear_weights(name: str, network: nn.Module) -> dict[str, Tensor]:
    """Weights and biases of all linear layers, ``<name>.0.weight`` and so on."""
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    return {
        f"{name}.{place}.{part}": getattr(layer, part).detach()
        for place, layer in enumerate(linear)
        for part in ("weight", "bias")
    }


def pack_array(array: Float[Tensor, "..."], kind: str = "int16") -> dict[str, Any]:
    """An array as whole numbers and their scale: ``array ≈ scale * numbers``.

    Args:
        array: finite numbers of any shape, for ``"int8"`` rows of a matrix.
        kind: ``"int16"``; ``"uint8"`` for numbers that are not negative; or ``"int8"``, where each
            row has a scale of its own.

    Returns:
        What ``unpack`` of ``core.js`` reads: ``type``, ``shape``, ``scale`` (of rows packed, too),
        ``data`` (base64).

    Raises:
        ValueError: if numbers are not finite, or negative where ``kind`` cannot hold them, or no
            matrix for ``"int8"``.
    """
    check_choice("kind", kind, LARGEST)
    check_tensor("array", array, floats=True)
    values = array.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise ValueError("array holds NaN or infinities; expected finite numbers. Train it anew.")
    if kind == "uint8" and values.size and values.min() < 0:
        raise ValueError(
            f"the least number is {values.min():.3g}; expected none below 0 for uint8. Use int16."
        )
    packed: dict[str, Any] = {"type": kind, "shape": list(values.shape)}
    if kind == "int8":
        if values.ndim != 2:
            raise ValueError(
                f"array has the shape {tuple(values.shape)}; expected rows and columns for int8. "
                "Use int16."
            )
        scale = np.abs(values).max(1, keepdims=True, initial=0.0) / LARGEST[kind]
        packed["scale"] = pack_array(torch.as_tensor(scale[:, 0]))
        scale[scale == 0] = 1.0
    else:
        scale = float(np.abs(values).max(initial=0.0)) / LARGEST[kind] or 1.0
        packed["scale"] = scale
    whole = np.rint(values / scale).astype(np.dtype(kind).newbyteorder("<"))
    return {**packed, "data": base64.b64encode(whole.tobytes()).decode("ascii")}


def unpack_array(packed: dict[str, Any]) -> Float[Tensor, "..."]:
    """The numbers that a page sees."""
    kind = np.dtype(packed["type"]).newbyteorder("<")
    whole = np.frombuffer(base64.b64decode(packed["data"]), kind).reshape(packed["shape"])
    scale = packed["scale"]
    rows = unpack_array(scale).double().numpy()[:, None] if isinstance(scale, dict) else scale
    return torch.as_tensor(whole.astype(np.float64) * rows).float()


def pack_network(network: nn.Sequential, kind: str = "int16") -> list[dict[str, Any]]:
    """Linear layers, each with the activation that follows it, for ``network`` of ``core.js``.

    Args:
        network: ``nn.Linear`` layers with activations of ``ACTIVATIONS`` between; layers that only
            reshape (``nn.Flatten``, ``nn.Unflatten``) are left out.
        kind: of the weights, as in :func:`pack_array`; biases are ``"int16"``.

    Raises:
        ValueError: if it holds any other layer.
    """
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    layers: list[dict[str, Any]] = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
            layers.append(
                {
                    "weight": pack_array(layer.weight, kind),
                    "bias": pack_array(bias),
                    "activation": "identity",
                }
            )
        elif type(layer) in names and layers:
            layers[-1]["activation"] = names[type(layer)]
        elif not isinstance(layer, nn.Flatten | nn.Unflatten):
            raise ValueError(
                f"the network holds {layer}; expected linear layers and {', '.join(ACTIVATIONS)}. "
                "Build it with vaebook.models.MLP."
            )
    return layers


def unpack_network(layers: list[dict[str, Any]]) -> nn.Sequential:
    """The network that a page computes with, its weights rounded as they were packed."""
    modules: list[nn.Module] = []
    for layer in layers:
        weight = unpack_array(layer["weight"])
        linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(unpack_array(layer["bias"]))
        modules += [linear, ACTIVATIONS[layer["activation"]]()]
    return nn.Sequential(*modules)
