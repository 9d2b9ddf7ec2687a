"""The kernel distance between two sets of features, whose estimate has no bias."""

from jaxtyping import Float
from torch import Tensor

from vaebook.metrics._inputs import as_tables, in_blocks


def kernel_distance(real: Float[Tensor, "n d"], generated: Float[Tensor, "m d"]) -> float:
    r"""The squared maximum mean discrepancy under a polynomial kernel of degree three.

    .. math:: k(x, y) = \left( \tfrac1d x^\top y + 1 \right)^3

    Known as the kernel inception distance where the features are those of that network. Its
    expectation is 0 where both sets come from one distribution, whatever their sizes; a single
    estimate may be negative.

    Args:
        real: features of real images.
        generated: features of samples.

    Raises:
        ValueError: if the sets are not tables of as many numbers, with two rows or more.

    Source:
        Bińkowski et al. (2018), "Demystifying MMD GANs".
    """
    x, y = as_tables(minimum=2, what="image", real=real, generated=generated)
    x, y = x.double(), y.double()
    own = (_sum_of_others(x) / (len(x) * (len(x) - 1)), _sum_of_others(y) / (len(y) * (len(y) - 1)))
    between = sum(float(_kernel(part, y).sum()) for part in in_blocks(x, len(y)))
    return sum(own) - 2 * between / (len(x) * len(y))


def _kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _sum_of_others(x: Float[Tensor, "n d"]) -> float:
    """The kernel summed over all pairs of different rows."""
    total = sum(float(_kernel(part, x).sum()) for part in in_blocks(x, len(x)))
    return total - float(((x**2).sum(1) / x.shape[1] + 1).pow(3).sum())
