"""The conditional VAE: its bound against exact evidence, its wiring, its packed pictures."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vaebook.distributions import GaussianLikelihood, LearnedGaussianLikelihood
from vaebook.models import MLP, ConditionalVAE
from vaebook.training import fit, seeded

close = torch.testing.assert_close
SHAPE = (1, 2, 3)


def small(**settings: object) -> ConditionalVAE:
    options = {"condition_dim": 4, "network": MLP((8,), "tanh")} | settings
    with seeded(0):
        return ConditionalVAE(SHAPE, 2, **options).double()  # type: ignore[arg-type]


def some(num: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    with seeded(seed):
        return torch.rand(num, *SHAPE).double(), torch.rand(num, 4).double()


@pytest.mark.parametrize("prior", ["fixed", "learned"])
def test_the_bound_in_other_code(prior: str) -> None:
    model, (images, conditions) = small(prior=prior), some()
    with seeded(1):
        terms = model.elbo(images, conditions, num_samples=3)
    posterior = model.posterior(images, conditions)
    with seeded(1):
        codes = posterior.rsample((3,))
    told = torch.cat([codes, conditions.expand(3, -1, -1)], -1)
    means = torch.sigmoid(torch.stack([model.decoder(part) for part in told]))
    log_p = torch.distributions.Normal(means, 0.1).log_prob(images).sum((2, 3, 4))
    close(terms.distortion, -log_p.mean(0))
    as_torch = torch.distributions.Independent(
        torch.distributions.Normal(posterior.mu, posterior.std), 1
    )
    prior_of = model.prior(conditions)
    other = torch.distributions.Independent(
        torch.distributions.Normal(prior_of.mu, prior_of.std), 1
    )
    close(terms.rate, kl_divergence(as_torch, other))
    close(terms.elbo, -(terms.distortion + terms.rate))
    assert terms.elbo.shape == (5,)


def linear(prior: str = "learned") -> ConditionalVAE:
    """x = W z + V c + b with noise, z ~ N(m(c), s²(c)): everything has a closed form."""
    with seeded(3):
        model = ConditionalVAE(
            SHAPE,
            2,
            condition_dim=4,
            network=MLP(()),
            likelihood=LearnedGaussianLikelihood(0.5, mean="identity"),
            prior=prior,  # type: ignore[arg-type]
        ).double()
    return model


@pytest.mark.parametrize("prior", ["fixed", "learned"])
def test_the_bound_lies_below_the_exact_log_p_of_x_given_c(prior: str) -> None:
    model, (images, conditions) = linear(prior), some()
    layer = model.decoder[0]
    weights, shift = layer.weight[:, :2], layer.weight[:, 2:]
    prior_of = model.prior(conditions)
    mean = prior_of.mu @ weights.T + conditions @ shift.T + layer.bias
    spread = torch.einsum("dj,nj,ej->nde", weights, prior_of.variance, weights)
    covariance = spread + 0.25 * torch.eye(6).double()
    exact = MultivariateNormal(mean, covariance).log_prob(images.flatten(1))
    with seeded(0):
        terms = model.elbo(images, conditions, num_samples=20_000)
    assert (terms.elbo < exact).all()
    # with the true posterior as proposal every weight is p(x | c): the bound's missing part
    precision = torch.diag_embed(1 / prior_of.variance) + weights.T @ weights / 0.25
    rest = images.flatten(1) - conditions @ shift.T - layer.bias
    pull = prior_of.mu / prior_of.variance + rest @ weights / 0.25
    truth = MultivariateNormal(
        torch.linalg.solve(precision, pull[..., None])[..., 0], precision_matrix=precision
    )
    posterior = model.posterior(images, conditions)
    as_torch = MultivariateNormal(posterior.mu, torch.diag_embed(posterior.variance))
    # 20,000 codes: noise of the distortion, at most a few hundredths of a nat
    close(exact - terms.elbo, kl_divergence(as_torch, truth), atol=0.2, rtol=0.02)


def test_each_side_sees_what_it_is_told() -> None:
    (images, conditions), (_, others) = some(), some(seed=1)
    for encoder in (True, False):
        for decoder in (True, False):
            model = small(encoder_sees=encoder, decoder_sees=decoder)
            codes = model.posterior(images, conditions).mu
            same_codes = torch.equal(codes, model.posterior(images, others).mu)
            same_pictures = torch.equal(
                model.decode(codes, conditions), model.decode(codes, others)
            )
            assert same_codes == (not encoder)
            assert same_pictures == (not decoder)


def test_the_learned_prior_follows_the_condition() -> None:
    (_, conditions), (_, others) = some(), some(seed=1)
    assert not torch.equal(small(prior="learned").prior(conditions).mu,
                           small(prior="learned").prior(others).mu)  # fmt: skip
    fixed = small().prior(conditions)
    assert (fixed.mu == 0).all()
    assert (fixed.log_var == 0).all()


def test_samples_come_from_the_prior_of_their_condition() -> None:
    model, (_, conditions) = small(prior="learned"), some()
    found = model.sample(conditions, 3, seed=5)
    assert found.shape == (3, 5, *SHAPE)
    with seeded(5):
        codes = model.prior(conditions).sample((3,))
    close(found[1], model.decode(codes[1], conditions).detach())


def test_the_loss_weighs_the_rate() -> None:
    model, (images, conditions) = small(beta=2.0, prior="learned"), some()
    with seeded(0):
        loss = model.loss(images, conditions)
    with seeded(0):
        terms = model.elbo(images, conditions)
    close(loss, terms.distortion + 2.0 * terms.rate)


def test_labels_stand_for_one_hot_rows() -> None:
    model, (images, _) = small(), some()
    labels = torch.tensor([0, 3, 1, 2, 2])
    rows = torch.nn.functional.one_hot(labels, 4)
    for given in (labels, rows, rows.bool(), rows.float()):
        model.check(images, given)
        close(model.posterior(images, given).mu, model.posterior(images, rows.double()).mu)
        close(model.sample(given, 2, seed=1), model.sample(rows.double(), 2, seed=1))


def test_fit_trains_every_part() -> None:
    with seeded(0):
        model = ConditionalVAE(SHAPE, 2, condition_dim=4, network=MLP((8,)), prior="learned")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, conditions = (part.float() for part in some(40))
    history = fit(model, (images, conditions), num_epochs=5, batch_size=10, lr=1e-2)
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    fixed = {"likelihood.log_sigma"}
    after = model.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name not in fixed)


def test_errors() -> None:
    images, conditions = some()
    model = small()
    wrong = {
        "for 5 rows": conditions[:3],
        r"shape \(5, 3\); expected \[n, 4\]": conditions[:, :3],
        r"shape \(5, 1\); expected \[n, 4\]": torch.arange(5)[:, None],
        r"shape \(5,\); expected": conditions[:, 0],
        r"lie in .*expected numbers from 0 to 1": conditions.index_fill(0, torch.tensor([2]), 5.8),
        r"lie in \[nan": conditions * float("nan"),
        r"lie in \[0, 4\]; expected labels from 0 to 3": torch.arange(5),
        "is a list": [[0.0] * 4] * 5,
    }
    for message, given in wrong.items():
        for use in (model.check, model.posterior, model.loss):
            with pytest.raises(ValueError, match=message):
                use(images, given)
    with pytest.raises(ValueError, match="for 2 rows"):
        model.decode(torch.zeros(2, 2).double(), conditions[:1])
    with pytest.raises(ValueError, match="'fixed' or 'learned'"):
        small(prior="other")
    with pytest.raises(ValueError, match="at least 0"):
        small(beta=-1.0)
    with pytest.raises(ValueError, match="image shape"):
        small().posterior(images[:, :, :1], conditions)
    assert isinstance(small().likelihood, GaussianLikelihood)


@pytest.mark.parametrize("prior", ["fixed", "learned"])
def test_the_loss_is_by_default_the_negative_bound_of_one_code(prior: str) -> None:
    model, (images, conditions) = small(prior=prior), some()
    with seeded(2):
        found = model.loss(images, conditions)
    with seeded(2):
        expected = -model.elbo(images, conditions, num_samples=1).elbo
    close(found, expected)


def test_one_sample_for_each_condition_by_default() -> None:
    model, (_, conditions) = small(), some()
    assert model.sample(conditions, seed=1).shape == (1, 5, *SHAPE)


@pytest.mark.parametrize("kind", [torch.uint16, torch.uint32, torch.uint64, torch.uint8])
def test_labels_without_a_sign(kind: torch.dtype) -> None:
    model, (images, _) = small(), some(4)
    labels = torch.tensor([0, 3, 1, 2])
    close(model.encode(images, labels.to(kind)), model.encode(images, labels))


def test_codes_of_one_batch_of_conditions() -> None:
    """Samples first, then rows: each row of codes is told its own condition."""
    model, (_, conditions) = small(), some()
    codes = torch.randn(3, 5, 2).double()
    together = model.likelihood_of(codes, conditions).mean
    for k in range(3):
        close(together[k], model.decode(codes[k], conditions))
    with pytest.raises(ValueError, match="for 5 rows"):
        model.likelihood_of(codes, conditions[:3])
    with pytest.raises(ValueError, match=r"have dtype torch\.complex64"):
        model.prior(conditions.to(torch.complex64))
