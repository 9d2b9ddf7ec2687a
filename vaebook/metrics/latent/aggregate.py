"""The aggregate posterior as a density, and the rate split by it (chapter 08)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaebook._checks import check_codes, check_count, check_finite
from vaebook._random import check_seed, seeded
from vaebook.distributions import DiagonalGaussian, kl
from vaebook.distributions.gaussian import LOG_TWO_PI
from vaebook.metrics._inputs import as_table

_TERMS_AT_ONCE = 2**22  # numbers in one block of codes × pictures × dimensions


class RateSplit(NamedTuple):
    """The mean rate of N pictures and its parts, in nats; the second is the first's remainder.

    ``rate = mutual_information + aggregate_kl`` and, with a prior of independent dimensions,
    ``aggregate_kl = total_correlation + dimension_kl.sum()``.
    """

    rate: float  # mean over the pictures of KL(q(z | x_i) ‖ p(z))
    mutual_information: float  # I(i; z): what a code tells about which picture made it
    aggregate_kl: float  # KL(q(z) ‖ p(z))
    total_correlation: float  # KL(q(z) ‖ Π_j q(z_j))
    dimension_kl: Float[Tensor, " d"]  # KL(q(z_j) ‖ p(z_j)) of each dimension
    standard_error: float  # of mutual_information, and so of aggregate_kl, from the sampling of z


def aggregate_log_prob(
    posterior: DiagonalGaussian, codes: Float[Tensor, "s d"]
) -> Float[Tensor, " s"]:
    r"""log q(z) in nats, with q(z) the mean of q(z | x_i) over *all* pictures given.

    .. math:: \log q(z) = \log \sum_{i=1}^N e^{\log q(z \mid x_i)} - \log N

    Args:
        posterior: batch shape ``[N]``, from :func:`~vaebook.metrics.posterior_parameters`.
        codes: where to evaluate.

    Raises:
        ValueError: if the posterior is no batch ``[N]``, or the codes do not fit it.
    """
    return _log_mixture(posterior, codes)[0]


def split_rate(
    posterior: DiagonalGaussian,
    prior: DiagonalGaussian | None = None,
    *,
    num_samples: int = 1000,
    seed: int = 0,
) -> RateSplit:
    r"""Split the mean rate into mutual information and the aggregate's distance from the prior.

    .. math:: \frac1N \sum_i \mathrm{KL}(q(z \mid x_i) \,\|\, p(z))
              = \underbrace{\frac1N \sum_i \mathrm{KL}(q(z \mid x_i) \,\|\, q(z))}_{I(i;\, z)}
              + \mathrm{KL}(q(z) \,\|\, p(z))

    The mutual information is a mean over codes z ~ q(z | x_i) of log q(z | x_i) − log q(z), with
    q(z) exact, so it is unbiased for these N pictures, and at most log N. It may come out slightly
    below 0. As an estimate for the distribution that the pictures came from it is biased down, by
    all that exceeds log N. Compare only sets of one size.

    Args:
        posterior: q(z | x_i), batch shape ``[N]``.
        prior: a single diagonal Gaussian; N(0, I) by default.
        num_samples: codes drawn, from evenly many of the pictures.
        seed: of the codes.

    Raises:
        ValueError: if the posterior is no batch ``[N]``, the prior no single Gaussian over as many
            numbers, or ``num_samples`` no count above 1.

    Source:
        Hoffman & Johnson (2016); Chen et al. (2018), eq. 2; chapter 08.
    """
    check_count("num_samples", num_samples, minimum=2)
    num_pictures, latent_dim = _shape_of(posterior)
    if prior is None:
        zeros = posterior.mu.new_zeros(latent_dim)
        prior = DiagonalGaussian(zeros, zeros)
    _check_single(prior, latent_dim)
    prior = DiagonalGaussian(prior.mu.to(posterior.mu), prior.log_var.to(posterior.mu), False)
    with seeded(_stream(seed)), torch.no_grad():
        chosen = _spread(num_samples, num_pictures)
        own = DiagonalGaussian(posterior.mu[chosen], posterior.log_var[chosen], False)
        codes = own.sample()  # [s, d]
        log_q, log_q_each = _log_mixture(posterior, codes, each=True)
        log_ratio = (own.log_prob(codes) - log_q).double()
        rate = float(kl(posterior, prior).double().mean())
        log_p_each = -0.5 * (
            (codes - prior.mu) ** 2 * torch.exp(-prior.log_var) + prior.log_var + LOG_TWO_PI
        )
    information = float(log_ratio.mean())
    return RateSplit(
        rate=rate,
        mutual_information=information,
        aggregate_kl=rate - information,
        total_correlation=float((log_q - log_q_each.sum(1)).double().mean()),
        dimension_kl=(log_q_each - log_p_each).mean(0),
        standard_error=float(log_ratio.std()) / math.sqrt(num_samples),
    )


def minibatch_mutual_information(
    posterior: DiagonalGaussian, *, batch_size: int, num_batches: int = 10, seed: int = 0
) -> float:
    """The mutual information with q(z) made from a minibatch only: biased, never above log of it.

    Here as a warning: with 128 pictures in a batch it cannot exceed 4.9 nats, whatever the rate,
    and what is missing is then taken for the aggregate's distance from the prior.

    Args:
        posterior: q(z | x_i), batch shape ``[N]``.
        batch_size: pictures in a batch, at most N.
        num_batches: batches averaged over.
        seed: of the batches and codes.

    Raises:
        ValueError: if a batch is larger than the set.
    """
    num_pictures, _ = _shape_of(posterior)
    check_count("batch_size", batch_size)
    check_count("num_batches", num_batches)
    if batch_size > num_pictures:
        raise ValueError(
            f"batch_size is {batch_size}, but only {num_pictures} pictures are there; expected at "
            "most as many."
        )
    total = 0.0
    with seeded(_stream(seed)), torch.no_grad():
        for _ in range(num_batches):
            rows = torch.randperm(num_pictures)[:batch_size]
            batch = DiagonalGaussian(posterior.mu[rows], posterior.log_var[rows], False)
            codes = batch.sample()
            total += float((batch.log_prob(codes) - _log_mixture(batch, codes)[0]).mean())
    return total / num_batches


def draw_aggregate(
    posterior: DiagonalGaussian, num_samples: int, *, seed: int = 0
) -> Float[Tensor, "s d"]:
    """Codes of the aggregate posterior: evenly many pictures, one draw of q(z | x_i) each.

    Args:
        posterior: q(z | x_i), batch shape ``[N]``.
        num_samples: codes drawn; at most one for each picture if no more than N.
        seed: of the choice and the draws.

    Raises:
        ValueError: if the posterior is no batch ``[N]``, or ``num_samples`` no count.
    """
    num_pictures, _ = _shape_of(posterior)
    check_count("num_samples", num_samples)
    with seeded(_stream(seed)), torch.no_grad():
        chosen = _spread(num_samples, num_pictures)
        return DiagonalGaussian(posterior.mu[chosen], posterior.log_var[chosen], False).sample()


def _stream(seed: int) -> int:
    """Away from the seeds that pictures are drawn with: their numbers would come again as noise."""
    return (8_000_009 + check_seed(seed)) % 2**64


def _shape_of(posterior: Distribution) -> tuple[int, int]:
    if (
        not isinstance(posterior, DiagonalGaussian)
        or posterior.mu.ndim != 2
        or not posterior.mu.numel()
    ):
        given = tuple(getattr(posterior, "batch_shape", ()))
        raise ValueError(
            f"posterior is a {type(posterior).__name__} with batch shape {given}; expected a "
            "DiagonalGaussian [N]. Use posterior_parameters(model, images)."
        )
    check_finite("posterior.mu", posterior.mu)
    check_finite("posterior.log_var", posterior.log_var)
    num_pictures, latent_dim = posterior.mu.shape
    return num_pictures, latent_dim


def _check_single(prior: object, latent_dim: int) -> None:
    shape = (latent_dim,)
    if not isinstance(prior, DiagonalGaussian) or tuple(prior.mu.shape) != shape:
        batch = tuple(getattr(prior, "batch_shape", ()))
        event = tuple(getattr(prior, "event_shape", ()))
        raise ValueError(
            f"prior is a {type(prior).__name__} with batch shape {batch} and event shape {event}; "
            f"expected a single DiagonalGaussian over {latent_dim} numbers, such as "
            f"standard_normal({latent_dim})."
        )
    check_finite("prior.mu", prior.mu)
    check_finite("prior.log_var", prior.log_var)


def _spread(num_samples: int, num_pictures: int) -> Int[Tensor, " s"]:
    """Pictures in random order, each once before any comes again."""
    rounds = math.ceil(num_samples / num_pictures)
    return torch.cat([torch.randperm(num_pictures) for _ in range(rounds)])[:num_samples]


def _log_mixture(
    posterior: DiagonalGaussian, codes: Float[Tensor, "s d"], *, each: bool = False
) -> tuple[Float[Tensor, " s"], Float[Tensor, "s d"]]:
    """log q(z) of all dimensions together and, if asked, log q(z_j) of each alone.

    The sum over pictures is inside the logarithm and taken by logsumexp: every picture is a
    component, and in a far code all densities underflow.
    """
    num_pictures, latent_dim = _shape_of(posterior)
    codes = as_table("codes", codes, what="code").to(posterior.mu)
    check_codes(codes, latent_dim)
    inverse = torch.exp(-posterior.log_var)
    constant = posterior.log_var + LOG_TWO_PI
    joint, alone = [], []
    for block in codes.split(max(1, _TERMS_AT_ONCE // (num_pictures * latent_dim))):
        # differences, not z² − 2zμ + μ²: narrow posteriors would lose their digits
        log_each = (block[:, None] - posterior.mu).square_().mul_(inverse).add_(constant).mul_(-0.5)
        joint.append(torch.logsumexp(log_each.sum(-1), 1))
        alone.append(torch.logsumexp(log_each, 1) if each else block)
    return torch.cat(joint) - math.log(num_pictures), torch.cat(alone) - math.log(num_pictures)
