"""What makes a VAE's samples dogs: the pixel noise σ, depth, and time (chapter 06)."""

from typing import Any, NamedTuple

from torch import Tensor

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.ch06_vae.anatomy import NUM_KEPT, code_measures, decode_sources, judge
from vaebook.experiments.settings import DOG_LATENT_DIM, DOG_NETWORK
from vaebook.metrics import nearest_distance
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

# Plans with the learning rate that suits each: the deep one diverges at the rate of the other.
NETWORKS: dict[str, tuple[MLP, float]] = {
    "one layer": (DOG_NETWORK, 3e-3),
    "two layers": (MLP((512, 512), background=DOG_NETWORK.background), 1e-3),
}


class Recipe(NamedTuple):
    """How a VAE of dogs is built and trained."""

    network: str  # one of NETWORKS
    sigma: float  # of a pixel
    num_epochs: int


LONG, SHORT = 40, 12  # epochs
BEST = Recipe("two layers", 0.3, LONG)
RECIPES: tuple[Recipe, ...] = (
    *(Recipe(network, sigma, LONG) for network in NETWORKS for sigma in (0.1, 0.2, 0.3, 0.4)),
    BEST._replace(num_epochs=SHORT),
)


def train(recipe: Recipe, data: ImageData, *, seed: int) -> VAE:
    """A VAE of dogs by the recipe."""
    network, lr = NETWORKS[recipe.network]
    with seeded(seed):
        model = VAE(
            data.image_shape,
            DOG_LATENT_DIM,
            network=network,
            likelihood=GaussianLikelihood(recipe.sigma),
        )
    fit(model, data.train.images, seed=seed, num_epochs=recipe.num_epochs, lr=lr)
    return model


def run(
    seed: int,
    *,
    recipes: tuple[Recipe, ...] = RECIPES,
    num_images: int = 100,
    sources: tuple[str, ...] = ("prior", "fitted", "reconstruction"),
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a VAE by each recipe and judge what it decodes.

    Args:
        recipes: networks, pixel noises and training times.
        sources: of codes: ``"prior"`` (N(0, I)), ``"fitted"`` (a Gaussian fitted to the codes),
            ``"reconstruction"`` (codes of held-out dogs).
        pictures: filled with the first images of each row, under
            ``"network/sigma/num_epochs/source"``.

    Returns:
        A row per recipe and source: :func:`code_measures` of the model, :func:`judge` of the
        pictures, and ``training_distance``: their median RMSE to the nearest training dog.
    """
    data = load_dogs()
    rows = []
    for recipe in recipes:
        model = train(recipe, data, seed=seed)
        common = {**recipe._asdict(), **code_measures(model, data), "sigma": recipe.sigma}
        decoded = decode_sources(model, data, num_images, seed)
        for source in sources:
            images = decoded[source]
            row = {**common, "source": source, **judge(images, data)}
            near = nearest_distance(images, data.train.images)
            rows.append(row | {"training_distance": float(near.median())})
            if pictures is not None:
                key = f"{recipe.network}/{recipe.sigma:g}/{recipe.num_epochs}/{source}"
                pictures[key] = images[:NUM_KEPT]
    return rows
