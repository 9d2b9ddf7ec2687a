"""The normal VAE in other coordinates: maps of code space, and the models pushed through them."""

import math

import pytest
import torch
from scipy.integrate import dblquad
from torch.distributions import TransformedDistribution

from vaebook.data import load_dogs
from vaebook.distributions import standard_normal
from vaebook.experiments.ch09_why_normal import prior_pushforward
from vaebook.experiments.ch09_why_normal.prior_pushforward import (
    TRANSFORMS,
    Bend,
    PushedVAE,
    build,
    elbo_gap,
)
from vaebook.models import MLP
from vaebook.training import seeded

FEW = load_dogs(96, 8, 40)


@pytest.fixture(autouse=True)
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of 8 hidden units, and 96 dogs to train them on."""
    monkeypatch.setattr(prior_pushforward, "load_dogs", lambda: FEW)
    monkeypatch.setattr(prior_pushforward, "DOG_NETWORK", MLP((8,), background=0.95))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_map_has_its_inverse_and_its_determinant(name: str) -> None:
    """The determinant by autograd's Jacobian, whatever the class says."""
    transform = TRANSFORMS[name]
    codes = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = transform(codes)
    # an inverse through Φ loses digits in the tails: at |z| < 3, about 1e-13
    torch.testing.assert_close(transform.inv(moved), codes, rtol=0, atol=1e-11)
    given = transform.log_abs_det_jacobian(codes, moved)
    given = given if transform.domain.event_dim else given.sum(-1)
    for row, value in zip(codes, given, strict=True):
        jacobian = torch.autograd.functional.jacobian(transform, row)
        torch.testing.assert_close(value, torch.linalg.slogdet(jacobian).logabsdet)


def test_the_bent_density_is_one() -> None:
    density = TransformedDistribution(standard_normal(2), [Bend()], validate_args=False)

    def at(b: float, a: float) -> float:
        return math.exp(float(density.log_prob(torch.tensor([[a, b]]))))

    # the map has no bounds, but beyond these 1e-3 of the mass at most is left
    total, _ = dblquad(at, -3.5, 3.5, -9, 24, epsabs=1e-3, epsrel=1e-3)
    assert total == pytest.approx(1, abs=3e-3)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_pushed_model_is_the_same_model(name: str) -> None:
    model = build(0)
    images = FEW.test.images.double()
    ratio, elbo = elbo_gap(model, PushedVAE(model, TRANSFORMS[name]), images, seed=0)
    # Φ⁻¹(Φ(z)) is off by 1e-11 at |z| = 5; a pixel's σ of 0.2 and 1,024 pixels make it 1e-8
    assert ratio < 1e-8
    assert elbo < 1e-6


def test_codes_of_the_uniform_model_are_uniform() -> None:
    pushed = PushedVAE(build(0), TRANSFORMS["uniform on [0, 1]"])
    with seeded(0):
        codes = pushed.prior.sample((20_000,))
    assert codes.min() > 0
    assert codes.max() < 1
    # standard errors of mean and variance: 0.002 and 0.0005 in each of 16 dimensions
    torch.testing.assert_close(codes.mean(0), torch.full((16,), 0.5).double(), rtol=0, atol=0.01)
    torch.testing.assert_close(codes.var(0), torch.full((16,), 1 / 12).double(), rtol=0, atol=3e-3)
    assert pushed.prior.log_prob(codes).abs().max() < 1e-10  # the density is 1 inside


def test_another_prior_alone_is_another_model() -> None:
    """The theorem needs all three parts pushed: leave the posterior as it was, and it fails."""
    model = build(0)
    pushed = PushedVAE(model, TRANSFORMS["normal at 3, twice as wide"])
    pushed.decoder = model.decoder  # not told of T
    assert elbo_gap(model, pushed, FEW.test.images.double(), seed=0)[1] > 1


def test_a_tiny_run() -> None:
    rows = prior_pushforward.run(0, num_epochs=1, num_train=96, num_images=8)
    assert [row["prior"] for row in rows] == list(TRANSFORMS)
    for row in rows:
        assert max(row["log_ratio_gap"], row["sample_gap"]) < 1e-8
        assert max(row["elbo_gap"], row["trained_gap"]) < 1e-6
