"""Trains the VAE of the sliders: all sixteen factors of a dog, codes of sixteen numbers.

    python -m vaebook.explorer train latent-sliders

Small enough for a page: pictures of 28 by 28 pixels, of which the decoder keeps those inside the
frame, a last hidden layer of 48 units, and weights of 8 bits. The noise of a pixel is as wide as
that of chapter 6's sampler, so that few latents are used.
"""

import torch
from torch import Tensor, nn

from vaebook._checks import ImageShape
from vaebook.data import load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.explorer.latent_sliders import COLUMNS, LATENT_DIM, ROWS, SIZE
from vaebook.explorer.plane_models import linear
from vaebook.explorer.training.rounding import rounded
from vaebook.explorer.weights import in_half_precision, linear_weights
from vaebook.metrics import rate_per_dimension
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

SIGMA = 0.25  # of the pixels
NUM_EPOCHS = 60
NUM_SHOWN = 12  # dogs to go between
NUM_ROUNDED, SPREAD = 20_000, 1.6  # codes that the rounding minds; the sliders reach ±3
SEED = 0


class LopsidedMLP:
    """A large encoder, which no page carries, and a small decoder."""

    def encoder(self, image_shape: ImageShape, num_outputs: int) -> nn.Module:
        """Images ``[n, c, h, w]`` to ``[n, num_outputs]``."""
        plan = MLP((512, 256), activation="silu", background=0.95)
        return plan.encoder(image_shape, num_outputs)

    def decoder(self, latent_dim: int, image_shape: ImageShape) -> nn.Module:
        """Codes ``[n, latent_dim]`` to ``[n, c, h, w]``."""
        return MLP((48, 128), activation="silu").decoder(latent_dim, image_shape)


def train_sliders() -> dict[str, Tensor]:
    """Everything that the page shows, by name; deterministic on one machine.

    Returns:
        The layers of the decoder, ``decoder.0.weight`` and so on, whose outputs are logits of
        the pixels inside the frame; the
        ``rates`` of the latents, mean KL in nats over test dogs; the ``codes`` of shown dogs.
    """
    data = load_dogs(size=SIZE)
    with seeded(SEED):
        model = VAE(
            data.image_shape, LATENT_DIM, network=LopsidedMLP(),
            likelihood=GaussianLikelihood(SIGMA),
        )  # fmt: skip
    fit(model, data.train.images, num_epochs=NUM_EPOCHS, batch_size=100, lr=1e-3, seed=SEED)
    model.eval()
    rates = rate_per_dimension(model, data.test.images)
    with torch.no_grad():
        codes = model.encode(data.test.images[:NUM_SHOWN])
    with seeded(SEED):
        wide = SPREAD * torch.randn(NUM_ROUNDED, LATENT_DIM)
    layers = linear_weights("decoder", rounded(inside_frame(model.decoder), wide))
    return in_half_precision({**layers, "rates": rates, "codes": codes})


def inside_frame(decoder: nn.Module) -> nn.Sequential:
    """The layers of a decoder of whole pictures up to its logits, for the pixels of the frame."""
    layers = [layer for layer in decoder.modules() if isinstance(layer, nn.Linear | nn.SiLU)]
    *others, last = layers
    assert isinstance(last, nn.Linear)
    kept = torch.arange(SIZE * SIZE).view(SIZE, SIZE)[ROWS, COLUMNS].flatten()
    return nn.Sequential(*others, linear(last.weight[kept], last.bias[kept]))
