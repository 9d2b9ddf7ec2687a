"""The comparison of chapter 12: fair terms, a tiny run of everything, measures of known sets."""

import math

import pandas as pd
import pytest
import torch
from torch import Tensor

from vaebook.data import load_dogs, load_fashion
from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.ch12_vae_versus_gan import (
    adversarial_switch,
    comparison,
    metric_bias,
    specs,
)
from vaebook.experiments.ch12_vae_versus_gan.specs import SPECS
from vaebook.experiments.pictures import PictureData, load_pictures_of
from vaebook.metrics import nearest_distance
from vaebook.metrics.dogs import NearestDog
from vaebook.metrics.samples import measure
from vaebook.models import GAN, Conv


def few_features(images: Tensor) -> Tensor:
    """Eight means over blocks of rows, slightly bent: stands in for a network."""
    return images.mean((1, 3)).unflatten(1, (4, -1)).mean(2).repeat(1, 2).cumsum(1).tanh()


def count(images: Tensor) -> NearestDog:
    """An oracle that puts as many pictures as it was asked about into every distance."""
    shape = (len(images),)
    return NearestDog(torch.full(shape, float(*shape)), torch.zeros(*shape, 16), images)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> PictureData:
    """96 dogs, networks of 4 channels, and an oracle that answers at once."""
    dogs = load_dogs(96, 8, 40)
    data = PictureData("dogs", dogs.train, dogs.test, load_dogs(40, 8, 8, seed=7).train.images)
    small = Conv((4, 4), 8, background=0.95, blank=0.95)
    monkeypatch.setattr(comparison, "load_pictures_of", lambda name: data)
    monkeypatch.setattr(comparison, "NUM_COMPONENTS", 2)
    monkeypatch.setattr(specs, "network_of", lambda name: small)
    monkeypatch.setattr(specs, "judge_of", lambda name: small)
    monkeypatch.setattr(measure, "nearest_dog", count)
    return data


def test_all_contestants_have_one_decoder_and_one_encoder() -> None:
    for data_name, shape in (("dogs", (1, 32, 32)), ("fashion", (1, 28, 28))):
        decoders, encoders = set(), set()
        for name, spec in SPECS.items():
            model = spec.build(shape, data_name)
            decoder = model.generator if isinstance(model, GAN) else model.decoder
            decoders.add(tuple(tuple(p.shape) for p in decoder.parameters()))
            if hasattr(model, "encoder"):  # up to the last layer, which a VAE has twice as wide
                encoders.add(tuple(tuple(p.shape) for p in model.encoder.parameters())[:-2])
            assert spec.lr == SPECS["GAN"].lr, name
        assert len(decoders) == len(encoders) == 1


def test_every_contestant_makes_rows(few: PictureData) -> None:
    kept: dict[str, Tensor] = {}
    weights: dict[str, torch.nn.Module] = {}
    rows = comparison.run(
        0, epochs=0.01, num_images=40, num_judged=3, features=few_features, pictures=kept
    )
    rows += comparison.run(
        0,
        models=EXPERIMENTS["comparison_adversarial"].settings["models"],
        epochs=0.01,
        num_images=40,
        num_judged=3,
        features=few_features,
        pictures=kept,
        weights=weights,
    )
    frame = pd.DataFrame(rows).set_index("model")
    names = [
        "real, fresh",
        "training pictures",
        "autoencoder + mixture",
        "VAE",
        "VAE + mixture",
        "VAE, learned σ",
        "VAE-GAN",
        "GAN",
    ]
    assert list(frame.index) == names == list(kept)
    assert set(weights) == {"GAN"}
    assert not frame["failed"].any()
    measures = ["validity", "precision", "recall", "frechet", "sharpness", "novelty", "power_3"]
    assert frame[measures].notna().all().all()
    assert (frame["distance"] == 3).all()
    assert frame.loc["training pictures", ["novelty", "copies"]].tolist() == [0, 1]
    assert (frame["steps"].dropna() == 3).all()  # an epoch of 96 dogs
    assert math.isnan(frame.loc["GAN", "reconstruction_rmse"])
    assert frame.loc["VAE-GAN", "reconstruction_rmse"] > 0
    assert frame.loc[names[2:], "seconds"].gt(0).all()


def test_equal_steps_are_the_gans(few: PictureData, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {
        name: spec._replace(epochs={"dogs": 4 if name == "VAE" else 2})
        for name, spec in SPECS.items()
    }
    monkeypatch.setattr(comparison, "SPECS", short)
    frame = pd.DataFrame(
        comparison.run(0, models=("VAE", "GAN"), num_images=40, features=few_features)
    )
    assert frame.groupby("budget")["steps"].unique().map(list).to_dict() == {
        "equal seconds": [12, 6],
        "equal steps": [6],
    }
    # looked at half-way it is what a training of half the length ends with, but for the average's
    # last step, and not what the whole training ends with
    short["VAE"] = short["VAE"]._replace(epochs={"dogs": 2})
    (half,) = comparison.run(0, models=("VAE",), num_images=40, features=few_features)[:1]
    of_vae = frame[frame["model"] == "VAE"].set_index("budget")["reconstruction_rmse"]
    to_half = abs(of_vae["equal steps"] - half["reconstruction_rmse"])
    assert to_half < abs(of_vae["equal steps"] - of_vae["equal seconds"])


def test_a_model_that_breaks_down_loses_no_other(
    few: PictureData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise ValueError("the loss became nan")

    monkeypatch.setattr(comparison, "fit", broken)
    rows = comparison.run(0, models=("VAE", "real, fresh"), num_images=40, features=few_features)
    assert [row["failed"] for row in rows] == ["the loss became nan", ""]


def test_fresh_clothes_are_taken_out_of_the_training_set() -> None:
    data, everything = load_pictures_of("fashion"), load_fashion()
    assert len(data.train) == 8000
    assert len(data.fresh) == len(data.test) == 2000
    assert data.train.labels is not None
    assert torch.bincount(data.train.labels).tolist() == [800] * 10
    together = torch.cat([data.train.images, data.fresh]).flatten(1).sum(1).sort().values
    torch.testing.assert_close(together, everything.train.images.flatten(1).sum(1).sort().values)


def test_fresh_dogs_are_in_no_split() -> None:
    data = load_pictures_of("dogs")
    for split in (data.train, data.test):
        assert nearest_distance(data.fresh[:50], split.images).min() > 0.005


def test_no_oracle_for_clothes(few: PictureData) -> None:
    found = comparison.run(
        0, models=comparison.CONTROLS, data_name="fashion", num_images=40, features=few_features
    )
    assert all("frechet" in row and "validity" not in row for row in found)


def test_bias_falls_with_the_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_bias, "recorded_features", lambda name: few_features)
    frame = pd.DataFrame(metric_bias.run(0, sizes=(20, 200)))
    real = frame[frame["kind"] == "real"].set_index("size")
    assert real.loc[20, "frechet"] > real.loc[200, "frechet"]
    assert real.loc[20, "predicted"] == pytest.approx(10 * real.loc[200, "predicted"])


def test_the_switch_goes_on_from_one_vae(few: PictureData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversarial_switch, "load_pictures_of", lambda name: few)
    rows: dict[float, pd.DataFrame] = {}
    kept: dict[float, dict[str, Tensor]] = {}
    for weight in (0.0, 50.0):
        kept[weight] = {}
        found = adversarial_switch.run(
            0,
            num_epochs=1,
            num_more=1,
            adversarial_weight=weight,
            features=few_features,
            pictures=kept[weight],
        )
        rows[weight] = pd.DataFrame(found).set_index("stage")
    assert list(rows[0.0].index) == ["before", "an epoch more, without", "an epoch more, with"]
    # without weight the discriminator changes nothing but the noise: one step is a small one
    gap = rows[0.0].loc["an epoch more, with", "rmse"] - rows[0.0].loc["before", "rmse"]
    assert abs(gap) < 0.02
    assert not torch.equal(kept[0.0]["an epoch more, with"], kept[50.0]["an epoch more, with"])
    torch.testing.assert_close(kept[0.0]["before"], kept[50.0]["before"])
