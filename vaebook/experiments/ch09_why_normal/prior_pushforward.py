"""A VAE with a uniform prior that is the normal VAE in other coordinates (chapter 09)."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import (
    Distribution,
    Laplace,
    Normal,
    Transform,
    TransformedDistribution,
    constraints,
)
from torch.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    CumulativeDistributionTransform,
)

from vaebook.data import load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.settings import DOG_LATENT_DIM, DOG_NETWORK, DOG_TRAINING
from vaebook.models import VAE
from vaebook.training import fit, seeded

SIGMA = 0.2  # of a pixel, as in the trial of the priors


class Bend(Transform):
    """Bends code space: the second half of z is stretched and moved by the first half.

    (a, b) ↦ (a, b · exp(tanh a) + a²). What it makes of N(0, I) is curved like a banana and has
    no name; it is invertible, and the log-determinant is Σ tanh a.
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def _call(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        a, b = x.chunk(2, -1)
        return torch.cat([a, b * torch.exp(torch.tanh(a)) + a.square()], -1)

    def _inverse(self, y: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        a, b = y.chunk(2, -1)
        return torch.cat([a, (b - a.square()) * torch.exp(-torch.tanh(a))], -1)

    def log_abs_det_jacobian(
        self, x: Float[Tensor, "*batch d"], y: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch"]:
        """log |det ∂y/∂x|, summed over the dimensions."""
        return torch.tanh(x.chunk(2, -1)[0]).sum(-1)


def _standard(family: type[Normal] | type[Laplace]) -> CumulativeDistributionTransform:
    """The map to (0, 1) by the distribution function of a standard normal or Laplace."""
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    return CumulativeDistributionTransform(family(zero, one))


# By what N(0, I) becomes: each is one map of the whole code space, the same for every picture.
TRANSFORMS: dict[str, Transform] = {
    "normal at 3, twice as wide": AffineTransform(3.0, 2.0),
    "uniform on [0, 1]": _standard(Normal),
    "Laplace": ComposeTransform([_standard(Normal), _standard(Laplace).inv]),
    "bent, without a name": Bend(),
}


class SampledVAE(VAE):
    """A VAE with its rate taken from the samples: only densities, no closed form."""

    def rate(self, posterior: Distribution, codes: Float[Tensor, "s n d"]) -> Float[Tensor, " n"]:
        """log q(z | x) − log p(z) in nats, averaged over the samples."""
        return (posterior.log_prob(codes) - self.prior.log_prob(codes)).mean(0)


class PushedVAE(SampledVAE):
    """The VAE with every code z replaced by T(z): prior, posterior and decoder.

    Prior and posterior are pushed forward through T, and the decoder undoes T first. By the
    theorem of chapter 09 it is ``model`` in other coordinates, with the same ELBO.

    Args:
        model: a VAE; its networks are shared, not copied; copy it first if it is to stay as it is.
        transform: T, invertible.
    """

    def __init__(self, model: VAE, transform: Transform) -> None:
        super().__init__(
            model.image_shape,
            model.latent_dim,
            network=model.network,
            likelihood=model.likelihood,
            posterior=model.posterior_family,
        )
        self.transform = transform
        self.encoder = model.encoder
        self.decoder = nn.Sequential(_Undo(transform), model.decoder)
        self.to(next(model.parameters()).dtype)

    @property
    def prior(self) -> Distribution:
        """N(0, I) pushed through T."""
        return TransformedDistribution(super().prior, [self.transform], validate_args=False)

    def posterior(self, images: Float[Tensor, "n c h w"]) -> Distribution:
        """q(z | x) pushed through T."""
        base = super().posterior(images)
        return TransformedDistribution(base, [self.transform], validate_args=False)


class _Undo(nn.Module):
    """T⁻¹ as a layer."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return self.transform.inv(codes)


@torch.no_grad()
def elbo_gap(
    model: VAE, pushed: VAE, images: Float[Tensor, "n c h w"], seed: int
) -> tuple[float, float]:
    """Largest differences over the images of two models' log q − log p and ELBO, in nats.

    Both draw the same noise, and either uses nothing but its own densities.
    """
    terms = []
    for each in (model, pushed):
        with seeded(seed):
            codes = each.posterior(images).rsample((4,))
        posterior = each.posterior(images)
        log_ratio = posterior.log_prob(codes) - each.prior.log_prob(codes)  # [s, n]
        log_likelihood = each.likelihood_of(codes).log_prob(images)
        terms.append((log_ratio, (log_likelihood - log_ratio).mean(0)))
    (ratio, elbo), (pushed_ratio, pushed_elbo) = terms
    return float((ratio - pushed_ratio).abs().max()), float((elbo - pushed_elbo).abs().max())


def build(seed: int) -> VAE:
    """An untrained normal VAE of dogs in double precision."""
    with seeded(seed):
        model = SampledVAE(
            load_dogs().image_shape,
            DOG_LATENT_DIM,
            network=DOG_NETWORK,
            likelihood=GaussianLikelihood(SIGMA),
        )
    return model.double()


def run(
    seed: int,
    *,
    num_epochs: int = 4,
    num_more: int = 1,
    num_train: int = 2000,
    num_images: int = 200,
) -> list[dict[str, Any]]:
    """Train the normal VAE, push it through maps T, and train each of the images further.

    Training starts in the normal's coordinates, because its first codes fly out to |z| = 11, where
    Φ(z) rounds to 1 in double precision and T has no inverse.

    Args:
        num_epochs: passes over the training images, of the normal VAE.
        num_more: further passes, of the normal VAE and of each pushed one.
        num_images: test images on which the models are compared.

    Returns:
        A row per map T. ``log_ratio_gap`` and ``elbo_gap``: the largest difference in nats of
        log q − log p of a code, and of an image's ELBO, between the normal VAE and itself pushed
        through T. ``sample_gap``: the largest difference of a pixel between their samples from the
        same noise. ``trained_gap``: the largest difference of an image's ELBO after both were
        trained further, each with its own densities.
    """
    dogs = load_dogs()
    train, test = dogs.train.images[:num_train].double(), dogs.test.images[:num_images].double()
    model = build(seed)
    fit(model, train, seed=seed, **DOG_TRAINING | {"num_epochs": num_epochs})
    more = DOG_TRAINING | {"num_epochs": num_more}
    further = copy.deepcopy(model)
    fit(further, train, seed=seed, **more)
    rows = []
    for name, transform in TRANSFORMS.items():
        pushed = PushedVAE(copy.deepcopy(model), transform)
        log_ratio_gap, gap = elbo_gap(model, pushed, test, seed)
        apart = (model.sample(50, seed=seed) - pushed.sample(50, seed=seed)).abs().max()
        fit(pushed, train, seed=seed, **more)
        rows.append(
            {"prior": name, "log_ratio_gap": log_ratio_gap, "elbo_gap": gap}
            | {"sample_gap": float(apart), "trained_gap": elbo_gap(further, pushed, test, seed)[1]}
        )
    return rows
