"""Priors with parameters of their own: p(z) is learned together with the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook._checks import check_count

Encode = Callable[[Tensor], Distribution]


class Prior(nn.Module, ABC):
    """A prior that is trained: a module that builds p(z) from its parameters when asked.

    A fixed prior needs none of this: any ``torch.distributions.Distribution`` over vectors of
    ``latent_dim`` can be given to a ``VAE``. A ``Prior`` is given in the same place.

    Args:
        latent_dim: numbers in a code.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        check_count("latent_dim", latent_dim)
        self.latent_dim = latent_dim

    @abstractmethod
    def forward(self, encode: Encode) -> Distribution:
        """p(z) with event shape ``(latent_dim,)`` and no batch shape, at the present parameters.

        Args:
            encode: the model's q(z | x) as a function of images, for priors made of posteriors.
        """

    def __call__(self, encode: Encode) -> Distribution:
        """See :meth:`forward`."""
        distribution: Distribution = super().__call__(encode)
        return distribution
