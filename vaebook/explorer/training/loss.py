"""Trains the small models whose pictures the loss calculator of chapter 07 shows.

    python -m vaebook.explorer train loss

One network on Fashion-MNIST, as in the chapter's experiment but with fewer units and epochs, under
squared error at a ladder of σ and under cross-entropy at a ladder of β. What is kept of a model is
what it makes of four test pictures, and four samples.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vaebook.data import ImageData, load_fashion
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

SIGMAS = (0.1, 0.2, 0.4, 0.7, 1.4, 2.8, 5.6)  # of squared error, at β = 1
BETAS = (0.1, 1.0, 10.0)  # of summed cross-entropy
LATENT_DIM, HIDDEN = 16, 256
NUM_EPOCHS, BATCH_SIZE, SEED = 8, 128, 0
SHOWN = (0, 1, 2, 8)  # test pictures: a boot, a pullover, trousers, a sandal
NUM_SAMPLES = 4


class CrossEntropyVAE(VAE):
    """Cross-entropy on grey pixels, summed, plus β · rate: no likelihood, as chapter 07 says."""

    def loss(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """One value per image."""
        posterior = self.posterior(images)
        codes = posterior.rsample((1,))
        error = F.binary_cross_entropy_with_logits(self.decoder(codes[0]), images, reduction="none")
        return error.sum((1, 2, 3)) + self.beta * self.rate(posterior, codes)

    def decode(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """The sigmoid of the decoder's output."""
        return torch.sigmoid(self.decoder(codes))


def train_loss() -> dict[str, Tensor]:
    """Pictures of each model; deterministic on one machine.

    Returns:
        By ``"squared error <σ>"`` and ``"cross-entropy <β>"`` bytes ``[8, 28, 28]``, four
        reconstructions and four samples; and the four pictures themselves as ``"data"``.
    """
    clothes = load_fashion()
    shape, network = clothes.image_shape, MLP((HIDDEN,))
    models: dict[str, VAE] = {}
    for sigma in SIGMAS:
        with seeded(SEED):
            likelihood = GaussianLikelihood(sigma)
            model = VAE(shape, LATENT_DIM, network=network, likelihood=likelihood)
        models[f"squared error {sigma:g}"] = model
    for beta in BETAS:
        with seeded(SEED):
            model = CrossEntropyVAE(shape, LATENT_DIM, network=network, beta=beta)
        models[f"cross-entropy {beta:g}"] = model
    pictures = {name: _pictures(model, clothes) for name, model in models.items()}
    return {"data": _bytes(clothes.test.images[list(SHOWN)]), **pictures}


def _pictures(model: VAE, clothes: ImageData) -> Tensor:
    fit(
        model, clothes.train.images, num_epochs=NUM_EPOCHS, batch_size=BATCH_SIZE, seed=SEED,
        progress=False,
    )  # fmt: skip
    model.eval()
    with torch.no_grad(), seeded(SEED):
        codes = model.encode(clothes.test.images[list(SHOWN)])
        drawn = torch.randn(NUM_SAMPLES, LATENT_DIM)
        return _bytes(model.decode(torch.cat([codes, drawn])))


def _bytes(images: Float[Tensor, "n 1 h w"]) -> Tensor:
    return (255 * images[:, 0].clamp(0, 1)).round().to(torch.uint8)
