"""A network whose outputs see the earlier inputs only: the masked autoencoder MADE."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaebook._checks import check_count, check_widths


class MaskedLinear(nn.Linear):
    """A linear layer in which some weights are held at zero.

    Args:
        mask: ones where the output may see the input.
    """

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "out into"]) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Float[Tensor, "*batch into"]) -> Float[Tensor, "*batch out"]:
        """The layer's output, ``[..., out]``."""
        return F.linear(input, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """For each of several variables, numbers that depend on the variables before it only.

    A variable may be one number (a pixel) or several (a code, one-hot). Every hidden unit has a
    degree k and sees variables 0 … k; the outputs of variable i see units of a degree below i. So
    no path leads from a variable to its own outputs or to those of one before it. Without hidden
    layers the network is a strictly lower triangular matrix, in blocks.

    Args:
        num_variables: how many variables, in their order.
        hidden: width of each hidden layer.
        num_values: numbers of each variable, as input and as output.

    Raises:
        ValueError: if a size is no positive integer.

    Source:
        Germain et al. (2015), in the given order.
    """

    def __init__(
        self, num_variables: int, hidden: Sequence[int] = (256, 256), *, num_values: int = 1
    ) -> None:
        super().__init__()
        check_count("num_variables", num_variables)
        check_count("num_values", num_values)
        check_widths("hidden", hidden)
        self.num_variables, self.num_values = num_variables, num_values
        variable = torch.arange(num_variables).repeat_interleave(num_values)
        degrees = [torch.arange(width) % max(num_variables - 1, 1) for width in hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise([variable, *degrees]):
            layers += [MaskedLinear((before <= after[:, None]).float()), nn.ReLU()]
        layers.append(MaskedLinear(([variable, *degrees][-1] < variable[:, None]).float()))
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Float[Tensor, "*batch v"]) -> Float[Tensor, "*batch v"]:
        """The numbers of all variables, each from the variables before it."""
        return self.layers(values)
