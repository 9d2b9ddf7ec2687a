"""Whether what a VAE draws from N(0, I) is a dog as often as other pictures, and new (chapter 06).

A model's pictures are the decoder's mean pictures of codes that are drawn, whatever they are drawn
from: N(0, I), a mixture fitted to the codes of the training pictures, or, for a reconstruction,
q(z | x) of a dog that no model has seen. So the sources differ in the code's distribution and in
nothing else. The real dogs of a seed, which are reconstructed and blurred, are drawn for that seed:
400 dogs that are the same in all seeds would be a choice that no interval over seeds knows of.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from torch import Tensor

from vaebook.data import render, sample_factors
from vaebook.distributions import (
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
    fit_mixture,
)
from vaebook.experiments.pictures import PictureData, load_pictures_of
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import (
    Reference,
    evaluate_elbo,
    measure_samples,
    novelty,
    posterior_parameters,
    relative_sharpness,
)
from vaebook.metrics.dogs import DOG_THRESHOLD, NearestDog, nearest_dog
from vaebook.metrics.samples.measure import THRESHOLDS
from vaebook.metrics.samples.novelty import Novelty
from vaebook.models import VAE
from vaebook.models.networks import Network
from vaebook.training import seeded, stream_seed


class Training(NamedTuple):
    """How a VAE is trained: the noise of a pixel sets its rate, the budget how far it gets."""

    sigma: float | None  # of a pixel; None is learned
    budget: str


TRAININGS = {
    "σ = 0.2, × 1": Training(0.2, "× 1"),
    "σ = 0.2, × 3": Training(0.2, "× 3"),
    "σ = 0.4, × 1": Training(0.4, "× 1"),
    "σ learned, × 1": Training(None, "× 1"),
    "σ = 0.2, × 10": Training(0.2, "× 10"),
}
# Network and training: the first, and one change at a time.
SETTINGS = (
    *(("convolutional", name) for name, each in TRAININGS.items() if each.budget != "× 10"),
    ("MLP", "σ = 0.2, × 1"),
)
SAMPLES, MIXTURE, REBUILT = "N(0, I)", "a mixture fitted to the codes", "reconstruction"
BLURRED = "real dogs, blurred to the samples' sharpness"
WIDEST = 16.0  # pixels: the widest blur that is tried
NUM_KEPT = 12  # pictures of each kind that the record keeps
# Of a model whose training broke down: N(0, I) gives no dogs, no edges, nothing new; and what it is
# held against is as good as can be, so that a failure supports no claim.
WORST = (
    dict.fromkeys(("validity", *(f"validity_at_{factor:g}" for factor in THRESHOLDS)), 0.0)
    | {"distance": 1.0, "coverage": 0.0, "sharpness": 0.0, "novelty": 0.0, "copies": 1.0}
    | {"novelty_of_dogs": 0.0, "copies_of_dogs": 1.0}
)
BEST = dict.fromkeys(WORST, 1.0) | {"distance": 0.0, "copies": 0.0, "copies_of_dogs": 0.0}

Images = Float[Tensor, "n c h w"]


def run(
    seed: int,
    *,
    settings: Sequence[tuple[str, str]] = SETTINGS,
    num_images: int = 400,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train VAEs with each network, and judge their pictures by where the codes come from.

    Args:
        settings: a network of the reference recipe, and a name in ``TRAININGS``.
        num_images: pictures of each source, all of which get their nearest dog.
        scale: of the number of epochs, for trials.
        pictures: filled with the first pictures of each row, under ``"network/training/source"``.

    Returns:
        A row for each ``network``, ``training`` and ``source``, with the columns of
        :func:`vaebook.metrics.measure_samples` for dogs, sharpness and novelty;
        ``novelty_of_dogs`` and ``copies_of_dogs``, those of the pictures that are dogs, 0 and 1 if
        none is; ``num_pictures``; ``blur``,
        the width in pixels of the Gaussian that real dogs were blurred by; ``rate`` and
        ``neg_elbo`` of the test pictures in nats. Where training broke down, ``failed`` says why,
        the model's rows are the worst that can be, and the real dogs are not blurred.
    """
    data = load_pictures_of("dogs")
    reference = Reference(data.test.images, data.train.images)
    with torch.no_grad():
        fresh = render(sample_factors(num_images, seed=stream_seed(seed, "fresh dogs")))
    rows = []
    for network, name in settings:
        training, stream = TRAININGS[name], f"{network} VAE, {name}"
        place: dict[str, Any] = {"network": network, "training": name, "failed": ""}
        place["num_pictures"] = num_images
        made: dict[str, Images | None] = dict.fromkeys((SAMPLES, MIXTURE, REBUILT))
        try:
            model = train_reference(
                partial(build, data, sigma=training.sigma),
                data.train.images,
                data_name="dogs",
                seed=seed,
                stream=stream,
                network=network,
                budget=training.budget,
                scale=scale,
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            place |= {"failed": str(error), "rate": float("nan"), "neg_elbo": float("nan")}
        else:
            made |= drawn(model, data.train.images, fresh, seed=seed, stream=stream)
            place |= costs(model, data.test.images, seed=stream_seed(seed, f"{stream}: ELBO"))
        blur = 0.0
        samples = made[SAMPLES]
        if samples is not None:
            blur = blur_width(fresh, float(relative_sharpness(samples, fresh)))
        made[BLURRED] = blurred(fresh, blur)
        for source, images in made.items():
            width = {"blur": blur if source == BLURRED else float("nan")}
            failed = WORST if source == SAMPLES else BEST
            found = failed if images is None else judged(images, reference)
            rows.append(place | {"source": source} | width | found)
            if pictures is not None and images is not None:
                pictures[f"{network}/{name}/{source}"] = images[:NUM_KEPT]
    return rows


def build(data: PictureData, network: Network, *, sigma: float | None) -> VAE:
    """The VAE with that network and noise of a pixel; None learns it."""
    likelihood: Likelihood = LearnedGaussianLikelihood()
    if sigma is not None:
        likelihood = GaussianLikelihood(sigma)
    return VAE(data.image_shape, LATENT_DIM, network=network, likelihood=likelihood)


@torch.no_grad()
def drawn(model: VAE, train: Images, real: Images, *, seed: int, stream: str) -> dict[str, Images]:
    """The mean pictures of as many codes as there are real pictures, from each source."""

    def codes(what: str, draw: Callable[[], Tensor]) -> Tensor:
        with seeded(seed, f"{stream}: {what}"):
            return draw()

    size = (len(real),)
    seen, unseen = (posterior_parameters(model, images) for images in (train, real))
    mixture = fit_mixture(
        codes("codes of the training pictures", seen.sample),
        # scikit-learn takes seeds of 32 bits
        seed=stream_seed(seed, f"{stream}: start of the mixture") % 2**32,
    )
    found = {
        SAMPLES: codes("codes from N(0, I)", lambda: model.prior.sample(size)),
        MIXTURE: codes("codes from the mixture", lambda: mixture.sample(size)),
        REBUILT: codes("codes of fresh dogs", unseen.sample),
    }
    return {source: model.decode_all(z) for source, z in found.items()}


def costs(model: VAE, images: Images, *, seed: int) -> dict[str, float]:
    """Rate and −ELBO in nats per picture."""
    terms = evaluate_elbo(model, images, seed=seed)
    return {"rate": float(terms.rate.mean()), "neg_elbo": float(-terms.elbo.mean())}


def judged(
    images: Images, reference: Reference, found: NearestDog | None = None
) -> dict[str, float]:
    """The columns of a set of pictures, each of which gets its nearest dog if that is not known."""
    near = found or nearest_dog(images)
    row = measure_samples(images, reference, ("dogs", "sharpness", "novelty"), found=near)
    dogs = images[near.distance <= DOG_THRESHOLD]
    new = Novelty(0.0, 1.0)
    if len(dogs):
        new = novelty(dogs, reference.known, reference.held_out_distance)
    return row | {"novelty_of_dogs": new.relative, "copies_of_dogs": new.copies}


def blurred(images: Images, width: float) -> Images:
    """Pictures under a Gaussian of that many pixels, continued at the border."""
    smooth = gaussian_filter(images.numpy(), (0, 0, width, width), mode="nearest", truncate=8)
    return torch.from_numpy(smooth).clamp(0, 1)


def blur_width(images: Images, sharpness: float) -> float:
    """The width in pixels of the blur that leaves this part of the pictures' sharpness.

    0 if nothing may be taken away, ``WIDEST`` if next to all must be.
    """

    def left(width: float) -> float:
        return relative_sharpness(blurred(images, width), images) - sharpness

    if left(0.0) <= 0:
        return 0.0
    return WIDEST if left(WIDEST) >= 0 else float(brentq(left, 0.0, WIDEST, xtol=1e-4))
