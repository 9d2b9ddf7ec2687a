"""Importance weights of codes: what estimates of log p(x) are averages of."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count, check_images
from vaebook._random import seeded
from vaebook.models import VAE


@torch.no_grad()
def importance_log_weights(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    num_samples: int,
    proposal: Distribution | None = None,
    seed: int = 0,
    batch_size: int = 1000,
) -> Float[Tensor, "k n"]:
    r"""log p(x, z_k) − log r(z_k) in nats for codes z_k drawn from a proposal r.

    The mean of the weights estimates p(x) without bias, whatever the proposal; how many samples
    that takes depends on it. ``logsumexp`` over the samples, less log K, estimates log p(x).

    Args:
        model: a VAE.
        images: floats in [0, 1].
        num_samples: K, codes for each image.
        proposal: batch shape [n], one distribution for each image, or [] to share the codes:
            ``model.prior`` gives the naive estimate. The model's q(z | x) by default.
        seed: seed of the codes.
        batch_size: samples at a time; each decodes one code for each image.

    Raises:
        ValueError: if the proposal fits neither the images nor the code.

    Source:
        Burda, Grosse & Salakhutdinov (2016); chapter 03.
    """
    check_images(images, model.image_shape)
    check_count("num_samples", num_samples)
    proposal = model.posterior(images) if proposal is None else proposal
    shape = (tuple(proposal.batch_shape), tuple(proposal.event_shape))
    if shape not in (((len(images),), (model.latent_dim,)), ((), (model.latent_dim,))):
        raise ValueError(
            f"the proposal has batch shape {shape[0]} and event shape {shape[1]}; expected "
            f"[{len(images)}] or [] and [{model.latent_dim}]."
        )
    parts = []
    with seeded(seed):
        for start in range(0, num_samples, batch_size):
            codes = proposal.sample((min(batch_size, num_samples - start),))  # [k, (n,) d]
            log_ratio = model.prior.log_prob(codes) - proposal.log_prob(codes)
            if not proposal.batch_shape:
                codes, log_ratio = codes[:, None], log_ratio[:, None]
            parts.append(model.likelihood_of(codes).log_prob(images) + log_ratio)
    return torch.cat(parts)


def log_mean_weight(
    log_weights: Float[Tensor, "k n"], num_samples: int | None = None
) -> Float[Tensor, "m n"]:
    """The log of the mean of every ``num_samples`` weights: estimates of log p(x) in nats.

    Never the mean of the logs, which is the ELBO however many there are. On one set of weights
    the mean of the estimates rises with ``num_samples``, by Jensen's inequality.

    Args:
        log_weights: K log-weights of each image.
        num_samples: how many weights an estimate may use; all K by default. What does not fill a
            whole group is left out.

    Raises:
        ValueError: if there are fewer weights than that.
    """
    size = len(log_weights) if num_samples is None else num_samples
    check_count("num_samples", size)
    if size > len(log_weights):
        raise ValueError(f"num_samples is {size}, but only {len(log_weights)} weights are there.")
    groups = log_weights[: len(log_weights) // size * size].unflatten(0, (-1, size))
    return torch.logsumexp(groups, 1) - math.log(size)


def effective_sample_size(log_weights: Float[Tensor, "k n"]) -> Float[Tensor, " n"]:
    """(Σ w)² / Σ w²: how many equal weights would be as good, from 1 to K.

    Near 1, a single sample decides the estimate, and neither the estimate nor this number is to
    be believed.
    """
    weights = torch.exp(log_weights - log_weights.amax(0))
    return weights.sum(0) ** 2 / (weights**2).sum(0)


def log_mean_interval(
    log_weights: Float[Tensor, "k n"], *, num_errors: float = 1.96
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    r"""The 95 % interval of log p(x) that the weights themselves suggest.

    .. math:: \log \frac1K \sum_k w_k \;\pm\; 1.96 \sqrt{\frac1{\mathrm{ESS}} - \frac1K}

    The root is the standard error of the mean weight divided by the mean weight, and so, to first
    order, that of its logarithm. It is honest only if the weights have a variance and K is large
    enough to show it: of heavy-tailed weights the decisive ones have not been drawn yet, and
    estimate, effective sample size and interval are wrong together.

    Args:
        log_weights: K log-weights of each image.
        num_errors: standard errors on either side.

    Source:
        The delta method; chapter 13.
    """
    centre = log_mean_weight(log_weights)[0]
    effective = effective_sample_size(log_weights)
    half = num_errors * (1 / effective - 1 / len(log_weights)).clamp(min=0).sqrt()
    return centre - half, centre + half
