"""The hidden half of a garment: a conditional VAE and plain methods, class by class (chapter 13).

The unit of replication is the class of the test picture; the models are trained on all classes.
The plain method that the VAE is held against is chosen by its error on validation pictures
(:mod:`.uses_by_unit`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaebook._checks import ImageShape
from vaebook.data import load_fashion
from vaebook.distributions import LearnedGaussianLikelihood
from vaebook.experiments.ch13_using_a_vae.inpainting import HALVES
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.models import ConditionalVAE, ProbabilisticPCA
from vaebook.models.networks import Network
from vaebook.training import seeded, stream_seed

RANKS = (16, 64, 128, 256)  # of the Gaussians
NEIGHBOURS = (1, 10)
VAE_NAME = "conditional VAE, 8 samples"
NUM_SAMPLES = 8
AT_ONCE = 200  # pictures

Images = Float[Tensor, "n 1 h w"]
Halves = Int[Tensor, " n"]  # which half of each picture is hidden: indices into HALVES


class Guess(Protocol):
    """A way to guess: pictures, of which only the visible halves are looked at."""

    def __call__(self, images: Images, halves: Halves, *, stream: str) -> Images:
        """Whole pictures; ``stream`` names what is drawn at random."""
        ...


def visible(halves: Halves, size: int) -> Bool[Tensor, "n 1 s s"]:
    """Which pixels are given, for each picture's hidden half."""
    far = torch.arange(size) >= size // 2
    right = far.expand(size, size)
    return torch.stack([right, ~right, right.T, ~right.T])[halves, None]


def conditions_of(images: Images, halves: Halves) -> Float[Tensor, "n k"]:
    """What a model is told: the pixels of the visible half, and which half is hidden."""
    seen = torch.where(visible(halves, images.shape[-1]), images, 0.0)
    return torch.cat([seen.flatten(1), F.one_hot(halves, len(HALVES)).to(images)], 1)


class Regression(nn.Module):
    """The conditional VAE's decoder without a code: the picture's mean given the condition."""

    def __init__(self, shape: ImageShape, network: Network) -> None:
        super().__init__()
        self.decoder = network.decoder(shape[1] * shape[2] + len(HALVES), shape)
        self.likelihood = LearnedGaussianLikelihood()

    def predict(self, conditions: Float[Tensor, "n k"]) -> Images:
        """The mean picture for each condition."""
        return self.likelihood(self.decoder(conditions)).mean

    def loss(self, images: Images, conditions: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """−log p(x | c) in nats."""
        return -self.likelihood(self.decoder(conditions)).log_prob(images)


def conditional_vae(shape: ImageShape, network: Network) -> ConditionalVAE:
    """The VAE of this experiment, whose prior is learned from the visible half."""
    return ConditionalVAE(
        shape,
        LATENT_DIM,
        condition_dim=shape[1] * shape[2] + len(HALVES),
        network=network,
        likelihood=LearnedGaussianLikelihood(),
        prior="learned",
    )


class HalfHidden(nn.Module):
    """A model that is trained on pictures, a random half of each hidden anew in every step.

    Args:
        model: that is told the other half.
    """

    def __init__(self, model: ConditionalVAE | Regression) -> None:
        super().__init__()
        self.model = model

    def loss(self, images: Images) -> Float[Tensor, " n"]:
        """The model's loss in nats, given the other halves."""
        halves = torch.randint(len(HALVES), (len(images),))
        return self.model.loss(images, conditions_of(images, halves))


# What is trained, and how many times as long as a VAE's an epoch takes.
TRAINED: dict[str, tuple[Callable[[ImageShape, Network], ConditionalVAE | Regression], float]] = {
    VAE_NAME: (conditional_vae, 1.5),
    "regression network": (Regression, 0.65),
}


def conditional_mean(
    model: ProbabilisticPCA, images: Images, halves: Halves, *, stream: str = ""
) -> Images:
    """E[picture | visible half] under probabilistic PCA, in closed form."""
    guesses = torch.empty_like(images)
    for half in range(len(HALVES)):
        chosen = halves == half
        seen = visible(torch.tensor([half]), images.shape[-1]).flatten()
        part = ProbabilisticPCA(model.weights[seen], model.offset[seen], model.sigma)
        codes = part.posterior(images[chosen].flatten(1)[:, seen]).mean
        flat = codes @ model.weights.T + model.offset
        guesses[chosen] = flat.to(images).reshape(-1, *images.shape[1:])
    return guesses


def neighbours_mean(
    known: Images, num: int, images: Images, halves: Halves, *, stream: str = ""
) -> Images:
    """The mean of the training pictures whose visible half is most alike."""
    guesses = torch.empty_like(images)
    for half in range(len(HALVES)):
        chosen = halves == half
        seen = visible(torch.tensor([half]), images.shape[-1]).flatten()
        distance = torch.cdist(images[chosen].flatten(1)[:, seen], known.flatten(1)[:, seen])
        guesses[chosen] = known[distance.topk(num, largest=False).indices].mean(1)
    return guesses


def hidden_rmse(images: Images, halves: Halves, guesses: Images) -> float:
    """RMSE over the hidden pixels, in units of brightness."""
    hidden = ~visible(halves, images.shape[-1])
    return float((guesses.clamp(0, 1) - images)[hidden].square().mean().sqrt())


@torch.no_grad()
def guess(
    model: ConditionalVAE | Regression, images: Images, halves: Halves, *, seed: int, stream: str
) -> Images:
    """The picture given its visible half: the mean of samples, or what the regression says."""
    parts = []
    pairs = zip(images.split(AT_ONCE), halves.split(AT_ONCE), strict=True)
    for number, (block, hidden) in enumerate(pairs):
        conditions = conditions_of(block, hidden)
        if isinstance(model, Regression):
            parts.append(model.predict(conditions))
        else:
            noise = stream_seed(seed, f"codes of {stream}, block {number}")
            parts.append(model.sample(conditions, NUM_SAMPLES, seed=noise).mean(0))
    return torch.cat(parts)


def run(seed: int, *, scale: float = 1.0) -> list[dict[str, Any]]:
    """Hide a random half of held-out pictures and let each method guess it.

    Args:
        scale: of the number of epochs, for trials.

    Returns:
        A row for each ``class`` and ``method``: ``rmse`` over the hidden pixels of the class's test
        pictures, and ``validation_rmse`` of its validation pictures. A training that breaks down
        guesses black; ``failed`` says why.
    """
    data = load_fashion()
    known, average = data.train.images, data.train.images.mean(0)
    guesses: dict[str, Guess] = {
        "mean picture": lambda images, halves, *, stream: average.expand_as(images),
        **{f"{num} nearest": partial(neighbours_mean, known, num) for num in NEIGHBOURS},
        **{
            f"Gaussian of {rank} components": partial(
                conditional_mean, ProbabilisticPCA.fit(known, rank)
            )
            for rank in RANKS
        },
    }
    failed = {}
    for name in TRAINED:
        try:
            guesses[name] = partial(guess, trained(name, known, seed, scale), seed=seed)
        except ValueError as error:  # what fit raises when a loss is no number any more
            failed[name] = str(error)
            guesses[name] = lambda images, halves, *, stream: torch.zeros_like(images)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for key, split in (("validation_rmse", data.validation), ("rmse", data.test)):
        with seeded(seed, f"hidden halves, {key}"):
            halves = torch.randint(len(HALVES), (len(split),))
        for method, each in guesses.items():
            guessed = each(split.images, halves, stream=f"{method}, {key}")
            for label, class_name in enumerate(data.label_names):
                chosen = split.labels == label
                row = found.setdefault((f"clothes: {class_name}", method), {})
                row[key] = hidden_rmse(split.images[chosen], halves[chosen], guessed[chosen])
    return [
        {"class": name, "method": method, "failed": failed.get(method, ""), **row}
        for (name, method), row in found.items()
    ]


def trained(name: str, known: Images, seed: int, scale: float) -> ConditionalVAE | Regression:
    """One of ``TRAINED`` by the reference recipe."""
    make, slower = TRAINED[name]
    channels, height, width = known.shape[1:]
    return train_reference(
        lambda network: HalfHidden(make((channels, height, width), network)),
        known,
        data_name="fashion",
        seed=seed,
        stream=name,
        slower=slower,
        scale=scale,
    ).model
