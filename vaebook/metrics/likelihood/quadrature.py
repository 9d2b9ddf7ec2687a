"""A two-dimensional code has few enough points to integrate over: no sample, no bound."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaebook._checks import check_count, check_real
from vaebook.distributions import DiagonalGaussian, kl
from vaebook.metrics._inputs import as_floats, in_blocks
from vaebook.metrics.batches import images_of, log_likelihood, log_prior, posterior_of, to_model
from vaebook.models import VAE, Elbo
from vaebook.models.latent_variable import evaluating


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
        """The mean of ``values`` over z ~ p(z | x) of each image.

        Raises:
            ValueError: if there is not a value for each point, of one image or of each.
        """
        values = as_floats("values", values, "a tensor [g*g, ..., n]")
        num_points, num_images = self.log_posterior.shape
        if values.ndim < 2 or len(values) != num_points or values.shape[-1] not in (1, num_images):
            raise ValueError(
                f"values has shape {tuple(values.shape)}; expected [{num_points}, ..., "
                f"{num_images}] or [{num_points}, ..., 1]."
            )
        values = values.to(self.log_posterior)
        blocks = in_blocks(self.log_posterior, num_images), in_blocks(values, num_images)
        parts = [
            torch.einsum("gn,g...n->...n", log_p.exp() * self.cell, some)
            for log_p, some in zip(*blocks, strict=True)
        ]
        return torch.stack(parts).sum(0)


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
        batch_size: codes at a time.

    Raises:
        ValueError: if the model's code is not two-dimensional, or the images are unusable.
    """
    images = images_of(model, images)
    check_real("limit", limit, above=0)
    check_count("num_points", num_points, minimum=2)
    check_count("batch_size", batch_size)
    _check_two_dimensional(model)
    axis = torch.linspace(-limit, limit, num_points, device=images.device)
    codes = torch.cartesian_prod(axis, axis)
    log_joint = codes.new_empty(len(codes), len(images), dtype=torch.double)
    with torch.no_grad(), evaluating(model):
        rows = log_joint.split(batch_size)
        for batch, found in zip(codes.split(batch_size), rows, strict=True):
            batch = to_model(model, batch)
            log_p = log_likelihood(model, batch[:, None], images)  # [b, n]
            found.copy_(log_p + log_prior(model, batch)[:, None])
    log_cell = 2 * math.log(float(axis[1] - axis[0]))
    columns = in_blocks(log_joint.T, len(codes))
    log_evidence = torch.cat([torch.logsumexp(some, 1) for some in columns]) + log_cell
    return GridPosterior(axis, codes, log_joint.sub_(log_evidence), log_evidence)


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
        ValueError: if the model's code is not two-dimensional, or the posterior another one.
    """
    images = images_of(model, images)
    check_count("num_nodes", num_nodes, minimum=2)
    _check_two_dimensional(model)
    nodes, weights = map(torch.as_tensor, np.polynomial.hermite_e.hermegauss(num_nodes))
    weights = torch.outer(weights, weights).flatten() / (2 * math.pi)  # they sum to 1
    with evaluating(model):
        if posterior is None:
            posterior = posterior_of(model, images)
        q, factor = _gaussian_of(model, posterior, len(images))
        noise = torch.cartesian_prod(nodes, nodes).to(factor)  # [k, 2]
        codes = q.mean + torch.einsum("nij,kj->kni", factor, noise)
        log_p = log_likelihood(model, codes, images).double()  # [k, n]
        distortion = -(weights.to(log_p)[:, None] * log_p).sum(0)
        rate = kl(q, model.prior).double()
    terms = (-(distortion + rate), distortion, rate)
    return Elbo(*(term.to(images.device) for term in terms))


def _gaussian_of(
    model: VAE, posterior: object, num_images: int
) -> tuple[Distribution, Float[Tensor, "n 2 2"]]:
    """A Gaussian of each image on the model's device, and the factor of its covariance."""
    kind = type(posterior).__name__
    if not isinstance(posterior, DiagonalGaussian | MultivariateNormal):
        raise ValueError(
            f"posterior is a {kind}; expected a DiagonalGaussian or MultivariateNormal, since "
            "Gauss-Hermite nodes are for Gaussians. Use evaluate_elbo for others."
        )
    batch, event = tuple(posterior.batch_shape), tuple(posterior.event_shape)
    if batch != (num_images,) or event != (2,):
        raise ValueError(
            f"posterior has batch shape {batch} and event shape {event}; expected "
            f"[{num_images}], one for each image, and [2]."
        )
    if isinstance(posterior, MultivariateNormal):
        factor = to_model(model, posterior.scale_tril)
        mean = to_model(model, posterior.loc)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False), factor
    diagonal = DiagonalGaussian(
        to_model(model, posterior.mu), to_model(model, posterior.log_var), False
    )
    return diagonal, torch.diag_embed(diagonal.stddev)


def _check_two_dimensional(model: VAE) -> None:
    if model.latent_dim != 2:
        raise ValueError(
            f"the model's latent_dim is {model.latent_dim}; expected 2, since quadrature is over a "
            "plane of codes. Use evaluate_elbo and importance_weighted_nll."
        )
