"""Which network, batch and rate a GAN does best with in 84 seconds of one core (chapter 11).

The measure is the kernel distance from held-out pictures, by which no proposition is judged. The
passes are what takes each candidate 84 seconds of one core, measured once. The row with the lowest
product over both data sets is the GAN's recipe in ``reference``; the network and the rate of the
reference VAE stand in the first row.
"""

from typing import Any

from vaebook.experiments.ch06_vae.reference_search import HELD_OUT, Candidate, conv, split
from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.pictures import load_pictures_of
from vaebook.experiments.reference import BLANK
from vaebook.experiments.reference_gan import AVERAGED, reference_gan
from vaebook.metrics import Reference, measure_samples
from vaebook.training import WeightAverage, fit, seeded, stream_seed

CANDIDATES = {
    "conv 16-32, silu": Candidate(conv(16, 32, activation="silu"), 32, 2e-3, 8),
    "conv 16-32": Candidate(conv(16, 32), 32, 2e-3, 8),
    "conv 16-32, lr 1e-3": Candidate(conv(16, 32), 32, 1e-3, 8),
    "conv 16-32, batch 64": Candidate(conv(16, 32), 64, 2e-3, 10),
    "conv 16-32-64, lr 1e-3": Candidate(conv(16, 32, 64), 32, 1e-3, 7),
    "conv 32-64, lr 1e-3": Candidate(conv(32, 64), 32, 1e-3, 4),
}


def run(
    seed: int,
    *,
    candidates: tuple[str, ...] = tuple(CANDIDATES),
    data_names: tuple[str, ...] = ("dogs", "fashion"),
    num_images: int = HELD_OUT,
    epochs: float = 1.0,
) -> list[dict[str, Any]]:
    """Train each candidate on each data set.

    Args:
        candidates: names in ``CANDIDATES``.
        num_images: samples of each, compared with as many held-out pictures.
        epochs: a part of the full number of epochs, at least one is trained.

    Returns:
        A row for each with ``kernel_distance`` and ``frechet`` as in
        :func:`vaebook.metrics.measure_samples`.
    """
    rows = []
    for data_name in data_names:
        data = load_pictures_of(data_name)
        held_out, trained = split(data.train.images, seed, data_name)
        reference = Reference(held_out, trained, recorded_features(data_name))
        for name in candidates:
            candidate, stream = CANDIDATES[name], f"{data_name}: GAN, {name}"
            with seeded(seed, f"{stream}: weights"):
                model = reference_gan(data.image_shape, candidate.network(BLANK[data_name]))
            fit(
                model,
                trained,
                num_epochs=max(1, round(epochs * candidate.epochs * 10_000 / len(trained))),
                batch_size=candidate.batch_size,
                lr=candidate.lr,
                seed=stream_seed(seed, stream),
                callbacks=[WeightAverage(AVERAGED)],
            )
            with seeded(seed, f"{stream}: samples"):
                samples = model.sample(num_images).clamp(0, 1)
            found = measure_samples(samples, reference, ["features", "kernel"])
            kept = {key: found[key] for key in ("kernel_distance", "frechet")}
            rows.append({"data": data_name, "candidate": name, **kept})
    return rows
