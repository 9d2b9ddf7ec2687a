"""Two ways to estimate the gradient of E[f(z)] over a Gaussian z, one estimate per sample."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import check_function, check_real, check_tensor
from vaebook.distributions.gaussian import DiagonalGaussian, reparameterise

Objective = Callable[[Tensor], Tensor]  # codes [s, *batch, d] to values [s, *batch]


class SampleGradients(NamedTuple):
    """The gradient with respect to mu and log_var, estimated from each sample alone.

    The mean over the first dimension is the estimate, the spread over it the estimator's noise.
    """

    mu: Float[Tensor, "s *batch d"]
    log_var: Float[Tensor, "s *batch d"]


def score_function_gradient(
    f: Objective,
    q: DiagonalGaussian,
    noise: Float[Tensor, "s *batch d"],
    *,
    baseline: float | Tensor | Callable[[Tensor], Tensor] = 0.0,
) -> SampleGradients:
    r"""The score-function (REINFORCE) gradient of E[f(z)]: (f(z) − b) ∇ log q(z).

    .. math:: \frac{\partial \log q}{\partial \mu_j} = \frac{\varepsilon_j}{\sigma_j}, \qquad
              \frac{\partial \log q}{\partial \log \sigma_j^2} = \frac{\varepsilon_j^2 - 1}{2}

    Args:
        f: codes ``[s, *batch, d]`` to values ``[s, *batch]``; it need not be differentiable.
        q: where the codes come from.
        noise: standard normal draws; z = mu + σ · noise.
        baseline: b, subtracted from the values: a number, a tensor ``[*batch]``, or a function of
            the values such as :func:`leave_one_out`. It adds no bias if the baseline of a sample
            does not depend on that sample.

    Raises:
        ValueError: if ``noise`` or the baseline does not fit q, or f does not give one value for
            each code.

    Source:
        Williams (1992); chapter 05.
    """
    _check(f, q, noise)
    with torch.no_grad():
        value = _values(f, _codes(q, noise))
        value = value - _number(baseline(value) if callable(baseline) else baseline, value)
        weight = value.unsqueeze(-1)  # [s, *batch, 1]
        return SampleGradients(weight * noise / q.std, weight * (noise**2 - 1) / 2)


def pathwise_gradient(
    f: Objective, q: DiagonalGaussian, noise: Float[Tensor, "s *batch d"]
) -> SampleGradients:
    r"""The reparameterised (pathwise) gradient of E[f(z)]: ∇f(z) times the derivative of z.

    .. math:: \frac{\partial z_j}{\partial \mu_j} = 1, \qquad
              \frac{\partial z_j}{\partial \log \sigma_j^2} = \frac{\sigma_j \varepsilon_j}{2}

    Args:
        f: codes ``[s, *batch, d]`` to values ``[s, *batch]``; differentiable almost everywhere
            and without jumps.
        q: where the codes come from.
        noise: standard normal draws; z = mu + σ · noise.

    Raises:
        ValueError: if ``noise`` does not fit q, or f does not give one value for each code.

    Source:
        Kingma & Welling (2014), section 2.4; chapter 05.
    """
    _check(f, q, noise)
    with torch.enable_grad():
        z = _codes(q, noise).requires_grad_()
        (slope,) = torch.autograd.grad(_values(f, z).sum(), z)  # ∇f at each code
    with torch.no_grad():
        return SampleGradients(slope, slope * q.std * noise / 2)


def leave_one_out(values: Float[Tensor, "s *batch"]) -> Float[Tensor, "s *batch"]:
    """For each sample the mean over the other samples: a baseline that costs no extra call of f.

    Raises:
        ValueError: with fewer than two samples.
    """
    check_tensor("values", values, floats=True)
    if values.ndim == 0 or len(values) < 2:
        raise ValueError(
            f"values has shape {tuple(values.shape)}; expected [s, ...] with at least 2 samples, "
            "so that there are others to average."
        )
    return (values.sum(0) - values) / (len(values) - 1)


def _number(baseline: float | Tensor, values: Tensor) -> float | Tensor:
    if not isinstance(baseline, Tensor):
        return check_real("baseline", baseline)
    check_tensor("baseline", baseline, floats=True)
    fits = zip(reversed(baseline.shape), reversed(values.shape), strict=False)
    if baseline.ndim > values.ndim or any(size not in (1, wanted) for size, wanted in fits):
        raise ValueError(
            f"baseline has shape {tuple(baseline.shape)} for values of {tuple(values.shape)}; "
            f"expected a number, {tuple(values.shape[1:])} or {tuple(values.shape)}."
        )
    return baseline


def _codes(q: DiagonalGaussian, noise: Tensor) -> Tensor:
    shape = noise.shape
    return reparameterise(q.mu.detach().expand(shape), q.log_var.detach().expand(shape), noise)


def _check(f: Objective, q: DiagonalGaussian, noise: Tensor) -> None:
    check_function("f", f, "of codes [s, *batch, d] with values [s, *batch]")
    if not isinstance(q, DiagonalGaussian):
        raise ValueError(f"q is a {type(q).__name__}; expected a DiagonalGaussian.")
    check_tensor("noise", noise, floats=True)
    if noise.shape[1:] != q.mu.shape:
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}; expected [num_samples, "
            f"{', '.join(map(str, q.mu.shape))}]. Use torch.randn(num_samples, *q.mu.shape)."
        )


def _values(f: Objective, z: Tensor) -> Tensor:
    values = f(z)
    check_tensor("what f gave", values, floats=True)
    if values.shape != z.shape[:-1]:
        raise ValueError(
            f"f gave values of shape {tuple(values.shape)} for codes of {tuple(z.shape)}; expected "
            f"{tuple(z.shape[:-1])}, one for each code. Sum over the last dimension only."
        )
    return values
