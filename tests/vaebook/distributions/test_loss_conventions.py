"""What a loss as written implies: against the losses themselves, and against the ELBO."""

import math

import pytest
import torch
from torch.nn import functional as F

from vaebook.data import load_fashion
from vaebook.distributions import (
    CONVENTIONS,
    GaussianLikelihood,
    LossConvention,
    gaussian_kl,
    translate_loss,
)
from vaebook.experiments.ch07_scaling.loss_conventions import LATENT_DIM, AsWritten
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE
from vaebook.training import fit, seeded

SHAPE = (1, 28, 28)
SIZE = (SHAPE, LATENT_DIM, 128, 10_000)
SQUARED = [how for how in CONVENTIONS if how.reconstruction != "cross-entropy"]


def name_of(convention: LossConvention) -> str:
    return convention.name


def test_the_numbers_that_people_ask_about() -> None:
    """3×64×64: weight 1 on a mean is β = 6144 at unit variance, 0.00025 is 1.536."""
    shape = (3, 64, 64)
    assert translate_loss(shape, 128, over_pixels="mean").beta == pytest.approx(6144)
    quoted = translate_loss(shape, 128, over_pixels="mean", kl_weight=0.00025)
    assert quoted.beta == pytest.approx(1.536)
    assert quoted.sigma == pytest.approx(math.sqrt(1.536))
    # ½ ‖x − m‖² is the negative log-density of unit variance
    half = translate_loss(SHAPE, 20, reconstruction="half squared error")
    assert (half.sigma, half.beta) == (1.0, 1.0)
    # Keras' binary_crossentropy averages over the pixels
    mean = translate_loss(SHAPE, 20, reconstruction="cross-entropy", over_pixels="mean")
    assert mean.beta == pytest.approx(784)
    assert translate_loss(SHAPE, 20, reconstruction="cross-entropy").sigma == 0.5


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_sigma_and_beta_are_known_jointly_only(sigma: float) -> None:
    """Weights of (σ, β): 1/(2σ²) on the squared error, β on the KL; only σ²β comes back."""
    for beta in (0.1, 1.0, 30.0):
        back = translate_loss(SHAPE, 5, reconstruction_weight=1 / (2 * sigma**2), kl_weight=beta)
        assert back.beta_at(sigma) == pytest.approx(beta)
        assert back.sigma == pytest.approx(sigma * math.sqrt(beta))
        assert back.sigma**2 == pytest.approx(back.beta_at(0.7) * 0.7**2)


@pytest.mark.parametrize("convention", SQUARED, ids=name_of)
def test_the_loss_as_written_is_that_of_its_translation(convention: LossConvention) -> None:
    """Same weights and noise: scale · (D + R) differs from the written loss by a constant only."""
    meaning = convention.translate(*SIZE)
    with seeded(0):
        written = AsWritten(SHAPE, convention, 10_000).double()
        images = torch.rand(7, *SHAPE).double()
    pixels = GaussianLikelihood(meaning.sigma)
    model = VAE(SHAPE, LATENT_DIM, network=MLP((400,)), likelihood=pixels)
    model.double().encoder, model.decoder = written.encoder, written.decoder
    differences = []
    for seed in (1, 2):
        with torch.no_grad():
            written.encoder[-1].bias.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
        with seeded(seed), torch.no_grad():
            one = written.loss(images).mean()
        with seeded(seed), torch.no_grad():
            other = model.loss(images).mean() * meaning.scale
        differences.append(float(one - other))
    constant = -meaning.scale * math.prod(SHAPE) * (math.log(meaning.sigma) + 0.918938533204672)
    # the buffer that holds log σ was rounded to float32
    assert differences == pytest.approx([constant] * 2, rel=1e-5, abs=1e-6)


def test_the_written_loss_in_plain_functions() -> None:
    how = LossConvention("x", "y", over_pixels="mean", over_latents="mean", kl_weight="batch/N")
    with seeded(0):
        model, images = AsWritten(SHAPE, how, 1_000), torch.rand(6, *SHAPE)
    with seeded(3):
        loss = model.loss(images)
    with seeded(3):
        posterior = model.posterior(images)
        decoded = model.decode(posterior.rsample())
    kl = gaussian_kl(posterior.mu, posterior.log_var).mean() / LATENT_DIM
    expected = F.mse_loss(decoded, images) + 128 / 1_000 * kl
    torch.testing.assert_close(loss, expected.expand(6))
    assert loss.shape == (6,)


def test_conventions_that_mean_the_same_train_the_same_model() -> None:
    images = load_fashion().train.images[:1000]
    rates = []
    for name in ("squared error, sum + KL, sum", "squared error, mean + KL / M"):
        (how,) = (how for how in CONVENTIONS if how.name == name)
        with seeded(0):
            model = AsWritten(SHAPE, how, len(images))
        fit(model, images, num_epochs=2, lr=1e-4, seed=0)
        rates.append(float(evaluate_elbo(model, images[:200]).rate.mean()))
    # Adam divides by the gradient's own size, up to its ε of 1e-8 and to rounding: over four seeds
    # the rates differ by 0.15 % at most, and at ten times the learning rate by up to 4 %
    assert rates[0] > 0.2
    assert rates[1] == pytest.approx(rates[0], rel=0.005)


def test_what_a_reader_is_told() -> None:
    told = str(translate_loss(SHAPE, 16, over_pixels="mean"))
    assert "σ = 19.8 (β = 1)" in told
    assert "σ = 1 with β = 392" in told
    told = str(translate_loss(SHAPE, 16, reconstruction="cross-entropy"))
    assert "β = 1." in told
    assert "σ up to 0.5" in told


def test_the_table_is_long_and_every_name_is_its_own() -> None:
    assert len({how.name for how in CONVENTIONS}) == len(CONVENTIONS) >= 7


def test_bad_numbers_say_what_to_do() -> None:
    for options, message in (
        ({"kl_weight": 0.0}, "kl_weight is 0.0; expected a finite number above 0"),
        ({"reconstruction_weight": -1.0}, "reconstruction_weight is -1.0"),
        ({"reconstruction": "mse"}, "reconstruction is 'mse'; expected one of .*'squared error'"),
        ({"over_pixels": "none"}, "over_pixels is 'none'; expected 'mean' or 'sum'"),
        ({"over_latents": "max"}, "over_latents is 'max'"),
    ):
        with pytest.raises(ValueError, match=message):
            translate_loss(SHAPE, 16, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"image_shape is \(28, 28\)"):
        translate_loss((28, 28), 16)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="latent_dim is 0"):
        translate_loss(SHAPE, 0)
    with pytest.raises(ValueError, match="sigma is 0"):
        translate_loss(SHAPE, 4).beta_at(0.0)


@pytest.mark.parametrize("how", CONVENTIONS, ids=lambda how: how.name)
def test_a_convention_is_what_its_name_says(how: LossConvention) -> None:
    """Its kind, how both terms are reduced, and the number in front of either, if there is one."""
    left, right = how.name.split(" + ")
    assert how.reconstruction == left.partition(", ")[0].rpartition("· ")[2]
    assert how.over_pixels == left.rpartition(", ")[2]
    assert how.over_latents == ("mean" if right == "KL, mean" else "sum")
    number = left.partition(" · ")[0]
    assert how.reconstruction_weight == (float(number) if number.isdigit() else 1.0)
    weights = {"0.00025 · KL": 0.00025, "KL · batch/N": "batch/N", "KL / M": "1/M"}
    assert how.kl_weight == weights.get(right, 1.0)
