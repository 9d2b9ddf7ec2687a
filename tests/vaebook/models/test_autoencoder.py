"""The plain autoencoder: its loss in nats, its shapes, and what it learns when it is linear."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.properties import normal, uniform
from vaebook.distributions import BernoulliLikelihood, GaussianLikelihood
from vaebook.models import MLP, Autoencoder, Conv
from vaebook.training import seeded

IMAGE_SHAPE = (1, 4, 4)


def small(**settings: object) -> Autoencoder:
    with seeded(0):
        return Autoencoder(IMAGE_SHAPE, 3, **({"network": MLP(hidden=(8,))} | settings)).double()  # type: ignore[arg-type]


def test_shapes() -> None:
    model, images = small(network=Conv(channels=(4,), hidden=8)), uniform(0, 5, *IMAGE_SHAPE)
    assert model.encode(images).shape == (5, 3)
    assert model.decode(model.encode(images)).shape == images.shape
    assert torch.equal(model.reconstruct(images), model.decode(model.encode(images)))
    assert model.loss(images).shape == (5,)


def test_the_loss_is_scipys_negative_log_density() -> None:
    model, images = small(likelihood=GaussianLikelihood(0.2)), uniform(0, 5, *IMAGE_SHAPE)
    mean = model.reconstruct(images).detach().numpy()
    expected = -stats.norm(mean, 0.2).logpdf(images.numpy()).sum((1, 2, 3))
    # σ is stored in single precision
    np.testing.assert_allclose(model.loss(images).detach(), expected, rtol=1e-6)


def test_sigma_changes_the_unit_of_the_loss_not_its_order() -> None:
    """A difference of losses scales with 1 / (2 σ²)."""
    images = uniform(0, 2, *IMAGE_SHAPE)
    differences = []
    for sigma in (0.1, 0.2):
        first, second = small(likelihood=GaussianLikelihood(sigma)).loss(images)
        differences.append((first - second).item())
    assert differences[0] == pytest.approx(4 * differences[1], rel=1e-6)


def test_the_default_likelihood_keeps_images_in_range() -> None:
    decoded = small().decode(normal(0, 50, 3, spread=20.0))
    assert decoded.min() >= 0
    assert decoded.max() <= 1


def test_no_noise_anywhere() -> None:
    model, images = small(), uniform(0, 5, *IMAGE_SHAPE)
    assert torch.equal(model.loss(images), model.loss(images))


def test_gradients_agree_with_finite_differences() -> None:
    model, images = small(network=MLP(hidden=(4,), activation="tanh")), uniform(0, 3, *IMAGE_SHAPE)
    names = [name for name, _ in model.named_parameters()]
    parameters = tuple(p.detach().requires_grad_() for p in model.parameters())

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model.loss(x)

    def loss(*values: torch.Tensor) -> torch.Tensor:
        named = {f"model.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(Loss(), named, (images,)).sum()

    assert torch.autograd.gradcheck(loss, parameters)


def test_a_linear_one_finds_the_principal_subspace() -> None:
    """Its least error is what the singular values beyond the code size leave over."""
    images = 0.5 + 0.1 * normal(0, 40, 2) @ normal(1, 2, 16) / 4 + normal(2, 40, 16, spread=0.01)
    images = images.clamp(0, 1)
    centred = (images - images.mean(0)).numpy()
    least = (np.linalg.svd(centred, compute_uv=False)[2:] ** 2).sum()

    with seeded(0):
        model = Autoencoder(
            IMAGE_SHAPE,
            2,
            network=MLP(hidden=()),
            likelihood=GaussianLikelihood(1.0, mean="identity"),
        ).double()
    pictures = images.reshape(40, *IMAGE_SHAPE)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = model.loss(pictures).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    error = ((pictures - model.reconstruct(pictures)) ** 2).sum().item()
    # no autoencoder of rank 2 can be below; L-BFGS comes within a thousandth
    assert least * (1 - 1e-9) <= error < least * 1.001


def test_wrong_input_says_what_to_do() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"images has image shape \(1, 4, 5\); this model expects"):
        model.encode(uniform(0, 2, 1, 4, 5))
    with pytest.raises(ValueError, match=r"dtype torch.float32; this model computes in"):
        model.loss(uniform(0, 2, *IMAGE_SHAPE).float())
    with pytest.raises(ValueError, match=r"codes is \(2, 4\); expected a tensor \[n, 3\]"):
        model.decode(normal(0, 2, 4))
    with pytest.raises(ValueError, match="latent_dim is 0"):
        Autoencoder(IMAGE_SHAPE, 0)
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        small(likelihood=BernoulliLikelihood()).loss(uniform(0, 2, *IMAGE_SHAPE))
