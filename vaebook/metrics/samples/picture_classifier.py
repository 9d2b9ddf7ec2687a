"""Can a network that has seen many of both tell a sample from a real picture?"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaebook._checks import check_count
from vaebook._random import check_seed, seeded
from vaebook.metrics._inputs import as_images
from vaebook.metrics.latent.two_sample import ClassifierTest, classifier_result
from vaebook.training import KeepBest, fit

VALIDATION = 0.2  # share of the training pictures that decides when to stop
SUREST = 9.2  # largest logit that counts: a chance of 0.0001


class RealOrSample(nn.Module):
    """A network whose answer is the logit of "this picture is real".

    It sees each picture twice, both times in units of the real pictures' spread: as it is, and less
    the mean of its neighbourhood, where fine detail stands alone.

    Args:
        real: pictures from which it takes the spread.
    """

    def __init__(self, real: Float[Tensor, "n c h w"]) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        views = self.views(real)
        self.register_buffer("mean", views.mean((0, 2, 3), keepdim=True))
        self.register_buffer("scale", views.std((0, 2, 3), keepdim=True) + 1e-3)
        self.layers = nn.Sequential(
            nn.Conv2d(views.shape[1], 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 1),
        )

    @staticmethod
    def views(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """The pictures, and what is left of them without the mean of 3×3 neighbours."""
        smooth = F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
        return torch.cat([images, images - smooth], 1)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The logit of each image."""
        logits: Tensor = self.layers((self.views(images) - self.mean) / self.scale)
        return logits.squeeze(1)

    def loss(
        self, images: Float[Tensor, "n c h w"], real: Float[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """Cross-entropy of each image in nats; ``real`` is 1 for a real one, else 0."""
        return F.binary_cross_entropy_with_logits(self(images), real, reduction="none")


def picture_classifier_test(
    real: Float[Tensor, "n c h w"],
    samples: Float[Tensor, "n c h w"],
    *,
    num_epochs: int = 20,
    seed: int = 0,
) -> ClassifierTest:
    """Train a small convolutional network to tell samples from real pictures; count on others.

    Half of each set trains it, a fifth of which decides when to stop; it is asked about the other
    half. No likelihood and no oracle is needed, and blur is no virtue. A weak network finds little:
    print beside the result what it finds between two sets of real pictures, and in samples that
    are partly spoilt.

    Args:
        real: pictures in [0, 1] that the model was not trained on.
        samples: as many of the model's.
        num_epochs: passes over the training half, at most.
        seed: of the split, the weights and the order.

    Returns:
        Share of right answers on the other half, ½ for a coin; the p-value of so many; and a lower
        bound of KL(real ‖ samples) in nats.

    Raises:
        ValueError: if the sets differ in size or shape, or are fewer than 50 each.

    Source:
        Lopez-Paz & Oquab (2017).
    """
    check_count("num_epochs", num_epochs)
    check_seed(seed)
    real, samples = as_images("real", real).detach(), as_images("samples", samples).detach()
    if real.shape != samples.shape or len(real) < 50:
        raise ValueError(
            f"real and samples have shapes {tuple(real.shape)} and {tuple(samples.shape)}; "
            "expected the same, with at least 50 of each: then a coin is right half of the time."
        )
    half = len(real) // 2
    with seeded(seed, "split"):
        order = torch.randperm(len(real)), torch.randperm(len(samples))
    first, second = (
        torch.stack([real[order[0]][part], samples[order[1]][part]], 1).flatten(0, 1).float()
        for part in (slice(half), slice(half, None))
    )  # real and sample in turn
    answers = torch.tensor([1.0, 0.0]).repeat(half).to(first)
    stop = 2 * round(VALIDATION * half)
    with seeded(seed, "weights"):
        network = RealOrSample(first[::2])
    fit(
        network.to(first.device),
        (first[stop:], answers[stop:]),
        num_epochs=num_epochs,
        batch_size=64,
        lr=2e-3,
        seed=seed,
        validation=(first[:stop], answers[:stop]),
        callbacks=[KeepBest()],
        progress=False,
    )
    with torch.no_grad():
        logits = torch.cat([network(part) for part in second.split(1000)])
    logits = logits.cpu().double().clamp(-SUREST, SUREST)
    return classifier_result(logits[::2].numpy(), logits[1::2].numpy())
