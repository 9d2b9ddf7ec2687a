"""A lower bound of how far codes are from their prior, by a density fitted to other codes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_distribution, check_function
from vaebook.distributions import fit_mixture
from vaebook.metrics._inputs import as_table


class KlBound(NamedTuple):
    """An estimate whose expectation is at most the divergence."""

    nats: float
    standard_error: float  # over the codes that were held out


def kl_lower_bound(
    codes: Float[Tensor, "n d"],
    prior: Distribution,
    *,
    fit_density: Callable[[Tensor], Distribution] = fit_mixture,
) -> KlBound:
    r"""KL(q ‖ p) is at least the mean of log r(z) − log p(z) over z ~ q, for any density r.

    .. math:: \mathrm{KL}(q \,\|\, p) = \mathbb E_q[\log r - \log p] + \mathrm{KL}(q \,\|\, r)

    So a density fitted to one half of the codes gives, on the other half, an estimate that is too
    small by KL(q ‖ r) and never too large but for chance, however few the codes are; for q = p it
    is negative. An estimate from the posteriors of N pictures, whose mutual information can be
    no more than log N, has no such promise.

    Args:
        codes: independent draws of q, such as one of the posterior of each fresh picture.
        prior: p, over vectors of as many numbers.
        fit_density: makes r of the first half of the codes.

    Returns:
        The estimate from the second half, and its standard error, in nats.

    Raises:
        ValueError: if the codes are no table, or the prior is over something else.

    Source:
        The bound of Barber & Agakov (2003); chapter 08 for why the aggregate needs one.
    """
    check_distribution("prior", prior)
    check_function("fit_density", fit_density, "from codes [n, d] to a distribution")
    table = as_table("codes", codes, minimum=4, what="code").detach()
    shapes = tuple(prior.batch_shape), tuple(prior.event_shape)
    if shapes != ((), tuple(table.shape[1:])):
        raise ValueError(
            f"the prior has batch shape {shapes[0]} and event shape {shapes[1]}; expected a single "
            f"one over {tuple(table.shape[1:])}, as the codes are."
        )
    half = len(table) // 2
    density = fit_density(table[:half])
    with torch.no_grad():
        ratio = density.log_prob(table[half:]) - prior.log_prob(table[half:])
    ratio = ratio.double()
    return KlBound(float(ratio.mean()), float(ratio.std() / len(ratio) ** 0.5))
