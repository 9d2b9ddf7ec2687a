"""What users hand in by mistake: each message says what was given, expected, and what to do."""

import numpy as np
import pandas as pd
import pytest
import torch

from vaebook import distributions as d
from vaebook import models as m
from vaebook._checks import (
    check_codes,
    check_count,
    check_finite,
    check_images,
    check_positive,
    check_same_shape,
)

GOOD = torch.rand(2, 1, 4, 4)


def with_pixel(value: float) -> torch.Tensor:
    images = GOOD.clone()
    images[0, 0, 0, 0] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GOOD.numpy(), r"is a ndarray; expected a torch tensor.*torch.as_tensor"),
        ([[0.0]], r"is a list; expected a torch tensor"),
        (GOOD[0], r"shape \(1, 4, 4\); expected four dimensions.*images\[None\]"),
        ((255 * GOOD).byte(), r"dtype torch.uint8; expected floats.*images.float\(\) / 255"),
        (GOOD.bool(), r"dtype torch.bool; expected floats"),
        (GOOD[:0], r"is empty \(shape \(0, 1, 4, 4\)\)"),
        (255 * torch.ones(2, 1, 4, 4), r"lies in \[255, 255\]; expected values in \[0, 1\]"),
        (with_pixel(-0.01), r"lies in \[-0.01, .*undo any standardisation"),
        (with_pixel(float("nan")), r"holds 1 values that are NaN or infinite \(of 32\)"),
        (with_pixel(float("inf")), r"holds 1 values that are NaN or infinite"),
    ],
)
def test_images(images: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_images(images)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^validation "):
        check_images(images, name="validation")  # type: ignore[arg-type]


def test_images_that_are_fine() -> None:
    check_images(GOOD)
    check_images(GOOD.double(), (1, 4, 4))
    check_images(GOOD.half())
    check_images(torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)]), dtype=torch.float32)
    check_images(GOOD.clone().requires_grad_())


def test_images_for_a_model() -> None:
    with pytest.raises(
        ValueError, match=r"image shape \(1, 4, 4\); this model expects \(3, 4, 4\)"
    ):
        check_images(GOOD, (3, 4, 4))
    with pytest.raises(ValueError, match=r"float64; this model computes in torch.float32. Convert"):
        check_images(GOOD.double(), dtype=torch.float32)


def test_codes() -> None:
    check_codes(torch.zeros(2, 3), 3)
    for bad, given in (
        (torch.zeros(3), r"\(3,\)"),
        (torch.zeros(2, 4), r"\(2, 4\)"),
        ([0], "list"),
    ):
        with pytest.raises(ValueError, match=rf"codes is {given}; expected a tensor \[n, 3\]"):
            check_codes(bad, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codes holds 3 values"):
        check_codes(torch.full((1, 3), float("inf")), 3)


def test_finite() -> None:
    check_finite("loss", torch.zeros(3))
    with pytest.raises(ValueError, match=r"loss holds 2 values that are NaN or infinite \(of 3\)"):
        check_finite("loss", torch.tensor([0.0, float("nan"), float("-inf")]))


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf")])
def test_positive(bad: float) -> None:
    check_positive("sigma", 1e-9)
    with pytest.raises(ValueError, match=r"sigma is .*; expected a finite number above 0"):
        check_positive("sigma", bad)


def test_counts() -> None:
    check_count("n", 1)
    check_count("n", 0, minimum=0)
    check_count("n", np.int64(3))  # type: ignore[arg-type]
    for bad in (0, -1, 1.0, True, "1", None):
        with pytest.raises(ValueError, match=r"n is .*; expected an integer of at least 1"):
            check_count("n", bad)  # type: ignore[arg-type]


def test_same_shape() -> None:
    check_same_shape(a=torch.zeros(2), b=torch.zeros(2))
    with pytest.raises(ValueError, match=r"shapes differ: a \(2,\), b \(1,\); expected the same"):
        check_same_shape(a=torch.zeros(2), b=torch.zeros(1))


ODD = [
    None,
    "x",
    float("nan"),
    [1, 2],
    1j,
    np.ones(3),
    torch.zeros(2),
    {},
    object(),
    torch.nn.Linear,
]
PLAN = m.MLP((4,))


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **k: m.VAE((1, 4, 4), 2, network=PLAN, **k), "beta free_bits posterior"),
        (
            lambda **k: m.ConditionalVAE((1, 4, 4), 2, condition_dim=3, network=PLAN, **k),
            "beta prior prior_hidden",
        ),
        (lambda **k: m.GAN((1, 4, 4), 2, network=PLAN, **k), "loss gradient_penalty"),
        (lambda **k: m.VQVAE((1, 4, 4), network=PLAN, **k), "commitment"),
        (lambda **k: m.WassersteinAutoencoder((1, 4, 4), 2, network=PLAN, **k), "mmd_weight"),
        (lambda **k: m.VAE((1, 4, 4), 2, network=m.MLP(**k)), "activation"),
        (lambda **k: m.VAE((1, 4, 4), 2, network=m.Conv(**k)), "channels hidden activation"),
        (d.GaussianLikelihood, "sigma mean"),
        (d.LaplaceLikelihood, "scale"),
        (d.LearnedGaussianLikelihood, "initial_sigma"),
        (lambda **k: d.AutoregressiveLikelihood((1, 2, 2), **k), "dropout"),
    ],
)
def test_settings_of_another_kind_are_named(make, names: str, odd: object) -> None:
    for name in names.split():
        if name == "channels" and isinstance(odd, list):  # will do
            continue
        with pytest.raises(ValueError, match=f"{name} .*expected"):
            make(**{name: odd})


@pytest.mark.parametrize("kind", [m.VAE, m.Autoencoder, m.VQVAE, m.ConditionalVAE])
@pytest.mark.parametrize("likelihood", ["bernoulli", d.BernoulliLikelihood, torch.nn.BCELoss()])
def test_what_is_no_likelihood_is_named(kind, likelihood: object) -> None:
    more = {"condition_dim": 2} if kind is m.ConditionalVAE else {}
    with pytest.raises(ValueError, match=r"likelihood is .*BernoulliLikelihood\(\)"):
        kind((1, 4, 4), 2, likelihood=likelihood, **more)


@pytest.mark.parametrize("odd", [None, 4, 4.0, "148", [1, 4], torch.ones(3), np.ones(3)])
def test_what_is_no_image_shape_is_named(odd: object) -> None:
    with pytest.raises(ValueError, match="image_shape"):
        m.VAE(odd, 2)  # type: ignore[arg-type]
    assert m.VAE(torch.tensor([1, 4, 4]), 2).image_shape == (1, 4, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", [None, "x", 1.5, [1.0, 2.0], np.ones((2, 2))])
def test_numbers_that_are_no_tensors_are_named(odd: object) -> None:
    for call in (
        lambda: d.gaussian_kl(odd, torch.zeros(2)),  # type: ignore[arg-type]
        lambda: d.DiagonalGaussian(torch.zeros(2), odd),  # type: ignore[arg-type]
        lambda: d.reparameterise(odd, torch.zeros(2)),  # type: ignore[arg-type]
        lambda: d.optimal_sigma(GOOD, odd),  # type: ignore[arg-type]
        lambda: m.slerp(odd, torch.ones(2), 0.5),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=r"expected a torch tensor.*Convert it"):
            call()


def test_the_cure_fits_what_was_given() -> None:
    table = pd.DataFrame({"a": [1.0, None], "b": [2, 3]}).astype(object)
    model = m.IncompleteVAE(2, 1)
    for call in (lambda: model.impute(table), lambda: check_images(table)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r'to_numpy\("float32", na_value=float\("nan"\)\)'):
            call()
    model.impute(torch.tensor(table.to_numpy("float32", na_value=float("nan"))))
    with pytest.raises(ValueError, match=r"torch\.stack"):
        check_images(list(GOOD))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"observed is \[\[True, True\]\]; expected a torch"):
        model.loss(torch.zeros(1, 2), [[True, True]])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_labels_may_be_of_any_integers(kind: torch.dtype) -> None:
    model = m.ConditionalVAE((1, 4, 4), 2, condition_dim=3, network=PLAN)
    assert model.sample(torch.arange(3).to(kind), seed=0).shape == (1, 3, 1, 4, 4)
    with pytest.raises(ValueError, match=r"dtype torch\.complex64"):
        model.sample(torch.eye(3).cfloat())
