"""Which score finds the class that was held out of training, class by class? (chapter 13).

The unit of replication is the class: ten of clothes and ten of digits. The plain score that the VAE
is held against is chosen by its AUROC on the validation pictures (:mod:`.uses_by_unit`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from vaebook._checks import ImageShape
from vaebook.data import ImageData, load_digits, load_fashion
from vaebook.distributions import GaussianLikelihood, LearnedGaussianLikelihood
from vaebook.experiments.ch13_using_a_vae.anomalies import FALSE_ALARMS, Baselines
from vaebook.experiments.reference import LATENT_DIM, train_reference
from vaebook.metrics import auroc, choose_threshold, flagged, vae_anomaly_scores
from vaebook.models import VAE, Autoencoder
from vaebook.models.networks import Network
from vaebook.training import stream_seed

EMPTY = "fashion"  # both are bright on black: the recipe's name for that
LOAD: dict[str, Callable[[], ImageData]] = {"clothes": load_fashion, "digits": load_digits}
NUM_COMPONENTS = {"clothes": 64, "digits": 32}  # of the baselines by PCA; digits have 64 pixels
LONGER = {"clothes": 1.0, "digits": 4.0}  # passes: there are a ninth as many digits
COIN = {"auroc": 0.5, "validation_auroc": 0.5, "false_alarms": 1.0, "detected": 0.0}
SIGMA = 0.1  # of the autoencoder, whose error does not depend on it


def _vae(shape: ImageShape, network: Network) -> VAE:
    return VAE(shape, LATENT_DIM, network=network, likelihood=LearnedGaussianLikelihood())


def _autoencoder(shape: ImageShape, network: Network) -> Autoencoder:
    return Autoencoder(shape, LATENT_DIM, network=network, likelihood=GaussianLikelihood(SIGMA))


BUILD: dict[str, Callable[[ImageShape, Network], VAE | Autoencoder]] = {
    "VAE": _vae,
    "autoencoder": _autoencoder,
}


def run(
    seed: int,
    *,
    data_names: Sequence[str] = tuple(LOAD),
    models: Sequence[str] = ("VAE",),
    classes: Sequence[int] = tuple(range(10)),
    num_samples: int = 20,
    scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Leave out one class at a time, and look for it among the test pictures.

    Args:
        data_names: names in ``LOAD``.
        models: names in ``BUILD``.
        classes: each left out of training once.
        num_samples: codes behind each score of a VAE.
        scale: of the number of epochs, for trials.

    Returns:
        A row for each ``class`` and ``method``, one of its scores: ``auroc`` of the held-out class
        against the others on test pictures, ``validation_auroc`` on validation pictures; and, above
        the threshold that flags 5 % of the validation pictures of the other classes, the shares
        ``false_alarms`` and ``detected`` of test pictures. A training that breaks down has one row
        with ``failed``, and no better than a coin.
    """
    return [
        row
        for data_name in data_names
        for label in classes
        for row in one_class(data_name, label, models, num_samples, seed, scale)
    ]


def one_class(
    data_name: str, label: int, models: Sequence[str], num_samples: int, seed: int, scale: float
) -> list[dict[str, Any]]:
    """The rows of one held-out class; see :func:`run`."""
    data = LOAD[data_name]()
    name = f"{data_name}: {data.label_names[label]}"
    labels = {"data": data_name, "class": name}
    normal = {key: split.images[split.labels != label] for key, split in data.splits()}
    strange = {key: split.images[split.labels == label] for key, split in data.splits()}
    known, rows, trained = normal["train"], [], {}
    for model in models:
        try:
            trained[model] = train_reference(
                partial(BUILD[model], data.image_shape),
                known,
                data_name=EMPTY,
                seed=seed,
                stream=f"{model} without {name}",
                scale=scale * LONGER[data_name],
            )
        except ValueError as error:  # what fit raises when a loss is no number any more
            method = f"{model}: {'NLL' if model == 'VAE' else 'reconstruction error'}"
            rows.append(labels | {"method": method, "failed": str(error)} | COIN)
    baselines = Baselines(known, NUM_COMPONENTS[data_name])
    found: dict[tuple[str, str], dict[str, Tensor]] = {}
    for kind, images in (("normal", normal), ("strange", strange)):
        for key in ("validation", "test"):
            stream = f"codes of {kind} {key} pictures, {name}"
            found[key, kind] = scores(images[key], baselines, trained, num_samples, seed, stream)
    for method in found["test", "normal"]:
        ordinary, anomalous = (found["test", kind][method] for kind in ("normal", "strange"))
        threshold = choose_threshold(
            found["validation", "normal"][method], false_alarms=FALSE_ALARMS
        )
        area = {
            key: auroc(
                found[key, "normal"][method],
                found[key, "strange"][method],
                num_resamples=1,  # the interval is one over classes
                seed=stream_seed(seed, f"resampling of {key} pictures, {name}, {method}"),
            ).value
            for key in ("validation", "test")
        }
        rows.append(
            {**labels, "method": method, "failed": ""}
            | {"auroc": area["test"], "validation_auroc": area["validation"]}
            | {"false_alarms": flagged(ordinary, threshold)}
            | {"detected": flagged(anomalous, threshold)}
        )
    return rows


def scores(
    images: Tensor,
    baselines: Baselines,
    models: dict[str, VAE | Autoencoder],
    num_samples: int,
    seed: int,
    stream: str,
) -> dict[str, Float[Tensor, " n"]]:
    """Every score of every image, by name; the higher the stranger."""
    found = baselines(images)
    for name, model in models.items():
        if isinstance(model, Autoencoder):
            error = (model.reconstruct(images) - images).square().sum((1, 2, 3))
            found[f"{name}: reconstruction error"] = error
        else:
            of_vae = vae_anomaly_scores(
                model, images, num_samples=num_samples, seed=stream_seed(seed, f"{name}: {stream}")
            )
            found |= {f"{name}: {score}": value for score, value in of_vae.items()}
    return found
