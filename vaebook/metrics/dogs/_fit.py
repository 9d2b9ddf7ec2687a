"""Fitting a dog to each of many images: batched Levenberg-Marquardt inside a box."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaebook.data.dog_derivative import draw_with_jacobian
from vaebook.data.dogs import factor_range

_CHUNK = 128  # images differentiated at a time: more would only take memory
_EXACT = 3e-4  # RMSE below which a fit need not go on
_STALLED = 1e-3  # share of the squared error that a step must win to go on


@dataclass
class Fit:
    """Where the fits stand; row i belongs to image i. Factors are scaled to [0, 1].

    Args:
        unit: the factors, each as a share of its range.
        cost: sum of squared differences of the pixels.
        gradient, curvature: of half the cost, by Gauss and Newton: ``J r`` and ``J J^T``.
        damping: weight of the diagonal; large means small careful steps.
        running: whether the fit can still improve.
    """

    unit: Float[Tensor, "n f"]
    cost: Float[Tensor, " n"]
    gradient: Float[Tensor, "n f"]
    curvature: Float[Tensor, "n f f"]
    damping: Float[Tensor, " n"]
    running: Bool[Tensor, " n"]

    def take(self, rows: Tensor) -> "Fit":
        """The fits of some rows."""
        return Fit(*(getattr(self, field.name)[rows] for field in fields(self)))

    def put(self, rows: Int[Tensor, " m"], fit: "Fit") -> None:
        """Overwrite some rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(fit, field.name)

    def distance(self, num_pixels: int) -> Float[Tensor, " n"]:
        """Root of the mean squared difference of the pixels."""
        return (self.cost / num_pixels).sqrt()


def start(images: Float[Tensor, "n 1 s s"], unit: Float[Tensor, "n f"]) -> Fit:
    """Draw the dogs of a first guess, and measure cost and derivatives there."""
    low, high = factor_range()
    low, span = low.double(), (high - low).double()
    parts = []
    for image, guess in zip(images.split(_CHUNK), unit.split(_CHUNK), strict=True):
        picture, jacobian = draw_with_jacobian((low + span * guess).float(), image.shape[-1])
        jacobian = (jacobian * span.float()).transpose(1, 2)  # [n, f, pixels]
        residual = (picture - image).flatten(1)[..., None]  # [n, pixels, 1]
        parts.append(
            (
                residual.double().square().sum((1, 2)),
                (jacobian @ residual)[..., 0].double(),
                (jacobian @ jacobian.transpose(1, 2)).double(),
            )
        )
    cost, gradient, curvature = (torch.cat(values) for values in zip(*parts, strict=True))
    damping = torch.full_like(cost, 1e-2)
    return Fit(unit.clone(), cost, gradient, curvature, damping, torch.ones_like(cost).bool())


def improve(fit: Fit, images: Float[Tensor, "n 1 s s"], num_steps: int) -> None:
    """Take Levenberg-Marquardt steps, in place, until each fit is done or the steps are used up.

    A step that lowers the cost is taken and the damping eased; any other is refused and the damping
    raised. A fit is done when it is exact, or when steps win almost nothing.
    """
    num_pixels = images.shape[-2] * images.shape[-1]
    for _ in range(num_steps):
        rows = fit.running.nonzero()[:, 0]
        if len(rows) == 0:
            return
        now = fit.take(rows)
        step = _box_step(now)
        new = start(images[rows], (now.unit + step).clamp(0, 1))
        curved = (now.curvature @ step[..., None])[..., 0]
        promised = -(step * (2 * now.gradient + curved)).sum(1)
        kept = (now.cost - new.cost) / promised.clamp(min=1e-12)
        better = new.cost < now.cost
        stalled = new.cost > (1 - _STALLED) * now.cost
        eased = now.damping * (1 - (2 * kept - 1) ** 3).clamp(0.1, 4)
        new.damping = torch.where(better, eased, 8 * now.damping).clamp(min=1e-8)
        new.running = ~(
            (better & stalled)
            | (new.distance(num_pixels) < _EXACT)
            | (~better & (new.damping > 1e4))
        )
        refused = ~better
        now.damping, now.running = new.damping, new.running
        new.put(refused.nonzero()[:, 0], now.take(refused))
        fit.put(rows, new)


def _box_step(fit: Fit) -> Float[Tensor, "n f"]:
    """The damped Gauss-Newton step that stays inside the box.

    Minimises ``g.s + s.(H + damping D) s / 2`` with an active set: factors at a bound that the
    gradient pushes outwards stay, factors that a step would carry across a bound stop there, and
    the others are solved for again.
    """
    diagonal = fit.curvature.diagonal(dim1=1, dim2=2)
    weight = diagonal + 1e-3 * diagonal.mean(1, keepdim=True) + 1e-9
    damped = fit.curvature + torch.diag_embed(fit.damping[:, None] * weight)
    held = ((fit.unit <= 0) & (fit.gradient > 0)) | ((fit.unit >= 1) & (fit.gradient < 0))
    step = torch.zeros_like(fit.unit)
    for _ in range(fit.unit.shape[1]):
        free = (~held).double()
        pull = -(fit.gradient + (damped @ (step * (1 - free))[..., None])[..., 0]) * free
        system = damped * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        step = torch.where(held, step, torch.linalg.solve(system, pull))
        outside = ((fit.unit + step < 0) | (fit.unit + step > 1)) & ~held
        if not outside.any():
            break
        step = torch.where(outside, (fit.unit + step).clamp(0, 1) - fit.unit, step)
        held = held | outside
    return step
