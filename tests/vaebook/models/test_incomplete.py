"""Tables with gaps: the VAE and the Gaussian of what was observed, against exact conditionals."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from sklearn.datasets import load_wine
from torch.distributions import MultivariateNormal, Normal

from tests.memory import MIB, peak_memory
from vaebook.experiments.ch13_using_a_vae import imputation
from vaebook.models import MLP, IncompleteGaussian, IncompleteVAE, ProbabilisticPCA
from vaebook.training import fit, seeded

close = torch.testing.assert_close
NAN = math.nan


def correlated(size: int, seed: int = 0) -> tuple[torch.Tensor, MultivariateNormal]:
    factor = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.4, 0.7]])
    truth = MultivariateNormal(torch.tensor([0.5, -1.0, 2.0]), scale_tril=factor)
    with seeded(seed):
        return truth.sample((size,)), truth


# --- the Gaussian -------------------------------------------------------------------------------


def test_without_gaps_it_is_mean_and_covariance() -> None:
    table, _ = correlated(200)
    found = IncompleteGaussian.fit(table, num_steps=2, ridge=1e-9)
    close(found.mean, table.double().mean(0))
    close(found.covariance, torch.cov(table.double().T, correction=0), atol=1e-7, rtol=0)


def test_with_gaps_it_finds_the_truth() -> None:
    table, truth = correlated(5000)
    gaps, _ = imputation.remove(table, 0.3, seed=0)
    found = IncompleteGaussian.fit(gaps, ridge=1e-9)
    # 3,500 values of each column: standard errors of 0.02 and, of pairs, 0.03
    close(found.mean.float(), truth.mean, atol=0.06, rtol=0)
    close(found.covariance.float(), truth.covariance_matrix, atol=0.1, rtol=0)


def test_em_never_lowers_the_likelihood_of_what_was_observed() -> None:
    table, _ = correlated(60)
    gaps, missing = imputation.remove(table, 0.4, seed=1)

    def likelihood(model: IncompleteGaussian) -> float:
        total = 0.0
        for row, hidden in zip(gaps.double(), missing, strict=True):
            seen = ~hidden
            if seen.any():
                covariance = model.covariance[seen][:, seen]
                total += float(MultivariateNormal(model.mean[seen], covariance).log_prob(row[seen]))
        return total

    steps = [likelihood(IncompleteGaussian.fit(gaps, num_steps=n, ridge=1e-9)) for n in range(1, 9)]
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(steps))


def test_a_gap_gets_its_conditional_mean() -> None:
    _, truth = correlated(1)
    model = IncompleteGaussian(truth.mean.double(), truth.covariance_matrix.double())
    table = torch.tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN], [1.0, 2.0, 3.0]])
    filled = model.impute(table)
    cov, mean = truth.covariance_matrix, truth.mean
    slope = cov[1, [0, 2]] @ torch.linalg.inv(cov[[0, 2]][:, [0, 2]])
    close(filled[0, 1], mean[1] + slope @ (torch.tensor([1.0, 3.0]) - mean[[0, 2]]))
    close(filled[1], mean)
    assert torch.equal(filled[2], table[2])
    assert torch.equal(filled[0, [0, 2]], table[0, [0, 2]])


def test_with_a_rank_it_is_probabilistic_pca() -> None:
    table = torch.as_tensor(load_wine().data).float()
    table = (table - table.mean(0)) / table.std(0)
    found = IncompleteGaussian.fit(table, rank=4, num_steps=1, ridge=1e-9)
    exact = ProbabilisticPCA.fit(table, 4)
    expected = exact.weights @ exact.weights.T + exact.sigma**2 * torch.eye(13).double()
    close(found.covariance, expected, atol=1e-6, rtol=0)


def test_impossible_tables() -> None:
    with pytest.raises(ValueError, match="1 columns were never observed"):
        IncompleteGaussian.fit(torch.tensor([[1.0, NAN], [2.0, NAN]]))
    with pytest.raises(ValueError, match="rank is 3"):
        IncompleteGaussian.fit(correlated(10)[0], rank=3)


# --- the VAE ------------------------------------------------------------------------------------


def small(**settings: object) -> IncompleteVAE:
    with seeded(0):
        return IncompleteVAE(3, 1, network=MLP((6,), "tanh"), **settings).double()  # type: ignore[arg-type]


def test_only_what_was_observed_counts() -> None:
    model = small()
    table = torch.tensor([[0.3, NAN, -0.7], [NAN, NAN, NAN]]).double()
    observed = ~table.isnan()
    codes = torch.tensor([[[0.4], [0.4]]]).double()
    found = model.log_weights(table, observed, codes)[0]
    means = model.decoder(codes[0]).flatten(1)[0]
    sigma = model.log_sigma.exp()
    log_p = Normal(means[[0, 2]], sigma[[0, 2]]).log_prob(table[0, [0, 2]]).sum()
    posterior = model.posterior(table, observed)
    prior = Normal(0.0, 1.0).log_prob(codes[0, :, 0])
    each = Normal(posterior.mu[:, 0], posterior.std[:, 0]).log_prob(codes[0, :, 0])
    close(found, torch.stack([log_p, torch.zeros_like(log_p)]) + prior - each)


def test_what_hides_in_a_gap_changes_nothing() -> None:
    model = small()
    one = torch.tensor([[0.3, NAN, -0.7]]).double()
    observed = torch.tensor([[True, False, True]])
    with seeded(1):
        first = model.loss(one, observed)
    for hidden in (0.9, 0.0, float("inf")):  # where the mask says there is nothing
        other = torch.where(observed, one, hidden)
        with seeded(1):
            close(model.loss(other, observed), first)
        close(model.posterior(other, observed).mu, model.posterior(one).mu)
    at_mean = torch.tensor([[0.3, 0.0, -0.7]]).double()  # observed, and at the mean
    assert not torch.equal(model.posterior(at_mean).mu, model.posterior(one).mu)
    model.loss(one, observed).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_more_samples_tighten_the_bound() -> None:
    table = correlated(50)[0].double()
    losses = []
    for number in (1, 10, 100):
        model = small(num_importance=number)
        with seeded(0):
            repeated = torch.stack([model.loss(table) for _ in range(40)])
        losses.append(float(repeated.detach().mean()))
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("num_importance", [1, 5])
@pytest.mark.parametrize("log_sigma", [0.2, -9.0])  # the second is below the floor of 0.03
def test_the_bound_in_scipy(num_importance: int, log_sigma: float) -> None:
    """log K − logsumexp of the weights, over what was observed."""
    model = small(num_importance=num_importance)
    model.log_sigma.data.fill_(log_sigma)
    table = torch.tensor([[0.3, NAN, -0.7], [0.1, 0.4, NAN]]).double()
    with seeded(3):
        found = model.loss(table).detach()
    with seeded(3), torch.no_grad():
        q = model.posterior(table)
        codes = q.mu + q.std * torch.randn(num_importance, 2, 1, dtype=torch.double)
        means = model.decoder(codes.flatten(0, 1)).reshape(num_importance, 2, 3)
    sigma = max(math.exp(log_sigma), 0.03)
    log_p = np.nansum(stats.norm.logpdf(table, means, sigma), -1)
    log_ratio = stats.norm.logpdf(codes) - stats.norm.logpdf(codes, q.mu.detach(), q.std.detach())
    weights = log_p + log_ratio.sum(-1)
    expected = math.log(num_importance) - logsumexp(weights, 0)
    np.testing.assert_allclose(found, expected)


def linear(size: int = 400) -> tuple[IncompleteVAE, torch.Tensor]:
    table, _ = correlated(size)
    table = (table - table.mean(0)) / table.std(0)
    with seeded(0):
        model = IncompleteVAE(3, 1, network=MLP(()))
    return model, table


def test_imputation_is_the_exact_conditional_of_a_linear_decoder() -> None:
    model, table = linear()
    with torch.no_grad():
        model.log_sigma.copy_(torch.tensor([-0.5, -0.3, 0.2]))
        for part in model.encoder.parameters():
            part.zero_()  # q(z | observed) is the prior: the weights are bounded
    gaps, _ = imputation.remove(table[:40], 0.3, seed=0)
    layer = model.decoder[0]
    covariance = layer.weight @ layer.weight.T + torch.diag((2 * model.log_sigma).exp())
    exact = IncompleteGaussian(layer.bias.detach().double(), covariance.detach().double())
    filled = model.impute(gaps, num_samples=20_000)
    # of 20,000 codes a tenth or more counts: standard errors of 0.01 for a column of deviation 1
    close(filled, exact.impute(gaps), atol=0.05, rtol=0)
    assert torch.equal(filled[~gaps.isnan()], gaps[~gaps.isnan()])


def test_it_learns_from_gaps() -> None:
    model, table = linear()
    gaps, missing = imputation.remove(table, 0.2, seed=0)
    fit(model, (gaps, ~gaps.isnan()), num_epochs=20, batch_size=50, lr=2e-2)
    error = imputation.missing_rmse(model.impute(gaps), table, missing)
    blind = imputation.missing_rmse(torch.nan_to_num(gaps), table, missing)
    assert error < 0.9 * blind


def test_a_code_stands_for_a_complete_row() -> None:
    model, table = small(), torch.tensor([[0.3, NAN, -0.7]]).double()
    code = model.encode(table)
    close(model.decode(code), model.likelihood_of(code).mean)
    close(model(table), model.decode(code))
    close(model.reconstruct(table), model.decode(code).detach())
    assert model.sample(7, seed=0).shape == (7, 3)
    far = torch.full((1, 3), -50.0).double()
    model.log_sigma.data.fill_(-9.0)  # below the floor of 0.03
    sigma = torch.full((3,), 0.03).double()
    expected = Normal(model.decode(code), sigma).log_prob(far).sum(-1)
    close(model.likelihood_of(code).log_prob(far), expected)


def test_a_gaussian_needs_a_table_too() -> None:
    table = torch.randn(9, 2)
    for wrong in (table.numpy(), table[0], table.long()):
        with pytest.raises(ValueError, match="the table is"):
            IncompleteGaussian.fit(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected floats \[n, 2\]"):
        IncompleteGaussian.fit(table, num_steps=1).impute(torch.randn(4, 3))


def test_wrong_tables_are_refused() -> None:
    model, table = small(), torch.zeros(4, 3).double()
    mask = torch.ones(4, 3, dtype=torch.bool)
    wrong = {
        "is a ndarray": (table.numpy(), mask),
        r"shape \(4, 2\); expected \[n, 3\]": (table[:, :2], mask),
        "has dtype torch.float32": (table.float(), mask),
        r"observed is torch.float64 \(4, 3\)": (table, table),
        r"observed is torch.bool \(4, 1\)": (table, mask[:, :1]),
        "observed part of the table holds 12 values": (table / 0, mask),
    }
    for message, given in wrong.items():
        for use in (model.check, model.loss):
            with pytest.raises(ValueError, match=message):
                use(*given)  # type: ignore[arg-type]


# --- the experiment -----------------------------------------------------------------------------


def test_errors_are_of_the_missing_entries_alone() -> None:
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    missing = torch.tensor([[True, False], [False, False]])
    filled = torch.tensor([[4.0, 2.0], [3.0, 4.0]])
    assert imputation.missing_rmse(filled, table, missing) == pytest.approx(3.0)


def test_removal_is_random_and_standardising_looks_at_what_is_left() -> None:
    table = imputation.load_table("wine")
    gaps, missing = imputation.remove(table, 0.3, seed=0)
    assert abs(float(missing.double().mean()) - 0.3) < 0.04  # 2,314 entries: se 0.01
    assert torch.equal(gaps.isnan(), missing)
    complete, given = imputation.standardise(table, gaps)
    close(torch.nanmean(given, 0), torch.zeros(13), atol=1e-5, rtol=0)
    close(torch.nanmean(given**2, 0), torch.ones(13), atol=1e-4, rtol=0)
    assert torch.equal(complete[~missing], given[~missing])


def test_the_experiment_in_small() -> None:
    rows = imputation.run(0, tables=("wine",), shares=(0.2,), num_steps=4)
    assert {row["method"] for row in rows} == {*imputation.BASELINES, *imputation.VAES}
    errors = {row["method"]: row["rmse"] for row in rows}
    assert errors["Gaussian"] < errors["mean"] < 1.2


def test_the_memory_of_a_long_table() -> None:
    """The codes of all rows take 2 MiB; rows of 20 numbers for each would be well over 100."""
    model, table = IncompleteVAE(20, 2), torch.randn(2_000, 20)
    table[::2, 3] = NAN
    assert peak_memory(lambda: model.impute(table, num_samples=100)) < 40 * MIB


def test_a_stack_of_tables_is_no_table() -> None:
    with pytest.raises(ValueError, match="expected floats"):
        IncompleteGaussian.fit(torch.randn(2, 5, 3))


def test_the_ridge_is_added_at_each_step() -> None:
    table, _ = correlated(50)
    found = IncompleteGaussian.fit(table, num_steps=1, ridge=0.5)
    expected = torch.cov(table.double().T, correction=0) + 0.5 * torch.eye(3)
    close(found.covariance, expected)


@pytest.mark.parametrize("rank", [1, 2])
def test_each_rank_below_the_number_of_columns_is_taken(rank: int) -> None:
    """The smaller variances become their mean: d − rank equal eigenvalues are left."""
    table, _ = correlated(80)
    full = torch.linalg.eigvalsh(IncompleteGaussian.fit(table, num_steps=1, ridge=1e-9).covariance)
    found = IncompleteGaussian.fit(table, rank=rank, num_steps=1, ridge=1e-9).covariance
    values = torch.linalg.eigvalsh(found)
    close(values[-rank:], full[-rank:])
    close(values[:-rank], full[:-rank].mean().expand(3 - rank))
    for wrong in (0, -1, 3):
        with pytest.raises(ValueError, match=f"rank is {wrong}; expected 1 to 2"):
            IncompleteGaussian.fit(table, rank=wrong)


def test_rows_are_imputed_alike_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    gaps, _ = imputation.remove(correlated(7)[0].double(), 0.4, seed=0)
    whole = model.impute(gaps, num_samples=4, seed=2)
    for numbers in (1, 4 * 3 * 2, 4 * 3 * 3):
        monkeypatch.setattr("vaebook.models.incomplete_vae.NUMBERS_AT_ONCE", numbers)
        close(model.impute(gaps, num_samples=4, seed=2), whole)


@pytest.mark.parametrize("num_columns", [2, 4])
def test_a_table_of_another_width_has_no_conditionals(num_columns: int) -> None:
    model = IncompleteGaussian.fit(correlated(10)[0], num_steps=1)
    with pytest.raises(ValueError, match=r"expected floats \[n, 3\]"):
        model.impute(torch.zeros(4, num_columns))
    with pytest.raises(ValueError, match=r"expected \[n, 3\], a row for each example"):
        small().loss(torch.zeros(4, num_columns).double())
