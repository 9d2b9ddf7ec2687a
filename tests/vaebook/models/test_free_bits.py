"""Free bits: the batch mean of the loss, to the digit, and where its gradient stops."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.properties import uniform
from vaebook.distributions import standard_normal, unit_laplace
from vaebook.models import MLP, VAE
from vaebook.training import seeded

close = torch.testing.assert_close
IMAGES = uniform(0, 30, 1, 4, 4)


def model(free_bits: float, beta: float = 1.0) -> VAE:
    with seeded(0):
        found = VAE((1, 4, 4), 3, network=MLP((8,)), beta=beta, free_bits=free_bits).double()
        torch.nn.init.normal_(found.encoder[3].weight, std=1.0)
    return found


def rates(vae: VAE) -> torch.Tensor:
    """KL of every image and dimension by torch, [n, d]."""
    q = vae.posterior(IMAGES)
    return kl_divergence(Normal(q.mean, q.stddev), Normal(0.0, 1.0))


def test_the_batch_mean_is_the_sum_of_maxima() -> None:
    each = rates(model(0.0)).mean(0).detach()
    free = float(each.median())  # between the dimensions: some below, some above
    assert each.min() < free <= each.max()
    for beta in (1.0, 3.0):
        vae = model(free * 1.001, beta)
        with seeded(0):
            loss = vae.loss(IMAGES)
        with seeded(0):
            terms = vae.elbo(IMAGES)
        assert loss.shape == (30,)
        expected = terms.distortion.mean() + beta * each.clamp(min=free * 1.001).sum()
        close(loss.mean(), expected)
        # neither the total nor each image is held up
        assert not torch.allclose(expected, terms.distortion.mean() + beta * each.sum())
        one_by_one = rates(vae).clamp(min=free * 1.001).sum(1).mean()
        assert abs(one_by_one - each.clamp(min=free * 1.001).sum()) > 0.01


def test_the_elbo_stays_the_elbo() -> None:
    with seeded(0):
        with_bits = model(5.0).elbo(IMAGES)
    with seeded(0):
        without = model(0.0).elbo(IMAGES)
    for a, b in zip(with_bits, without, strict=True):
        close(a, b)


def test_nothing_pushes_below_the_free_nats_and_all_above() -> None:
    vae = model(0.0)
    each = rates(vae).mean(0).detach()
    vae.free_bits = float(each.sort().values[:2].mean())  # the lowest dimension is below
    vae.decoder.requires_grad_(False)
    lowest = int(each.argmin())
    rate = vae.free_rate(IMAGES).mean()
    (gradient,) = torch.autograd.grad(rate, vae.encoder[3].bias)
    assert gradient[lowest] == 0
    assert gradient[lowest + 3] == 0
    others = [j for j in range(3) if j != lowest]
    assert (gradient[others] != 0).all()


def test_none_is_the_plain_loss_and_misuse_is_refused() -> None:
    vae = model(0.0)
    with seeded(0):
        loss = vae.loss(IMAGES)
    with seeded(0):
        close(loss, -vae.elbo(IMAGES).elbo)
    with pytest.raises(ValueError, match="free_bits is -1"):
        VAE((1, 4, 4), 3, free_bits=-1)
    with pytest.raises(ValueError, match="free bits need the rate of each dimension"):
        VAE((1, 4, 4), 3, free_bits=1, posterior="full")
    with pytest.raises(ValueError, match="free bits need the rate of each dimension"):
        VAE((1, 4, 4), 3, free_bits=1, prior=unit_laplace(3))
    VAE((1, 4, 4), 3, free_bits=1, prior=standard_normal(3))  # N(0, I) by another name
