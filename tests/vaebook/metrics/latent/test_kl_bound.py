"""The bound on Gaussians whose divergence is known: below it, near it, and negative at the null."""

from functools import partial

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vaebook.distributions import fit_gaussian, fit_mixture, standard_normal
from vaebook.metrics import kl_lower_bound
from vaebook.training import seeded

PRIOR = standard_normal(4)


def drawn(q: torch.distributions.Distribution, n: int, seed: int = 0) -> torch.Tensor:
    with seeded(seed, "codes"):
        return q.sample((n,))


def gaussian(mean: float, std: float) -> Independent:
    return Independent(Normal(torch.full((4,), mean), torch.full((4,), std)), 1)


@pytest.mark.parametrize(("mean", "std"), [(0.5, 1.0), (0.0, 0.7), (1.0, 0.5)])
def test_it_comes_near_the_divergence_from_below(mean: float, std: float) -> None:
    q = gaussian(mean, std)
    truth = float(kl_divergence(q, gaussian(0, 1)))
    found = kl_lower_bound(drawn(q, 20_000), PRIOR, fit_density=fit_gaussian)
    assert truth - 0.05 < found.nats < truth + 4 * found.standard_error
    # the known density in place of a fitted one: the mean of the very log-ratio
    exact = kl_lower_bound(drawn(q, 20_000), PRIOR, fit_density=lambda codes: q)
    assert abs(exact.nats - truth) < 4 * exact.standard_error


def test_codes_of_the_prior_have_a_bound_at_or_below_nothing() -> None:
    """The null: what the fit loses, and never anything that is not there."""
    for fit_density in (fit_gaussian, partial(fit_mixture, num_components=10)):
        found = [
            kl_lower_bound(drawn(PRIOR, 2000, seed), PRIOR, fit_density=fit_density)
            for seed in range(20)
        ]
        mean = sum(each.nats for each in found) / 20
        assert -0.3 < mean < 0
        assert max(each.nats - 3 * each.standard_error for each in found) < 0


def test_a_shape_that_no_marginal_shows_is_found() -> None:
    """Two clumps on a diagonal, each dimension alone a mixture whose mean and variance are 0, 1."""
    with seeded(1, "codes"):
        side = torch.randint(0, 2, (4000, 1)) * 2.0 - 1
        codes = 0.9 * side + (1 - 0.81) ** 0.5 * torch.randn(4000, 4)
    assert kl_lower_bound(codes, PRIOR, fit_density=fit_gaussian).nats > 1
    mixture = kl_lower_bound(codes, PRIOR)
    assert mixture.nats > kl_lower_bound(codes, PRIOR, fit_density=fit_gaussian).nats + 0.5


def test_the_standard_error_is_the_spread_over_draws() -> None:
    q = gaussian(0.5, 1.0)
    found = [
        kl_lower_bound(drawn(q, 400, seed), PRIOR, fit_density=lambda codes: q)
        for seed in range(200)
    ]
    spread = torch.tensor([each.nats for each in found]).std()
    assert found[0].standard_error == pytest.approx(float(spread), rel=0.2)


def test_a_prior_over_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"event shape \(3,\); expected a single one over \(4,\)"):
        kl_lower_bound(drawn(PRIOR, 100), standard_normal(3))


def test_three_codes_are_too_few() -> None:
    with pytest.raises(ValueError, match="4 or more codes"):
        kl_lower_bound(torch.randn(3, 2), standard_normal(2), fit_density=fit_gaussian)
