"""The rate split in two: against mixtures of torch, quadrature, and cases with known answers."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from tests.properties import normal
from vaebook.distributions import DiagonalGaussian, gaussian_kl, quadrature_kl, standard_normal
from vaebook.metrics import (
    aggregate_log_prob,
    draw_aggregate,
    minibatch_mutual_information,
    split_rate,
)

close = torch.testing.assert_close


def posteriors(n: int, d: int, std: float, *, spread: float = 1.0) -> DiagonalGaussian:
    """Means N(0, spread²), one standard deviation for all."""
    mu = normal(1, n, d, spread=spread)
    return DiagonalGaussian(mu, torch.full_like(mu, 2 * math.log(std)))


def mixture_of_torch(q: DiagonalGaussian) -> MixtureSameFamily:
    weights = Categorical(torch.ones(len(q.mu), dtype=q.mu.dtype))
    return MixtureSameFamily(weights, Independent(Normal(q.mu, q.std), 1))


def test_the_aggregate_is_the_mixture_of_torch_in_every_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    q = posteriors(40, 3, 0.3)
    q = DiagonalGaussian(q.mu, q.log_var + normal(2, 40, 3))
    codes = torch.cat([normal(3, 50, 3), normal(4, 10, 3, spread=50)])  # some far outside
    expected = mixture_of_torch(q).log_prob(codes)
    close(aggregate_log_prob(q, codes), expected)
    monkeypatch.setattr(
        "vaebook.metrics.latent.aggregate._TERMS_AT_ONCE", 700
    )  # five codes at a time
    close(aggregate_log_prob(q, codes), expected)


def test_two_far_pictures_are_told_apart_by_one_bit() -> None:
    """Posteriors at ±10: the index is certain, so I = log 2; the rest is the distance."""
    q = DiagonalGaussian(torch.tensor([[-10.0], [10.0]]).double(), torch.zeros(2, 1).double())
    parts = split_rate(q, num_samples=100)
    assert parts.mutual_information == pytest.approx(math.log(2), abs=1e-9)
    assert parts.rate == pytest.approx(50)
    assert parts.aggregate_kl == pytest.approx(50 - math.log(2), abs=1e-9)


def test_equal_posteriors_tell_nothing() -> None:
    q = DiagonalGaussian(torch.ones(50, 2).double(), torch.zeros(50, 2).double())
    parts = split_rate(q, num_samples=50)
    assert abs(parts.mutual_information) < 1e-12
    assert abs(parts.total_correlation) < 1e-12
    assert parts.rate == pytest.approx(1.0)
    assert parts.aggregate_kl == pytest.approx(1.0)


def test_in_one_dimension_the_distance_is_that_of_quadrature() -> None:
    q = posteriors(5, 1, 0.5, spread=2.0)
    exact = float(quadrature_kl(mixture_of_torch(q), standard_normal(1), low=-12, high=12))
    parts = split_rate(q, num_samples=40_000)
    # five standard errors, of about 0.003 nats
    assert abs(parts.aggregate_kl - exact) < 5 * parts.standard_error
    assert parts.standard_error < 0.005
    assert parts.dimension_kl.item() == pytest.approx(exact, abs=0.03)
    assert abs(parts.total_correlation) < 1e-12


def test_the_parts_add_up_to_the_rate() -> None:
    q = posteriors(300, 4, 0.2)
    parts = split_rate(q, num_samples=20_000)
    assert parts.rate == pytest.approx(float(gaussian_kl(q.mu, q.log_var).mean()))
    assert parts.mutual_information + parts.aggregate_kl == pytest.approx(parts.rate)
    # the split of the distance is a mean over codes, the distance the remainder of an exact rate:
    # they differ by sampling noise, 0.02 nats here
    total = parts.total_correlation + float(parts.dimension_kl.sum())
    assert total == pytest.approx(parts.aggregate_kl, abs=0.1)
    assert parts.total_correlation > 0.5  # 300 codes in four dimensions leave gaps between them


def test_total_correlation_of_two_pictures() -> None:
    """Two far posteriors on a diagonal: either coordinate tells the other, log 2 nats."""
    far = torch.tensor([[-9.0, -9.0], [9.0, 9.0]]).double()
    parts = split_rate(DiagonalGaussian(far, torch.zeros(2, 2).double()), num_samples=50)
    assert parts.total_correlation == pytest.approx(math.log(2), abs=1e-6)


def test_many_pictures_of_a_gaussian_aggregate() -> None:
    """Means N(0, 1 − s²): the aggregate tends to N(0, I), and I to −d log s, from below."""
    d, std = 2, 0.5
    truth = -d * math.log(std)  # 1.39 nats, far below log N
    found = []
    for number in (20, 4000):
        q = posteriors(number, d, std, spread=math.sqrt(1 - std**2))
        found.append(split_rate(q, num_samples=4000).mutual_information)
    assert found[1] == pytest.approx(truth, abs=0.06)  # two standard errors of means and codes
    assert found[0] < found[1]


def test_it_is_at_most_log_n_and_gets_there() -> None:
    q = posteriors(100, 8, 0.01)
    assert split_rate(q).mutual_information == pytest.approx(math.log(100), abs=1e-6)
    assert minibatch_mutual_information(q, batch_size=10) == pytest.approx(math.log(10), abs=1e-6)
    many = posteriors(2000, 8, 0.01)  # few codes, but the mixture is of all pictures
    found = split_rate(many, num_samples=50).mutual_information
    assert found == pytest.approx(math.log(2000), abs=1e-6)


def test_the_minibatch_of_all_is_the_full_mixture_and_a_small_one_is_biased_down() -> None:
    q = posteriors(400, 4, 0.3)
    full = split_rate(q, num_samples=8000).mutual_information
    whole = minibatch_mutual_information(q, batch_size=400, num_batches=20)
    assert whole == pytest.approx(full, abs=0.05)  # both have a standard error of about 0.01
    small = minibatch_mutual_information(q, batch_size=20, num_batches=50)
    assert small < math.log(20) < full - 0.5


def test_float32_and_narrow_posteriors_keep_their_digits() -> None:
    q = posteriors(200, 16, 0.003)
    single = DiagonalGaussian(q.mu.float(), q.log_var.float())
    assert split_rate(single).aggregate_kl == pytest.approx(split_rate(q).aggregate_kl, rel=1e-5)


def test_codes_of_the_aggregate_come_evenly_from_all_pictures() -> None:
    mu = torch.arange(10.0).double()[:, None] * 100
    codes = draw_aggregate(DiagonalGaussian(mu, torch.zeros_like(mu)), 30, seed=3)
    pictures = (codes[:, 0] / 100).round().long()
    assert torch.bincount(pictures).tolist() == [3] * 10
    deviation = (codes[:, 0] - 100 * pictures).numpy()
    assert stats.kstest(deviation, "norm").pvalue > 0.001
    assert torch.equal(
        codes, draw_aggregate(DiagonalGaussian(mu, torch.zeros_like(mu)), 30, seed=3)
    )


def test_another_prior() -> None:
    q = posteriors(50, 2, 0.5)
    prior = DiagonalGaussian(torch.ones(2).double(), torch.ones(2).double())
    parts = split_rate(q, prior, num_samples=20_000)
    same = split_rate(q, num_samples=20_000)
    assert parts.mutual_information == pytest.approx(same.mutual_information)
    both = zip(q.mu, q.std, strict=True)
    exact = [kl_divergence(Normal(m, s), Normal(1.0, math.exp(0.5))).sum() for m, s in both]
    assert parts.rate == pytest.approx(float(torch.stack(exact).mean()))
    total = parts.total_correlation + float(parts.dimension_kl.sum())
    assert total == pytest.approx(parts.aggregate_kl, abs=0.1)


def test_what_is_refused() -> None:
    q = posteriors(5, 2, 0.5)
    with pytest.raises(ValueError, match=r"codes is \(3, 4\); expected a tensor \[n, 2\]"):
        aggregate_log_prob(q, torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"expected a DiagonalGaussian \[N\]"):
        split_rate(standard_normal(2))
    with pytest.raises(ValueError, match="at least 2"):
        split_rate(q, num_samples=1)
    with pytest.raises(ValueError, match="batch_size is 6, but only 5 pictures"):
        minibatch_mutual_information(q, batch_size=6)


def test_another_seed_draws_other_codes_and_any_seed_is_taken() -> None:
    """The seeds of pictures lie apart from those of codes, also at the end of the range."""
    q = posteriors(10, 2, 0.5)
    seeds = (0, 1, 2, 2**64 - 1)
    draws = [draw_aggregate(q, 10, seed=seed) for seed in seeds]
    rates = [split_rate(q, num_samples=10, seed=seed).mutual_information for seed in seeds]
    batches = [minibatch_mutual_information(q, batch_size=5, seed=seed) for seed in seeds]
    assert len({tuple(each.flatten().tolist()) for each in draws}) == len(seeds)
    assert len({*rates}) == len({*batches}) == len(seeds)
