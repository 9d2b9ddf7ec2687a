"""A two-dimensional code has few enough points to integrate over: no sample, no bound."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaebook._checks import check_count, check_images, check_positive
from vaebook.distributions import kl
from vaebook.metrics._batches import evaluate_in_batches
from vaebook.models import VAE, Elbo


class GridPosterior(NamedTuple):
    """p(z | x) of each image at the points of a square grid of codes."""

    axis: Float[Tensor, " g"]  # the grid's coordinates, the same for both dimensions
    codes: Float[Tensor, "g*g 2"]  # its points; the first dimension of z changes slowest
    log_posterior: Float[Tensor, "g*g n"]  # log p(z | x), a density
    log_evidence: Float[Tensor, " n"]  # log p(x) in nats

    @property
    def cell(self) -> float:
        """The area of a cell, the weight of a point in every integral."""
        return float(self.axis[1] - self.axis[0]) ** 2

    def expectation(self, values: Float[Tensor, "g*g *n"]) -> Float[Tensor, " n"]:
        """The mean of ``values`` over z ~ p(z | x) of each image."""
        weights = self.log_posterior.exp() * self.cell
        return torch.einsum("gn,g...n->...n", weights, values.to(weights))


def grid_posterior(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    limit: float = 6.0,
    num_points: int = 241,
    batch_size: int = 2000,
) -> GridPosterior:
    """p(z | x) and log p(x) of a VAE with two latent dimensions, by the trapezoidal rule.

    For a smooth density that vanishes at the edge, the rule's error falls exponentially once the
    step is below the posterior's standard deviation. The cost is the square of ``num_points``;
    with d dimensions it would be the d-th power, which is why this is a check and no method.

    Args:
        model: a VAE with ``latent_dim`` 2.
        images: floats in [0, 1].
        limit: the grid covers [−limit, limit] in both dimensions. It must hold q(z | x) as well,
            if a divergence from q is summed over it: an encoder may put a code four out.
        num_points: points along each.
        batch_size: codes decoded at a time.

    Raises:
        ValueError: if the model's code is not two-dimensional.
    """
    check_images(images, model.image_shape)
    check_positive("limit", limit)
    check_count("num_points", num_points, minimum=2)
    _check_two_dimensional(model)
    axis = torch.linspace(-limit, limit, num_points)
    codes = torch.cartesian_prod(axis, axis)

    def measure(batch: Tensor) -> tuple[Tensor, ...]:
        log_likelihood = model.likelihood_of(batch[:, None]).log_prob(images)  # [b, n]
        return (log_likelihood + model.prior.log_prob(batch)[:, None],)

    (log_joint,) = evaluate_in_batches(model, codes, measure, seed=0, batch_size=batch_size)
    log_joint = log_joint.double()
    log_cell = 2 * math.log(float(axis[1] - axis[0]))
    log_evidence = torch.logsumexp(log_joint, 0) + log_cell
    return GridPosterior(axis, codes, log_joint - log_evidence, log_evidence)


def quadrature_elbo(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    posterior: Distribution | None = None,
    *,
    num_nodes: int = 20,
) -> Elbo:
    """The ELBO of a Gaussian q(z | x) over two dimensions without sampling noise.

    The distortion is a Gauss-Hermite sum over ``num_nodes``² codes in place of a sample mean; the
    rate is the closed form. Gradients flow to the model and to ``posterior``.

    Args:
        model: a VAE with ``latent_dim`` 2.
        images: floats in [0, 1].
        posterior: a ``DiagonalGaussian`` or ``MultivariateNormal`` with batch shape [n]; the
            model's own by default.
        num_nodes: nodes along each dimension.

    Raises:
        ValueError: if the model's code is not two-dimensional.
    """
    check_images(images, model.image_shape)
    check_count("num_nodes", num_nodes, minimum=2)
    _check_two_dimensional(model)
    if posterior is None:
        posterior = model.posterior(images)
    nodes, weights = map(torch.as_tensor, np.polynomial.hermite_e.hermegauss(num_nodes))
    noise = torch.cartesian_prod(nodes, nodes).to(posterior.mean)  # [k, 2]
    weights = torch.outer(weights, weights).flatten() / (2 * math.pi)  # they sum to 1
    if isinstance(posterior, MultivariateNormal):
        factor = posterior.scale_tril
    else:
        factor = torch.diag_embed(posterior.stddev)
    codes = posterior.mean + torch.einsum("nij,kj->kni", factor, noise)
    log_likelihood = model.likelihood_of(codes).log_prob(images).double()  # [k, n]
    distortion = -(weights[:, None] * log_likelihood).sum(0)
    rate = kl(posterior, model.prior).double()
    return Elbo(-(distortion + rate), distortion, rate)


def _check_two_dimensional(model: VAE) -> None:
    if model.latent_dim != 2:
        raise ValueError(
            f"latent_dim is {model.latent_dim}; quadrature over codes needs 2. "
            "Use evaluate_elbo and importance_weighted_nll."
        )
