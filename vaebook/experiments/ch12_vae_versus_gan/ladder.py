"""GAN, autoencoder and VAEs on dogs and clothes, budget by budget, with frontiers (chapter 12).

Every model has the reference network and recipe (:mod:`vaebook.experiments.reference`): at one
budget all of them take the same seconds of one core. A VAE draws in two ways, from N(0, I) and from
a mixture fitted to the codes of its training pictures, with a fixed σ and with a learned one; which
is the best is chosen on pilot seeds. A training that breaks down has rows, too: it draws empty
pictures, and has the worst shares that can be.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vaebook.experiments.ch12_vae_versus_gan.records import recorded_features
from vaebook.experiments.ch12_vae_versus_gan.ways_to_draw import CONTROLS, WAYS, draw_all
from vaebook.experiments.pictures import load_pictures_of
from vaebook.metrics import MEASURES, Reference, measure_samples
from vaebook.training import stream_seed

DATA = {"dogs": "dogs", "clothes": "fashion"}  # names in the record and in the package
TRUNCATIONS = (1.0, 0.85, 0.7, 0.5)
FRONTIER = ("dogs", "sharpness", "spectrum", "features", "neighbours", "kernel")
NUM_KEPT = 32  # pictures of each row that the record keeps
NUM_TOLD_APART = 1000  # of the samples the classifier sees: with all it takes a fifth of the time
WORST = dict.fromkeys(
    (
        *("validity", "validity_at_0.5", "validity_at_0.75", "validity_at_1.25"),
        *("validity_at_1.5", "validity_at_2", "coverage", "sharpness", "fine", "novelty"),
        *("precision", "recall", "neighbour_density", "neighbour_coverage"),
        *("precision_pixels", "recall_pixels"),
    ),
    0.0,
) | {"told_apart": 1.0, "copies": 1.0}


def run(
    seed: int,
    *,
    models: Sequence[str] = (*CONTROLS, *WAYS),
    budgets: Sequence[str] = ("× 1", "× 3"),
    data_names: Sequence[str] = tuple(DATA),
    truncations: Sequence[float] = TRUNCATIONS,
    num_images: int = 2000,
    num_judged: int = 200,
    scale: float = 1.0,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each model on each budget, draw pictures in each of its ways, and measure them.

    Args:
        models: names in ``CONTROLS`` or ``WAYS``; a VAE that draws in two is trained once.
        budgets: names in :data:`vaebook.experiments.reference.BUDGETS`.
        data_names: names in ``DATA``.
        truncations: what every draw's deviation from its mean is multiplied with, see
            :func:`vaebook.distributions.truncate`; 1 leaves it alone.
        num_images: samples of each row.
        num_judged: how many of them get their nearest dog; where truncated, half as many.
        scale: of the number of epochs, for trials.
        pictures: filled with the first samples that are not truncated.

    Returns:
        A row for each ``data``, ``budget``, ``model`` and ``truncation`` (a control has no budget
        and is not truncated) with columns of :func:`vaebook.metrics.measure_samples`: all of them
        where nothing is truncated, those of ``FRONTIER`` elsewhere, those of ``dogs`` only on dogs.
        ``told_apart`` is that of ``NUM_TOLD_APART`` samples.
        Beside them ``num_pictures``, ``num_judged``, and of models ``steps`` of the optimiser and
        ``seconds`` of one core; ``failed`` says why a training broke down.
    """
    rows = []
    for data_name in data_names:
        data = load_pictures_of(DATA[data_name])
        reference = Reference(data.test.images, data.train.images, recorded_features(data.name))
        possible = [name for name in MEASURES if data_name == "dogs" or name != "dogs"]
        for drawn in draw_all(
            data,
            seed=seed,
            models=models,
            budgets=budgets,
            truncations=truncations,
            num_images=num_images,
            scale=scale,
        ):
            whole = drawn.truncation == 1
            if pictures is not None and whole:
                key = " ".join(filter(None, (drawn.model, drawn.budget)))
                pictures[f"{data_name}/{key}"] = drawn.images[:NUM_KEPT]
            number = num_judged if whole else num_judged // 2
            found = measure_samples(
                drawn.images,
                reference,
                [name for name in (MEASURES if whole else FRONTIER) if name in possible],
                num_judged=number,
                num_told_apart=NUM_TOLD_APART,
                seed=stream_seed(seed, f"classifier: {drawn.stream}"),
            )
            if drawn.failed:
                found |= {name: WORST[name] for name in found.keys() & WORST}
            rows.append({"data": data_name, **drawn.labels(), "num_judged": number, **found})
    return rows
