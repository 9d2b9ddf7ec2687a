"""The comparison of a linear autoencoder with principal component analysis, on exact solutions."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.properties import normal, uniform
from vaebook.distributions import GaussianLikelihood
from vaebook.experiments.ch01_autoencoder import linear_autoencoder
from vaebook.models import MLP, Autoencoder

IMAGE_SHAPE = (1, 4, 4)
D = 16


def with_weights(encoder: Tensor, decoder: Tensor, mean: Tensor) -> Autoencoder:
    """An autoencoder with z = encoder (x − mean) + 1 and the bias that undoes the 1."""
    likelihood = GaussianLikelihood(0.1, mean="identity")
    model = Autoencoder(IMAGE_SHAPE, len(encoder), network=MLP(()), likelihood=likelihood).double()
    ones = torch.ones(len(encoder), dtype=torch.double)
    with torch.no_grad():
        for side, weight, bias in (
            (model.encoder, encoder, ones - encoder @ mean),
            (model.decoder, decoder, mean - decoder @ ones),
        ):
            (layer,) = (layer for layer in side.modules() if isinstance(layer, torch.nn.Linear))
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    return model


@pytest.fixture
def images() -> Tensor:
    """Pictures whose covariance has eigenvalues far apart."""
    spread = torch.linspace(1, 0.05, D).double()
    flat = 0.5 + 0.1 * (uniform(0, 200, D) - 0.5) * spread @ torch.linalg.qr(normal(1, D, D)).Q
    return flat.reshape(-1, *IMAGE_SHAPE)


def principal(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    flat = images.flatten(1)
    mean = flat.mean(0)
    _, singular, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    return mean, axes, singular**2 / len(flat)


def test_a_remixed_pca_is_at_the_optimum(images: Tensor) -> None:
    mean, axes, eigenvalues = principal(images)
    mix = normal(2, 3, 3)
    model = with_weights(torch.linalg.inv(mix) @ axes[:3], axes[:3].T @ mix, mean)
    found = linear_autoencoder.compare(model, images)
    assert found["angle_last"] < 1e-5
    assert found["excess"] == pytest.approx(0, abs=1e-10)
    assert found["optimum"] == pytest.approx(50 * eigenvalues[3:].sum().item(), rel=1e-6)
    assert found["score_error"] < 1e-12
    assert found["axis_angle"] > 1
    assert found["code_correlation"] > 0.01


def test_pca_itself_has_uncorrelated_codes_on_the_axes(images: Tensor) -> None:
    mean, axes, _ = principal(images)
    found = linear_autoencoder.compare(with_weights(axes[:3], axes[:3].T, mean), images)
    assert found["axis_angle"] < 1e-4
    assert found["code_correlation"] < 1e-6


@pytest.mark.parametrize("degrees", [0.5, 10.0, 60.0])
def test_a_tilted_subspace_has_that_angle_and_meets_its_bound(
    images: Tensor, degrees: float
) -> None:
    """Tilting the last axis towards the next one makes the theorem's inequality an equality."""
    mean, axes, eigenvalues = principal(images)
    angle = torch.tensor(degrees).deg2rad().double()
    basis = axes[:3].clone()
    basis[2] = angle.cos() * axes[2] + angle.sin() * axes[3]
    found = linear_autoencoder.compare(with_weights(basis, basis.T, mean), images)
    assert found["angle_last"] == pytest.approx(degrees, rel=1e-5)
    assert found["angle_first"] == pytest.approx(0, abs=1e-5)
    gap = (eigenvalues[2] - eigenvalues[3]).item()
    assert found["excess"] == pytest.approx(50 * gap * angle.sin().item() ** 2, rel=1e-5)
    assert found["bound"] == pytest.approx(degrees, rel=1e-4)
    assert found["eigenvalue_gap"] == pytest.approx(gap / eigenvalues[2].item(), rel=1e-6)


def test_polishing_finds_the_principal_subspace_and_leaves_the_model_alone(images: Tensor) -> None:
    mean, axes, _ = principal(images)
    model = with_weights(axes[1:4], axes[1:4].T, mean)  # the wrong three axes: a saddle
    with torch.no_grad():
        for index, weight in enumerate(model.parameters()):
            weight += 1e-3 * normal(3 + index, *weight.shape)
    before = [weight.clone() for weight in model.parameters()]
    assert linear_autoencoder.compare(model, images)["angle_last"] > 45
    found = linear_autoencoder.compare(linear_autoencoder.polish(model, images), images)
    assert found["angle_last"] < 1  # degree, of 90
    assert 0 <= found["excess"] < 1e-4  # nats
    assert all(
        torch.equal(weight, old) for weight, old in zip(model.parameters(), before, strict=True)
    )


def test_a_run_has_two_rows_for_each_code_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_autoencoder, "SCHEDULE", ((2, 1e-2),))
    monkeypatch.setattr(linear_autoencoder, "NUM_ITERATIONS", 20)
    rows = linear_autoencoder.run(0, latent_dims=(1, 3))
    assert [row["latent_dim"] for row in rows] == [1, 1, 3, 3]
    assert [row["optimiser"] for row in rows] == ["adam", "adam, lbfgs"] * 2
    numbers = [[value for value in row.values() if not isinstance(value, str)] for row in rows]
    assert np.isfinite(numbers).all()
    assert all(row["angle_last"] <= row["bound"] for row in rows)
    for adam, polished in zip(rows[::2], rows[1::2], strict=True):
        assert polished["excess"] < adam["excess"]
