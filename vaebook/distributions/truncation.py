"""Draws nearer to the middle: typical pictures in exchange for variety (chapter 12)."""

from torch.distributions import (
    AffineTransform,
    Distribution,
    MixtureSameFamily,
    TransformedDistribution,
)

from vaebook._checks import check_distribution, check_real
from vaebook.distributions.mixture import Mixture


def truncate(density: Distribution, factor: float) -> Distribution:
    r"""The density with every deviation from its mean times t, or from the mean of its component.

    .. math:: z' = \bar z + t \, (z - \bar z)

    At t = 1 nothing changes; at t = 0 only the means are left. A mixture keeps its components where
    they are, and their weights: a draw moves towards the mean of the component that it comes from.

    Args:
        density: over vectors, with a mean: of codes, or of a GAN's noise.
        factor: t, from above 0 to 1.

    Raises:
        ValueError: if the density is no distribution over vectors or knows no mean, or the factor
            is none of these.

    Source:
        Karras, Laine & Aila (2019), appendix B ("truncation trick"), here in the space of the codes
        themselves.
    """
    check_distribution("density", density)
    if len(density.event_shape) != 1:
        raise ValueError(
            f"the density is over events of shape {tuple(density.event_shape)}; expected vectors. "
            "Wrap independent numbers in torch.distributions.Independent."
        )
    factor = check_real("factor", factor, above=0)
    if factor > 1:
        raise ValueError(f"factor is {factor}; expected at most 1, which leaves all as it is.")
    if factor == 1:
        return density
    if isinstance(density, Mixture):
        return Mixture(density.log_weights, truncate(density.components, factor))
    if isinstance(density, MixtureSameFamily):
        components = truncate(density.component_distribution, factor)
        return MixtureSameFamily(density.mixture_distribution, components, validate_args=False)
    try:
        mean = density.mean
    except NotImplementedError as error:
        raise ValueError(
            f"the density is a {type(density).__name__}, which knows no mean to move towards; "
            "expected one that does, such as a Gaussian or a mixture of Gaussians."
        ) from error
    shrink = AffineTransform((1 - factor) * mean, factor, event_dim=1)
    return TransformedDistribution(density, [shrink], validate_args=False)
