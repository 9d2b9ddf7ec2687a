"""Importance weights of codes: what estimates of log p(x) are averages of."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_count, check_distribution, check_real
from vaebook._random import seeded
from vaebook.metrics._inputs import as_floats
from vaebook.metrics.batches import images_of, log_likelihood, log_prior, posterior_of, to_model
from vaebook.models import VAE
from vaebook.models.latent_variable import evaluating


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
        batch_size: samples drawn at a time, one code for each image. They are decoded in parts.

    Raises:
        ValueError: if the proposal fits neither the images nor the code.

    Source:
        Burda, Grosse & Salakhutdinov (2016); chapter 03.
    """
    images = images_of(model, images)
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    parts = []
    with evaluating(model), seeded(seed):
        proposal = posterior_of(model, images) if proposal is None else proposal
        _check_proposal(proposal, len(images), model.latent_dim)
        for start in range(0, num_samples, batch_size):
            drawn = proposal.sample((min(batch_size, num_samples - start),))  # [k, (n,) d]
            codes, log_r = to_model(model, drawn), to_model(model, proposal.log_prob(drawn))
            log_ratio = log_prior(model, codes) - log_r
            if not proposal.batch_shape:
                codes, log_ratio = codes[:, None], log_ratio[:, None]
            parts.append(log_likelihood(model, codes, images) + log_ratio)
    return torch.cat(parts).to(images.device)


def _check_proposal(proposal: Distribution, num_images: int, latent_dim: int) -> None:
    check_distribution("proposal", proposal)
    batch, event = tuple(proposal.batch_shape), tuple(proposal.event_shape)
    if batch not in ((num_images,), ()) or event != (latent_dim,):
        raise ValueError(
            f"proposal has batch shape {batch} and event shape {event}; expected "
            f"[{num_images}] or [] and [{latent_dim}]."
        )


def _log_weights(log_weights: object) -> Float[Tensor, "k *n"]:
    """Logarithms of weights, of which some may be zero."""
    found = as_floats("log_weights", log_weights, "a tensor [k, n] of log-weights")
    if found.ndim == 0 or found.numel() == 0:
        raise ValueError(
            f"log_weights has shape {tuple(found.shape)}; expected [k, n], k weights or more of "
            "each of n images. Take them from importance_log_weights."
        )
    bad = int((found.isnan() | found.isposinf()).sum())
    if bad:
        raise ValueError(
            f"log_weights holds {bad} values that are NaN or +infinity (of {found.numel()}); "
            "expected finite numbers, or −infinity for a weight of 0."
        )
    return found


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
    log_weights = _log_weights(log_weights)
    size = len(log_weights) if num_samples is None else num_samples
    check_count("num_samples", size)
    if size > len(log_weights):
        raise ValueError(
            f"num_samples is {size}, but only {len(log_weights)} weights are there; expected at "
            "most as many."
        )
    groups = log_weights[: len(log_weights) // size * size].unflatten(0, (-1, size))
    return torch.logsumexp(groups, 1) - math.log(size)


def effective_sample_size(log_weights: Float[Tensor, "k n"]) -> Float[Tensor, " n"]:
    """(Σ w)² / Σ w²: how many equal weights would be as good, from 1 to K.

    Near 1, a single sample decides the estimate, and neither the estimate nor this number is to
    be believed.

    Raises:
        ValueError: if there are no log-weights, or one is NaN or +∞.
    """
    log_weights = _log_weights(log_weights)
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

    Raises:
        ValueError: if there are no log-weights, or a number is unusable.

    Source:
        The delta method; chapter 13.
    """
    check_real("num_errors", num_errors, above=0)
    log_weights = _log_weights(log_weights)
    centre = log_mean_weight(log_weights)[0]
    effective = effective_sample_size(log_weights)
    half = num_errors * (1 / effective - 1 / len(log_weights)).clamp(min=0).sqrt()
    return centre - half, centre + half
