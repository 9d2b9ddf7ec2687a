"""The Wasserstein autoencoder: its loss in parts, and what it pushes where."""

import pytest
import torch
from torch.distributions import Independent, Normal, Uniform

from tests.properties import uniform
from vaebook.distributions import GaussianLikelihood, mmd, unit_uniform
from vaebook.models import MLP, Autoencoder, WassersteinAutoencoder
from vaebook.training import fit, load_weights, save_weights, seeded

close = torch.testing.assert_close
SHAPE = (1, 4, 4)


def small(**options) -> WassersteinAutoencoder:
    with seeded(0):
        return WassersteinAutoencoder(
            SHAPE, 2, network=MLP((8,), activation="tanh"), likelihood=GaussianLikelihood(0.3),
            **options,
        )  # fmt: skip


def images(seed: int = 0, n: int = 6) -> torch.Tensor:
    return uniform(seed, n, *SHAPE).float()


def test_the_loss_is_the_distortion_plus_the_discrepancy_of_the_batch() -> None:
    model, pictures = small(mmd_weight=7.0), images()
    with seeded(1):
        losses = model.loss(pictures)
    with seeded(1):
        prior = torch.randn(6, 2)
    expected = Autoencoder.loss(model, pictures) + 7 * mmd(model.encode(pictures), prior)
    assert losses.shape == (6,)
    close(losses, expected)


def test_without_the_discrepancy_it_is_the_autoencoder() -> None:
    model, pictures = small(mmd_weight=0.0), images()
    close(model.loss(pictures), Autoencoder.loss(model, pictures))


def test_it_draws_the_codes_to_the_prior() -> None:
    """With nothing to reconstruct, the codes become normal: moments against the start."""
    pictures = images(n=256)
    model = small(mmd_weight=3000.0)
    before = torch.cov(model.encode(pictures).detach().T)
    fit(model, pictures, num_epochs=40, batch_size=128, lr=1e-2, progress=False)
    codes = model.encode(pictures).detach()
    assert before.diagonal().max() < 0.2
    # 256 codes, on which the encoder was trained: moments within a sampling error or two
    close(codes.mean(0), torch.zeros(2), rtol=0, atol=0.25)
    close(torch.cov(codes.T), torch.eye(2), rtol=0, atol=0.35)


def test_samples_are_decoded_codes_of_the_prior() -> None:
    for prior in (None, Independent(Normal(torch.ones(2), torch.ones(2)), 1), unit_uniform(2)):
        model = small(prior=prior)
        with seeded(3):
            codes = model.prior.sample((5,))
        assert torch.equal(model.sample(5, seed=3), model.decode(codes).detach())


def test_a_batch_of_one_has_no_discrepancy() -> None:
    model, picture = small(), images(n=1)
    close(model.loss(picture), Autoencoder.loss(model, picture))
    fit(model, images(n=5), num_epochs=1, batch_size=4, progress=False)


def test_its_weights_are_saved(tmp_path) -> None:
    model = small()
    save_weights(model, tmp_path / "weights.safetensors")
    again = small()
    for parameter in again.parameters():
        parameter.data.zero_()
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(Autoencoder(SHAPE, 2, network=MLP((9,))), tmp_path / "weights.safetensors")
    load_weights(again, tmp_path / "weights.safetensors")
    close(again.encode(images()), model.encode(images()))


def test_wrong_settings_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="mmd_weight is -1"):
        small(mmd_weight=-1)
    with pytest.raises(ValueError, match=r"events of shape \(\); expected \(2,\)"):
        small(prior=Uniform(torch.zeros(2), torch.ones(2)))
    with pytest.raises(ValueError, match="num_images is 0"):
        small().sample(0)


def test_the_discrepancy_weighs_a_thousand_nats_by_default() -> None:
    """With the inverse multiquadratic at its bandwidths, as in the paper's algorithm 2."""
    model, pictures = small(), images()
    with seeded(1):
        losses = model.loss(pictures)
    with seeded(1):
        prior = torch.randn(6, 2)
    discrepancy = mmd(model.encode(pictures), prior, kernel="imq")
    close(
        losses - Autoencoder.loss(model, pictures),
        (1000 * discrepancy).expand(6),
        atol=1e-2,
        rtol=1e-4,
    )


def test_two_codes_have_a_discrepancy() -> None:
    model = small()
    with seeded(1):
        found = model.discrepancy(torch.tensor([[0.0, 3.0], [1.0, -2.0]]))
    assert found.abs() > 1e-3
    alone = torch.ones(1, 2, requires_grad=True)
    model.discrepancy(alone).backward()
    assert torch.equal(alone.grad, torch.zeros(1, 2)), "nothing pulls at one code"
