"""Distributions over codes: they sum to 1, their samplers agree, the fit finds dependence."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Categorical

from vaebook.distributions import MADE, AutoregressiveCodes, fit_codes
from vaebook.training import seeded

close = torch.testing.assert_close


def all_codes(l: int, k: int) -> torch.Tensor:  # noqa: E741
    codes = torch.cartesian_prod(*[torch.arange(k)] * l)
    return codes.reshape(-1, l)


def random_codes(seed: int = 0) -> AutoregressiveCodes:
    with seeded(seed):
        network = MADE(3, (16, 16), num_values=4)
        for parameter in network.parameters():
            parameter.data *= 3
    return AutoregressiveCodes(network.double())


def chained(n: int, seed: int) -> torch.Tensor:
    """Five codes of three; each copies the one before it with probability 0.8."""
    with seeded(seed):
        codes = torch.randint(3, (n, 5))
        for i in range(1, 5):
            keep = torch.rand(n) < 0.8
            codes[keep, i] = codes[keep, i - 1]
    return codes


def chained_entropy() -> float:
    """log 3 for the first code, then the entropy of (0.8 + 0.2/3, 0.2/3, 0.2/3)."""
    step = stats.entropy([0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3])
    return math.log(3) + 4 * float(step)


@pytest.mark.parametrize("autoregressive", [False, True])
def test_probabilities_of_all_codes_sum_to_one(autoregressive: bool) -> None:
    codes = chained(200, 0)
    prior = fit_codes(codes, 3, autoregressive=autoregressive, num_epochs=1)
    assert tuple(prior.event_shape) == (5,)
    total = torch.logsumexp(prior.log_prob(all_codes(5, 3)), 0)
    assert total.exp().item() == pytest.approx(1, abs=1e-5)


def test_a_code_depends_on_those_before_it_only() -> None:
    prior = random_codes()
    codes = torch.zeros(1, 3, dtype=torch.long)
    logits = prior.logits(codes)
    for place in range(3):
        changed = codes.clone()
        changed[0, place] = 3
        moved = (prior.logits(changed) - logits).abs().amax(-1)[0] > 1e-9
        assert moved.tolist() == [later > place for later in range(3)]


def test_the_log_probability_is_the_chain_rule() -> None:
    codes, prior = all_codes(3, 4), random_codes()
    expected = torch.zeros(64).double()
    for place in range(3):
        logits = prior.logits(codes)[:, place]
        expected += Categorical(logits=logits).log_prob(codes[:, place])
    close(prior.log_prob(codes), expected)


def test_the_sampler_follows_the_probabilities() -> None:
    prior, codes = random_codes(), all_codes(3, 4)
    with seeded(1):
        draws = prior.sample((20_000,))
    index = (draws * torch.tensor([16, 4, 1])).sum(1)
    counts = torch.bincount(index, minlength=64).numpy()
    expected = 20_000 * prior.log_prob(codes).exp().detach().numpy()
    common = expected > 5  # where χ² is valid; the rest goes into one cell
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    observed, expected = observed[expected > 5], expected[expected > 5]
    expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    assert prior.sample().shape == (3,)
    assert prior.sample((2, 5)).shape == (2, 5, 3)


def test_independent_codes_are_counts() -> None:
    codes = torch.tensor([[0, 1], [0, 2], [1, 2]])
    probs = fit_codes(codes, 3).base_dist.probs
    close(probs[0], (torch.tensor([2.0, 1.0, 0.0]) + 0.5) / 4.5)
    close(probs[1], (torch.tensor([0.0, 1.0, 2.0]) + 0.5) / 4.5)


def test_the_network_finds_what_codes_know_of_each_other() -> None:
    training, test = chained(3000, 0), chained(2000, 1)
    independent = fit_codes(training, 3)
    dependent = fit_codes(training, 3, autoregressive=True, num_epochs=10)
    truth = chained_entropy()
    # the error of a mean over 2000 rows is about 0.03; the fit costs about as much
    assert -dependent.log_prob(test).mean().item() == pytest.approx(truth, abs=0.12)
    assert -independent.log_prob(test).mean().item() == pytest.approx(5 * math.log(3), abs=0.02)
    with seeded(3):
        same = fit_codes(training, 3, autoregressive=True, num_epochs=10)
    close(same.log_prob(test[:9]), dependent.log_prob(test[:9]))
    assert not dependent.log_prob(test[:9]).requires_grad


def test_codes_of_one_place() -> None:
    with seeded(0):
        codes = (torch.rand(4000, 1) < 0.3).long()
    prior = fit_codes(codes, 2, autoregressive=True, num_epochs=20)
    expected = codes.float().mean().item()
    assert prior.log_prob(torch.tensor([[1]])).exp().item() == pytest.approx(expected, abs=0.05)


def test_wrong_codes_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"expected whole numbers \(torch.long\) \[n, l\]"):
        fit_codes(torch.zeros(5, 3), 4)
    with pytest.raises(ValueError, match="codes must lie from 0 to 3"):
        fit_codes(torch.full((5, 3), 4), 4)
    with pytest.raises(ValueError, match="5 rows of codes are too few"):
        fit_codes(torch.zeros(5, 3, dtype=torch.long), 4, autoregressive=True)
    with pytest.raises(ValueError, match="codebook_size is 1"):
        fit_codes(torch.zeros(5, 3, dtype=torch.long), 1)


def test_a_tenth_of_the_rows_is_held_out_and_every_row_is_used_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, torch.Tensor] = {}

    def fake_fit(
        model: object, training: torch.Tensor, *, validation: torch.Tensor, **settings: object
    ) -> None:
        seen.update(validation=validation, training=training)
        assert settings["num_epochs"] == 7
        assert settings["seed"] == 5

    monkeypatch.setattr("vaebook.distributions.discrete_codes.fit", fake_fit)
    rows = torch.arange(58).reshape(29, 2)
    fit_codes(rows, 58, autoregressive=True, num_epochs=7, seed=5)
    assert len(seen["validation"]) == 2
    assert len(seen["training"]) == 27
    assert torch.cat([*seen.values()]).flatten().sort().values.tolist() == list(range(58))
    assert not torch.equal(seen["validation"], rows[:2]), "by chance, not the first"


def test_where_codes_live() -> None:
    support = random_codes().support
    assert support.check(torch.tensor([[0, 3, 1], [0, 4, 1], [-1, 0, 0]])).tolist() == [1, 0, 0]
