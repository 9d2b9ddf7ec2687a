"""Chapter 07: what is left between a loss as written and its translation is Adam's epsilon."""

import pytest
import torch

from vaebook.data import load_fashion
from vaebook.distributions import CONVENTIONS, GaussianLikelihood
from vaebook.experiments.ch07_scaling import loss_conventions
from vaebook.metrics import posterior_parameters, rate_per_dimension
from vaebook.models import MLP, VAE
from vaebook.training import seeded

NAMES = ("squared error, sum + KL, mean", "squared error, mean + KL / M")


def apart(name: str, eps: float) -> float:
    """Nats between the rates of the two models after forty steps in double precision."""
    images = load_fashion().train.images[:640].double()
    shape, latent_dim = tuple(images.shape[1:]), loss_conventions.LATENT_DIM
    how = next(how for how in CONVENTIONS if how.name == name)
    sigma = how.translate(shape, latent_dim, 128, len(images)).sigma
    with seeded(0):
        written = loss_conventions.AsWritten(shape, how, len(images)).double()
    with seeded(0):
        likelihood = GaussianLikelihood(sigma)
        translated = VAE(shape, latent_dim, network=MLP((400,)), likelihood=likelihood).double()
    rates = []
    for model in (written, translated):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=eps)
        for step in range(40):
            batch = images[128 * (step % 5) : 128 * (step % 5 + 1)]
            optimizer.zero_grad()
            with seeded(step):
                model.loss(batch).mean().backward()
            optimizer.step()
        assert posterior_parameters(model, images).mu.dtype == torch.float64
        rates.append(float(rate_per_dimension(model, images).sum()))
    return abs(rates[0] - rates[1])


@pytest.mark.parametrize("name", NAMES)
def test_without_epsilon_the_translation_is_the_same_model(name: str) -> None:
    assert apart(name, eps=1e-24) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_epsilon_is_what_sets_them_apart(name: str) -> None:
    assert apart(name, eps=1e-8) > 1e-5
