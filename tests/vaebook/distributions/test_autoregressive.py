"""The strong decoder: no pixel sees itself, probabilities sum to one, samples follow them."""

import itertools

import pytest
import torch
from torch.func import jacrev, vmap

from tests.properties import normal, uniform
from vaebook.distributions import MADE, AutoregressiveLikelihood, GaussianLikelihood
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE
from vaebook.training import seeded

close = torch.testing.assert_close


def likelihood(*shape: int, **settings: object) -> AutoregressiveLikelihood:
    with seeded(0):
        found = AutoregressiveLikelihood(shape, **settings).double()  # type: ignore[arg-type]
        for parameter in found.context.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return found.eval()


@pytest.mark.parametrize("hidden", [(), (7,), (40, 40)])
def test_a_pixel_sees_those_before_it_and_no_other(hidden: tuple[int, ...]) -> None:
    with seeded(1):
        network = MADE(6, hidden).double()
    x = normal(0, 100, 6)
    jacobian = vmap(jacrev(network))(x).abs().sum(0)  # over inputs: relu units are off in some
    assert torch.equal(jacobian, jacobian.tril(-1))
    if hidden != (7,):  # seven units are too few for every path
        assert (jacobian[torch.ones(6, 6).tril(-1).bool()] > 0).all()


def test_the_probabilities_of_all_images_sum_to_one() -> None:
    shape = (1, 3, 3)
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9))).double().view(-1, *shape)
    output = normal(1, 4, *shape)
    log_prob = likelihood(*shape, hidden=(20,))(output[:, None]).log_prob(images)  # [4, 512]
    assert log_prob.shape == (4, 512)
    # 512 terms in float64
    close(log_prob.logsumexp(1), torch.zeros(4).double(), rtol=0, atol=1e-12)
    assert log_prob.std() > 0.5


def test_the_density_of_grey_pixels_integrates_to_one() -> None:
    """Two pixels, a grid over both; the second's mean depends on the first."""
    model = likelihood(1, 1, 2, hidden=(8,), pixels=GaussianLikelihood(0.3, mean="identity"))
    axis = torch.linspace(-8, 8, 801, dtype=torch.double)
    grid = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    density = model(torch.zeros(1, 1, 1, 2).double()).log_prob(grid).exp()
    step = float(axis[1] - axis[0])
    # the first pixel's mean is 0 and σ 0.3; the second's stays within the grid
    close(density.sum() * step**2, torch.tensor(1.0).double(), rtol=0, atol=1e-9)


def test_the_log_probability_is_the_chain_rule_pixel_by_pixel() -> None:
    shape = (1, 2, 3)
    model = likelihood(*shape, hidden=(20,))
    image = (uniform(0, *shape) > 0.5).double()
    output = normal(2, *shape)
    total = 0.0
    for pixel in range(6):
        known = image.flatten().clone()
        known[pixel:] = 0.0  # what the model has not seen cannot matter
        logit = (output + model.context(known[None]).view(shape)).flatten()[pixel]
        chance = torch.sigmoid(logit) if image.flatten()[pixel] else torch.sigmoid(-logit)
        total += float(chance.detach().log())
    assert float(model(output).log_prob(image).detach()) == pytest.approx(total)


def test_samples_come_with_their_probabilities() -> None:
    shape = (1, 1, 3)
    model = likelihood(*shape, hidden=(10,))
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).double().view(-1, *shape)
    distribution = model(normal(3, *shape))
    expected = distribution.log_prob(images).exp()
    with seeded(0):
        drawn = distribution.sample((20_000,))
    assert drawn.shape == (20_000, *shape)
    index = (drawn.flatten(1) @ torch.tensor([4.0, 2.0, 1.0]).double()).long()
    found = torch.bincount(index, minlength=8) / 20_000
    close(found.double(), expected, rtol=0, atol=0.015)  # four standard errors of a half


def test_it_is_the_likelihood_of_a_vae() -> None:
    shape = (1, 3, 3)
    with seeded(0):
        model = VAE(shape, 2, network=MLP((8,)), likelihood=likelihood(*shape)).double()
    images = (uniform(0, 10, *shape) > 0.5).double()
    assert evaluate_elbo(model, images, num_samples=3).elbo.shape == (10,)
    loss = model.loss(images).mean()
    loss.backward()
    assert model.decoder[0].weight.grad.abs().sum() > 0
    assert model.likelihood.context[1].weight.grad.abs().sum() > 0  # type: ignore[index,union-attr]
    with pytest.raises(NotImplementedError, match="draw one with sample"):
        model.reconstruct(images)


def test_dropout_hides_pixels_in_training_only() -> None:
    model = likelihood(1, 3, 3, dropout=0.5)
    image = torch.ones(1, 1, 3, 3).double()
    output = torch.zeros(1, 1, 3, 3).double()
    first, second = model(output).log_prob(image), model(output).log_prob(image)
    assert torch.equal(first, second)
    model.train()
    with seeded(0):
        assert not torch.equal(model(output).log_prob(image), model(output).log_prob(image))
    with pytest.raises(ValueError, match="dropout is 1"):
        AutoregressiveLikelihood((1, 3, 3), dropout=1)
