"""New pictures of one class of clothes: a VAE and plain densities, class by class (chapter 13).

The unit of replication is the class: ten models, each trained on the pictures of one class alone.
The plain density that the VAE is held against is chosen by what its samples score against the
validation pictures (:mod:`.uses_by_unit`). Training pictures handed back show what no model beats;
they are no new pictures.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook._checks import ImageShape
from vaebook.data import load_fashion
from vaebook.distributions import LearnedGaussianLikelihood, fit_mixture
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import Reference, measure_samples
from vaebook.models import VAE, ProbabilisticPCA
from vaebook.models.networks import Network
from vaebook.training import seeded, stream_seed

VAES = ("VAE", "VAE + mixture")
RANKS = (16, 64)  # of the Gaussians
NUM_COMPONENTS = 5  # of the mixtures, of the VAE's codes and of principal components
TRAINING = "training pictures"
LONGER = 4.0  # passes: a class has a tenth of the pictures
MEASURES = ("sharpness", "features", "neighbours", "kernel", "novelty")
FAILED = {
    **dict.fromkeys(("precision", "recall", "neighbour_density", "neighbour_coverage"), 0.0),
    "sharpness": 0.0,
    "novelty": 0.0,
}


class Samples(NamedTuple):
    """Pictures that some method drew; none where its training broke down."""

    method: str
    images: Float[Tensor, "n c h w"]
    failed: str = ""


def drawn(
    images: Float[Tensor, "n c h w"], num_images: int, *, seed: int, stream: str, scale: float
) -> Iterator[Samples]:
    """What each method draws that has seen ``images``."""
    channels, height, width = images.shape[1:]
    shape: ImageShape = (channels, height, width)

    def build(network: Network) -> VAE:
        return VAE(shape, LATENT_DIM, network=network, likelihood=LearnedGaussianLikelihood())

    def codes_of(density: Any, method: str) -> Tensor:
        with seeded(seed, f"samples of {method}, {stream}"):
            codes: Tensor = density.sample((num_images,))
        return codes

    def mixture_of(codes: Tensor, method: str) -> Any:
        # scikit-learn's seeds have 32 bits
        start = stream_seed(seed, f"k-means of {method}, {stream}") % 2**32
        return fit_mixture(codes, NUM_COMPONENTS, seed=start)

    try:
        model = train_reference(
            build,
            images,
            data_name="fashion",
            seed=seed,
            stream=f"VAE of {stream}",
            scale=scale * LONGER,
        )
        with torch.no_grad(), seeded(seed, f"codes of {stream}"):
            codes = model.posterior(images).sample()
        densities = {VAES[0]: model.prior, VAES[1]: mixture_of(codes, VAES[1])}
        for method, density in densities.items():
            yield Samples(method, model.decode_all(codes_of(density, method)))
    except ValueError as error:  # what fit raises when a loss is no number any more
        yield from (Samples(method, torch.zeros(num_images, *shape), str(error)) for method in VAES)
    for rank in RANKS:
        linear = ProbabilisticPCA.fit(images, rank)
        method = f"Gaussian of {rank} components"
        with seeded(seed, f"samples of {method}, {stream}"):
            codes = torch.randn(num_images, rank, dtype=torch.float64)
        yield Samples(method, _decoded(linear, codes, shape))
    linear = ProbabilisticPCA.fit(images, LATENT_DIM)
    method = f"mixture over {LATENT_DIM} components"
    means = linear.posterior(images).mean
    yield Samples(method, _decoded(linear, codes_of(mixture_of(means, method), method), shape))
    with seeded(seed, f"{TRAINING}, {stream}"):
        yield Samples(TRAINING, images[torch.randperm(len(images))[:num_images]])


def _decoded(
    linear: ProbabilisticPCA, codes: Float[Tensor, "n d"], shape: ImageShape
) -> Float[Tensor, "n c h w"]:
    """The mean pictures of some codes."""
    flat = codes.to(linear.weights) @ linear.weights.T + linear.offset
    return flat.float().reshape(-1, *shape)


def run(
    seed: int, *, classes: Sequence[int] = tuple(range(10)), scale: float = 1.0
) -> list[dict[str, Any]]:
    """Draw as many pictures of each class as there are test pictures, with each method.

    Args:
        classes: of clothes.
        scale: of the number of epochs, for trials.

    Returns:
        A row for each ``class`` and ``method`` with columns of
        :func:`vaebook.metrics.measure_samples` against the class's 200 test pictures, and
        ``validation_frechet`` and ``validation_kernel_distance`` against its 100 validation
        pictures, by as many samples. A training that breaks down draws black pictures, and has the
        worst shares that can be; ``failed`` says why.
    """
    data, features = load_fashion(), recorded_features("fashion")
    rows = []
    for label in classes:
        train, validation, test = (
            split.images[split.labels == label] for _, split in data.splits()
        )
        reference = Reference(test, train, features)
        choice = Reference(validation, features=features)
        name = f"clothes: {data.label_names[label]}"
        for method, images, failed in drawn(train, len(test), seed=seed, stream=name, scale=scale):
            images = images.clamp(0, 1)
            chosen = measure_samples(images[: len(validation)], choice, ["features", "kernel"])
            rows.append(
                {"class": name, "method": method, "failed": failed}
                | measure_samples(images, reference, MEASURES)
                | (FAILED if failed else {})
                | {f"validation_{key}": chosen[key] for key in ("frechet", "kernel_distance")}
            )
    return rows
