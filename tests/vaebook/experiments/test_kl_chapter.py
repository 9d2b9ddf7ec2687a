"""What chapter 04 adds: KL by quadrature on the line, its experiment, and the change of units."""

import math
from pathlib import Path

import pytest
import torch
from torch.distributions import (
    Categorical,
    Distribution,
    Laplace,
    MixtureSameFamily,
    Normal,
    Uniform,
)

from vaebook._random import seeded
from vaebook.distributions import (
    DiagonalGaussian,
    gaussian_kl,
    gaussian_kl_full,
    gaussian_kl_quadrature,
    monte_carlo_kl,
    quadrature_kl,
)
from vaebook.experiments import load_recorded, results_folder, verdict
from vaebook.experiments.ch04_gaussian_kl import kl_closed_form, kl_monte_carlo
from vaebook.models import MLP, VAE

F64 = torch.float64


def two_bumps() -> MixtureSameFamily:
    weights, means = torch.tensor([0.6, 0.4], dtype=F64), torch.tensor([-2.0, 2.0], dtype=F64)
    return MixtureSameFamily(Categorical(weights), Normal(means, torch.full_like(means, 0.7)))


@pytest.mark.parametrize("mu", [-2.0, 0.0, 0.3])
@pytest.mark.parametrize("log_var", [-4.0, 0.0, 1.5])
def test_quadrature_agrees_with_the_closed_form(mu: float, log_var: float) -> None:
    q = Normal(torch.tensor(mu, dtype=F64), torch.tensor(0.5 * log_var, dtype=F64).exp())
    p = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    value = quadrature_kl(q, p, low=-30, high=30, num_points=8001).item()
    exact = gaussian_kl(torch.tensor([mu], dtype=F64), torch.tensor([log_var], dtype=F64)).item()
    # Trapezoid sums of Gaussians are exact to rounding once the step is well below sigma.
    assert value == pytest.approx(exact, abs=1e-10)
    assert value == pytest.approx(gaussian_kl_quadrature(mu, log_var), abs=1e-8)


def test_batches_and_vectors_of_one_number() -> None:
    mu = torch.tensor([[-1.0], [0.0], [2.0]], dtype=F64)
    log_var = torch.tensor([[-1.0], [0.0], [1.0]], dtype=F64)
    p = DiagonalGaussian(torch.zeros(1, dtype=F64), torch.zeros(1, dtype=F64))
    values = quadrature_kl(DiagonalGaussian(mu, log_var), p, low=-25, high=25)
    assert values.shape == (3,)
    torch.testing.assert_close(values, gaussian_kl(mu, log_var), atol=1e-10, rtol=0)


def test_mixture_agrees_with_monte_carlo() -> None:
    q, p = two_bumps(), Normal(torch.tensor(0.5, dtype=F64), torch.tensor(2.0, dtype=F64))
    with seeded(0):
        sampled = monte_carlo_kl(q, p, 100_000)
    error = (quadrature_kl(q, p, low=-30, high=30) - sampled.estimate).abs()
    assert error < 4 * sampled.standard_error


def test_gradient_reaches_the_parameters() -> None:
    mu = torch.tensor(0.7, dtype=F64, requires_grad=True)
    log_var = torch.tensor(-1.2, dtype=F64, requires_grad=True)
    p = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    quadrature_kl(Normal(mu, (0.5 * log_var).exp()), p, low=-15, high=15).backward()
    assert mu.grad is not None
    assert log_var.grad is not None
    assert mu.grad.item() == pytest.approx(0.7, abs=1e-10)
    assert log_var.grad.item() == pytest.approx((math.exp(-1.2) - 1) / 2, abs=1e-10)


def test_where_q_vanishes_nothing_is_added() -> None:
    # exp(log q) underflows to 0 far out, where log q - log p is a large finite number
    narrow = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(0.05, dtype=F64))
    wide = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    value = quadrature_kl(narrow, wide, low=-30, high=30, num_points=16001)
    assert value.item() == pytest.approx(-math.log(0.05) + (0.05**2 - 1) / 2, abs=1e-10)


def test_kl_is_infinite_where_the_second_vanishes() -> None:
    q = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    p = Uniform(torch.tensor(-1.0, dtype=F64), torch.tensor(1.0, dtype=F64), validate_args=False)
    assert quadrature_kl(q, p, low=-15, high=15).item() == math.inf


def test_kinks_need_more_points_and_the_error_says_so() -> None:
    q = Laplace(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    p = Normal(torch.tensor(0.0, dtype=F64), torch.tensor(1.0, dtype=F64))
    with pytest.raises(ValueError, match="use more points"):
        quadrature_kl(q, p, low=-40, high=40, num_points=2001)
    exact = 0.5 * math.log(2 * math.pi) - math.log(2) - 1 + 1
    value = quadrature_kl(q, p, low=-40, high=40, num_points=80001)
    assert value.item() == pytest.approx(exact, abs=1e-6)


def test_refuses_a_grid_that_misses_mass() -> None:
    q, p = Normal(8.0, 1.0), Normal(0.0, 1.0)
    with pytest.raises(ValueError, match="Widen the interval"):
        quadrature_kl(q, p, low=-9, high=9)


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (Normal(0.0, 1.0), DiagonalGaussian(torch.zeros(1), torch.zeros(1))),
        (DiagonalGaussian(torch.zeros(2), torch.zeros(2)),) * 2,
    ],
)
def test_refuses_other_event_shapes(q: Distribution, p: Distribution) -> None:
    with pytest.raises(ValueError, match="one number each"):
        quadrature_kl(q, p, low=-9, high=9)


def test_refuses_an_empty_interval() -> None:
    with pytest.raises(ValueError, match="low < high"):
        quadrature_kl(Normal(0.0, 1.0), Normal(0.0, 1.0), low=3, high=3)


def test_single_sample_variance_agrees_with_samples() -> None:
    for q in kl_monte_carlo.posteriors().values():
        with seeded(1):
            z = q.rsample((200_000,))
        log_ratio = q.log_prob(z) + 0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
        # The variance of a variance estimate of 200,000 such draws is a few permille.
        predicted = kl_monte_carlo.single_sample_variance(q).item()
        assert log_ratio.var().item() == pytest.approx(predicted, rel=0.03)


def test_experiment_rows() -> None:
    rows = kl_monte_carlo.run(0, num_repeats=20)
    assert len(rows) == 3 * len(kl_monte_carlo.NUM_SAMPLES)
    assert rows == kl_monte_carlo.run(0, num_repeats=20)
    assert rows != kl_monte_carlo.run(1, num_repeats=20)
    for row in rows:
        assert 0.5 < row["rms_error"] / row["predicted_error"] < 1.7
        assert 0.6 <= row["covered"] <= 1


def test_affine_prior_is_a_change_of_units() -> None:
    """A prior N(m, τ²) is N(0, I) between rescaled layers: the same ELBO, image by image."""
    shape, d = (1, 4, 4), 3
    with seeded(0):
        m, log_tau = torch.randn(d), 0.5 * torch.randn(d)
        first = VAE(shape, d, network=MLP((8,)), prior=DiagonalGaussian(m, 2 * log_tau))
        twin = VAE(shape, d, network=MLP((8,)))
        images = torch.rand(5, *shape)
    twin.load_state_dict(first.state_dict())
    tau = log_tau.exp()
    with torch.no_grad():
        out, into = twin.encoder[-1], twin.decoder[0]
        out.weight[:d] /= tau[:, None]
        out.bias[:d] = (out.bias[:d] - m) / tau
        out.bias[d:] -= 2 * log_tau
        into.bias += into.weight @ m
        into.weight *= tau
    with seeded(1), torch.no_grad():
        expected = first.elbo(images)
    with seeded(1), torch.no_grad():
        actual = twin.elbo(images)
    torch.testing.assert_close(actual.rate, expected.rate, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(actual.elbo, expected.elbo, rtol=1e-4, atol=1e-4)


def test_a_correlated_prior_is_no_change_of_units_for_a_diagonal_posterior() -> None:
    """At correlation 0.9 no diagonal q is nearer than 0.83 nats; at N(0, I) one is exact."""
    rho = 0.9
    prior = torch.linalg.cholesky(torch.tensor([[1, rho], [rho, 1]], dtype=F64))
    least = -0.5 * math.log(1 - rho**2)
    assert f"{least:.2f}" == "0.83"
    log_std = torch.linspace(-3, 1, 81, dtype=F64)
    log_stds = torch.cartesian_prod(log_std, log_std)
    zero = torch.zeros(len(log_stds), 2, dtype=F64)
    q = torch.diag_embed(log_stds.exp())
    to_correlated = gaussian_kl_full(zero, q, zero[0], prior)
    to_standard = gaussian_kl_full(zero, q, zero[0], torch.eye(2, dtype=F64))
    assert least - 1e-9 < to_correlated.min() < least + 1e-2
    assert to_standard.min().abs() < 1e-9


def test_five_computations_agree() -> None:
    (row,) = kl_closed_form.run(7, num_posteriors=5, num_samples=20_000, num_pictures=32)
    for gap in ("quadrature_gap", "torch_gap", "line_integral_gap", "gradient_gap", "identity_gap"):
        assert row[gap] < 1e-9, gap
    assert row["monte_carlo_standard_errors"] < 5
    assert row["kl_of_aggregate"] < row["kl_per_picture"]


def test_the_line_integral_needs_no_closed_form_of_ours() -> None:
    mu, log_var = torch.tensor([0.0, 2.0], dtype=F64), torch.tensor([-3.0, 1.0], dtype=F64)
    expected = torch.tensor([(math.exp(-3) + 2) / 2, (4 + math.e - 2) / 2], dtype=F64)
    torch.testing.assert_close(kl_closed_form.line_integral_kl(mu, log_var), expected)


def test_the_verdict_follows_the_record(tmp_path: Path) -> None:
    assert verdict("C1").outcome == "holds"
    record = load_recorded("kl_closed_form", results_folder())
    record.loc[2, "torch_gap"] = 0.01
    record.to_csv(tmp_path / "kl_closed_form.csv", index=False)
    assert verdict("C1", tmp_path).outcome == "does not hold"
