"""Do two sets of codes come from one distribution? Three tests, each with its p-value."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import binom, ks_2samp
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from vaebook._checks import check_count
from vaebook._random import check_seed, seeded
from vaebook.distributions import kernel_matrix
from vaebook.metrics._inputs import AT_ONCE, as_tables, in_blocks

FEW = 100  # samples, up to which Kolmogorov and Smirnov's test is exact
_BITS = 21  # of a double's 63 that a pass over all pairs looks at


class MarginalTest(NamedTuple):
    """Kolmogorov and Smirnov's test of each dimension alone."""

    statistic: Float[Tensor, " d"]  # largest difference of the two distribution functions
    p_value: Float[Tensor, " d"]

    @property
    def corrected(self) -> float:
        """One p-value for all d dimensions, by Bonferroni: the smallest times d."""
        return min(1.0, float(self.p_value.min()) * len(self.p_value))


class ClassifierTest(NamedTuple):
    """A classifier's success at telling held-out samples of the two sets apart."""

    accuracy: float  # 0.5 if it can do no better than a coin
    p_value: float  # of so many right answers by a coin
    kl_bound: float  # KL(x ‖ y) is at least this many nats, in expectation


class MmdTest(NamedTuple):
    """The squared maximum mean discrepancy and how often shuffled labels reach it."""

    statistic: float
    p_value: float


def kolmogorov_smirnov(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> MarginalTest:
    """Test each dimension alone; blind to how dimensions depend on each other.

    Exact for up to 100 samples a set, beyond that in the limit of many.

    Raises:
        ValueError: if the sets are not tables of as many numbers.
    """
    x, y = as_tables(x=x, y=y)
    # the limit of many samples is wrong for few: of one it says that it is impossible
    method = "exact" if max(len(x), len(y)) <= FEW else "asymp"
    found = [
        ks_2samp(a.numpy(), b.numpy(), method=method)
        for a, b in zip(x.cpu().double().T, y.cpu().double().T, strict=True)
    ]
    return MarginalTest(
        torch.tensor([float(f.statistic) for f in found]),
        torch.tensor([float(f.pvalue) for f in found]),
    )


def classifier_test(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], *, seed: int = 0
) -> ClassifierTest:
    r"""Train a small network to tell x from y on one half, and count on the other half.

    Under the hypothesis that both sets come from one distribution, the number of right answers is
    binomial with chance ½. From the classifier's logit f follows a bound on how far apart they
    are, :math:`\mathrm{KL}(x \,\|\, y) \ge 1 + \mathbb E_x[f] - \mathbb E_y[e^f]` for every f, the
    best one being the log of the densities' ratio (Nguyen, Wainwright & Jordan 2010).

    Args:
        x, y: as many samples of each, at least 20, all independent.
        seed: of the split and of the network, below 2³².

    Raises:
        ValueError: if the sets differ in size or are too small.

    Source:
        Lopez-Paz & Oquab (2017).
    """
    x, y = as_tables(x=x, y=y)
    if len(x) != len(y) or len(x) < 20:
        raise ValueError(
            f"x and y are {len(x)} and {len(y)} samples; expected as many of each, at least 20: "
            "then a coin is right half of the time."
        )
    if (seed := check_seed(seed)) >= 2**32:
        raise ValueError(f"seed is {seed}; expected one below 2**32, as scikit-learn takes it.")
    generator = torch.Generator().manual_seed(seed)
    half = len(x) // 2
    parts = [s[torch.randperm(len(s), generator=generator)].cpu().double().numpy() for s in (x, y)]
    scale = np.concatenate([part[:half] for part in parts]).std(0) + 1e-12
    train = np.concatenate([part[:half] for part in parts]) / scale
    labels = np.repeat([1, 0], half)
    network = MLPClassifier((64,), alpha=1e-3, early_stopping=True, max_iter=100, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(train, labels)
    logits = []
    for part in parts:
        chance = network.predict_proba(part[half:] / scale)[:, 1].clip(1e-4, 1 - 1e-4)
        logits.append(np.log(chance) - np.log1p(-chance))
    return classifier_result(*logits)


def classifier_result(x: np.ndarray, y: np.ndarray) -> ClassifierTest:
    """What a classifier's logits of "this is x" say, on samples of x and of y that it never saw."""
    right = int((x > 0).sum() + (y <= 0).sum())
    total = len(x) + len(y)
    bound = 1 + x.mean() - np.exp(y).mean()
    return ClassifierTest(right / total, float(binom.sf(right - 1, total, 0.5)), float(bound))


def mmd_test(
    x: Float[Tensor, "n d"], y: Float[Tensor, "m d"], *, num_permutations: int = 199, seed: int = 0
) -> MmdTest:
    r"""Compare the unbiased MMD² with that of the same samples under shuffled labels.

    A Gaussian kernel exp(−‖x − y‖² / 2s²) with s the median distance in the pooled samples. The
    observed labelling counts as one of the shuffles, so the p-value is a multiple of
    1 / (num_permutations + 1), and never 0.

    Args:
        x, y: samples, at least two of each.
        num_permutations: shuffles.
        seed: of the shuffles.

    Raises:
        ValueError: if the sets are not tables of as many numbers, with two rows or more.

    Source:
        Gretton et al. (2012), lemma 6 for the estimate; Phipson & Smyth (2010) for the p-value.
    """
    x, y = as_tables(minimum=2, x=x, y=y)
    check_count("num_permutations", num_permutations)
    pooled = torch.cat([x, y]).double()
    scales = (max(_median_of_pairs(pooled), 1e-12) / pooled.shape[1],)
    n, m = len(x), len(y)
    first = torch.zeros(n + m, num_permutations + 1, dtype=torch.double)
    first[:n, 0] = 1
    with seeded(seed):
        for column in range(1, num_permutations + 1):
            first[torch.randperm(n + m)[:n], column] = 1
    first = first.to(pooled.device)
    within_first, within_second, between = torch.zeros(3, num_permutations + 1).to(first)
    start = 0
    for part in in_blocks(pooled, 2 * len(pooled)):
        kernel = kernel_matrix(part, pooled, kernel="rbf", scales=scales)  # [b, n + m]
        kernel.diagonal(start).fill_(0)  # a sample's likeness to itself is left out
        to_first = kernel @ first  # [b, permutations]
        to_second = kernel.sum(1, keepdim=True) - to_first
        own = first[start : start + len(part)]
        within_first += (own * to_first).sum(0) / (n * (n - 1))
        within_second += ((1 - own) * to_second).sum(0) / (m * (m - 1))
        between += (own * to_second).sum(0) / (n * m)
        start += len(part)
    statistics = within_first + within_second - 2 * between
    as_large = int((statistics[1:] >= statistics[0]).sum())
    return MmdTest(float(statistics[0]), (1 + as_large) / (1 + num_permutations))


def _median_of_pairs(samples: Float[Tensor, "n d"]) -> float:
    """The median of the squared distances of all pairs, the lower one of two, and exact.

    A double that is not negative is ordered as its bits are. While too many pairs agree with the
    median in the bits known so far, a pass over all of them counts the next bits.
    """
    shift, prefix = 3 * _BITS, 0
    agreeing = len(samples) * (len(samples) - 1) // 2
    rank = (agreeing - 1) // 2
    while shift and agreeing > AT_ONCE:
        shift -= _BITS
        counts = torch.zeros(2**_BITS, dtype=torch.long, device=samples.device)
        for squares in _squares_of_pairs(samples):
            bits = squares.view(torch.long) >> shift
            bits = bits[bits >> _BITS == prefix] - (prefix << _BITS)
            counts += torch.bincount(bits, minlength=len(counts))
        upto = counts.cumsum(0)
        found = int((upto <= rank).sum())
        agreeing = int(counts[found])
        rank -= int(upto[found]) - agreeing
        prefix = (prefix << _BITS) + found
    if not shift:
        return float(torch.tensor(prefix).view(torch.double))
    blocks = _squares_of_pairs(samples)
    left = torch.cat([some[some.view(torch.long) >> shift == prefix] for some in blocks])
    return float(left.kthvalue(rank + 1).values)


def _squares_of_pairs(samples: Float[Tensor, "n d"]) -> Iterator[Float[Tensor, " p"]]:
    """Squared distances of every pair of different samples, once, a block of them at a time."""
    start = 0
    for part in in_blocks(samples, 2 * len(samples)):
        others = samples[start:]
        # by differences, as the kernel has them: close pairs would lose their digits
        distances = torch.cdist(part, others, compute_mode="donot_use_mm_for_euclid_dist")
        above = torch.ones_like(distances, dtype=torch.bool).triu_(1)
        yield distances[above].square()
        start += len(part)
