"""KL divergences: five independent ways must agree, and the laws that any KL obeys must hold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from scipy.integrate import quad
from torch.distributions import (
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    StudentT,
    kl_divergence,
)

from tests.properties import a_few, lower_triangular, normal, seeds
from vaebook.distributions import (
    DiagonalGaussian,
    gaussian_kl,
    gaussian_kl_diagonal,
    gaussian_kl_full,
    gaussian_kl_quadrature,
    kl,
    monte_carlo_kl,
    standard_normal,
)
from vaebook.training import seeded

# double precision: the expressions differ in order only
close = torch.testing.assert_close


def independent(mu: torch.Tensor, log_var: torch.Tensor) -> Independent:
    return Independent(Normal(mu, torch.sqrt(torch.exp(log_var))), 1)


def test_the_closed_form_is_that_of_torch() -> None:
    mu, log_var = normal(0, 7, 4, spread=2.0), normal(1, 7, 4, spread=2.0)
    prior = independent(torch.zeros(4).double(), torch.zeros(4).double())
    ours = gaussian_kl(mu, log_var)
    assert ours.shape == (7,), "summed over dimensions, one value per example"
    close(ours, kl_divergence(independent(mu, log_var), prior))


def test_the_closed_form_in_numpy() -> None:
    mu, log_var = normal(0, 7, 4), normal(1, 7, 4)
    m, v = mu.numpy(), np.exp(log_var.numpy())
    np.testing.assert_allclose(gaussian_kl(mu, log_var), ((m**2 + v - 1 - np.log(v)) / 2).sum(1))


@pytest.mark.parametrize(
    ("mu", "log_var"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-2.5, -4.0), (0.3, 3.0), (6.0, -8.0)]
)
def test_the_closed_form_is_the_integral(mu: float, log_var: float) -> None:
    closed = float(gaussian_kl(torch.tensor([mu]).double(), torch.tensor([log_var]).double()))
    # quad's absolute error is about 1e-8
    assert gaussian_kl_quadrature(mu, log_var) == pytest.approx(closed, abs=1e-6)
    # the same integral with SciPy's densities only
    q, p = stats.norm(mu, np.exp(log_var / 2)), stats.norm(0, 1)
    ends = (mu - 12 * q.std(), mu + 12 * q.std())
    value, _ = quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), *ends, points=[mu])
    assert value == pytest.approx(closed, abs=1e-6)


def test_it_vanishes_at_the_prior_only_and_its_gradient_there_too() -> None:
    mu = torch.zeros(3, requires_grad=True)
    log_var = torch.zeros(3, requires_grad=True)
    value = gaussian_kl(mu, log_var)
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(mu.grad, torch.zeros(3))
    assert torch.equal(log_var.grad, torch.zeros(3))
    assert gaussian_kl(torch.tensor([1e-3]), torch.tensor([0.0])) > 0
    assert gaussian_kl(torch.tensor([0.0]), torch.tensor([1e-3])) > 0


def test_gradients_are_those_derived_in_the_book() -> None:
    """∂KL/∂μ = μ and ∂KL/∂log σ² = (σ² − 1) / 2; finite differences agree."""
    mu, log_var = normal(0, 5, 3).requires_grad_(), normal(1, 5, 3).requires_grad_()
    grad_mu, grad_log_var = torch.autograd.grad(gaussian_kl(mu, log_var).sum(), (mu, log_var))
    close(grad_mu, mu.detach())
    close(grad_log_var, (log_var.detach().exp() - 1) / 2)
    assert torch.autograd.gradcheck(gaussian_kl, (mu, log_var))


def test_no_digits_are_lost_near_the_prior() -> None:
    """In single precision e^s − 1 − s would be pure rounding at s = 1e-3 (true value 5.0e-7)."""
    small = torch.tensor([1e-3])
    exact = gaussian_kl(torch.zeros(1).double(), small.double())
    # expm1(s) − s keeps 7 − 3 digits: 2e-4 relative; exp(s) − 1 − s would be off by 10 % and more
    assert float(gaussian_kl(torch.zeros(1), small)) == pytest.approx(float(exact), rel=1e-3)


def test_any_diagonal_prior_agrees_with_torch() -> None:
    mu, log_var, prior_mu, prior_log_var = (normal(seed, 7, 4) for seed in range(4))
    close(
        gaussian_kl_diagonal(mu, log_var, prior_mu, prior_log_var),
        kl_divergence(independent(mu, log_var), independent(prior_mu, prior_log_var)),
    )
    one = gaussian_kl_diagonal(mu, log_var, prior_mu[0], prior_log_var[0])
    assert one.shape == (7,), "one prior serves the whole batch"
    close(one[0], gaussian_kl_diagonal(mu, log_var, prior_mu, prior_log_var)[0])


def test_full_covariances_agree_with_torch() -> None:
    mu, prior_mu = normal(0, 7, 3), normal(1, 3)
    factor, prior_factor = lower_triangular(2, 7, d=3), lower_triangular(3, d=3)
    ours = gaussian_kl_full(mu, factor, prior_mu, prior_factor)
    assert ours.shape == (7,)
    close(
        ours,
        kl_divergence(
            MultivariateNormal(mu, scale_tril=factor),
            MultivariateNormal(prior_mu, scale_tril=prior_factor),
        ),
    )


def test_full_covariances_in_numpy() -> None:
    """½ (tr S⁻¹Σ + (m − μ)ᵀ S⁻¹ (m − μ) − d + log |S| / |Σ|), with explicit inverses."""
    mu, prior_mu = normal(0, 3).numpy(), normal(1, 3).numpy()
    factor, prior_factor = lower_triangular(2, d=3), lower_triangular(3, d=3)
    covariance = (factor @ factor.T).numpy()
    prior_covariance = (prior_factor @ prior_factor.T).numpy()
    inverse = np.linalg.inv(prior_covariance)
    shift = prior_mu - mu
    expected = 0.5 * (
        np.trace(inverse @ covariance)
        + shift @ inverse @ shift
        - 3
        + np.log(np.linalg.det(prior_covariance) / np.linalg.det(covariance))
    )
    ours = gaussian_kl_full(torch.from_numpy(mu), factor, torch.from_numpy(prior_mu), prior_factor)
    assert float(ours) == pytest.approx(expected, rel=1e-10)


@a_few
@given(seeds)
def test_it_is_never_negative_and_adds_up_over_dimensions(seed: int) -> None:
    mu, log_var = normal(seed, 6, spread=3.0), normal(seed + 1, 6, spread=3.0)
    prior_mu, prior_log_var = normal(seed + 2, 6), normal(seed + 3, 6)
    assert (gaussian_kl(mu[:, None], log_var[:, None]) >= 0).all()
    whole = gaussian_kl_diagonal(mu, log_var, prior_mu, prior_log_var)
    assert whole >= 0
    parts = gaussian_kl_diagonal(
        mu[:, None], log_var[:, None], prior_mu[:, None], prior_log_var[:, None]
    )
    close(whole, parts.sum())
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    close(gaussian_kl(mu[order], log_var[order]), gaussian_kl(mu, log_var))


@a_few
@given(seeds)
def test_full_covariances_contain_the_diagonal_case(seed: int) -> None:
    mu, log_var, prior_mu, prior_log_var = (normal(seed + i, 5, 3) for i in range(4))
    full = gaussian_kl_full(
        mu,
        torch.diag_embed(torch.exp(log_var / 2)),
        prior_mu,
        torch.diag_embed(torch.exp(prior_log_var / 2)),
    )
    assert (full >= 0).all()
    close(full, gaussian_kl_diagonal(mu, log_var, prior_mu, prior_log_var))


@a_few
@given(seeds)
def test_a_change_of_units_changes_nothing(seed: int) -> None:
    """z = A u + b, applied to both Gaussians, leaves KL alone: 0 and 1 are only units."""
    mu, prior_mu, shift = (normal(seed + i, 3) for i in range(3))
    factor, prior_factor = lower_triangular(seed + 3, d=3), lower_triangular(seed + 4, d=3)
    matrix = lower_triangular(seed + 5, d=3) @ lower_triangular(seed + 6, d=3).T

    def moved(m: torch.Tensor, lower: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        root = matrix @ lower
        return matrix @ m + shift, torch.linalg.cholesky(root @ root.T)

    # the Cholesky factor of a product loses digits when the matrix is badly conditioned
    torch.testing.assert_close(
        gaussian_kl_full(*moved(mu, factor), *moved(prior_mu, prior_factor)),
        gaussian_kl_full(mu, factor, prior_mu, prior_factor),
        rtol=1e-6,
        atol=1e-8,
    )


@a_few
@given(seeds)
def test_a_shift_and_a_scale_change_nothing(seed: int) -> None:
    mu, log_var, prior_mu, prior_log_var = (normal(seed + i, 4) for i in range(4))
    shift, log_scale = normal(seed + 4, 4), normal(seed + 5, 4)
    scale = log_scale.exp()
    close(
        gaussian_kl_diagonal(
            shift + scale * mu,
            log_var + 2 * log_scale,
            shift + scale * prior_mu,
            prior_log_var + 2 * log_scale,
        ),
        gaussian_kl_diagonal(mu, log_var, prior_mu, prior_log_var),
    )


@pytest.mark.parametrize("first", ["diagonal", "full"])
@pytest.mark.parametrize("second", ["diagonal", "full"])
def test_torchs_kl_divergence_knows_our_gaussians(first: str, second: str) -> None:
    def gaussian(kind: str, seed: int, *batch: int):
        mu, log_var = normal(seed, *batch, 3), normal(seed + 1, *batch, 3)
        full = MultivariateNormal(mu, torch.diag_embed(torch.exp(log_var)))
        if kind == "diagonal":
            return DiagonalGaussian(mu, log_var), full
        full = MultivariateNormal(mu, scale_tril=lower_triangular(seed, *batch, d=3))
        return full, full

    (q, q_reference), (p, p_reference) = gaussian(first, 0, 5), gaussian(second, 10)
    expected = kl_divergence(q_reference, p_reference)
    assert expected.shape == (5,)
    close(kl(q, p), expected)
    close(kl_divergence(q, p), expected)


def test_an_unknown_pair_says_what_to_do() -> None:
    prior = Independent(StudentT(3.0, torch.zeros(2)), 1)
    with pytest.raises(ValueError, match="no closed-form KL from DiagonalGaussian to Independent"):
        kl(standard_normal(2), prior)


def test_monte_carlo_finds_the_closed_form() -> None:
    mu, log_var = normal(0, 5, 3), normal(1, 5, 3)
    q, p = DiagonalGaussian(mu, log_var), standard_normal(3)
    with seeded(0):
        found = monte_carlo_kl(q, p, 10_000)
    assert found.estimate.shape == found.standard_error.shape == (5,)
    # five values within four standard errors each
    assert ((found.estimate - gaussian_kl(mu, log_var)).abs() < 4 * found.standard_error).all()


def test_the_standard_error_says_how_far_off_it_is() -> None:
    """Over many repetitions (estimate − truth) / standard error is close to N(0, 1)."""
    mu, log_var = torch.full((400, 1), 0.8).double(), torch.full((400, 1), -0.5).double()
    with seeded(0):
        found = monte_carlo_kl(DiagonalGaussian(mu, log_var), standard_normal(1), 400)
    scores = (found.estimate - gaussian_kl(mu, log_var)) / found.standard_error
    # 400 scores: their mean has standard error 0.05, their deviation 0.035
    assert abs(float(scores.mean())) < 0.2
    assert float(scores.std()) == pytest.approx(1.0, abs=0.15)


def test_the_error_falls_as_one_over_the_root_of_the_samples() -> None:
    q, p = DiagonalGaussian(torch.ones(300, 1), torch.zeros(300, 1)), standard_normal(1)
    errors = []
    sizes = [20, 200, 2000]
    with seeded(0):
        for num_samples in sizes:
            estimate = monte_carlo_kl(q, p, num_samples).estimate
            errors.append(float(((estimate - 0.5) ** 2).mean().sqrt()))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # the root mean square of 300 errors is good to 4 %, the slope over two decades to 0.015
    assert slope == pytest.approx(-0.5, abs=0.05)


def test_monte_carlo_needs_no_closed_form() -> None:
    """KL(N(0.5, 0.8²) ‖ Laplace(0, 1)) by quadrature as truth; then a q that has no rsample."""
    q, p = stats.norm(0.5, 0.8), stats.laplace()
    truth, _ = quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -9, 9, points=[0.0, 0.5])
    laplace = Independent(Laplace(torch.zeros(1), torch.ones(1)), 1)
    gaussian = DiagonalGaussian(torch.tensor([0.5]), 2 * torch.tensor([0.8]).log())
    with seeded(0):
        found = monte_carlo_kl(gaussian, laplace, 20_000)
        assert abs(float(found.estimate) - truth) < 4 * float(found.standard_error)

        coin = torch.distributions.Bernoulli(torch.tensor(0.3))
        fair = torch.distributions.Bernoulli(torch.tensor(0.5))
        found = monte_carlo_kl(coin, fair, 20_000)
    truth = 0.3 * np.log(0.3 / 0.5) + 0.7 * np.log(0.7 / 0.5)
    assert abs(float(found.estimate) - truth) < 4 * float(found.standard_error)


def test_monte_carlo_carries_gradients() -> None:
    """The mean over samples of d/dμ (log q(z) − log p(z)) goes to dKL/dμ = μ."""
    mu = torch.tensor([0.6], dtype=torch.float64, requires_grad=True)
    q = DiagonalGaussian(mu, torch.tensor([-0.4], dtype=torch.float64))
    with seeded(0):
        monte_carlo_kl(q, standard_normal(1), 50_000).estimate.backward()
    # dz/dμ = 1, so each sample gives z: standard error 0.82 / √50000 = 0.004
    assert float(mu.grad) == pytest.approx(0.6, abs=0.015)


def test_wrong_input_says_what_to_do() -> None:
    good, vector = torch.zeros(4, 3), torch.zeros(3)
    with pytest.raises(ValueError, match=r"mu \(4, 3\), log_var \(3,\)"):
        gaussian_kl(good, vector)
    with pytest.raises(ValueError, match=r"mu \(4, 3\), log_var \(3,\)"):
        gaussian_kl_diagonal(good, vector, vector, vector)
    with pytest.raises(ValueError, match=r"prior_mu \(3,\), prior_log_var \(4, 3\)"):
        gaussian_kl_diagonal(good, good, vector, good)
    with pytest.raises(ValueError, match=r"scale_tril has shape \(3,\).*cholesky"):
        gaussian_kl_full(good, vector, vector, torch.eye(3))
    with pytest.raises(ValueError, match=r"prior_scale_tril has shape \(2, 2\)"):
        gaussian_kl_full(good, torch.eye(3), vector, torch.eye(2))
    for bad in (1, 0, 2.5, True):
        with pytest.raises(ValueError, match=f"num_samples is {bad}"):
            monte_carlo_kl(standard_normal(2), standard_normal(2), bad)


def test_heavy_tails_need_no_special_case() -> None:
    """A Student t prior, with its truth by quadrature."""
    prior = Independent(StudentT(3.0, torch.zeros(1), torch.ones(1)), 1)
    q, p = stats.norm(), stats.t(3)
    truth, _ = quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -9, 9)
    with seeded(0):
        found = monte_carlo_kl(standard_normal(1), prior, 20_000)
    assert abs(float(found.estimate) - truth) < 4 * float(found.standard_error)


def test_one_number_is_not_compared_with_three() -> None:
    """Samples of one number would be broadcast over the densities of three."""
    one = Independent(Normal(torch.zeros(1), torch.ones(1)), 1)
    three = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    for q, p in ((one, three), (three, one)):
        for divergence in (kl, lambda q, p: monte_carlo_kl(q, p, 10)):
            with pytest.raises(ValueError, match="expected the same for both"):
                divergence(q, p)


@pytest.mark.parametrize("size", [2, 4])
def test_gaussians_over_fewer_or_more_numbers_are_refused(size: int) -> None:
    mu, eye = torch.zeros(5, 3), torch.eye(3)
    other, other_eye = torch.zeros(5, size), torch.eye(size)
    message = f"over 3 numbers, the second over {size}; expected as many in both"
    with pytest.raises(ValueError, match=message):
        gaussian_kl_diagonal(mu, mu, other, other)
    with pytest.raises(ValueError, match=message):
        gaussian_kl_full(mu, eye, other, other_eye)
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(4, 3\); expected batches of one shape"):
        gaussian_kl_diagonal(mu, mu, mu[:4], mu[:4])
    for name, factors in (("scale_tril", (mu, other_eye, mu, eye)),
                        ("prior_scale_tril", (mu, eye, mu, other_eye))):  # fmt: skip
        with pytest.raises(ValueError, match=rf"^{name} has shape \({size}, {size}\)"):
            gaussian_kl_full(*factors)
    with pytest.raises(ValueError, match="for a mean of"):
        gaussian_kl_full(torch.tensor(0.0), eye, mu, eye)


def test_the_quadrature_reaches_far_enough() -> None:
    """Narrow, wide and far from 0, where a short interval would miss a part."""
    for mu, log_var in ((0.0, 6.0), (30.0, -9.0), (-3.0, 2.0)):
        exact = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var)
        assert gaussian_kl_quadrature(mu, log_var) == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_the_standard_error_is_the_spread_over_the_root_of_the_samples() -> None:
    q, p = DiagonalGaussian(torch.ones(1).double(), torch.zeros(1).double()), standard_normal(1)
    with seeded(2):
        found = monte_carlo_kl(q, p, 50)
    with seeded(2):
        z = q.rsample((50,))
    ratio = (stats.norm(1, 1).logpdf(z) - stats.norm(0, 1).logpdf(z))[:, 0]
    assert found.estimate.item() == pytest.approx(ratio.mean())
    assert found.standard_error.item() == pytest.approx(ratio.std(ddof=1) / 50**0.5)


def test_batches_may_have_several_dimensions() -> None:
    """Codes of several models, say: each divergence is its own."""
    mu, log_var, prior_mu, prior_log_var = (normal(seed, 2, 4, 3) for seed in range(4))
    factor, prior_factor = lower_triangular(4, 2, 4, d=3), lower_triangular(5, 2, 4, d=3)
    for function, arguments in (
        (gaussian_kl, (mu, log_var)),
        (gaussian_kl_diagonal, (mu, log_var, prior_mu, prior_log_var)),
        (gaussian_kl_full, (mu, factor, prior_mu, prior_factor)),
    ):
        found = function(*arguments)
        assert found.shape == (2, 4)
        for i in range(2):
            for j in range(4):
                close(found[i, j], function(*(argument[i, j] for argument in arguments)))
    q = DiagonalGaussian(mu, log_var)
    z = normal(6, 5, 2, 4, 3)
    close(q.log_prob(z)[3, 1], DiagonalGaussian(mu[1], log_var[1]).log_prob(z[3, 1]))
    close(q.entropy()[1], DiagonalGaussian(mu[1], log_var[1]).entropy())


def test_batches_that_do_not_fit_are_refused() -> None:
    mu, factors = torch.zeros(5, 3), torch.eye(3).repeat(4, 1, 1)
    with pytest.raises(ValueError, match=r"scale_tril has the batch \(4,\) for means of .*\(5,\)"):
        gaussian_kl_full(mu, factors, mu, torch.eye(3))
    with pytest.raises(ValueError, match=r"prior_scale_tril has the batch \(4,\) for means of"):
        gaussian_kl_full(mu, torch.eye(3), mu, factors)
    one, five = torch.zeros(3), torch.eye(3).repeat(5, 1, 1)
    with pytest.raises(
        ValueError, match=r"batch \(4,\), prior_scale_tril \(5,\); expected batches"
    ):
        gaussian_kl_full(one, factors, one, five)
    assert gaussian_kl_full(one, factors, one, torch.eye(3)).tolist() == [0, 0, 0, 0]
