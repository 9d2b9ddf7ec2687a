"""Flow matching: noise is carried to codes along a velocity found by regression (chapter 14)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import AffineTransform, Distribution, TransformedDistribution
from torch.optim.lr_scheduler import CosineAnnealingLR

from vaebook._checks import (
    check_count,
    check_distribution,
    check_function,
    check_positive,
    check_same_shape,
    check_table,
    check_tensor,
)
from vaebook._random import seeded
from vaebook.distributions.continuous_flow import ContinuousFlow
from vaebook.distributions.gaussian import standard_normal
from vaebook.distributions.velocity import OF_POINTS, Velocity, VelocityNetwork
from vaebook.training import fit


def straight_path(
    noise: Float[Tensor, "n d"], codes: Float[Tensor, "n d"], t: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]:
    """The point (1 − t) noise + t codes of each pair's straight path, and the pair's velocity.

    Raises:
        ValueError: if the shapes of noise and codes differ.

    Source:
        Liu et al. (2023); Lipman et al. (2023), section 4.1, with σ_min = 0.
    """
    check_same_shape(noise=noise, codes=codes)
    check_tensor("t", t, floats=True)
    if t.shape != codes.shape[:-1]:
        raise ValueError(
            f"t has shape {tuple(t.shape)}; expected {tuple(codes.shape[:-1])}, a time for each "
            "pair."
        )
    t = t.unsqueeze(-1)
    return (1 - t) * noise + t * codes, codes - noise


def flow_matching_loss(
    velocity: Velocity,
    noise: Float[Tensor, "n d"],
    codes: Float[Tensor, "n d"],
    t: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    r"""The squared error of the velocity on a pair's straight path, one value per pair.

    .. math:: \lVert v(x_t, t) - (z - \varepsilon)\rVert^2,
              \qquad x_t = (1 - t)\,\varepsilon + t\, z

    Its minimiser is the mean velocity of all pairs that pass through a point, which carries the
    noise's distribution to that of the codes. No ODE is solved in training.

    Source:
        Lipman et al. (2023), theorem 2 and eq. 23.
    """
    check_function("velocity", velocity, OF_POINTS)
    x, target = straight_path(noise, codes, t)
    return (velocity(x, t) - target).square().sum(-1)


class FlowMatching(nn.Module):
    """A velocity network in training: each step draws noise and a time for every code.

    Args:
        network: the velocity.
        base: the noise, over vectors of d numbers.
    """

    def __init__(self, network: VelocityNetwork, base: Distribution) -> None:
        super().__init__()
        self.network, self.base = network, base

    def loss(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """:func:`flow_matching_loss` of each code, for ``fit``."""
        noise = self.base.sample((len(codes),)).to(codes)
        t = torch.rand(len(codes)).to(codes)
        return flow_matching_loss(self.network, noise, codes, t)


def fit_flow_matching(
    codes: Float[Tensor, "n d"],
    *,
    base: Distribution | None = None,
    scale: float = 1.0,
    num_epochs: int = 60,
    batch_size: int = 128,
    lr: float = 1e-2,
    hidden: int = 256,
    num_steps: int = 20,
    seed: int = 0,
) -> TransformedDistribution:
    """A continuous flow whose velocity is trained by flow matching.

    The codes are centred and multiplied by one number, so that all their numbers together have the
    standard deviation ``scale``; samples get the number undone. That number is the scale factor of
    latent diffusion. Each step draws fresh noise and a fresh time for every code, and the rate of
    Adam falls to zero by a half cosine.

    Args:
        codes: one row per image, at least 20.
        base: the noise, over vectors of d numbers; N(0, I) by default.
        scale: standard deviation of the codes that the flow sees.
        num_epochs: passes over the codes.
        batch_size: codes per step.
        lr: Adam's first learning rate.
        hidden: units of both hidden layers of the velocity network.
        num_steps: steps of the solver, for samples and densities; can be set later,
            ``fitted.base_dist.num_steps = 50``.
        seed: of the network, the order, the noise and the times.

    Returns:
        The distribution of codes.

    Raises:
        ValueError: if the codes are too few, not finite or all the same, the base is over other
            vectors, or a setting is unusable.

    Source:
        Lipman et al. (2023); the scale factor is that of Rombach et al. (2022), section G.
    """
    for name, value in (("num_epochs", num_epochs), ("batch_size", batch_size)):
        check_count(name, value)
    check_positive("scale", scale)
    check_positive("lr", lr)
    check_table(codes, 20)
    latent_dim = codes.shape[1]
    base = base if base is not None else standard_normal(latent_dim)
    check_distribution("base", base)
    if tuple(base.event_shape) != (latent_dim,):
        raise ValueError(
            f"base is over events of shape {tuple(base.event_shape)}; expected ({latent_dim},), "
            "one number of noise for each number of a code."
        )
    codes = codes.detach()
    centre = codes.mean(0)
    std = (codes - centre).square().mean().sqrt()
    check_positive("the codes' standard deviation", float(std))
    units = (codes - centre) * (scale / std)
    with seeded(seed):
        network = VelocityNetwork(latent_dim, hidden).to(codes)
    training_steps = num_epochs * -(-len(units) // batch_size)
    fit(
        FlowMatching(network, base),
        units,
        num_epochs=num_epochs,
        batch_size=batch_size,
        lr=lr,
        scheduler=partial(CosineAnnealingLR, T_max=training_steps),
        seed=seed,
        progress=False,
    )
    network.requires_grad_(False)
    flow = ContinuousFlow(network, base, num_steps=num_steps, divergence=network.divergence)
    # one entry for each dimension: of a single number, torch would count the logarithm once, not d
    # times
    stretch = (std / scale).expand(latent_dim)
    to_codes = AffineTransform(centre, stretch, event_dim=1)
    return TransformedDistribution(flow, [to_codes], validate_args=False)


def gaussian_velocity(mean: Float[Tensor, " d"], std: Float[Tensor, " d"]) -> Velocity:
    r"""The exact velocity from N(0, I) to N(mean, diag(std²)): what a perfect network would learn.

    .. math:: v(x, t) = m + \frac{t s^2 - (1 - t)}{t^2 s^2 + (1 - t)^2}\,(x - t\, m)

    per dimension: the regression of z − ε on x_t, which for Gaussians is a straight line.

    Args:
        mean: m, of the codes.
        std: s, above 0.

    Source:
        Chapter 14.
    """
    check_same_shape(mean=mean, std=std)

    def velocity(x: Float[Tensor, "n d"], t: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        t = t.unsqueeze(-1)
        covariance = t * std**2 - (1 - t)
        variance = t**2 * std**2 + (1 - t) ** 2
        return mean + covariance / variance * (x - t * mean)

    return velocity


def empirical_velocity(codes: Float[Tensor, "m d"]) -> Velocity:
    r"""The exact velocity from N(0, I) to a finite set of codes, each as probable as the others.

    .. math:: v(x, t) = \sum_i w_i \frac{z_i - x}{1 - t},
              \qquad w_i \propto e^{-\lVert x - t z_i \rVert^2 / 2 (1 - t)^2}

    The mean over the codes that may be the goal of a point, for t below 1. It ends in the given
    codes and nowhere else: a network that learned it would have learned the data by heart.

    Args:
        codes: z_i, one row each.

    Raises:
        ValueError: if the codes are no table of finite floats.

    Source:
        Chapter 14; the weights are those of the optimal decoder of chapter 10.
    """
    check_table(codes, 1)

    def velocity(x: Float[Tensor, "n d"], t: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        left = (1 - t)[:, None]
        distance = (x[:, None] - t[:, None, None] * codes).square().sum(-1)  # [n, m]
        weights = torch.softmax(-distance / (2 * left**2), 1)
        return (weights @ codes - x) / left

    return velocity
