"""Weights as whole numbers of 8 bits, chosen so that the network computes what it did.

To round each weight by itself would be four times as far off: the inputs of a layer go together, so
what one weight is off its neighbours can make up for.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaebook.explorer.weights import LARGEST

NUM_SWEEPS = 30
STEPS = LARGEST["int8"]
RIDGE = 1e-4  # of the inputs' variance: what no code tells stays as it was


@torch.no_grad()
def rounded(network: nn.Sequential, codes: Float[Tensor, "n d"]) -> nn.Sequential:
    """The network, its weights whole numbers from −127 to 127 times one scale for each row.

    Layer by layer, on what the rounded layers before it put out, the weights are those with a small
    squared error of the layer's outputs; its bias takes what is left on average.

    Args:
        network: linear layers with activations between.
        codes: on which it should compute what it did; many more than a layer has inputs.

    Returns:
        A new network, which ``pack_network(…, "int8")`` keeps as it is.
    """
    exact, made = copy.deepcopy(network).double(), copy.deepcopy(network).double()
    inputs, outputs = codes.double(), codes.double()
    for before, after in zip(exact, made, strict=True):
        outputs = before(outputs)
        if isinstance(before, nn.Linear) and isinstance(after, nn.Linear):
            centred = inputs - inputs.mean(0)
            weight = _whole(before.weight, centred, outputs - outputs.mean(0))
            after.weight.copy_(weight)
            after.bias.copy_(outputs.mean(0) - weight @ inputs.mean(0))
        inputs = after(inputs)
    return made.float()


def _whole(
    weight: Float[Tensor, "o i"], inputs: Float[Tensor, "n i"], outputs: Float[Tensor, "n o"]
) -> Float[Tensor, "o i"]:
    """Coordinate descent: each column in turn is the best whole numbers, given all others."""
    scale = weight.abs().amax(1).clamp_min(1e-12) / STEPS
    whole = (weight / scale[:, None]).round()
    largest = whole.abs() == STEPS  # stays, so that a page finds the same scale
    second = inputs.T @ inputs / len(inputs)
    ridge = RIDGE * second.diagonal().mean()
    second = second + ridge * torch.eye(len(second), dtype=second.dtype)
    cross = outputs.T @ inputs / len(inputs) + ridge * weight
    for _ in range(NUM_SWEEPS):
        before = whole.clone()
        for column in second.diagonal().argsort(descending=True).tolist():
            others = (whole * scale[:, None]) @ second[:, column]
            own = whole[:, column] * scale * second[column, column]
            best = (cross[:, column] - others + own) / (second[column, column] * scale)
            best = best.round().clamp(-STEPS, STEPS)
            whole[:, column] = torch.where(largest[:, column], whole[:, column], best)
        if (whole == before).all():
            break
    return whole * scale[:, None]
