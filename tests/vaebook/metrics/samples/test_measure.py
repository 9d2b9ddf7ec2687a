"""One function, one vocabulary: what each column is, on pictures whose answer is known."""

import pytest
import torch
from torch import Tensor

from vaebook.data import load_dogs, render, sample_factors
from vaebook.experiments.ch12_vae_versus_gan.metric_bias import blurred
from vaebook.metrics import (
    MEASURES,
    Reference,
    expected_coverage,
    measure_samples,
    power_spectrum,
    precision_recall,
)
from vaebook.metrics.dogs import (
    DOG_THRESHOLD,
    NearestDog,
    coverage,
    factor_overlap,
    nearest_dog,
    overlap_ceiling,
)
from vaebook.metrics.latent.two_sample import ClassifierTest

DOGS = load_dogs(200, 8, 100)
TEST, TRAINING = DOGS.test.images, DOGS.train.images
GREY = torch.full((3, 1, 32, 32), 0.5)


def bands(images: Tensor) -> Tensor:
    """Four means over blocks of rows: stands in for a network."""
    return images.mean((1, 3)).unflatten(1, (4, -1)).mean(2).cumsum(1).tanh()


REFERENCE = Reference(TEST, TRAINING, bands)


@pytest.fixture(scope="module")
def fresh() -> Tensor:
    return render(sample_factors(100, seed=9)).detach()


def test_real_dogs_score_as_real_dogs(fresh: Tensor) -> None:
    found = measure_samples(fresh, REFERENCE, MEASURES, num_judged=40)
    assert found["validity"] == found["validity_at_0.5"] == found["validity_at_2"] == 1
    assert found["distance"] < 1e-3
    assert found["coverage"] == pytest.approx(1, abs=0.1)
    for column in ("sharpness", "power_0", "fine", "novelty"):
        assert found[column] == pytest.approx(1, abs=0.2), column
    assert found["copies"] <= 0.05
    assert found["frechet"] < 0.01
    assert min(found["precision"], found["recall"], found["precision_pixels"]) > 0.7
    assert found["neighbour_density"] == pytest.approx(1, abs=0.3)
    assert found["neighbour_coverage"] == pytest.approx(expected_coverage(100, 100), abs=0.05)
    assert found["kernel_distance"] == pytest.approx(0, abs=0.02)
    assert found["told_apart"] == pytest.approx(0.5, abs=0.2)


def test_what_is_no_dog_is_far_by_every_measure() -> None:
    """Inverted dogs, as many as there are test pictures."""
    found = measure_samples(1 - TEST, REFERENCE, ["neighbours", "kernel", "classifier"])
    assert found["neighbour_coverage"] < 0.2
    assert found["kernel_distance"] > 0.2
    assert found["told_apart"] > 0.9


def test_blur_takes_what_is_fine_and_is_no_novelty(fresh: Tensor) -> None:
    measures = ["sharpness", "spectrum", "novelty"]
    real = measure_samples(fresh, REFERENCE, measures)
    soft = measure_samples(blurred(fresh), REFERENCE, measures)
    assert soft["sharpness"] < 0.9 * real["sharpness"]
    assert soft["fine"] < 0.8 * real["fine"]
    assert soft["novelty"] < real["novelty"]


def test_copies_are_not_new() -> None:
    found = measure_samples(TRAINING[:50], REFERENCE, ["novelty"])
    assert found == {"novelty": 0, "copies": 1}


def test_grey_paper_is_no_dog_and_covers_nothing() -> None:
    found = measure_samples(GREY, REFERENCE, ["dogs"])
    assert found["validity"] == found["validity_at_2"] == found["coverage"] == 0


def test_the_coverage_counts_dogs_only_against_as_many_real_ones(fresh: Tensor) -> None:
    mixed = torch.cat([fresh[:10], GREY])
    found = measure_samples(mixed, REFERENCE, ["dogs"])
    overlap = float(factor_overlap(nearest_dog(fresh[:10]).factors).mean())
    assert found["validity"] == pytest.approx(10 / 13)
    assert found["coverage"] == pytest.approx(overlap / overlap_ceiling(10), rel=1e-3)


def test_coverage_over_some_factors(fresh: Tensor) -> None:
    known = nearest_dog(fresh[:10])
    one_size = known._replace(factors=known.factors.clone())
    one_size.factors[:, 2:] = one_size.factors[0, 2:]  # x and y vary, nothing else does
    measures = [
        measure_samples(fresh[:10], Reference(TEST, factors=of), ["dogs"], found=one_size)
        for of in (("x", "y"), ("size",))
    ]
    assert measures[0]["coverage"] > 0.7
    assert measures[1]["coverage"] == pytest.approx(0.1 / overlap_ceiling(10))


def test_pixels_are_compared_with_as_many_test_pictures(fresh: Tensor) -> None:
    """The last ones: reconstructions are of the first."""
    found = measure_samples(fresh[:30], REFERENCE, ["pixels"])
    expected = precision_recall(TEST[-30:], fresh[:30])
    assert tuple(found.values()) == tuple(expected)


def test_only_what_is_asked_for_is_there(fresh: Tensor) -> None:
    assert list(measure_samples(fresh, Reference(TEST), ["sharpness"])) == ["sharpness"]
    assert measure_samples(fresh, Reference(TEST), []) == {}


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ("dogs", "expected a collection out of"),
        (["coverage"], "expected a collection out of"),
        (["novelty"], r"Reference\(training=…\)"),
        (["features"], r"Reference\(features=…\)"),
    ],
)
def test_what_is_missing_is_said(measures: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_samples(GREY, Reference(TEST), measures)


def test_shares_of_dogs_within_multiples_of_the_threshold() -> None:
    """Thresholds of 0.02, 0.03, 0.04, 0.05, 0.06 and 0.08 of RMSE."""
    distance = torch.tensor([0.01, 0.025, 0.035, 0.045, 0.055, 0.07, 0.09])
    factors = sample_factors(7, seed=1)
    found = NearestDog(distance, factors, torch.zeros(7, 1, 32, 32))
    row = measure_samples(GREY, REFERENCE, ["dogs"], found=found)
    assert row["distance"] == pytest.approx(0.045)
    assert row["validity"] == pytest.approx(3 / 7)
    shares = {"0.5": 1, "0.75": 2, "1.25": 4, "1.5": 5, "2": 6}
    for factor, number in shares.items():
        assert row[f"validity_at_{factor}"] == pytest.approx(number / 7), factor
    assert row["coverage"] == pytest.approx(coverage(factors[:3]))
    at_the_threshold = found._replace(distance=torch.full((7,), DOG_THRESHOLD))
    assert measure_samples(GREY, REFERENCE, ["dogs"], found=at_the_threshold)["validity"] == 1


def test_fine_is_the_upper_half_of_the_frequencies(fresh: Tensor) -> None:
    row = measure_samples(fresh[:9], REFERENCE, ["spectrum"])
    power, of_test = power_spectrum(fresh[:9]), power_spectrum(TEST)
    assert len(power) == 17
    assert row["fine"] == pytest.approx(float(power[8:].sum() / of_test[8:].sum()))
    for k in (0, 7, 16):
        assert row[f"power_{k}"] == pytest.approx(float(power[k] / of_test[k]))
    assert len(row) == 17 + 1


@pytest.mark.parametrize(
    ("settings", "size"), [({}, 60), ({"num_told_apart": 20}, 20), ({"num_told_apart": 999}, 60)]
)
def test_as_many_are_told_apart_as_there_are_of_both(
    settings: dict[str, int], size: int, fresh: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of the samples and the first of the test pictures, from a seed."""
    seen: list[object] = []

    def fake(real: Tensor, samples: Tensor, *, seed: int) -> ClassifierTest:
        seen.extend((real, samples, seed))
        return ClassifierTest(0.75, 0.5, 0.0)

    monkeypatch.setattr("vaebook.metrics.samples.measure.picture_classifier_test", fake)
    row = measure_samples(fresh[:60], REFERENCE, ["classifier"], seed=3, **settings)
    assert row == {"told_apart": 0.75}
    assert torch.equal(seen[0], TEST[:size])
    assert torch.equal(seen[1], fresh[:size])
    assert seen[2] == 3
    few = Reference(TEST[:7])
    measure_samples(fresh[:60], few, ["classifier"])
    assert len(seen[3]) == len(seen[4]) == 7


def test_the_first_samples_are_judged(fresh: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def fake(images: Tensor) -> NearestDog:
        seen.append(images)
        num = len(images)
        return NearestDog(torch.zeros(num), sample_factors(num, seed=0), images)

    monkeypatch.setattr("vaebook.metrics.samples.measure.nearest_dog", fake)
    measure_samples(fresh[:9], REFERENCE, ["dogs"], num_judged=4)
    measure_samples(fresh[:9], REFERENCE, ["dogs"])
    assert torch.equal(seen[0], fresh[:4])
    assert torch.equal(seen[1], fresh[:9])


def test_what_is_known_of_the_reference_is_computed_once() -> None:
    calls: list[int] = []

    def counted(images: Tensor) -> Tensor:
        calls.append(len(images))
        return bands(images)

    reference = Reference(TEST, TRAINING, counted)
    for _ in range(2):
        measure_samples(TRAINING[:20], reference, ["features", "kernel", "neighbours"])
    assert calls == [100, 20, 20]
    assert reference.held_out_distance is reference.held_out_distance
