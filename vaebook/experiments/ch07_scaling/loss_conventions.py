"""One model under eleven ways of writing its loss, and under their translations (chapter 07)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaebook._checks import ImageShape
from vaebook.data import ImageData, load_fashion
from vaebook.distributions import CONVENTIONS, GaussianLikelihood, LossConvention
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import active_units, evaluate_elbo, sharpness
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

LATENT_DIM = 16
NETWORK = MLP((400,))
BATCH_SIZE = 128
COMMON_SIGMA = 0.1  # all models' distortion is quoted under this pixel noise
NUM_KEPT = 8
NAMES = tuple(convention.name for convention in CONVENTIONS)


class AsWritten(VAE):
    """A VAE whose loss is computed as programs write it, reductions and weights included.

    Its mean over a batch is the number that such a program calls the loss; it is not in nats.
    """

    def __init__(
        self, image_shape: ImageShape, convention: LossConvention, num_images: int
    ) -> None:
        super().__init__(image_shape, LATENT_DIM, network=NETWORK)
        self.convention = convention
        self.kl_weight = convention.kl_weight_for(image_shape, BATCH_SIZE, num_images)

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The one number of the batch, repeated for each image."""
        mu, log_var = self.encoder(images).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        output = torch.sigmoid(self.decoder(z))
        how = self.convention
        if how.reconstruction == "cross-entropy":
            reconstruction = F.binary_cross_entropy(output, images, reduction=how.over_pixels)
        else:
            reconstruction = F.mse_loss(output, images, reduction=how.over_pixels)
            if how.reconstruction == "half squared error":
                reconstruction = reconstruction / 2
        if how.over_pixels == "sum":
            reconstruction = reconstruction / len(images)
        kl = -0.5 * (1 + log_var - mu**2 - torch.exp(log_var))
        kl = kl.mean() if how.over_latents == "mean" else kl.sum() / len(images)
        loss = how.reconstruction_weight * reconstruction + self.kl_weight * kl
        return loss.expand(len(images))


class GreyCrossEntropyVAE(VAE):
    """Cross-entropy on grey pixels in nats, summed, plus β · rate: the translation of the others.

    No likelihood has this as its −log p (chapter 07), so it is no ``Likelihood`` of the package.
    """

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """Summed cross-entropy + beta · rate, in nats, one value per image."""
        posterior = self.posterior(images)
        codes = posterior.rsample((1,))
        logits = self.decoder(codes[0])
        cross_entropy = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
        return cross_entropy.sum((1, 2, 3)) + self.beta * self.rate(posterior, codes)

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The sigmoid of the decoder's output, the picture that programs show."""
        return torch.sigmoid(self.decoder(codes))


def train(
    convention: LossConvention, data: ImageData, *, translated: bool, seed: int, num_epochs: int
) -> VAE:
    """The model under a convention: as it is written, or through its translation."""
    shape, num_images = data.image_shape, len(data.train.images)
    meaning = convention.translate(shape, LATENT_DIM, BATCH_SIZE, num_images)
    with seeded(seed):
        if not translated:
            model: VAE = AsWritten(shape, convention, num_images)
        elif convention.reconstruction == "cross-entropy":
            model = GreyCrossEntropyVAE(shape, LATENT_DIM, network=NETWORK, beta=meaning.beta)
        else:
            pixels = GaussianLikelihood(meaning.sigma)
            model = VAE(shape, LATENT_DIM, network=NETWORK, likelihood=pixels)
    fit(model, data.train.images, num_epochs=num_epochs, batch_size=BATCH_SIZE, seed=seed)
    return model


def measure(model: VAE, data: ImageData, seed: int) -> dict[str, float]:
    """What the model became, in measures that no convention touches, on the test images."""
    images = data.test.images
    judge = VAE(data.image_shape, LATENT_DIM, network=NETWORK)  # Gaussian pixels, σ = 0.1
    judge.encoder, judge.decoder = model.encoder, model.decoder
    judge.likelihood = GaussianLikelihood(COMMON_SIGMA)
    terms = evaluate_elbo(judge, images, seed=seed)
    samples = judge.sample(500, seed=seed)
    return {
        "rate": float(terms.rate.mean()),
        "distortion": float(terms.distortion.mean()),
        "rmse": reconstruction_rmse(judge, images),
        "active": int(active_units(judge, images).sum()),
        "sharpness": float(sharpness(samples).mean() / sharpness(images).mean()),
    }


def run(
    seed: int,
    *,
    num_epochs: int = 10,
    conventions: tuple[str, ...] = NAMES,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each convention as written and translated, and measure both alike.

    Args:
        pictures: filled with reconstructions and samples, under ``"name/source"``.

    Returns:
        A row per convention and form: implied ``sigma`` and ``beta`` (at σ = 1), ``rate`` and
        ``distortion`` (under σ = 0.1) in nats per image, ``rmse`` of reconstructions, ``active``
        units, ``sharpness`` of samples relative to real pictures.
    """
    data = load_fashion()
    rows = []
    for convention in CONVENTIONS:
        if convention.name not in conventions:
            continue
        size = (data.image_shape, LATENT_DIM, BATCH_SIZE, len(data.train.images))
        meaning = convention.translate(*size)
        for translated in (False, True):
            model = train(convention, data, translated=translated, seed=seed, num_epochs=num_epochs)
            row: dict[str, Any] = {"convention": convention.name, "translated": translated}
            row |= {"sigma": meaning.sigma, "beta": meaning.beta}
            rows.append({**row, **measure(model, data, seed)})
            if pictures is not None and not translated:
                images = data.test.images[:NUM_KEPT]
                model.likelihood = GaussianLikelihood(COMMON_SIGMA)
                pictures[f"{convention.name}/reconstruction"] = model.reconstruct(images)
                pictures[f"{convention.name}/sample"] = model.sample(NUM_KEPT, seed=0)
                pictures["data"] = images
    return rows
