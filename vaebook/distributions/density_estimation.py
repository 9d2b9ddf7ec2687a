"""Densities fitted to codes after training: where a new code could be drawn from (chapter 02)."""

import math
import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    TransformedDistribution,
    Uniform,
    constraints,
)

from vaebook._checks import check_count, check_positive, check_table
from vaebook._random import seeded
from vaebook.distributions.flow import SplineFlow
from vaebook.distributions.gaussian import DiagonalGaussian
from vaebook.training import KeepBest, fit

# Added to variances, relative to their mean: codes may lie in a thin sheet, or a dimension be dead.
JITTER = 1e-6


def fit_gaussian(codes: Float[Tensor, "n d"]) -> MultivariateNormal:
    """The Gaussian with the codes' mean and full covariance.

    Raises:
        ValueError: unless there are more codes than dimensions, all finite.
    """
    check_table(codes, codes.shape[-1] + 1 if isinstance(codes, Tensor) and codes.ndim else 2)
    covariance = torch.cov(codes.detach().T).reshape(codes.shape[1], codes.shape[1])
    jitter = JITTER * covariance.diagonal().mean()
    covariance = covariance + jitter * torch.eye(len(covariance), dtype=codes.dtype)
    return MultivariateNormal(codes.detach().mean(0), covariance_matrix=covariance)


def fit_diagonal_gaussian(codes: Float[Tensor, "n d"]) -> DiagonalGaussian:
    """The Gaussian with the codes' mean and the variance of each dimension, correlations left out.

    Raises:
        ValueError: unless there are at least two codes, all finite.
    """
    check_table(codes, 2)
    variance = codes.detach().var(0)
    return DiagonalGaussian(codes.detach().mean(0), (variance + JITTER * variance.mean()).log())


def fit_box(codes: Float[Tensor, "n d"]) -> Distribution:
    """Uniform on the bounding box: each dimension from the smallest code to the largest.

    Codes beyond the box have log-density −∞.

    Raises:
        ValueError: unless there are at least two codes, and every dimension varies.
    """
    low, high = _sides(codes)
    return Independent(Uniform(low, high, validate_args=False), 1, validate_args=False)


def _sides(codes: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    check_table(codes, 2)
    low, high = codes.detach().aminmax(dim=0)
    if not (low < high).all():
        raise ValueError(
            f"{int((low >= high).sum())} dimensions of the codes do not vary; a box needs sides. "
            "Drop these dimensions."
        )
    return low, high


class BoxCorners(Distribution):
    """Each of the 2ᵈ corners of the codes' bounding box with the same probability.

    ``log_prob`` is the log-*probability* −d log 2 of every corner; elsewhere it is −∞.

    Args:
        codes: the codes whose box it is, ``[n, d]``.

    Raises:
        ValueError: unless there are at least two codes, and every dimension varies.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)

    def __init__(self, codes: Float[Tensor, "n d"]) -> None:
        self.low, self.high = _sides(codes)
        super().__init__(event_shape=self.low.shape, validate_args=False)

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Toss a coin for each dimension: its low side or its high one."""
        shape = self._extended_shape(torch.Size(sample_shape))
        coin = torch.rand(shape, device=self.low.device) < 0.5
        return torch.where(coin, self.low, self.high)

    def log_prob(self, value: Tensor) -> Tensor:
        """−d log 2 at a corner, −∞ elsewhere."""
        at_corner = ((value == self.low) | (value == self.high)).all(-1)
        here = torch.full_like(value[..., 0], -len(self.low) * math.log(2))
        return torch.where(at_corner, here, torch.full_like(here, -math.inf))


def fit_mixture(
    codes: Float[Tensor, "n d"], num_components: int = 10, *, seed: int = 0
) -> MixtureSameFamily:
    """A mixture of Gaussians with full covariances, fitted by expectation–maximisation.

    scikit-learn's ``GaussianMixture`` does the fit and stops after 200 rounds at the latest; what
    comes back is a torch distribution.

    Args:
        codes: one row per image.
        num_components: Gaussians in the mixture.
        seed: of the k-means that starts the fit.

    Raises:
        ValueError: unless there are more codes than ``num_components`` times dimensions.
    """
    # here, not above: scikit-learn takes a second to import
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    check_count("num_components", num_components)
    check_count("seed", seed, minimum=0)
    check_table(codes, num_components + 1)
    if len(codes) <= num_components * codes.shape[1]:
        raise ValueError(
            f"{len(codes)} codes are too few for {num_components} full covariances in "
            f"{codes.shape[1]} dimensions; encode more images, or ask for fewer components."
        )
    table = codes.detach().double()
    jitter = JITTER * float(table.var(0).mean())
    fitted = GaussianMixture(num_components, reg_covar=jitter, random_state=seed, max_iter=200)
    with warnings.catch_warnings():  # a fit cut short is a density all the same
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(table.numpy())
    scale_tril = torch.linalg.cholesky(torch.as_tensor(fitted.covariances_))
    return MixtureSameFamily(
        Categorical(torch.as_tensor(fitted.weights_).to(codes.dtype)),
        MultivariateNormal(
            torch.as_tensor(fitted.means_).to(codes.dtype), scale_tril=scale_tril.to(codes.dtype)
        ),
    )


def fit_flow(
    codes: Float[Tensor, "n d"], *, num_epochs: int = 10, lr: float = 3e-3, seed: int = 0
) -> TransformedDistribution:
    """A neural spline flow fitted by maximum likelihood.

    The codes are brought to mean 0 and variance 1 first, since the splines bend between −5 and 5
    (a number that hardly varies beside the others stays narrower).
    A tenth of the codes is held out, and the epoch that finds them most probable is kept.

    Args:
        codes: one row per image, at least 20.
        num_epochs: passes over the codes.
        lr: Adam's learning rate.
        seed: of the flow, its training, and the choice of the held-out codes.

    Raises:
        ValueError: if the codes are too few or not finite, or a setting is unusable.
    """
    check_count("num_epochs", num_epochs)
    check_positive("lr", lr)
    check_table(codes, 20)
    codes = codes.detach()
    mean, variance = codes.mean(0), codes.var(0)
    std = (variance + JITTER * variance.mean()).sqrt()
    units = (codes - mean) / std
    with seeded(seed):
        flow = SplineFlow(codes.shape[1]).to(codes)
        order = torch.randperm(len(codes))
    held_out, training = units[order[: len(codes) // 10]], units[order[len(codes) // 10 :]]
    fit(
        flow,
        training,
        num_epochs=num_epochs,
        batch_size=256,
        lr=lr,
        seed=seed,
        validation=held_out,
        callbacks=[KeepBest()],
        progress=False,
    )
    flow.requires_grad_(False)
    to_codes = AffineTransform(mean, std, event_dim=1)
    return TransformedDistribution(flow(), [to_codes], validate_args=False)
