"""One VAE trained with four estimators of the encoder's gradient, for equally many steps."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from vaebook._checks import ImageShape
from vaebook.data import load_digits
from vaebook.distributions import leave_one_out
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded


class SampledVAE(VAE):
    """A VAE trained on ``num_samples`` codes per image, by the pathwise gradient."""

    def __init__(self, image_shape: ImageShape, latent_dim: int, num_samples: int) -> None:
        super().__init__(image_shape, latent_dim, network=MLP((128,)))
        self.num_samples = num_samples

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The negative ELBO."""
        return -self.elbo(images, num_samples=self.num_samples).elbo


class ScoreFunctionVAE(SampledVAE):
    """The same objective, but the encoder learns from values of log p(x | z), not its slope.

    With several codes for an image, the mean over the others is the baseline.
    """

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """A loss with the value of the negative ELBO and the score function as its gradient."""
        posterior = self.posterior(images)
        codes = posterior.sample((self.num_samples,))  # no gradient passes through them
        log_likelihood = self.likelihood_of(codes).log_prob(images)  # [s, n]; trains the decoder
        value = log_likelihood.detach()
        weight = value - leave_one_out(value) if self.num_samples > 1 else value
        surrogate = (weight * posterior.log_prob(codes)).mean(0)  # its gradient trains the encoder
        rate = self.rate(posterior, codes)
        return rate - log_likelihood.mean(0) - (surrogate - surrogate.detach())


MODELS = {"pathwise": SampledVAE, "score": ScoreFunctionVAE}
CONDITIONS = (("pathwise", 1), ("pathwise", 8), ("score", 1), ("score", 8))


def run(
    seed: int,
    conditions: Sequence[tuple[str, int]] = CONDITIONS,
    num_epochs: int = 100,
    lr: float = 1e-3,
) -> list[dict[str, Any]]:
    """Rows with the ELBO on the test digits, one for each estimator and number of samples."""
    data = load_digits()
    rows = []
    for estimator, num_samples in conditions:
        with seeded(seed):
            model = MODELS[estimator](data.image_shape, 8, num_samples)
        history = fit(model, data.train.images, num_epochs=num_epochs, lr=lr, seed=seed)
        terms = evaluate_elbo(model, data.test.images, num_samples=20, seed=seed)
        rows.append(
            {
                "estimator": estimator,
                "samples": num_samples,
                "elbo": float(terms.elbo.mean()),
                "distortion": float(terms.distortion.mean()),
                "rate": float(terms.rate.mean()),
                "train_loss": history["loss"][-1],
            }
        )
    return rows
