"""A VAE beside its twin without a KL term: which of them is blurred, and how much (chapter 10).

The twin is an autoencoder with the network, the recipe and the budget of the VAE. What sets them
apart is the KL term and the noise in the codes that it asks for: without it that noise would shrink
to nothing.

*Reconstructions* are the decoder's mean pictures of the codes that it was trained on: a draw of
q(z | x) for the VAE, the point itself for the twin. The width of q(z | x) is what the KL term costs
in detail, so it must be in the picture: for such draws, and not for the posterior's means, what a
decoder at its best lacks in gradient energy is that of the pictures' spread given their code.
``vae_lost_at_mean`` stands beside it. *Samples* are mean pictures, too, of codes from a mixture
that is fitted to each model's own codes: the twin has no prior, and where the VAE's codes together
are not N(0, I), what is blurred between them is another cause than the conflict.
``vae_lost_from_prior`` stands beside it.

One twin serves every noise. Its loss is the squared error times 1 / (2 σ²), and Adam's steps do
not change with a factor of the loss. A learned σ gives a factor that changes slowly and has no
other part in the twin's loss that depends on the weights.
"""

from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaebook.distributions import (
    GaussianLikelihood,
    LearnedGaussianLikelihood,
    Likelihood,
    fit_mixture,
)
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.experiments.pictures import PictureData, load_pictures_of
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import (
    Reference,
    measure_samples,
    posterior_parameters,
    rate_per_dimension,
    relative_sharpness,
)
from vaebook.models import VAE, Autoencoder
from vaebook.models.networks import Network
from vaebook.training import seeded, stream_seed

DATA = {"dogs": "dogs", "clothes": "fashion"}
NOISES: dict[str, float | None] = {"0.1": 0.1, "0.4": 0.4, "learned": None}  # σ of a pixel
REBUILT, SAMPLES = "reconstructions", "samples"
NUM_KEPT = 12  # pictures of each kind that the record keeps

Images = Float[Tensor, "n c h w"]


def run(
    seed: int,
    *,
    data_names: tuple[str, ...] = tuple(DATA),
    networks: tuple[str, ...] = ("convolutional", "MLP"),
    noises: tuple[str, ...] = tuple(NOISES),
    budget: str = "× 1",
    num_images: int = 1000,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a twin and a VAE for each noise, on each data set and with each network.

    Args:
        data_names: of ``DATA``.
        networks, budget: of the reference recipe.
        noises: of ``NOISES``.
        num_images: pictures of each kind, out of the 2,000 test pictures for reconstructions.
        scale: of the number of epochs, for trials.
        pictures: filled with the first pictures of each kind, under
            ``"data/network/model/compared"``, where the model is a noise or ``"twin"``.

    Returns:
        A row for each ``data``, ``network``, ``noise`` and ``compared``. ``vae_lost`` and
        ``twin_lost``: 1 less the sharpness relative to real pictures, which are those that were
        reconstructed, or all training pictures for samples; ``vae_fine`` and ``twin_fine``: the
        power of fine detail, likewise; ``num_pictures`` of each; ``rate`` in nats and ``sigma`` of
        the VAE; ``vae_lost_at_mean``, the first of reconstructions from the posterior's mean,
        ``vae_lost_from_prior``, that of samples of codes from N(0, I), and
        ``vae_reconstruction_rmse`` and ``twin_reconstruction_rmse`` of all test pictures. Where a
        training broke down, ``failed`` says why, and that model has lost everything.
    """
    rows = []
    for data_name in data_names:
        data = load_pictures_of(DATA[data_name])
        for network in networks:
            name = f"{data_name}, {network}"
            with seeded(seed, f"{name}: pictures to reconstruct"):
                chosen = torch.randperm(len(data.test.images))[:num_images]
            real = data.test.images[chosen]
            found = {}
            for model in ("twin", *noises):
                made, found[model] = trained_and_measured(
                    model,
                    data,
                    real,
                    seed=seed,
                    stream=f"{name}, {model}",
                    network=network,
                    budget=budget,
                    scale=scale,
                )
                if pictures is not None:
                    for compared, images in made.items():
                        key = f"{data_name}/{network}/{model}/{compared}"
                        pictures[key] = images[:NUM_KEPT]
            for noise, compared in product(noises, (REBUILT, SAMPLES)):
                place: dict[str, Any] = {"data": data_name, "network": network, "budget": budget}
                place |= {"noise": noise, "compared": compared, "num_pictures": len(real)}
                twin, vae = found["twin"][compared], found[noise][compared]
                failed = "; ".join(filter(None, (twin["failed"], vae["failed"])))
                rows.append(place | twin | vae | {"failed": failed})
    return rows


def trained_and_measured(
    name: str, data: PictureData, real: Images, *, seed: int, stream: str, **training: Any
) -> tuple[dict[str, Images], dict[str, dict[str, Any]]]:
    """The pictures of a twin or of the VAE with that noise, and their columns, by what is compared.

    Args:
        name: ``"twin"`` or one of ``NOISES``.
        data: to train on.
        real: to reconstruct, and as many samples are drawn.
        seed: of the trial.
        stream: what the training is called.
        training: further arguments of ``train_reference``.
    """
    try:
        model = train_reference(
            lambda network: build(name, data, network),
            data.train.images,
            data_name=data.name,
            seed=seed,
            stream=stream,
            **training,
        )
    except ValueError as error:  # what fit raises when a loss is no number any more
        return {}, dict.fromkeys((REBUILT, SAMPLES), broken(name, str(error)))
    made = drawn(model, data.train.images, real, seed=seed, stream=stream)
    against = {REBUILT: Reference(real), SAMPLES: Reference(data.train.images)}
    common: dict[str, Any] = {"failed": ""} | described(model, data.test.images, real)
    if isinstance(model, VAE):
        with seeded(seed, f"{stream}: codes from N(0, I)"):
            plain = model.decode_all(model.prior.sample((len(real),)))
        common["vae_lost_from_prior"] = lost(model, plain, against[SAMPLES])["vae_lost"]
    found = {c: common | lost(model, made[c], against[c]) for c in made}
    return made, found


def build(name: str, data: PictureData, network: Network) -> VAE | Autoencoder:
    """The twin, or the VAE with that noise."""
    if name == "twin":
        return Autoencoder(data.image_shape, LATENT_DIM, network=network)
    sigma = NOISES[name]
    likelihood: Likelihood = LearnedGaussianLikelihood()
    if sigma is not None:
        likelihood = GaussianLikelihood(sigma)
    return VAE(data.image_shape, LATENT_DIM, network=network, likelihood=likelihood)


@torch.no_grad()
def drawn(
    model: VAE | Autoencoder, train: Images, real: Images, *, seed: int, stream: str
) -> dict[str, Images]:
    """The mean pictures of the real ones' codes, and of as many new codes."""

    def codes_of(what: str, images: Images) -> Tensor:
        if isinstance(model, Autoencoder):
            return model.encode_all(images)
        with seeded(seed, f"{stream}: codes of {what}"):
            return posterior_parameters(model, images).sample()

    codes, known = codes_of("pictures", real), codes_of("training pictures", train)
    # scikit-learn takes seeds of 32 bits
    density = fit_mixture(known, seed=stream_seed(seed, f"{stream}: start of the mixture") % 2**32)
    with seeded(seed, f"{stream}: new codes"):
        new = density.sample((len(real),))
    return {REBUILT: model.decode_all(codes), SAMPLES: model.decode_all(new)}


def lost(model: VAE | Autoencoder, images: Images, reference: Reference) -> dict[str, float]:
    """What pictures lack of the sharpness of real ones, and have of their fine detail."""
    found = measure_samples(images, reference, ("sharpness", "spectrum"))
    of = prefix(model)
    return {f"{of}_lost": 1 - found["sharpness"], f"{of}_fine": found["fine"]}


def described(model: VAE | Autoencoder, test: Images, real: Images) -> dict[str, float]:
    """Columns of a model, whatever is compared."""
    row = {f"{prefix(model)}_reconstruction_rmse": reconstruction_rmse(model, test)}
    if isinstance(model, VAE):
        assert isinstance(model.likelihood, OneSigmaLikelihood)
        row["sigma"] = model.likelihood.sigma
        row["rate"] = float(rate_per_dimension(model, test).sum())
        row["vae_lost_at_mean"] = 1 - relative_sharpness(model.reconstruct(real), real)
    return row


def prefix(model: VAE | Autoencoder) -> str:
    """Of the names of a model's columns."""
    return "vae" if isinstance(model, VAE) else "twin"


def broken(name: str, reason: str) -> dict[str, Any]:
    """The columns of a model whose training broke down: everything is lost."""
    nan = float("nan")
    if name == "twin":
        row = {"twin_lost": 1.0, "twin_fine": 0.0, "twin_reconstruction_rmse": nan}
    else:
        row = {"vae_lost": 1.0, "vae_fine": 0.0, "vae_reconstruction_rmse": nan}
        row |= {"sigma": nan, "rate": nan, "vae_lost_at_mean": 1.0, "vae_lost_from_prior": 1.0}
    return row | {"failed": f"{name}: {reason}"}
