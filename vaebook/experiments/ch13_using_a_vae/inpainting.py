"""The hidden half of a dog: a conditional VAE against regression and neighbours (chapter 13)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.settings import DOG_LATENT_DIM
from vaebook.metrics.dogs import DOG_THRESHOLD, nearest_dog
from vaebook.models import ConditionalVAE, Conv, ProbabilisticPCA
from vaebook.training import fit, seeded

# The decoder starts from blank paper; see vaebook.models.Conv.
NETWORK = Conv((16, 32), 256, background=0.95, blank=0.95)
BATCH_SIZE, LR = 64, 2e-3
SIGMA = 0.2
SIZE = 32
HALVES = ("left", "right", "top", "bottom")  # which one is hidden
CONDITION_DIM = SIZE * SIZE + len(HALVES)
NUM_KEPT = 6
RANKS = (32, 64, 128, 256)
CHOICE_SEED = 1_000_003  # not a seed that load_dogs uses

Images = Float[Tensor, "n 1 h w"]
Halves = Int[Tensor, " n"]  # which half of each picture is hidden: indices into HALVES
Guesses = Float[Tensor, "s n 1 h w"]  # s for each picture
Guess = Callable[[Images, Halves, int, int], Guesses]  # from pictures, halves, a number and a seed


def visible_pixels(halves: Halves) -> Bool[Tensor, "n 1 h w"]:
    """Which pixels are given, for each picture's hidden half."""
    masks = torch.ones(len(HALVES), 1, SIZE, SIZE, dtype=torch.bool)
    middle = SIZE // 2
    masks[0, :, :, :middle] = False
    masks[1, :, :, middle:] = False
    masks[2, :, :middle] = False
    masks[3, :, middle:] = False
    return masks[halves]


def conditions_of(images: Images, halves: Halves) -> Float[Tensor, "n k"]:
    """What a model is told: the ink of the visible half, and which half is hidden.

    Ink is one minus brightness, so that hidden and empty pixels are near 0; the four numbers at
    the end tell the one from the other.
    """
    ink = torch.where(visible_pixels(halves), 1 - images, 0.0)
    which = nn.functional.one_hot(halves, len(HALVES)).to(images)
    return torch.cat([ink.flatten(1), which], 1)


def paste(images: Images, halves: Halves, guesses: Guesses) -> Guesses:
    """The given half of each picture with each guess of the other."""
    return torch.where(visible_pixels(halves), images, guesses.clamp(0, 1))


def random_halves(num_images: int, seed: int) -> Halves:
    """A hidden half for each picture."""
    with seeded(CHOICE_SEED + seed):
        return torch.randint(len(HALVES), (num_images,))


class Regression(nn.Module):
    """The conditional VAE's decoder without a code: the picture's mean given the condition."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = NETWORK.decoder(CONDITION_DIM, (1, SIZE, SIZE))
        self.likelihood = GaussianLikelihood(SIGMA)

    def predict(self, conditions: Float[Tensor, "n k"]) -> Images:
        """The mean picture for each condition."""
        return self.likelihood(self.decoder(conditions)).mean

    def loss(self, images: Images, conditions: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """−log p(x | c) in nats."""
        return -self.likelihood(self.decoder(conditions)).log_prob(images)


def train(model: nn.Module, data: ImageData, *, seed: int, num_epochs: int) -> None:
    """Fit a model to the training dogs, each with one random half hidden."""
    images = data.train.images
    conditions = conditions_of(images, random_halves(len(images), seed))
    fit(model, (images, conditions), num_epochs=num_epochs, batch_size=BATCH_SIZE, lr=LR, seed=seed)


def vae_guess(
    model: ConditionalVAE, images: Images, halves: Halves, num: int, seed: int
) -> Guesses:
    """Samples of a conditional VAE that is told the visible half."""
    return model.sample(conditions_of(images, halves), num, seed=seed)


def gaussian_guess(
    model: ProbabilisticPCA, images: Images, halves: Halves, num: int, seed: int
) -> Guesses:
    """Draws of the hidden half given the visible one, under probabilistic PCA, without noise.

    Given the visible pixels v, z is N(Λ⁻¹W_vᵀ(x_v − b_v)/σ², Λ⁻¹) with Λ = I + W_vᵀW_v/σ²:
    the posterior of chapter 03 for the rows of W that are seen.
    """
    guesses = torch.empty(num, *images.shape)
    for half in range(len(HALVES)):
        chosen = halves == half
        seen = visible_pixels(torch.tensor([half])).flatten()
        part = ProbabilisticPCA(model.weights[seen], model.offset[seen], model.sigma)
        posterior = part.posterior(images[chosen].flatten(1)[:, seen])
        with seeded(seed):
            codes = posterior.sample((num,)) if num > 1 else posterior.mean[None]
        means = codes @ model.weights.T + model.offset
        guesses[:, chosen] = means.float().reshape(num, -1, *images.shape[1:])
    return guesses


def best_pca(data: ImageData, seed: int) -> ProbabilisticPCA:
    """Probabilistic PCA with the rank that guesses hidden halves of validation dogs best."""
    images = data.validation.images
    halves = random_halves(len(images), seed)
    hidden = ~visible_pixels(halves)
    errors = {}
    for rank in RANKS:
        model = ProbabilisticPCA.fit(data.train.images, rank)
        guess = gaussian_guess(model, images, halves, 1, seed)[0]
        errors[float((guess - images)[hidden].square().mean())] = model
    return errors[min(errors)]


def nearest_guess(data: ImageData, images: Images, halves: Halves, num: int) -> Guesses:
    """The training dogs whose visible half is most alike, nearest first."""
    guesses = torch.empty(num, *images.shape)
    known = data.train.images
    for half in range(len(HALVES)):
        chosen = halves == half
        seen = visible_pixels(torch.tensor([half])).flatten()
        distance = torch.cdist(images[chosen].flatten(1)[:, seen], known.flatten(1)[:, seen])
        guesses[:, chosen] = known[distance.topk(num, largest=False).indices.T]
    return guesses


def guessers(data: ImageData, *, seed: int, num_epochs: int) -> dict[str, Guess]:
    """Every method, trained: images, hidden halves, a number and a seed give as many guesses.

    The learned ones draw; mean picture and regression have one answer and repeat it.
    """
    with seeded(seed):
        model = ConditionalVAE(
            data.image_shape,
            DOG_LATENT_DIM,
            condition_dim=CONDITION_DIM,
            network=NETWORK,
            likelihood=GaussianLikelihood(SIGMA),
            prior="learned",
        )
    train(model, data, seed=seed, num_epochs=num_epochs)
    with seeded(seed):
        regression = Regression()
    train(regression, data, seed=seed, num_epochs=num_epochs)
    pca = best_pca(data, seed)
    average = data.train.images.mean(0)

    @torch.no_grad()
    def predict(images: Images, halves: Halves, num: int, seed: int) -> Guesses:
        return regression.predict(conditions_of(images, halves)).expand(num, *images.shape)

    return {
        "conditional VAE, learned prior": partial(vae_guess, model),
        "regression network": predict,
        "conditional Gaussian": partial(gaussian_guess, pca),
        "nearest neighbours": lambda x, halves, num, seed: nearest_guess(data, x, halves, num),
        "mean picture": lambda x, halves, num, seed: average.expand(num, *x.shape),
    }


def measure(images: Images, halves: Halves, guesses: Guesses) -> dict[str, float]:
    """Errors over the hidden pixels, in units of brightness, and what the guesses differ by.

    Returns:
        RMSE of the ``mean`` of the s guesses, of ``one`` guess, and of the ``best`` of each
        picture; ``spread``, their root mean square distance from their mean; and ``calibration``,
        spread divided by the error of the mean, which is 1 if the truth is one more such guess.
    """
    hidden = (~visible_pixels(halves)).to(guesses)
    per_picture = hidden.sum((1, 2, 3))

    def rmse(difference: Tensor) -> Tensor:
        return ((difference * hidden).square().sum((-1, -2, -3)) / per_picture).sqrt()

    number = len(guesses)
    centre = guesses.mean(0)
    of_mean = float(rmse(centre - images).square().mean().sqrt())
    each = rmse(guesses - images)  # [s, n]
    # n − 1: the spread round the mean of the guesses, not of the distribution
    variance = rmse(guesses - centre).square().sum(0).mean() / max(1, number - 1)
    return {
        "mean": of_mean,
        "one": float(each[0].square().mean().sqrt()),
        "best": float(each.min(0).values.square().mean().sqrt()),
        "spread": float(variance.sqrt()),
        "calibration": float((variance * (1 + 1 / number)).sqrt()) / max(of_mean, 1e-9),
    }


def run(
    seed: int,
    *,
    num_epochs: int = 5,
    num_images: int = 100,
    num_guesses: int = 8,
    num_judged: int = 30,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Hide a random half of held-out dogs and let each method guess it.

    Args:
        num_guesses: for each of them.
        num_judged: completed pictures, one guess each, that are compared with all possible dogs.
        pictures: filled with the truth, what was visible, and four guesses of each method.

    Returns:
        A row per method: :func:`measure`, and ``dogs``, the share of completed pictures that are
        dogs.
    """
    data = load_dogs()
    images = data.test.images[:num_images]
    halves = random_halves(len(data.test), 100 + seed)[:num_images]
    if pictures is not None:
        grey = torch.full((1, NUM_KEPT, 1, SIZE, SIZE), 0.6)
        pictures["truth"] = images[:NUM_KEPT]
        pictures["visible"] = paste(images[:NUM_KEPT], halves[:NUM_KEPT], grey)[0]
    rows = []
    for name, guess in guessers(data, seed=seed, num_epochs=num_epochs).items():
        guesses = guess(images, halves, num_guesses, seed)
        completed = paste(images, halves, guesses)
        if pictures is not None:
            for number in range(4):
                pictures[f"{name}/{number}"] = completed[number, :NUM_KEPT]
        distance = nearest_dog(completed[0, :num_judged]).distance
        rows.append(
            {"method": name, **measure(images, halves, guesses)}
            | {"dogs": float((distance <= DOG_THRESHOLD).float().mean())}
        )
    return rows
