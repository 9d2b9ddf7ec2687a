"""Trains the models of the latent plane, and measures what they decode to.

    python -m vaebook.explorer train latent-plane

An autoencoder and five VAEs with codes of two numbers, on dogs of five kinds. The VAEs have pixels
of one σ and differ in β. Each is trained on from the one before, so that a kind of dog keeps its
side of the plane. An autoencoder's codes have no scale and no direction of their own: they are
brought to mean 0 and covariance I and turned to lie like those of β = 1, and the first layer of the
decoder takes that back.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaebook.distributions import GaussianLikelihood
from vaebook.explorer.kinds import SHAPE, Dogs, dogs_of_five_kinds, framed
from vaebook.explorer.plane_models import EDGE, decoder_of, model_names, own_layers
from vaebook.explorer.training.principal import PrincipalMLP, principal_components
from vaebook.explorer.training.rounding import rounded
from vaebook.explorer.weights import in_half_precision, linear_weights
from vaebook.metrics.dogs import nearest_dog
from vaebook.models import VAE, Autoencoder
from vaebook.training import fit, seeded

BETAS = (0.1, 1.0, 5.0, 25.0, 125.0)
TARGET = "beta 1"  # whose codes those of the autoencoder are turned to
SIGMA = 0.5  # of the pixels: wide enough that one picture's ellipse can be seen
NUM_TRAIN, NUM_SHOWN = 3000, 300
NUM_COMPONENTS = 40  # which leave an error of 0.0003 per pixel
NUM_EPOCHS = 60
NUM_ROUNDED = 6000  # codes that the rounding of the weights minds
SEED = 3
FINE, COARSE = 27, 21  # measured codes on a side of the plane
WITH_NARROW_GAPS = ("autoencoder", "beta 1", "beta 5")  # measured on the fine one


def measured_plane() -> dict[str, Tensor]:
    """Everything that the page shows: :func:`train_plane`, and the :func:`distances` of each model.

    These are ``<model>.distances``.
    """
    plane = train_plane()
    whole = {key: value.float() for key, value in plane.items()}
    measured = {
        f"{name}.distances": distances(
            decoder_of(whole, name), FINE if name in WITH_NARROW_GAPS else COARSE
        ).half()
        for name in model_names(plane)
    }
    return plane | measured


def train_plane() -> dict[str, Tensor]:
    """The models, in half precision, by name; deterministic on one machine.

    Returns:
        ``mean`` and ``basis`` of the last layer; for each model the layers before it,
        ``<model>.0.weight`` and so on, and ``<model>.codes`` of the shown dogs, whose ``kinds`` are
        there too; for VAEs the ``<model>.spreads`` of their posteriors.
    """
    dogs = dogs_of_five_kinds(NUM_TRAIN, seed=0)
    shown = dogs_of_five_kinds(NUM_SHOWN, seed=1)
    mean, basis = principal_components(dogs.images, NUM_COMPONENTS)
    network = PrincipalMLP(mean, basis)
    found = {"mean": mean, "basis": basis, "kinds": shown.kinds.to(torch.uint8)}
    for name, model in _vaes(dogs, network).items():
        with torch.no_grad():
            posterior = model.posterior(shown.images)
        found |= {f"{name}.codes": posterior.mean, f"{name}.spreads": posterior.stddev}
        found |= _layers(name, model.decoder)
    found |= _autoencoder(dogs, shown, network, found[f"{TARGET}.codes"])
    return in_half_precision(found | whole_numbers(found))


def whole_numbers(plane: dict[str, Tensor]) -> dict[str, Tensor]:
    """The models' own layers, their weights rounded to 8 bits."""
    with seeded(SEED):
        codes = EDGE * (2 * torch.rand(NUM_ROUNDED, 2) - 1)
    layers: dict[str, Tensor] = {}
    for name in model_names(plane):
        layers |= linear_weights(name, rounded(own_layers(plane, name), codes))
    return layers


def distances(decoder: nn.Module, size: int) -> Float[Tensor, "rows columns"]:
    """How far what is decoded on a grid of the plane is from the nearest possible dog.

    Args:
        decoder: from codes ``[n, 2]`` to pixels.
        size: codes on a side of the grid.

    Returns:
        RMSE per pixel; the first row is the lowest.
    """
    side = torch.linspace(-EDGE, EDGE, size)
    codes = torch.cartesian_prod(side, side).flip(1)  # the first number runs fastest
    with torch.no_grad():
        images = decoder(codes).clamp(0, 1)
    length = round(images.shape[1] ** 0.5)
    found = nearest_dog(framed(images.view(-1, 1, length, length))).distance
    return found.view(size, size)


def _vaes(dogs: Dogs, network: PrincipalMLP) -> dict[str, VAE]:
    trained: dict[str, VAE] = {}
    previous: VAE | None = None
    for beta in BETAS:
        with seeded(SEED):
            likelihood = GaussianLikelihood(SIGMA, mean="identity")
            model = VAE(SHAPE, 2, network=network, likelihood=likelihood, beta=beta)
        if previous is not None:
            model.load_state_dict(previous.state_dict())
        _fit(model, dogs)
        trained[f"beta {beta:g}"] = previous = model
    return trained


def _autoencoder(
    dogs: Dogs, shown: Dogs, network: PrincipalMLP, target: Float[Tensor, "n 2"]
) -> dict[str, Tensor]:
    with seeded(SEED):
        likelihood = GaussianLikelihood(SIGMA, mean="identity")
        model = Autoencoder(SHAPE, 2, network=network, likelihood=likelihood)
    _fit(model, dogs)
    with torch.no_grad():
        codes = model.encode(shown.images)
        centre = codes.mean(0)
        spread, axes = torch.linalg.eigh(torch.cov(codes.T))
        white = (codes - centre) @ axes / spread.sqrt()
        left, _, right = torch.linalg.svd(white.T @ target)
        turn = left @ right  # the rotation or mirror that brings the codes nearest to the target
        layers = _layers("autoencoder", model.decoder)
        weight = layers["autoencoder.0.weight"]
        back = turn.T @ torch.diag(spread.sqrt()) @ axes.T  # own codes are turned @ back + centre
        layers["autoencoder.0.bias"] = layers["autoencoder.0.bias"] + weight @ centre
        layers["autoencoder.0.weight"] = weight @ back.T
    return {"autoencoder.codes": white @ turn, **layers}


def _fit(model: nn.Module, dogs: Dogs) -> None:
    fit(model, dogs.images, num_epochs=NUM_EPOCHS, batch_size=100, lr=2e-3, seed=SEED)
    model.eval()


def _layers(name: str, decoder: nn.Module) -> dict[str, Tensor]:
    """All but the last layer, which the models share."""
    found = linear_weights(name, decoder)
    last = f"{name}.{len(found) // 2 - 1}."
    return {key: value for key, value in found.items() if not key.startswith(last)}
