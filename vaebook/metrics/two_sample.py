"""Do two sets of codes come from one distribution? Three tests, each with its p-value."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import binom, ks_2samp
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from vaebook._checks import check_count, check_finite
from vaebook._random import seeded
from vaebook.distributions import kernel_matrix


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

    Raises:
        ValueError: if the sets are not tables of as many numbers.
    """
    _check_sets(x, y)
    found = [
        ks_2samp(a.numpy(), b.numpy(), method="asymp")
        for a, b in zip(x.double().T, y.double().T, strict=True)
    ]
    return MarginalTest(
        torch.tensor([f.statistic for f in found]), torch.tensor([f.pvalue for f in found])
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
        seed: of the split and of the network.

    Raises:
        ValueError: if the sets differ in size or are too small.

    Source:
        Lopez-Paz & Oquab (2017), section 3.
    """
    _check_sets(x, y)
    if len(x) != len(y) or len(x) < 20:
        raise ValueError(
            f"{len(x)} and {len(y)} samples; expected as many of each, at least 20: then a coin "
            "is right half of the time."
        )
    generator = torch.Generator().manual_seed(seed)
    half = len(x) // 2
    parts = [s[torch.randperm(len(s), generator=generator)].double().numpy() for s in (x, y)]
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
    right = int((logits[0] > 0).sum() + (logits[1] <= 0).sum())
    total = len(logits[0]) + len(logits[1])
    bound = 1 + logits[0].mean() - np.exp(logits[1]).mean()
    return ClassifierTest(right / total, float(binom.sf(right - 1, total, 0.5)), float(bound))


def mmd_test(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    *,
    num_permutations: int = 199,
    seed: int = 0,
) -> MmdTest:
    r"""Compare the unbiased MMD² with that of the same samples under shuffled labels.

    A Gaussian kernel exp(−‖x − y‖² / 2s²) with s the median distance in the pooled samples. The
    observed labelling counts as one of the shuffles, so the p-value is a multiple of
    1 / (num_permutations + 1), and never 0.

    Args:
        x, y: samples, at least two of each.
        num_permutations: shuffles.
        seed: of the shuffles.

    Source:
        Gretton et al. (2012), section 3; Phipson & Smyth (2010) for the p-value.
    """
    _check_sets(x, y)
    check_count("num_permutations", num_permutations)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"{len(x)} and {len(y)} samples; expected at least 2 of each.")
    pooled = torch.cat([x, y]).double()
    median = torch.pdist(pooled).square().median()
    scales = (max(float(median), 1e-12) / pooled.shape[1],)
    kernel = torch.cat(
        [kernel_matrix(part, pooled, kernel="rbf", scales=scales) for part in pooled.split(200)]
    )
    kernel.fill_diagonal_(0)  # a sample's likeness to itself is left out
    n, m = len(x), len(y)
    first = torch.zeros(n + m, num_permutations + 1, dtype=torch.double)
    first[:n, 0] = 1
    with seeded(seed):
        for column in range(1, num_permutations + 1):
            first[torch.randperm(n + m)[:n], column] = 1
    to_first = kernel @ first  # [n + m, permutations]
    to_second = kernel.sum(1, keepdim=True) - to_first
    within_first = (first * to_first).sum(0) / (n * (n - 1))
    within_second = ((1 - first) * to_second).sum(0) / (m * (m - 1))
    between = (first * to_second).sum(0) / (n * m)
    statistics = within_first + within_second - 2 * between
    as_large = int((statistics[1:] >= statistics[0]).sum())
    return MmdTest(float(statistics[0]), (1 + as_large) / (1 + num_permutations))


def _check_sets(x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"samples have shapes {tuple(x.shape)} and {tuple(y.shape)}; expected [n, d] and "
            "[m, d], one row for each sample."
        )
    check_finite("x", x)
    check_finite("y", y)
