"""The two players' losses, and a GAN trained in turns."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, Uniform

from vaebook.models import GAN, MLP
from vaebook.models.gan import (
    discriminator_loss,
    gradient_penalty,
    minimax_loss,
    non_saturating_loss,
)
from vaebook.training import WeightAverage, fit

SHAPE = (1, 4, 4)
NUM_IMAGES = 96


def small(**settings) -> GAN:
    torch.manual_seed(0)
    return GAN(SHAPE, 2, network=MLP((8,)), **settings)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(NUM_IMAGES, *SHAPE, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(4 * torch.randn(50, dtype=torch.float64, generator=generator) for _ in range(2))


def test_discriminator_loss_is_two_cross_entropies(logits):
    real, generated = logits
    expected = -Bernoulli(logits=real).log_prob(torch.ones(50, dtype=torch.float64))
    expected -= Bernoulli(logits=generated).log_prob(torch.zeros(50, dtype=torch.float64))
    assert torch.allclose(discriminator_loss(real, generated), expected, rtol=0, atol=1e-12)


def test_generator_losses_are_what_their_names_say(logits):
    judged = torch.sigmoid(logits[0])
    for loss, expected in (
        (non_saturating_loss, -judged.log()),
        (minimax_loss, (1 - judged).log()),
    ):
        assert torch.allclose(loss(logits[0]), expected, rtol=0, atol=1e-12)


def test_a_discriminator_that_cannot_tell_pays_log_4_and_the_generator_log_2():
    zero = torch.zeros(1)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(math.log(4), rel=1e-6)
    assert float(non_saturating_loss(zero)) == pytest.approx(math.log(2), rel=1e-6)
    assert float(minimax_loss(zero)) == pytest.approx(-math.log(2), rel=1e-6)


def test_at_the_best_discriminator_the_loss_is_log_4_less_twice_the_jensen_shannon_divergence():
    """By quadrature for two normals in one dimension; JS by its definition through torch."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    p, g = Normal(0.0, 1.0), Normal(1.5, 0.7)
    log_p, log_g = p.log_prob(x), g.log_prob(x)
    best = log_p - log_g
    paid = torch.trapezoid(
        log_p.exp() * discriminator_loss(best, torch.full_like(best, -math.inf))
        + log_g.exp() * discriminator_loss(torch.full_like(best, math.inf), best),
        x,
    )
    log_m = torch.logaddexp(log_p, log_g) - math.log(2)
    js = torch.trapezoid(log_p.exp() * (log_p - log_m) + log_g.exp() * (log_g - log_m), x) / 2
    # torch's softplus is the identity beyond 20, which costs up to e^-20 = 2e-9 there
    assert float(paid) == pytest.approx(math.log(4) - 2 * float(js), abs=1e-8)


def test_the_losses_stay_finite_and_keep_their_slope_where_the_discriminator_is_sure():
    logits = torch.tensor([-200.0], requires_grad=True)
    (slope,) = torch.autograd.grad(non_saturating_loss(logits).sum(), logits)
    assert float(slope) == pytest.approx(-1.0)
    (slope,) = torch.autograd.grad(minimax_loss(logits).sum(), logits)
    assert float(slope) == pytest.approx(0.0, abs=1e-12)
    assert torch.isfinite(discriminator_loss(-logits.detach(), logits.detach())).all()


def test_gradient_penalty_of_a_linear_critic_is_half_its_squared_weights():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    penalty = gradient_penalty(critic, torch.rand(5, *SHAPE))
    expected = critic[1].weight.square().sum() / 2
    assert penalty.shape == (5,)
    assert torch.allclose(penalty, expected.expand(5), rtol=1e-5)
    (slope,) = torch.autograd.grad(penalty.mean(), critic[1].weight)
    assert torch.allclose(slope, critic[1].weight, rtol=1e-5)


def test_gradient_penalty_by_finite_differences(images):
    torch.manual_seed(0)
    critic = MLP((8,), "tanh").encoder(SHAPE, 1).double()
    picture, step = images[:1].double(), 1e-5
    slopes = []
    for pixel in range(16):
        move = torch.zeros(16, dtype=torch.float64)
        move[pixel] = step
        move = move.view(1, *SHAPE)
        with torch.no_grad():
            slopes.append(float(critic(picture + move) - critic(picture - move)) / (2 * step))
    expected = sum(slope**2 for slope in slopes) / 2
    assert float(gradient_penalty(critic, picture).detach()) == pytest.approx(expected, rel=1e-6)


def test_the_penalty_enters_the_discriminators_loss_with_its_weight(images):
    plain, penalised = small(), small(gradient_penalty=3.0)
    torch.manual_seed(5)
    without = plain.discriminator_loss(images)
    torch.manual_seed(5)
    difference = penalised.discriminator_loss(images) - without
    expected = 3 * gradient_penalty(plain.discriminator, images)
    assert torch.allclose(difference, expected, atol=1e-6)


def test_spectral_norm_bounds_every_layer_of_the_discriminator_and_none_of_the_generator(images):
    model = small(spectral_norm=True)
    fit(model, images, num_epochs=5, batch_size=32, lr=1e-2)
    sizes = [
        torch.linalg.matrix_norm(layer.weight.detach(), 2)
        for layer in model.discriminator.modules()
        if isinstance(layer, nn.Linear)
    ]
    # the power iteration lags behind the weights by the last few steps
    assert all(float(size) == pytest.approx(1.0, abs=0.05) for size in sizes)
    generator = [m for m in model.generator.modules() if isinstance(m, nn.Linear)]
    assert not any(hasattr(layer, "parametrizations") for layer in generator)


def test_each_player_moves_its_own_weights_only(images):
    model = small()
    for player, moves, rests in (
        (model.players()[0], model.discriminator, model.generator),
        (model.players()[1], model.generator, model.discriminator),
    ):
        model.zero_grad()
        player.loss(images).mean().backward(inputs=list(player.parameters))
        assert all(parameter.grad is not None for parameter in moves.parameters())
        assert all(parameter.grad is None for parameter in rests.parameters())


def test_one_step_follows_the_gradient_of_each_players_loss(images):
    """The generator's step lowers its loss, and the discriminator's its own, noise held."""
    model = small()
    for player in model.players():
        torch.manual_seed(7)
        loss = player.loss(images).mean()
        slopes = torch.autograd.grad(loss, list(player.parameters))
        with torch.no_grad():
            for parameter, slope in zip(player.parameters, slopes, strict=True):
                parameter -= 1e-3 * slope
        torch.manual_seed(7)
        assert player.loss(images).mean() < loss


def test_the_generators_gradient_raises_the_judged_realness(images):
    model = small()
    torch.manual_seed(7)
    before = model.logits(model.sample(64, seed=7)).mean()
    slopes = torch.autograd.grad(
        model.generator_loss(images).mean(), list(model.generator.parameters())
    )
    with torch.no_grad():
        for parameter, slope in zip(model.generator.parameters(), slopes, strict=True):
            parameter -= 1e-2 * slope
    assert model.logits(model.sample(64, seed=7)).mean() > before


def test_fit_writes_a_column_for_each_player_and_trains_both(images):
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = fit(model, images, num_epochs=2, batch_size=32, validation=images[:10])
    assert {"discriminator_loss", "generator_loss"} <= set(history.rows[0])
    assert {"validation_discriminator_loss", "validation_generator_loss"} <= set(history.rows[0])
    assert "loss" not in history.rows[0]
    assert all(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_resumed_game_is_the_uninterrupted_one_bit_for_bit(images, tmp_path):
    whole, halves = small(spectral_norm=True), small(spectral_norm=True)
    fit(whole, images, num_epochs=4, batch_size=32)
    path = tmp_path / "run.pt"
    fit(halves, images, num_epochs=2, batch_size=32, checkpoint=path)
    fit(halves, images, num_epochs=4, batch_size=32, checkpoint=path, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[name]), name


def test_a_gan_learns_where_the_pictures_are():
    """Pictures of one brightness, uniform in [0.2, 0.6]: mean 0.4, sd 0.115.

    Over five seeds: means 0.388 to 0.410, deviations 0.118 to 0.126, and 0.01 of the variance
    between pictures within one. With pixels drawn apart it would be 16 times, untrained 8 to 101.
    """
    torch.manual_seed(0)
    images = (0.2 + 0.4 * torch.rand(500, 1, 1, 1)).expand(-1, *SHAPE).contiguous()
    network = MLP((128,), "leaky relu")
    model = GAN(SHAPE, 2, network=network, gradient_penalty=0.1, betas=(0.0, 0.99))
    fit(model, images, num_epochs=60, batch_size=50, lr=4e-3, callbacks=[WeightAverage()])
    pixels = model.sample(2000, seed=1)
    assert float(pixels.mean()) == pytest.approx(0.4, abs=0.03)
    assert float(pixels.mean((1, 2, 3)).std()) == pytest.approx(0.115, abs=0.03)
    within, between = pixels.flatten(1).var(1).mean(), pixels.mean((1, 2, 3)).var()
    assert float(within) < 0.1 * float(between)


def test_noise_comes_from_the_prior_and_follows_the_seed():
    uniform = Independent(Uniform(-torch.ones(2), torch.ones(2)), 1)
    model = small(prior=uniform)
    assert model.prior is uniform
    assert torch.equal(model.sample(3, seed=1), model.sample(3, seed=1))
    assert not torch.equal(model.sample(3, seed=1), small().sample(3, seed=1))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="loss is 'wasserstein'"):
        small(loss="wasserstein")
    with pytest.raises(ValueError, match="gradient_penalty is -1"):
        small(gradient_penalty=-1)
    with pytest.raises(ValueError, match="prior is over events of shape"):
        small(prior=Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="codes"):
        small().decode(torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        small().discriminator_loss(torch.full((3, *SHAPE), 2.0))


def test_a_gan_has_no_reconstruction() -> None:
    """Who asks for it by ``hasattr``, as chapter 12 does, is told so."""
    for method in ("encode", "encode_all", "reconstruct", "elbo"):
        assert not hasattr(GAN, method)
    assert hasattr(GAN, "sample")


def test_a_gan_is_by_default_as_is_customary():
    """Adam's first decay rate of a half (Radford et al. 2016), equal rates, no regularisation."""
    model = small()
    for player in model.players():
        assert player.betas == (0.5, 0.99)
        assert player.lr_factor == 1
    assert not any(hasattr(layer, "parametrizations") for layer in model.modules())
    settings = small(betas=(0.1, 0.2), discriminator_lr=3.0).players()
    assert [player.betas for player in settings] == [(0.1, 0.2)] * 2
    assert [player.lr_factor for player in settings] == [3.0, 1.0]


def test_without_a_penalty_the_discriminators_loss_is_that_of_its_logits(images):
    model = small()
    torch.manual_seed(5)
    found = model.discriminator_loss(images)
    torch.manual_seed(5)
    generated = model.decode(model.prior.sample((len(images),))).detach()
    expected = discriminator_loss(model.logits(images), model.logits(generated))
    torch.testing.assert_close(found, expected)
