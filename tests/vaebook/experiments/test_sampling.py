"""Sampling from N(0, I): a tiny run, the rules that read it, and pictures whose answer is known."""

from collections import Counter

import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.vaebook.experiments.dog_world import DogWorld
from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs, render, sample_factors
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.experiments.ch06_vae import sampling
from vaebook.experiments.ch06_vae.sampling import BLURRED, MIXTURE, REBUILT, SAMPLES, WORST
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.propositions.c4_known_distribution import CONDITIONS
from vaebook.metrics import Reference, relative_sharpness
from vaebook.models import MLP

ABOUT_SAMPLES = [each for each in PROPOSITIONS if each.name.startswith("C4")]
FEW = load_dogs(200, 8, 40)
DOGS = PictureData("dogs", FEW.train, FEW.test, FEW.validation.images)
TINY = {"num_images": 4, "scale": 0.01}


@pytest.fixture(scope="module")
def runs() -> dict[int, tuple[list, Counter[int], dict[str, Tensor]]]:
    """Two seeds: rows, which of the second lack what is judged, the streams begun, pictures."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "load_pictures_of", lambda name: DOGS)
        for seed in (1000, 1001):
            kept: dict[str, Tensor] = {}
            with begun() as seeds:
                rows = sampling.run(seed, pictures=kept, **TINY)
            found[seed] = rows, seeds, kept
            # the oracle is deterministic, and has been asked
            patch.setattr(sampling, "judged", lambda *_: {})
    return found


def test_a_learned_noise_is_learned_and_the_others_stay() -> None:
    sigmas = {}
    for name, training in sampling.TRAININGS.items():
        model = sampling.build(DOGS, MLP((4,)), sigma=training.sigma)
        assert isinstance(model.likelihood, OneSigmaLikelihood)
        learned = any(part.requires_grad for part in model.likelihood.parameters())
        sigmas[name] = "learned" if learned else f"{model.likelihood.sigma:g}"
    assert all(sigmas[name] in name for name in sigmas)
    assert {", ".join(setting) for setting in sampling.SETTINGS} == set(CONDITIONS["setting"])


def test_each_setting_and_source_has_a_row(runs: dict) -> None:
    rows, _, kept = runs[1000]
    table = pd.DataFrame(rows)
    assert len(table) == 5 * 4
    assert list(table["source"].unique()) == [SAMPLES, MIXTURE, REBUILT, BLURRED]
    assert set(WORST) <= set(table)
    assert not table["failed"].any()
    assert table[[*WORST, "rate", "neg_elbo"]].notna().all(axis=None)
    assert (table["blur"].notna() == (table["source"] == BLURRED)).all()
    assert set(kept) == {
        "/".join(map(str, key)) for key in table[["network", "training", "source"]].to_numpy()
    }
    wide = table.pivot_table("sharpness", ["network", "training"], "source")
    # An untrained decoder is nearly constant, below what the widest blur leaves; and no blur makes
    # four dogs as sharp as noise.
    blurs = table[table["source"] == BLURRED].set_index(["network", "training"])["blur"]
    kept_sharp = (wide[SAMPLES] > 0.01) & (blurs.reindex(wide.index) > 0)
    assert kept_sharp.any()
    near = pytest.approx(wide.loc[kept_sharp, SAMPLES].to_numpy(), rel=0.01)
    assert wide.loc[kept_sharp, BLURRED].to_numpy() == near


@pytest.mark.parametrize("proposition", ABOUT_SAMPLES, ids=[p.name for p in ABOUT_SAMPLES])
def test_the_rules_read_such_a_record(runs: dict, proposition) -> None:
    rows = pd.DataFrame(runs[1000][0])
    longer = rows[rows["training"] == "σ = 0.2, × 3"].assign(training="σ = 0.2, × 10")
    record = pd.concat(
        part.assign(seed=seed) for seed in range(proposition.num_units) for part in (rows, longer)
    )
    with pytest.raises(ValueError, match="planned for 400 pictures"):
        proposition.decide(proposition.table_of(record))
    record["num_pictures"] = proposition.num_pictures
    assert proposition.decide(proposition.table_of(record)).findings


def test_no_stream_begins_twice(runs: dict) -> None:
    (_, first, _), (_, second, _) = runs[1000], runs[1001]
    assert len(first) > 8
    assert not shared(first)
    assert not shared(second)
    assert set(first) & set(second) <= set(DATA)


def test_a_training_that_breaks_down_is_the_worst_that_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("the loss became nan in epoch 0")

    monkeypatch.setattr(sampling, "load_pictures_of", lambda name: DOGS)
    monkeypatch.setattr(sampling, "train_reference", broken)
    rows = {
        row["source"]: row
        for row in sampling.run(1000, settings=(("MLP", "σ learned, × 1"),), **TINY)
    }
    assert set(rows) == {SAMPLES, MIXTURE, REBUILT, BLURRED}
    assert all("nan" in row["failed"] for row in rows.values())
    assert rows[SAMPLES].items() >= WORST.items()
    for reference in (MIXTURE, REBUILT):
        assert rows[reference]["validity"] - rows[SAMPLES]["validity"] == 1, "supports nothing"
    assert (rows[BLURRED]["blur"], rows[BLURRED]["validity"]) == (0, 1)


# --- pictures whose answer is known --------------------------------------------------------------


def fresh(num_images: int) -> Tensor:
    with torch.no_grad():
        return render(sample_factors(num_images, seed=77_000_001))


def test_real_dogs_are_new_dogs_and_training_dogs_are_not() -> None:
    data = load_dogs(1000, 8, 300)
    reference = Reference(data.test.images, data.train.images)
    new = sampling.judged(fresh(100), reference)
    assert new["validity"] == 1
    # medians of 100 and of 300 distances that spread by a fifth of themselves
    assert new["novelty_of_dogs"] == pytest.approx(1, abs=0.1)
    assert new["novelty_of_dogs"] == new["novelty"]
    copies = sampling.judged(data.train.images[:10], reference)
    assert (copies["novelty_of_dogs"], copies["copies"], copies["copies_of_dogs"]) == (0, 1, 1)
    nothing = sampling.judged(torch.full((4, 1, 32, 32), 0.95), reference)
    assert (nothing["validity"], nothing["novelty_of_dogs"], nothing["copies_of_dogs"]) == (0, 0, 1)


def test_only_those_that_are_dogs_count_as_new_dogs() -> None:
    data = load_dogs(1000, 8, 300)
    reference = Reference(data.test.images, data.train.images)
    copies_and_noise = torch.cat([data.train.images[:4], torch.rand(8, 1, 32, 32)])
    row = sampling.judged(copies_and_noise, reference)
    assert (row["novelty_of_dogs"], row["copies_of_dogs"]) == (0, 1)
    assert row["novelty"] > 1
    assert row["copies"] < 0.5


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_the_width_of_a_blur_is_found_from_its_sharpness(width: float) -> None:
    dogs = fresh(20)
    left = relative_sharpness(sampling.blurred(dogs, width), dogs)
    assert sampling.blur_width(dogs, left) == pytest.approx(width, abs=1e-3)


def test_what_is_sharper_than_real_is_not_blurred_and_what_is_flat_as_far_as_tried() -> None:
    dogs = fresh(4)
    assert sampling.blur_width(dogs, 1.2) == 0
    assert torch.equal(sampling.blurred(dogs, 0.0), dogs)
    assert sampling.blur_width(dogs, 0.0) == sampling.WIDEST


def test_the_renderer_as_decoder_draws_dogs() -> None:
    """Codes from N(0, I), from a mixture of them and of dogs all decode to dogs."""
    world = sampling.build(DOGS, DogWorld(), sigma=0.2)
    found = sampling.drawn(world, fresh(400), fresh(20), seed=1000, stream="renderer")
    reference = Reference(FEW.test.images, FEW.train.images)
    assert set(found) == {SAMPLES, MIXTURE, REBUILT}
    for images in found.values():
        assert sampling.judged(images, reference)["validity"] == 1
