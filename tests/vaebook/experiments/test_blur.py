"""The experiments of chapter 10: their measures on cases with a known answer, and tiny runs."""

import math

import pytest
import torch
from torch.nn import functional as F

from tests.properties import normal, uniform
from vaebook.data import load_dogs
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.ch10_why_blurry import blur_causes, blur_cross
from vaebook.experiments.ch10_why_blurry.blur_causes import Paired, measure
from vaebook.metrics import posterior_parameters, power_spectrum, sharpness
from vaebook.metrics.samples.sharpness import gradient_energy, relative_sharpness, spectral_energy
from vaebook.models import MLP, VAE

TINY = MLP((8,), background=0.95)
FEW = load_dogs(96, 8, 40)
SHORT = {"num_epochs": 1, "batch_size": 32, "lr": 1e-3}


@pytest.fixture
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments that train for an epoch on 96 dogs."""
    monkeypatch.setattr(blur_causes, "load_dogs", lambda: FEW)
    monkeypatch.setattr(blur_cross, "load_dogs", lambda num_train: load_dogs(num_train, 8, 40))
    for module in (blur_causes, blur_cross):
        monkeypatch.setattr(module, "DOG_DEEP", TINY)
        monkeypatch.setattr(module, "DOG_DEEP_TRAINING", SHORT)


def test_relative_to_real_pictures() -> None:
    real = uniform(0, 6, 1, 8, 8)
    assert relative_sharpness(real, real) == 1
    blurred = F.avg_pool2d(real, 3, stride=1, padding=1)
    assert relative_sharpness(blurred, real) < 1 < relative_sharpness(real, blurred)
    # contrast halved: squares are a quarter
    assert relative_sharpness(real / 2, real) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="constant"):
        relative_sharpness(real, torch.full_like(real, 0.5))


def test_energies_are_quadratic_forms() -> None:
    """Parallelogram law, and no difference of brightness."""
    a, b = normal(0, 5, 1, 8, 8), normal(1, 5, 1, 8, 8)
    for energy in (gradient_energy, spectral_energy):
        torch.testing.assert_close(energy(a + b) + energy(a - b), 2 * energy(a) + 2 * energy(b))
    torch.testing.assert_close(gradient_energy(a + 3), gradient_energy(a))
    images = uniform(2, 5, 1, 8, 8)
    assert torch.equal(gradient_energy(images), sharpness(images))
    assert torch.equal(spectral_energy(images), power_spectrum(images))


def test_pixel_noise_adds_what_the_chapter_says() -> None:
    """White noise of variance s² adds 4 s² to the gradient energy and s² at each frequency."""
    images, s = torch.full((4000, 1, 16, 16), 0.5, dtype=torch.float64), 0.05
    noisy = images + s * normal(3, *images.shape)
    # 4,000 × 256 pixels, 480 differences each: a relative error near 0.2 %
    assert gradient_energy(noisy).mean().item() == pytest.approx(4 * s**2, rel=0.01)
    # ring by ring, of at least four frequencies: about √(2 / 16,000) = 1.1 %
    torch.testing.assert_close(
        spectral_energy(noisy - 0.5), torch.full((9,), s**2).double(), rtol=0.05, atol=0
    )


def test_measures_of_a_step() -> None:
    real = uniform(0, 4, 1, 32, 32)
    same = measure(Paired(real, real, True))
    assert same["sharpness"] == same["fine"] == 1
    assert same["error"] == same["lost"] == same["lost_fine"] == 0
    assert [same[f"power_{k}"] for k in range(17)] == [1] * 17
    mean = real.mean(0, keepdim=True).expand_as(real)
    blurred = measure(Paired(mean, real, True))
    # a mean of the pictures: what it lacks is what it is wrong by
    assert blurred["sharpness"] + blurred["lost"] == pytest.approx(1)
    assert blurred["fine"] + blurred["lost_fine"] == pytest.approx(1)
    assert blurred["error"] == pytest.approx(float((real - mean).square().sum() / 4))
    unpaired = measure(Paired(mean, real, False))
    assert math.isnan(unpaired["error"])
    assert unpaired["sharpness"] == blurred["sharpness"]


def test_fine_detail_is_the_upper_half_of_the_spectrum() -> None:
    phase = 2 * math.pi * torch.arange(32) / 32
    coarse, fine = (
        (0.5 + 0.4 * torch.cos(k * phase)).expand(1, 1, 32, 32).double() for k in (3, 12)
    )
    both = (coarse + fine) / 2
    assert measure(Paired(coarse, both, False))["fine"] < 1e-6
    assert measure(Paired(fine, both, False))["fine"] == pytest.approx(4)


def test_the_terms_pull_against_each_other_at_an_optimum() -> None:
    """Where the gradient of the sum vanishes, the cosine is −1."""
    torch.manual_seed(0)
    model = VAE((1, 4, 4), 1, network=MLP(()), likelihood=GaussianLikelihood(0.3)).double()
    images = uniform(0, 3, 1, 4, 4)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=400, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        torch.manual_seed(1)
        loss = -model.elbo(images, num_samples=16).elbo.mean()
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)
    assert blur_causes.conflict_cosine(model, images, seed=1, num_samples=16) < -0.99


def test_under_collapse_nothing_opposes_anything() -> None:
    """A decoder that ignores the code, an encoder at the prior: both gradients vanish."""
    model = VAE((1, 4, 4), 1, network=MLP(()), likelihood=GaussianLikelihood(0.3)).double()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if not name.endswith("log_sigma"):
                weights.zero_()
    terms = model.elbo(uniform(0, 3, 1, 4, 4))
    for term in (terms.distortion, terms.rate):
        gradients = torch.autograd.grad(
            term.mean(), list(model.encoder.parameters()), retain_graph=True
        )
        assert all((gradient == 0).all() for gradient in gradients)
    assert blur_causes.conflict_cosine(model, uniform(0, 3, 1, 4, 4), seed=0) == 0


@pytest.mark.parametrize("num_pixels", [784, 1024])
def test_a_mean_over_pixels_claims_a_large_sigma(num_pixels: int) -> None:
    """F.mse_loss has the slope of −log p at σ = √(M/2), half the summed square that at σ = 1."""
    side = math.isqrt(num_pixels)
    images, output = uniform(0, 1, 1, side, side), uniform(1, 1, 1, side, side)
    output.requires_grad_()
    for loss, sigma in (
        (F.mse_loss(output, images), math.sqrt(num_pixels / 2)),
        (0.5 * F.mse_loss(output, images, reduction="sum"), 1.0),
    ):
        density = torch.distributions.Normal(output, sigma)
        (ours,) = torch.autograd.grad(loss, output)
        (theirs,) = torch.autograd.grad(-density.log_prob(images).sum(), output)
        torch.testing.assert_close(ours, theirs)


@pytest.mark.usefixtures("few_dogs")
def test_causes_has_every_step_and_keeps_the_order_of_bounds() -> None:
    pictures: dict[str, torch.Tensor] = {}
    rows = blur_causes.run(
        0, variants=("autoencoder", "σ = 0.1", "learned σ"), latent_dim=3, num_codes=40,
        num_fresh=300, pictures=pictures,
    )  # fmt: skip
    by_step = {(row["variant"], row["step"]): row for row in rows}
    assert len(by_step) == len(rows) == 5 + 2 * 12
    for variant in ("σ = 0.1", "learned σ"):
        low, high = (
            by_step[variant, f"f*, fresh, itself {kind}"] for kind in ("included", "left out")
        )
        assert low["error"] < high["error"]
        assert low["lost"] < high["lost"]
        best, ours = (by_step[variant, f"{name} at aggregate"] for name in ("f*", "decoder"))
        assert best["error"] < ours["error"]
        assert best["nats"] == pytest.approx(best["error"] / (2 * best["sigma"] ** 2))
        assert -1 <= best["conflict_cosine"] <= 1
    assert all(
        math.isnan(row["conflict_cosine"]) for row in rows if row["variant"] == "autoencoder"
    )
    # an autoencoder draws no noise: its reconstructions are its decoder's
    plain = by_step["autoencoder", "reconstruction"]
    assert plain["sharpness"] == by_step["autoencoder", "decoder, held out"]["sharpness"]
    assert len(pictures["σ = 0.1/f* at prior"]) == blur_causes.NUM_KEPT


@pytest.mark.usefixtures("few_dogs")
def test_causes_splits_the_error() -> None:
    """Over many codes: total = overlap + own, to Monte Carlo's accuracy."""
    model = blur_causes.train(
        "σ = 0.4", FEW, seed=0, network=TINY, latent_dim=2, training=SHORT | {"num_epochs": 10}
    )
    posterior = posterior_parameters(model, FEW.train.images)
    gaps = []
    for seed in range(20):
        steps = blur_causes.steps_of(model, FEW, seed=seed, num_codes=96, num_fresh=0)
        ours, best = steps["decoder at aggregate"], steps["f* at aggregate"]
        own = measure(steps["decoder against f*"])["error"]
        gaps.append(measure(ours)["error"] - measure(best)["error"] - own)
    assert posterior.batch_shape == (96,)
    gap = torch.tensor(gaps)
    # four standard errors of the twenty draws: the cross term has mean zero
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 20**0.5
    assert abs(float(gap.mean())) < 0.05 * measure(ours)["error"]


@pytest.mark.usefixtures("few_dogs")
def test_cross_changes_one_thing_at_a_time() -> None:
    recipes = (
        blur_cross.Recipe("reference", "VAE", num_train=96, num_epochs=0.0096),
        blur_cross.Recipe("reference", "no KL", num_train=96, num_epochs=0.0096, kl=False),
        blur_cross.Recipe("likelihood", "Laplace", num_train=96, num_epochs=0.0096, laplace=True),
        blur_cross.Recipe("code size", "2", num_train=96, num_epochs=0.0096, latent_dim=2),
    )
    rows = blur_cross.run(0, recipes=recipes, num_codes=20)
    assert [row["step"] for row in rows[:4]] == list(blur_cross.KEPT_STEPS)
    assert len(rows) == 4 + 3 + 4 + 4
    first = blur_cross.RECIPES[0]
    for recipe in blur_cross.RECIPES[1:]:
        changed = [
            key
            for key, value in recipe._asdict().items()
            if value != getattr(first, key) and key not in ("knob", "setting")
        ]
        assert len(changed) == (2 if recipe.setting == "four times, no KL" else 1)


def test_fashion_has_no_fresh_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    real = blur_causes.load_fashion()
    few = type(real)("fashion", *(type(real.train)(s.images[:64]) for _, s in real.splits()))
    monkeypatch.setattr(blur_causes, "load_fashion", lambda: few)
    rows = EXPERIMENTS["blur_fashion"].run(0, variants=("σ = 0.2",), num_codes=16)
    assert len(rows) == 9
    with pytest.raises(ValueError, match="expected 'dogs' or 'fashion'"):
        blur_causes.settings_of("cats")
