"""Anomaly scores, AUROC and thresholds against counting, closed forms and other code."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from vaebook.data import load_digits
from vaebook.distributions import LearnedGaussianLikelihood
from vaebook.experiments.ch13_using_a_vae.anomalies import Baselines
from vaebook.metrics import (
    auroc,
    choose_threshold,
    evaluate_elbo,
    flagged,
    importance_weighted_nll,
    neighbour_distance,
    vae_anomaly_scores,
)
from vaebook.models import MLP, VAE, ProbabilisticPCA
from vaebook.training import seeded

close = torch.testing.assert_close


def gaussian(size: int, mean: float, seed: int) -> torch.Tensor:
    with seeded(seed):
        return mean + torch.randn(size)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_digits().test.images[:40]


@pytest.fixture(scope="module")
def model() -> VAE:
    with seeded(0):
        return VAE((1, 8, 8), 2, network=MLP((16,)), likelihood=LearnedGaussianLikelihood(0.3))


# --- AUROC --------------------------------------------------------------------------------------


def test_auroc_counts_pairs() -> None:
    normal, strange = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 3.0])
    # of six pairs: 1 beats 0, ties with 1, loses to 2; 3 beats all
    assert auroc(normal, strange).value == pytest.approx((1 + 0.5 + 0 + 3) / 6)
    assert auroc(strange, normal).value == pytest.approx(1 - 4.5 / 6)


def test_auroc_of_two_normals_is_that_of_the_formula() -> None:
    normal, strange = gaussian(1000, 0.0, 0), gaussian(1000, 1.0, 1)
    expected = stats.norm.cdf(1 / math.sqrt(2))  # P(N(1, 1) > N(0, 1))
    found = auroc(normal, strange)
    assert abs(found.value - expected) < 0.03  # three standard errors of 1,000 pictures each
    assert found.low < expected < found.high


def test_auroc_agrees_with_mann_and_whitney() -> None:
    normal, strange = gaussian(50, 0.0, 2), gaussian(30, 0.5, 3)
    statistic = stats.mannwhitneyu(strange.numpy(), normal.numpy()).statistic
    assert auroc(normal, strange).value == pytest.approx(statistic / 1500)


def test_the_interval_covers_as_often_as_it_says() -> None:
    expected = stats.norm.cdf(1 / math.sqrt(2))
    inside = 0
    for trial in range(500):
        normal, strange = gaussian(80, 0.0, 2 * trial), gaussian(80, 1.0, 2 * trial + 1)
        found = auroc(normal, strange, num_resamples=200)
        inside += found.low <= expected <= found.high
    # of 80 pictures and 200 resamples the percentile interval is a little short: some 93 %, with a
    # binomial deviation of 6 in 500; one of 90 % would hold the truth some 430 times
    assert 450 <= inside <= 490


@pytest.mark.parametrize("ties", [False, True])
def test_the_interval_is_that_of_resampled_scores(
    ties: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each resample scored by scikit-learn, which counts ties half; in blocks or not."""
    normal, strange = gaussian(30, 0.0, 0), gaussian(20, 0.7, 1)
    if ties:
        normal, strange = normal.round(), strange.round()  # five grades in all
    with seeded(5):
        rows = torch.randint(len(strange), (200, len(strange)))
        columns = torch.randint(len(normal), (200, len(normal)))
    labels = [1] * len(strange) + [0] * len(normal)
    areas = [
        roc_auc_score(labels, torch.cat([strange[row], normal[column]]).numpy())
        for row, column in zip(rows, columns, strict=True)
    ]
    expected = np.quantile(areas, [0.025, 0.975])
    for at_once in (2**22, 100):
        monkeypatch.setattr("vaebook.metrics._inputs.AT_ONCE", at_once)
        found = auroc(normal, strange, num_resamples=200, seed=5)
        np.testing.assert_allclose([found.low, found.high], expected, atol=1e-6)
        assert found.low < found.value < found.high


def test_the_interval_is_repeatable_and_leaves_no_trace() -> None:
    normal, strange = gaussian(20, 0.0, 0), gaussian(20, 1.0, 1)
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    first = auroc(normal, strange)
    assert torch.equal(torch.rand(2), expected)
    assert first == auroc(normal, strange)


# --- thresholds ---------------------------------------------------------------------------------


def test_a_threshold_flags_the_share_that_was_asked_for() -> None:
    scores = torch.arange(1000.0)
    threshold = choose_threshold(scores, false_alarms=0.05)
    assert flagged(scores, threshold) == pytest.approx(0.05)
    assert threshold == pytest.approx(np.quantile(scores.numpy(), 0.95))
    assert flagged(torch.tensor([threshold]), threshold) == 0.0


def test_false_alarms_on_fresh_pictures_are_about_what_was_asked_for() -> None:
    threshold = choose_threshold(gaussian(2000, 0.0, 0))
    # binomial errors of 5 % among 2,000 and among 20,000, together 0.5 %: three of them
    assert abs(flagged(gaussian(20_000, 0.0, 1), threshold) - 0.05) < 0.015
    assert flagged(gaussian(1000, 5.0, 2), threshold) > 0.99


@pytest.mark.parametrize(
    ("scores", "share", "message"),
    [
        (torch.zeros(0), 0.05, "one score per picture"),
        (torch.zeros(4, 2), 0.05, "one score per picture"),
        (torch.tensor([1.0, float("nan")]), 0.5, "NaN"),
        (torch.zeros(100), 1.5, "between 0 and 1"),
        (torch.zeros(10), 0.05, "at least 20"),
    ],
)
def test_unusable_scores(scores: torch.Tensor, share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_threshold(scores, false_alarms=share)


# --- scores -------------------------------------------------------------------------------------


def test_the_scores_of_a_vae_are_those_of_its_metrics(model: VAE, images: torch.Tensor) -> None:
    scores = vae_anomaly_scores(model, images, num_samples=20)
    terms = evaluate_elbo(model, images, num_samples=20)
    nll = importance_weighted_nll(model, images, num_samples=20)
    # from one seed the three draw the same codes: only rounding is left
    close(scores["−ELBO"], -terms.elbo, atol=1e-3, rtol=0)
    close(scores["reconstruction probability"], terms.distortion, atol=1e-3, rtol=0)
    close(scores["NLL"], nll, atol=1e-3, rtol=0)
    close(scores["rate"], terms.rate)  # the closed form: no noise
    with torch.no_grad():
        difference = model.reconstruct(images) - images
        close(scores["reconstruction error"], difference.square().sum((1, 2, 3)))
        close(scores["code norm"], model.encode(images).norm(dim=1))


def test_the_bound_lies_above_the_estimate_and_is_its_parts(
    model: VAE, images: torch.Tensor
) -> None:
    scores = vae_anomaly_scores(model, images, num_samples=50)
    close(scores["−ELBO"], scores["reconstruction probability"] + scores["rate"])
    # sampled and exact rate differ by noise; Jensen's inequality holds for the mean
    assert scores["NLL"].mean() < scores["−ELBO"].mean()


def test_no_score_weighs_the_rate_by_beta(model: VAE, images: torch.Tensor) -> None:
    expected = vae_anomaly_scores(model, images, num_samples=5)
    heavy = copy.deepcopy(model)
    heavy.beta = 7.0
    for name, scores in vae_anomaly_scores(heavy, images, num_samples=5).items():
        assert torch.equal(scores, expected[name]), name


def test_one_sigma_for_all_ranks_like_the_squared_error() -> None:
    """With one σ the reconstruction probability is the expected squared error and a constant."""
    exact = ProbabilisticPCA.fit(load_digits().train.images, 2)
    linear, images = exact.as_vae((1, 8, 8)), load_digits().test.images[:60]
    scores = vae_anomaly_scores(linear, images, num_samples=200)
    rank = stats.spearmanr(scores["reconstruction probability"], scores["reconstruction error"])
    assert rank.statistic > 0.999
    close(scores["NLL"].double(), -exact.log_likelihood(images), atol=1e-3, rtol=0)


def test_neighbour_distance_is_that_of_scikit_learn(images: torch.Tensor) -> None:
    known = load_digits().train.images[:300]
    finder = NearestNeighbors(n_neighbors=5).fit(known.flatten(1).numpy())
    expected = finder.kneighbors(images.flatten(1).numpy())[0][:, -1]
    # torch computes distances of float32 by |x|² + |y|² − 2xy: a few units in the fourth digit
    close(neighbour_distance(images, known).numpy(), expected.astype("float32"), atol=2e-3, rtol=0)
    with pytest.raises(ValueError, match="no 5 neighbours"):
        neighbour_distance(images, known[:3])


def test_the_baselines_of_principal_components(images: torch.Tensor) -> None:
    known = load_digits().train.images
    baselines = Baselines(known, 8)
    scores = baselines(images)
    model = baselines.model
    expected = torch.distributions.MultivariateNormal(
        model.offset, model.weights @ model.weights.T + model.sigma**2 * torch.eye(64).double()
    )
    centred = images.flatten(1).double() - model.offset
    close(scores["PCA: NLL"], -expected.log_prob(images.flatten(1).double()))
    # outside and inside parts make up the exponent of that density
    exponent = scores["PCA: Mahalanobis distance"] ** 2
    exponent = exponent + scores["PCA: reconstruction error"] / model.sigma**2
    close(exponent, (centred * torch.linalg.solve(expected.covariance_matrix, centred.T).T).sum(1))
