"""Who must be told the condition: the encoder, the decoder, or both? (chapter 13)"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from vaebook.data import ImageData, Split, load_digits
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, ConditionalVAE
from vaebook.training import fit, seeded

NETWORK = MLP((128,))
LATENT_DIM = 8
SIGMA = 0.2
LR = 2e-3
WEAK = 0.01
NUM_CLASSES = 10


class Variant(NamedTuple):
    """One way of telling the condition."""

    encoder_sees: bool = True
    decoder_sees: bool = True
    beta: float = 1.0
    strength: float = 1.0  # what the one-hot label is multiplied with


VARIANTS = {
    "both": Variant(),
    "decoder only": Variant(encoder_sees=False),
    "encoder only": Variant(decoder_sees=False),
    "neither": Variant(encoder_sees=False, decoder_sees=False),
    "decoder only, β = 0.01": Variant(encoder_sees=False, beta=0.01),
    "decoder only, weak label": Variant(encoder_sees=False, strength=WEAK),
}


def one_hot(labels: Int[Tensor, " n"], strength: float = 1.0) -> Float[Tensor, "n 10"]:
    """The condition of each label."""
    return F.one_hot(labels, NUM_CLASSES).float() * strength


def train(variant: Variant, data: ImageData, *, seed: int, num_epochs: int) -> ConditionalVAE:
    """The conditional VAE of digits, told its condition as the variant says."""
    with seeded(seed):
        model = ConditionalVAE(
            data.image_shape,
            LATENT_DIM,
            condition_dim=NUM_CLASSES,
            network=NETWORK,
            likelihood=GaussianLikelihood(SIGMA),
            beta=variant.beta,
            encoder_sees=variant.encoder_sees,
            decoder_sees=variant.decoder_sees,
        )
    assert data.train.labels is not None
    conditions = one_hot(data.train.labels, variant.strength)
    fit(model, (data.train.images, conditions), num_epochs=num_epochs, lr=LR, seed=seed)
    return model


def linear_classifier(
    rows: Float[Tensor, "n ..."], labels: Int[Tensor, " n"], *, max_iter: int = 1000
) -> Pipeline:
    """Logistic regression on pictures or codes, every number of which is standardised."""
    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=max_iter))
    return judge.fit(rows.flatten(1).numpy(), labels.numpy())


def share_of(judge: Pipeline, rows: Float[Tensor, "n ..."], labels: Int[Tensor, " n"]) -> float:
    """The share of pictures or codes that the classifier takes for the given class."""
    return float((judge.predict(rows.flatten(1).numpy()) == labels.numpy()).mean())


def means_of(model: ConditionalVAE, split: Split, strength: float) -> Float[Tensor, "n d"]:
    """The posterior means of a split, each picture with its own label."""
    assert split.labels is not None
    with torch.no_grad():
        means: Tensor = model.posterior(split.images, one_hot(split.labels, strength)).mu
    return means


def probe(model: ConditionalVAE, data: ImageData, strength: float) -> float:
    """How often a linear classifier reads the label off the code; 0.1 is chance."""
    assert data.train.labels is not None
    assert data.test.labels is not None
    reader = linear_classifier(means_of(model, data.train, strength), data.train.labels)
    return share_of(reader, means_of(model, data.test, strength), data.test.labels)


def measure(
    model: ConditionalVAE, data: ImageData, judge: Pipeline, variant: Variant, seed: int
) -> dict[str, float]:
    """The bound, and what label and code each have to say about the class.

    Returns:
        ``neg_elbo``, ``distortion`` and ``rate`` of test pictures with their labels, in nats;
        ``asked``, the share of samples of the class that was asked for; ``swapped``: the code of a
        test picture decoded with another label, and the share that shows the new class; ``kept``,
        the share that still shows the old one; ``probe``, how often the code gives the class away.
    """
    images, labels = data.test.images, data.test.labels
    assert labels is not None
    strength = variant.strength
    conditions = one_hot(labels, strength)
    with torch.no_grad(), seeded(seed):
        _, distortion, rate = model.elbo(images, conditions, num_samples=4)
    wanted = torch.arange(NUM_CLASSES).repeat(50)
    samples = model.sample(one_hot(wanted, strength), seed=seed)[0]
    other = (labels + 1 + torch.arange(len(labels)) % (NUM_CLASSES - 1)) % NUM_CLASSES
    with torch.no_grad():
        codes = means_of(model, data.test, strength)
        swapped = model.decode(codes, one_hot(other, strength))
    return {
        "neg_elbo": float((distortion + rate).mean()),
        "distortion": float(distortion.mean()),
        "rate": float(rate.mean()),
        "asked": share_of(judge, samples, wanted),
        "swapped": share_of(judge, swapped, other),
        "kept": share_of(judge, swapped, labels),
        "probe": probe(model, data, strength),
    }


def run(
    seed: int,
    *,
    variants: tuple[str, ...] = tuple(VARIANTS),
    num_epochs: int = 60,
    pictures: dict[str, Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train each variant on the 8×8 digits and ask what its label does.

    Args:
        pictures: filled with ten pictures of a variant, one code decoded with every label.

    Returns:
        A row per variant: :func:`measure`, and ``judge``, the share of real test pictures that
        the classifier gets right.
    """
    data = load_digits()
    assert data.train.labels is not None
    assert data.test.labels is not None
    judge = linear_classifier(data.train.images, data.train.labels)
    accuracy = share_of(judge, data.test.images, data.test.labels)
    rows = []
    for name in variants:
        variant = VARIANTS[name]
        model = train(variant, data, seed=seed, num_epochs=num_epochs)
        if pictures is not None:
            codes = means_of(model, data.test, variant.strength)[:1].expand(NUM_CLASSES, -1)
            labels = one_hot(torch.arange(NUM_CLASSES), variant.strength)
            with torch.no_grad():
                pictures[name] = model.decode(codes, labels)
        rows.append(
            {"variant": name, "judge": accuracy, **measure(model, data, judge, variant, seed)}
        )
    return rows
