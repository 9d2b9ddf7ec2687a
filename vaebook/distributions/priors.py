"""Priors as modules: fixed ones, which move with the model, and those that are trained with it."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any, Literal, Self, overload

from torch import Tensor, nn
from torch.distributions import Distribution, Transform, constraints

from vaebook._checks import check_count, check_distribution, values_are_checked
from vaebook._configuration import Configured
from vaebook.distributions.gaussian import DiagonalGaussian, standard_normal
from vaebook.training.description import lasting

Encode = Callable[[Tensor], Distribution]


class Prior(Configured, nn.Module, ABC):
    """A prior that is trained: a module that builds p(z) from its parameters when asked.

    A fixed prior needs none of this: any ``torch.distributions.Distribution`` over vectors of
    ``latent_dim`` can be given to a ``VAE``. A ``Prior`` is given in the same place.

    Args:
        latent_dim: numbers in a code.
    """

    # Where p(z) is not 0; None where that of the posteriors decides.
    support: constraints.Constraint | None = constraints.real_vector

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
        return super().__call__(encode)


class FixedPrior(Prior):
    """A distribution as a module with nothing to train: its tensors go where the model goes.

    ``.to``, ``.double`` and ``.cuda`` make a copy of the distribution that was given, and move
    every tensor inside: of components, base distributions, transforms and networks. Only what a
    function has closed over stays behind.

    Args:
        distribution: p(z), over vectors.

    Attributes:
        is_standard: whether it is N(0, I), for which the rate has the shortest formula.

    Raises:
        ValueError: if it is no distribution over vectors.
    """

    def __init__(self, distribution: Distribution) -> None:
        check_distribution("distribution", distribution)
        if len(distribution.event_shape) != 1:
            raise ValueError(
                f"distribution is over events of shape {tuple(distribution.event_shape)}; expected "
                "vectors. Wrap independent numbers in torch.distributions.Independent."
            )
        super().__init__(distribution.event_shape[0])
        self._distribution = distribution
        self._trusting = _moved(distribution, lambda tensor: tensor, {}, trusting=True)
        self.is_standard = isinstance(distribution, DiagonalGaussian) and not bool(
            distribution.mu.any() or distribution.log_var.any()
        )
        try:
            self.support = distribution.support
        except NotImplementedError:  # it does not say
            self.support = None

    def forward(self, encode: Encode | None = None) -> Distribution:
        """The distribution; its own look at values is left out where they have been checked."""
        return self._trusting if values_are_checked() else self._distribution

    def __call__(self, encode: Encode | None = None) -> Distribution:
        """See :meth:`forward`."""
        return self.forward(encode)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FixedPrior":
        """A copy with tensors of its own; torch's way loses what an inverse is the inverse of."""
        new = FixedPrior(_moved(self._distribution, Tensor.clone, {}))
        return new.train(self.training)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        memo: dict[int, Any] = {}
        self._distribution = _moved(self._distribution, fn, memo)
        self._trusting = _moved(self._distribution, lambda tensor: tensor, {}, trusting=True)
        return self


def empty(cls: type) -> Any:
    """An object of a class of torch, to be given what ``lasting`` told."""
    value: Any = object.__new__(cls)
    if issubclass(cls, Transform):
        vars(value).update({"_inv": None, "_cached_x_y": (None, None)})
    return value


def _moved(
    value: Any, fn: Callable[[Tensor], Tensor], memo: dict[int, Any], *, trusting: bool = False
) -> Any:
    """A copy of ``value`` in which ``fn`` was applied to every tensor, however deep it lies.

    A trusting copy does not look at values, and shares the networks of the original.
    """
    if id(value) in memo:
        return memo[id(value)][1]

    def again(part: Any) -> Any:
        return _moved(part, fn, memo, trusting=trusting)

    new = value
    if isinstance(value, Tensor):
        new = fn(value)
    elif isinstance(value, nn.Module):
        if not trusting:
            new = copy.deepcopy(value)._apply(fn)  # noqa: SLF001 (what .to calls)
    elif isinstance(value, MethodType):
        new = MethodType(value.__func__, again(value.__self__))
    elif isinstance(value, partial):
        keywords = {key: again(item) for key, item in value.keywords.items()}
        new = partial(again(value.func), *(again(item) for item in value.args), **keywords)
    elif type(value) in (list, tuple):
        new = type(value)(again(item) for item in value)
    elif type(value) is dict:
        new = {key: again(item) for key, item in value.items()}
    elif isinstance(value, Distribution | Transform):
        new = empty(type(value))  # copy.copy loses what an inverse is the inverse of
        memo[id(value)] = value, new  # with the original, so that its id is not used again
        vars(new).update({name: again(item) for name, item in lasting(value).items()})
        if trusting and isinstance(new, Distribution):
            new._validate_args = False  # noqa: SLF001 (torch sets it in __init__ only)
    memo[id(value)] = value, new
    return new


@overload
def as_prior(
    prior: Distribution | Prior | None, latent_dim: int, *, learned: Literal[False]
) -> FixedPrior: ...


@overload
def as_prior(
    prior: Distribution | Prior | None, latent_dim: int, *, learned: bool = True
) -> Prior: ...


def as_prior(prior: Distribution | Prior | None, latent_dim: int, *, learned: bool = True) -> Prior:
    """What was given as a prior, as a module; N(0, I) for ``None``.

    Args:
        prior: a distribution over vectors of ``latent_dim``, or a ``Prior``.
        latent_dim: numbers in a code.
        learned: whether a ``Prior``, with parameters of its own, can be used.

    Raises:
        ValueError: if it is something else, a batch of distributions, or over other events.
    """
    check_count("latent_dim", latent_dim)
    if prior is None:
        return FixedPrior(standard_normal(latent_dim))
    if isinstance(prior, FixedPrior):
        prior = prior()
    kinds = "a torch.distributions.Distribution over vectors" + (" or a Prior" if learned else "")
    if not isinstance(prior, (Distribution, Prior) if learned else Distribution):
        raise ValueError(
            f"prior is {prior!r}, a {type(prior).__name__}; expected {kinds}, such as "
            f"unit_laplace({latent_dim}). Leave it out for N(0, I)."
        )
    shape = (prior.latent_dim,) if isinstance(prior, Prior) else tuple(prior.event_shape)
    if shape != (latent_dim,):
        raise ValueError(
            f"the prior is over events of shape {shape}; expected "
            f"({latent_dim},). Wrap independent numbers in torch.distributions.Independent."
        )
    if isinstance(prior, Prior):
        return prior
    if prior.batch_shape:
        raise ValueError(
            f"the prior is a batch of distributions of shape {tuple(prior.batch_shape)}; expected "
            "one. Mix them with torch.distributions.MixtureSameFamily, or take one of them."
        )
    return FixedPrior(prior)
