"""The experiments of chapter 11: what they count, on cases with a known answer, and tiny runs."""

import math

import pandas as pd
import pytest
import torch

from vaebook.data import FACTOR_NAMES, breeds, load_dogs, render, sample_factors
from vaebook.data.ring import NUM_MODES, count_modes, ring_centres, ring_images
from vaebook.experiments.ch11_gan import gan_recipes, gan_ring, models
from vaebook.experiments.ch11_gan.models import (
    BASELINE,
    RECIPES,
    REFERENCE,
    TrainingMonitor,
    build,
    uniform_noise,
)
from vaebook.experiments.ch11_gan.rules import forgotten, needed
from vaebook.metrics.dogs import nearest_dog
from vaebook.models import GAN, VAE, Conv
from vaebook.models.gan import discriminator_loss
from vaebook.training import WeightAverage, fit

TINY = Conv((2, 4), 8, "leaky relu", background=0.95, blank=0.95)
SHORT = {"num_epochs": 1, "batch_size": 32, "lr": 1e-3}


@pytest.fixture
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players of a few weights that train for an epoch on 96 dogs."""
    data = load_dogs(96, 40, 40, size=16)
    for name in ("GENERATOR", "DISCRIMINATOR"):
        monkeypatch.setattr(models, name, TINY)
    for name in ("TRAINING", "VAE_TRAINING"):
        monkeypatch.setattr(models, name, SHORT)
    monkeypatch.setattr(gan_recipes, "breeds", lambda: data)
    monkeypatch.setattr(gan_recipes, "NUM_INVERTED", 4)
    monkeypatch.setattr(gan_recipes, "STAGES", (2,))


def test_modes_of_the_ring_itself() -> None:
    points = ring_images(4_000, seed=1_000_003)
    assert points.shape == (4_000, 1, 1, 2)
    found = count_modes(points)
    assert found.found == NUM_MODES
    assert found.on_modes > 0.998  # 0.03 % lie beyond four standard deviations
    assert found.divergence < 0.005  # about 7 / 8,000 for eight shares of 4,000 draws


def test_modes_that_are_missing_are_missed() -> None:
    one = ring_centres()[:1].expand(100, 2)[:, None, None]
    assert count_modes(one) == (1, 1.0, pytest.approx(math.log(NUM_MODES)))
    half = ring_centres()[:4].repeat(25, 1)[:, None, None]
    assert count_modes(half).found == 4
    assert count_modes(half).divergence == pytest.approx(math.log(2))
    nowhere = torch.full((10, 1, 1, 2), 0.5)
    assert count_modes(nowhere) == (0, 0.0, 0.0)


def test_breeds_have_the_shares_that_the_chapter_states() -> None:
    factors = breeds.breed_factors(20_000, seed=1_000_011)
    facing, coat = (factors[:, FACTOR_NAMES.index(name)] for name in ("facing", "coat"))
    assert float(facing.abs().min()) >= breeds.SIDEWAYS
    # shares of 20,000: standard errors 0.0015 and 0.0035
    assert float((coat > 0.5).float().mean()) == pytest.approx(breeds.RARE, abs=0.006)
    assert float((facing > 0).float().mean()) == pytest.approx(0.5, abs=0.014)
    assert not bool(((coat > 0.3) & (coat < 0.6)).any())
    others = [i for i, name in enumerate(FACTOR_NAMES) if name not in ("facing", "coat")]
    plain = sample_factors(20_000, seed=1_000_011)
    assert torch.equal(factors[:, others], plain[:, others])
    pale = (coat > 0.5).float()
    correlation = torch.corrcoef(torch.cat([pale[None], plain.T]))[0, 1:]
    assert float(correlation.abs().max()) < 0.03  # four standard errors of 1 / sqrt(20,000)


def test_kinds_are_counted_from_the_pictures() -> None:
    factors = breeds.breed_factors(20, seed=1_000_021)
    facing, coat = FACTOR_NAMES.index("facing"), FACTOR_NAMES.index("coat")
    factors[:15, facing], factors[15:, facing] = 0.8, -0.8
    factors[:2, coat], factors[2:18, coat], factors[18:, coat] = 0.7, 0.2, 0.45
    expected = {"pale": 0.1, "right": 0.75, "between": 0.1}
    for read in (factors, nearest_dog(render(factors, size=16)).factors):
        found = breeds.shares(read)
        # a coat in the middle between the breeds may be read as above or below it
        assert found["pale"] == pytest.approx(expected["pale"], abs=0.101)
        assert found["right"] == pytest.approx(expected["right"])
        assert found["between"] == pytest.approx(expected["between"])


def test_judge_on_real_dogs_and_on_one_dog() -> None:
    data = load_dogs(96, 40, 40, size=16)
    real = gan_recipes.judge(data.test.images, data)
    assert real["validity"] == 1.0
    assert real["sharpness"] == pytest.approx(1.0)
    assert real["coverage"] == pytest.approx(1.0, abs=0.06)
    assert real["ks"] < 0.2  # 0.87 / sqrt(40) = 0.14 on average
    same = gan_recipes.judge(data.test.images[:1].expand(12, -1, -1, -1), data)
    assert same["ks"] > 0.6  # one value: between ½ and 1
    assert same["coverage"] < 0.25
    none = gan_recipes.judge(torch.rand(4, 1, 16, 16), data)
    assert none["validity"] == 0
    assert "ks" not in none


def test_uniform_noise_has_the_moments_of_the_normal() -> None:
    noise = uniform_noise()
    torch.testing.assert_close(noise.mean, torch.zeros(16))
    torch.testing.assert_close(noise.variance, torch.ones(16))
    assert build("uniform noise", seed=0).prior.event_shape == (16,)


def test_every_recipe_builds_and_starts_from_the_same_weights() -> None:
    assert isinstance(build(BASELINE, seed=0), VAE)
    start = build(REFERENCE, seed=0).generator.state_dict()
    for name in RECIPES:
        model = build(name, seed=0)
        assert isinstance(model, GAN)
        for key, value in model.generator.state_dict().items():
            assert torch.equal(value, start[key]), name


def test_the_watch_measures_the_game_and_leaves_it_alone(few_dogs) -> None:
    data = load_dogs(96, 40, 40, size=16)
    watched, alone = build(REFERENCE, seed=0), build(REFERENCE, seed=0)
    average = WeightAverage()
    watch = TrainingMonitor(data.validation.images, average, every=2, keep=(1,))
    fit(watched, data.train.images, callbacks=[watch, average], **SHORT)
    fit(alone, data.train.images, callbacks=[WeightAverage()], **SHORT)
    for key, value in watched.state_dict().items():
        assert torch.equal(value, alone.state_dict()[key]), key
    assert [row["step"] for row in watch.rows] == [2, 3]
    assert {"drift", "average_drift"} <= set(watch.rows[1])
    assert set(watch.kept) == {1, 3}
    raw = watch.kept[3]  # the weights as they were, before the average took their place
    pictures = raw.sample(40, seed=models.WATCH_SEED)
    with torch.no_grad():
        real, generated = raw.logits(data.validation.images), raw.logits(pictures)
    expected = float(discriminator_loss(real, generated).mean())
    assert watch.rows[1]["discriminator_loss"] == pytest.approx(expected, rel=1e-5)
    right = int((real > 0).sum() + (generated <= 0).sum())
    assert watch.rows[1]["accuracy"] == pytest.approx(right / 80)


def test_a_tiny_run_of_the_recipes(few_dogs) -> None:
    pictures: dict = {}
    weights: dict = {}
    names = (REFERENCE, "uniform noise", BASELINE)
    rows = gan_recipes.run(0, recipes=names, num_images=4, pictures=pictures, weights=weights)
    last = {row["recipe"]: row for row in rows if row["last"]}
    assert set(last) == {*names, gan_recipes.RAW, "data"}
    assert last["data"]["validity"] == 1
    assert {"validity", "inversion", "seconds"} <= set(last[REFERENCE])
    assert "reconstruction" in last[BASELINE]
    assert "discriminator_loss" not in last[BASELINE]
    assert set(weights) == {REFERENCE}
    assert {*names, "data"} <= set(pictures)


def test_a_tiny_run_of_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan_ring, "NUM_POINTS", 64)
    monkeypatch.setattr(gan_ring, "TRAINING", {"num_epochs": 1, "batch_size": 32})
    rows = gan_ring.run(0, num_samples=50)
    assert [row["recipe"] for row in rows] == list(gan_ring.RECIPES)
    assert all(0 <= row["on_modes"] <= 1 and row["found"] <= NUM_MODES for row in rows)


def written_record(**changes: float) -> pd.DataFrame:
    """Five seeds of the reference and of two others, which differ from it by ``changes``."""
    rows = []
    for seed in range(5):
        jitter = 0.01 * (seed - 2)
        base = {
            "seed": seed,
            "last": True,
            "precision_pixels": 0.5,
            "drift": 0.1,
            "recall_pixels": 0.1,
        }
        base |= {
            "average_precision_pixels": 0.8,
            "average_recall_pixels": 0.4 + jitter,
            "average_drift": 0.01,
        }
        base |= {"validity": 0.7 + jitter}
        rows.append({"recipe": REFERENCE, **base})
        for name, change in changes.items():
            rows.append({"recipe": name, **base, "validity": base["validity"] + change})
        rows.append({"recipe": gan_recipes.RAW, **base})
    return pd.DataFrame(rows)


def test_what_a_departure_costs() -> None:
    found = needed(written_record(worse=-0.65, better=0.15, same=-0.05)).set_index("recipe")
    assert found["outcome"].to_dict() == {
        "worse": "costs",
        "better": "helps",
        "same": "not shown",
        gan_recipes.RAW: "costs",  # its own recall is 0.1, the averaged generator's 0.4
    }
    assert found["failed"].to_dict() == {"worse": 5, "better": 0, "same": 0, gan_recipes.RAW: 0}
    assert found.loc["worse", "validity"] == pytest.approx(-0.65)


def test_a_kind_is_forgotten_below_a_fifth_of_its_share() -> None:
    record = pd.DataFrame(
        {
            "recipe": ["a"] * 3 + ["b"] * 3,
            "pale": [0.05, 0.009, 0.0, float("nan"), 0.011, 0.2],
            "right": [0.5, 0.5, 0.5, float("nan"), 0.09, 0.5],
        }
    )
    found = forgotten(record, {"pale": 0.05, "right": 0.5}).set_index("recipe")
    assert found.loc["a"].to_dict() == {"pale": 2, "right": 0, "judged": 3}
    assert found.loc["b"].to_dict() == {"pale": 0, "right": 1, "judged": 2}
