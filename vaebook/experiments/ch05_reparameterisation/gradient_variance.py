"""Noise of the score-function and the pathwise gradient, with exact gradients as truth.

On f(z) = ‖z‖² with z ~ N(m, I), for which chapter 05 derives every variance, and on the ELBO of
small VAEs. Variances are totals over the coordinates of the gradient, for one sample.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from vaebook.data import load_digits
from vaebook.distributions import (
    DiagonalGaussian,
    SampleGradients,
    gaussian_kl,
    leave_one_out,
    pathwise_gradient,
    score_function_gradient,
)
from vaebook.metrics import rate_per_dimension
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

GROUP = 8  # samples that share a leave-one-out baseline
USED = 0.5  # nats of mean rate from which on a latent dimension counts as used
DIMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
Estimator = Callable[[Callable[[Tensor], Tensor], DiagonalGaussian, Tensor], SampleGradients]
ESTIMATORS: dict[str, Estimator] = {
    "score": score_function_gradient,
    "score, leave-one-out": partial(score_function_gradient, baseline=leave_one_out),
    "pathwise": pathwise_gradient,
}


def squared_norm(z: Tensor) -> Tensor:
    """f(z) = ‖z‖²; the gradient of its mean with respect to the mean m of z is 2 m."""
    return (z**2).sum(-1)


def exact_variance(estimator: str, dim: int, mean_square: float = 1.0) -> float:
    """Total variance of one sample's gradient of E‖z‖² with respect to m, z ~ N(m, I).

    Args:
        estimator: ``"score"``, ``"score, mean baseline"`` (b = E f), ``"score, leave-one-out"``
            (of groups of eight), or ``"pathwise"``.
        dim: length d of z.
        mean_square: ‖m‖² / d.

    Source:
        chapter 05, where each is derived.
    """
    d, s = dim, dim * mean_square  # s = ‖m‖²
    centred = 4 * s * d + 2 * d**2 + 8 * d + 4 * s
    exact = {
        "pathwise": 4.0 * d,
        "score": d * (s + d) ** 2 + 8 * s * d + 6 * d**2 + 8 * d + 4 * s,
        "score, mean baseline": centred,
        "score, leave-one-out": centred + (d * (4 * s + 2 * d) + 4 * s) / (GROUP - 1),
    }
    return float(exact[estimator])


@lru_cache(maxsize=1)
def train_vae(seed: int, latent_dim: int, num_epochs: int = 100) -> VAE:
    """The small VAE of the digits on which chapter 05 measures; the last one is kept in memory."""
    data = load_digits()
    with seeded(seed):
        model = VAE(data.image_shape, latent_dim, network=MLP((128,)))
    fit(model, data.train.images, num_epochs=num_epochs, lr=3e-3, seed=seed)
    return model


def run(
    seed: int,
    dims: Sequence[int] = DIMS,
    num_groups: int = 1000,
    latent_dims: Sequence[int] = (2, 8, 32),
    num_images: int = 100,
) -> list[dict[str, Any]]:
    """Rows for the quadratic at each of ``dims`` and for a VAE with each of ``latent_dims``."""
    rows = []
    with seeded(seed):
        for dim in dims:
            rows += _quadratic(dim, num_groups)
    data = load_digits()
    images = data.test.images[:num_images]
    for latent_dim in latent_dims:
        with seeded(seed):
            untrained = VAE(data.image_shape, latent_dim, network=MLP((128,)))
        stages = {"VAE, untrained": untrained, "VAE, trained": train_vae(seed, latent_dim)}
        for stage, model in stages.items():
            with seeded(seed):
                rows += _vae(stage, model, images, num_groups // 5)
    return rows


def _quadratic(dim: int, num_groups: int) -> list[dict[str, Any]]:
    q = DiagonalGaussian(torch.ones(dim), torch.zeros(dim)).expand((num_groups,))
    noise = torch.randn(GROUP, num_groups, dim)
    exact = torch.full((dim,), 2.0)
    gradients = {name: estimate(squared_norm, q, noise) for name, estimate in ESTIMATORS.items()}
    mean_of_f = 2.0 * dim  # ‖m‖² + d
    gradients["score, mean baseline"] = score_function_gradient(
        squared_norm, q, noise, baseline=mean_of_f
    )
    per_sample = exact_variance("pathwise", dim)
    rows = []
    for name, gradient in gradients.items():
        groups = gradient.mu.mean(0)  # [num_groups, d], independent of each other
        variance = float(groups.var(0).sum())
        error = float(((groups.mean(0) - exact) ** 2).sum())
        rows.append(
            {
                "problem": "quadratic",
                "dim": dim,
                "estimator": name,
                "variance": GROUP * variance,
                "exact": exact_variance(name, dim),
                "samples_to_match": GROUP * variance / per_sample,
                # squared error over its expectation if unbiased: about 1
                "error_ratio": error * num_groups / variance,
            }
        )
    return rows


def _vae(stage: str, model: VAE, images: Tensor, num_groups: int) -> list[dict[str, Any]]:
    """The gradient of the expected log-likelihood with respect to the encoder's output."""
    with torch.no_grad():
        posterior = model.posterior(images)
    assert isinstance(posterior, DiagonalGaussian)
    q = posterior.expand((num_groups, len(images)))

    def log_likelihood(z: Tensor) -> Tensor:
        return model.likelihood_of(z).log_prob(images)

    def groups_of(estimate: Estimator) -> Tensor:
        noise = torch.randn(GROUP, num_groups, len(images), model.latent_dim)
        gradient = estimate(log_likelihood, q, noise)
        return torch.cat(gradient, -1).mean(0)  # [num_groups, n, 2 d]

    truth = groups_of(pathwise_gradient)
    groups = {name: groups_of(estimate) for name, estimate in ESTIMATORS.items()}
    pathwise = groups["pathwise"].var(0).sum(-1)  # [n]
    weights = {name: _weight_gradients(model, images, group) for name, group in groups.items()}
    image_noise = _covariance(*weights["pathwise"])
    used = int((rate_per_dimension(model, images) > USED).sum())
    rows = []
    for name, group in groups.items():
        variance = group.var(0).sum(-1)
        error = ((group.mean(0) - truth.mean(0)) ** 2).sum()
        expected = (variance + truth.var(0).sum(-1)).sum() / num_groups
        first, second = weights[name]
        code_noise = 0.5 * float(((first - second) ** 2).sum(-1).mean())
        rows.append(
            {
                "problem": stage,
                "dim": model.latent_dim,
                "dims_used": used,
                "estimator": name,
                "variance": GROUP * float(variance.mean()),
                "samples_to_match": float(variance.mean() / pathwise.mean()),
                "error_ratio": float(error / expected),
                "code_noise": GROUP * code_noise,
                "image_noise": image_noise,
            }
        )
    return rows


def _weight_gradients(model: VAE, images: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """The ELBO's gradient with respect to the encoder's weights, ``[n, weights]``, twice.

    It is the encoder's Jacobian, transposed, times the gradient with respect to the encoder's
    output, estimated from each of the first two groups of codes.
    """
    parameters = list(model.encoder.parameters())
    pairs = []
    for index, image in enumerate(images):
        output = model.encoder(image[None])  # [1, 2 d]
        rate = gaussian_kl(*output.chunk(2, -1)).sum()
        (rate_gradient,) = torch.autograd.grad(rate, output, retain_graph=True)
        both = []
        for gradient in groups[:2, index]:
            upstream = gradient[None] - rate_gradient
            parts = torch.autograd.grad(output, parameters, upstream, retain_graph=True)
            both.append(torch.cat([part.flatten() for part in parts]))
        pairs.append(torch.stack(both))
    first, second = torch.stack(pairs, 1)
    return first, second


def _covariance(first: Tensor, second: Tensor) -> float:
    """Total covariance over the rows: what two independent estimates have in common."""
    centred = (first - first.mean(0)) * (second - second.mean(0))
    return float(centred.sum()) / (len(first) - 1)
