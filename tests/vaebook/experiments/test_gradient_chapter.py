"""The models that chapter 05 trains: the score-function VAE, the heads, and the bug."""

import pytest
import torch

from vaebook.distributions import gaussian_kl
from vaebook.experiments.ch05_reparameterisation.gradient_training import (
    SampledVAE,
    ScoreFunctionVAE,
)
from vaebook.experiments.ch05_reparameterisation.variance_heads import (
    LOG_VARIANCE,
    SMALLEST_VARIANCE,
    BuggyVAE,
    HeadVAE,
    read_as,
)
from vaebook.models import VAE
from vaebook.training import seeded

SHAPE = (1, 2, 2)


def images(num: int) -> torch.Tensor:
    with seeded(0):
        return torch.rand(num, *SHAPE)


@pytest.mark.parametrize("num_samples", [1, 4])
def test_the_score_function_model_has_the_same_loss_and_the_same_mean_gradient(
    num_samples: int,
) -> None:
    with seeded(1):
        model = ScoreFunctionVAE(SHAPE, 2, num_samples)
        reference = SampledVAE(SHAPE, 2, num_samples)
    reference.load_state_dict(model.state_dict())
    picture = images(1)
    with seeded(2):
        value = model.loss(picture)
    with seeded(2):
        torch.testing.assert_close(value, reference.loss(picture))

    many = picture.expand(2_000, *SHAPE)  # one picture, independent draws
    gradients = {}
    for kind, each in {"score": model, "pathwise": reference}.items():
        with seeded(3):
            parts = torch.stack(
                [
                    torch.autograd.grad(each.loss(many).mean(), each.encoder[-1].bias)[0]
                    for _ in range(30)
                ]
            )
        gradients[kind] = parts.mean(0), parts.std(0) / len(parts) ** 0.5
    difference = gradients["score"][0] - gradients["pathwise"][0]
    error = (gradients["score"][1] ** 2 + gradients["pathwise"][1] ** 2) ** 0.5
    assert (difference / error).abs().max() < 4.5  # standard errors, of four numbers
    assert gradients["pathwise"][0].abs().max() > 0.1, "the test would pass for zero gradients"


@pytest.mark.parametrize("num_samples", [1, 4])
def test_the_score_function_model_trains_its_decoder_like_any_other(num_samples: int) -> None:
    """Of the same codes the gradient is that of −log p(x | z), exactly: no score reaches it."""
    with seeded(1):
        model = ScoreFunctionVAE(SHAPE, 2, num_samples)
    pictures, decoder = images(5), tuple(model.decoder.parameters())
    with seeded(2):
        found = torch.autograd.grad(model.loss(pictures).mean(), decoder)
    with seeded(2), torch.no_grad():
        codes = model.posterior(pictures).sample((num_samples,))
    expected = torch.autograd.grad(-model.likelihood_of(codes).log_prob(pictures).mean(), decoder)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_heads_give_the_deviation_that_their_names_say() -> None:
    s = torch.linspace(-3, 3, 13)
    expected = {
        "log variance": torch.exp(s) ** 0.5,
        "log sigma": torch.exp(s),
        "softplus": torch.log(1 + torch.exp(s)),
        "clipped variance": s.clamp_min(SMALLEST_VARIANCE) ** 0.5,
    }
    for head, std in expected.items():
        torch.testing.assert_close(torch.exp(0.5 * LOG_VARIANCE[head](s)), std)


def test_the_log_variance_head_is_the_plain_vae() -> None:
    with seeded(1):
        ours, plain = HeadVAE(SHAPE, 2, "log variance"), VAE(SHAPE, 2)
        plain.encoder, plain.decoder = ours.encoder, ours.decoder
    picture = images(5)
    with seeded(2):
        first = ours.elbo(picture)
    with seeded(2):
        torch.testing.assert_close(first, plain.elbo(picture))


def test_the_bug_charges_for_other_codes_than_it_draws() -> None:
    with seeded(1):
        model = BuggyVAE(SHAPE, 2)
    picture = images(5)
    honest = read_as(model, "log sigma")
    with seeded(2):
        claimed = model.elbo(picture)
    with seeded(2):
        true = honest.elbo(picture)
    torch.testing.assert_close(claimed.distortion, true.distortion)
    mu, s = model.encoder(picture).chunk(2, -1)
    torch.testing.assert_close(claimed.rate, gaussian_kl(mu, s))
    torch.testing.assert_close(true.rate, gaussian_kl(mu, 2 * s))
    torch.testing.assert_close(claimed.elbo, -(claimed.distortion + claimed.rate))
    assert (claimed.rate < true.rate).all()
