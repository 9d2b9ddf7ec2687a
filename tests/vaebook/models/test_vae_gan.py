"""The VAE-GAN: an ELBO with a critic beside it."""

import pytest
import torch
from torch.nn import functional as F

from vaebook.models import MLP, VAE, VAEGAN
from vaebook.models.gan import non_saturating_loss
from vaebook.training import fit

SHAPE = (1, 4, 4)


def small(**settings) -> VAEGAN:
    torch.manual_seed(0)
    return VAEGAN(SHAPE, 2, network=MLP((8,)), **settings)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(64, *SHAPE, generator=torch.Generator().manual_seed(3))


def test_without_the_critic_it_is_the_vae(images):
    model, vae = small(adversarial_weight=0.0, beta=0.5), VAE(SHAPE, 2, network=MLP((8,)), beta=0.5)
    missing = vae.load_state_dict(model.state_dict(), strict=False)
    assert not missing.missing_keys
    torch.manual_seed(1)
    expected = vae.loss(images)
    torch.manual_seed(1)
    assert torch.allclose(model.loss(images), expected, rtol=1e-6)


@pytest.mark.parametrize("judged", ["samples", "reconstructions", "both"])
def test_the_critics_opinion_is_added_with_its_weight(images, judged):
    model, without = small(adversarial_weight=7.0, judged=judged), small(adversarial_weight=0.0)
    torch.manual_seed(1)
    elbo = without.loss(images)
    torch.manual_seed(1)
    difference = model.loss(images) - elbo
    # the same draws again, in the order of the loss: codes of the pictures, then of the samples
    torch.manual_seed(1)
    reconstructions = model.decode(model.posterior(images).rsample())
    num = {"samples": 64, "both": 32, "reconstructions": 0}[judged]
    samples = model.decode(model.prior.sample((num,))) if num else reconstructions[:0]
    made = torch.cat([samples, reconstructions[num:]])
    expected = 7 * non_saturating_loss(model.logits(made))
    # differences of losses near 1000 nats in single precision
    assert torch.allclose(difference, expected, atol=1e-3)


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_the_critic_pays_for_its_slope_only_if_asked(images, penalty):
    model = small(gradient_penalty=penalty) if penalty else small()
    torch.manual_seed(1)
    found = model.discriminator_loss(images)
    torch.manual_seed(1)
    reconstructions = model.decode(model.posterior(images).rsample())
    samples = model.decode(model.prior.sample((32,)))
    made = torch.cat([samples, reconstructions[32:]])
    expected = F.softplus(-model.logits(images)) + F.softplus(model.logits(made))
    real = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.logits(real).sum(), real)
    torch.testing.assert_close(found, expected + penalty * slope.square().sum((1, 2, 3)) / 2)


def test_each_player_moves_its_own_weights_only(images):
    model = small(gradient_penalty=0.1)
    judge = set(model.discriminator.parameters())
    for player, moves in zip(
        model.players(), (judge, set(model.parameters()) - judge), strict=True
    ):
        assert set(player.parameters) == moves
        model.zero_grad()
        player.loss(images).mean().backward(inputs=list(player.parameters))
        assert all((p.grad is not None) == (p in moves) for p in model.parameters())


def test_fit_trains_both_and_the_elbo_still_reports(images):
    model = small()
    history = fit(model, images, num_epochs=30, batch_size=32, lr=3e-3)
    assert {"discriminator_loss", "autoencoder_loss"} <= set(history.rows[0])
    assert history.rows[-1]["autoencoder_loss"] < history.rows[0]["autoencoder_loss"]
    terms = model.elbo(images)
    assert torch.allclose(terms.elbo, -(terms.distortion + terms.rate))


def test_a_loud_critic_raises_the_distortion(images):
    """What latent diffusion's autoencoders show when the discriminator is switched on."""
    distortion = {}
    for weight in (0.0, 1000.0):
        model = small(adversarial_weight=weight, judged="reconstructions")
        fit(model, images, num_epochs=40, batch_size=32, lr=3e-3)
        torch.manual_seed(2)
        distortion[weight] = float(model.elbo(images, num_samples=20).distortion.mean().detach())
    assert distortion[1000.0] > distortion[0.0] + 1.0


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="adversarial_weight is -1"):
        small(adversarial_weight=-1)
    with pytest.raises(ValueError, match="judged is 'all'"):
        small(judged="all")


def test_by_default_all_terms_count_once_and_players_move_as_in_a_gan(images):
    """The negative ELBO and the critic's opinion, both in nats; Adam forgets quickly."""
    model, vae = small(), VAE(SHAPE, 2, network=MLP((8,)))
    vae.load_state_dict(model.state_dict(), strict=False)
    torch.manual_seed(1)
    terms = vae.elbo(images)
    torch.manual_seed(1)
    reconstructions = model.decode(model.posterior(images).rsample())
    made = torch.cat([model.decode(model.prior.sample((32,))), reconstructions[32:]])
    torch.manual_seed(1)
    found = model.loss(images)
    expected = -terms.elbo + non_saturating_loss(model.logits(made))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-5)
    critic, autoencoder = model.players()
    assert critic.betas == (0.5, 0.99)
    assert autoencoder.betas == (0.9, 0.999)
    assert critic.lr_factor == autoencoder.lr_factor == 1
    assert small(discriminator_lr=0.3, betas=(0.0, 0.9)).players()[0].lr_factor == 0.3
    assert small(betas=(0.0, 0.9)).players()[0].betas == (0.0, 0.9)


def test_one_picture_is_judged_as_its_reconstruction(images):
    """Half of one is none: with 'both' there are no samples beside it."""
    model = small()
    torch.manual_seed(1)
    found = model.discriminator_loss(images[:1])
    torch.manual_seed(1)
    made = model.decode(model.posterior(images[:1]).sample())
    expected = F.softplus(-model.logits(images[:1])) + F.softplus(model.logits(made))
    torch.testing.assert_close(found, expected)
