"""What the encoder's second output may mean: log σ², log σ, softplus, σ² clipped, and a bug.

The bug draws codes with standard deviation exp(s) while its KL reads s as log σ².
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaebook._checks import ImageShape
from vaebook.data import Split, load_digits
from vaebook.distributions import DiagonalGaussian, gaussian_kl
from vaebook.metrics import (
    active_units,
    evaluate_elbo,
    importance_weighted_nll,
    posterior_parameters,
)
from vaebook.models import MLP, VAE, Elbo
from vaebook.training import fit, seeded

SMALLEST_VARIANCE = 1e-6  # where torch.nn.functional.gaussian_nll_loss clips a variance too

# From the linear layer's output s to log σ².
LOG_VARIANCE: dict[str, Callable[[Tensor], Tensor]] = {
    "log variance": lambda s: s,
    "log sigma": lambda s: 2 * s,
    "softplus": lambda s: 2 * torch.log(F.softplus(s)),
    "clipped variance": lambda s: torch.log(s.clamp_min(SMALLEST_VARIANCE)),
}
HEADS = (*LOG_VARIANCE, "bug")
WIDTHS = (1.0, 2.0, 3.0)  # of importance sampling's proposal, in σ


class HeadVAE(VAE):
    """A VAE whose encoder's second output is read as ``head`` says."""

    def __init__(self, image_shape: ImageShape, latent_dim: int, head: str) -> None:
        super().__init__(image_shape, latent_dim, network=MLP((128,)))
        self.head = head
        self.width = 1.0  # a multiple of σ, for importance sampling

    def posterior(self, images: Float[Tensor, "n c h w"]) -> DiagonalGaussian:
        """q(z | x), one Gaussian for each image."""
        mu, s = self.encoder(images).chunk(2, -1)
        return DiagonalGaussian(mu, LOG_VARIANCE[self.head](s) + 2 * math.log(self.width))


class BuggyVAE(HeadVAE):
    """Draws codes with standard deviation exp(s), charges for variance exp(s)."""

    def __init__(self, image_shape: ImageShape, latent_dim: int) -> None:
        super().__init__(image_shape, latent_dim, "log sigma")  # what is drawn

    def elbo(self, images: Float[Tensor, "n c h w"], *, num_samples: int = 1) -> Elbo:
        """What this program claims to be the ELBO; its rate belongs to another posterior."""
        distortion = super().elbo(images, num_samples=num_samples).distortion
        mu, s = self.encoder(images).chunk(2, -1)
        rate = gaussian_kl(mu, s)
        return Elbo(-(distortion + rate), distortion, rate)


def train(seed: int, head: str, num_epochs: int = 200, latent_dim: int = 8) -> HeadVAE:
    """The small VAE of the digits with the given head."""
    data = load_digits()
    with seeded(seed):
        if head == "bug":
            model: HeadVAE = BuggyVAE(data.image_shape, latent_dim)
        else:
            model = HeadVAE(data.image_shape, latent_dim, head)
    fit(model, data.train.images, num_epochs=num_epochs, lr=3e-3, seed=seed)
    return model


def read_as(model: VAE, head: str, width: float = 1.0) -> HeadVAE:
    """The same weights, with the encoder's second output read as ``head`` says, σ times width."""
    other = HeadVAE(model.image_shape, model.latent_dim, head)
    other.load_state_dict(model.state_dict())
    other.width = width
    return other


def run(seed: int, heads: Sequence[str] = HEADS, num_epochs: int = 200) -> list[dict[str, Any]]:
    """Rows for each head; the buggy model in three readings.

    ``claimed`` is what the program with the bug reports; ``true`` is the ELBO of the posterior
    that it draws from; ``repaired`` corrects the draw after training and changes no weight.
    """
    data = load_digits()
    rows = []
    for head in heads:
        model = train(seed, head, num_epochs)
        if head != "bug":
            rows.append({"head": head, "reading": "true", **_measure(model, data.test, seed)})
            continue
        claimed = _mean_terms(model, data.test, seed)
        true = _measure(read_as(model, "log sigma"), data.test, seed)
        repaired = _measure(read_as(model, "log variance"), data.test, seed)
        for reading, row in (("claimed", claimed), ("true", true), ("repaired", repaired)):
            rows.append({"head": head, "reading": reading, **row})
    return rows


def _mean_terms(model: VAE, split: Split, seed: int) -> dict[str, Any]:
    terms = evaluate_elbo(model, split.images, num_samples=20, seed=seed)
    return {name: float(term.mean()) for name, term in terms._asdict().items()}


def _log_likelihood(model: HeadVAE, split: Split, seed: int) -> float:
    """The largest of the importance-weighted bounds: a narrow proposal gives a loose one."""
    bounds = []
    for width in WIDTHS:
        wide = read_as(model, model.head, width)
        nll = importance_weighted_nll(wide, split.images, num_samples=500, seed=seed)
        bounds.append(-float(nll.mean()))
    return max(bounds)


def _measure(model: HeadVAE, split: Split, seed: int) -> dict[str, Any]:
    """Means over images, and over dimensions where a column is about one dimension."""
    train_images = load_digits().train.images
    posterior = posterior_parameters(model, train_images)
    clipped = posterior.variance < 1.001 * SMALLEST_VARIANCE
    return {
        **_mean_terms(model, split, seed),
        "log_likelihood": _log_likelihood(model, split, seed),
        "active": int(active_units(model, split.images).sum()),
        "code_square": float((posterior.mu**2).mean()),
        "variance": float(posterior.variance.mean()),
        "std": float(posterior.std.mean()),
        "log_std": float(posterior.log_var.mean()) / 2,
        "clipped": float(clipped.float().mean()),
    }
