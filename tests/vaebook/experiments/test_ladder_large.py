"""Large dogs: rows, streams, and what averaging down does to real ones."""

from functools import partial
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_dogs, render, sample_factors
from vaebook.experiments.ch12_vae_versus_gan import ladder_large, ways_to_draw
from vaebook.experiments.ch12_vae_versus_gan.ladder_large import averaged, deeper
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.reference import RECIPES
from vaebook.metrics import frechet_distance
from vaebook.metrics.dogs import NearestDog, nearest_dog
from vaebook.metrics.samples import measure
from vaebook.metrics.samples.picture_classifier import picture_classifier_test
from vaebook.models import Conv
from vaebook.training import stream_seed

TINY: dict[str, Any] = {"num_images": 60, "num_judged": 4, "scale": 1e-6}


def nothing(images: Tensor) -> NearestDog:
    """An oracle that answers at once: every picture is a dog."""
    return NearestDog(torch.zeros(len(images)), sample_factors(len(images), seed=1), images)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """96 large dogs, networks of 4 channels, features of blocks, a classifier of two epochs."""
    dogs = load_dogs(96, 8, 60, size=64)
    data = PictureData("dogs", dogs.train, dogs.test, dogs.test.images)
    small = RECIPES["convolutional"]._replace(
        network=lambda blank: Conv((4, 4), 32, background=blank, blank=blank)
    )
    monkeypatch.setitem(RECIPES, "convolutional", small)
    monkeypatch.setitem(RECIPES, "GAN", small)
    monkeypatch.setattr(ladder_large, "large_dogs", lambda: data)
    monkeypatch.setattr(
        ladder_large, "recorded_features", lambda name: lambda x: x[:, 0, ::8, ::8].flatten(1)
    )
    monkeypatch.setattr(ways_to_draw, "NUM_COMPONENTS", 1)
    monkeypatch.setattr(measure, "nearest_dog", nothing)
    short = partial(picture_classifier_test, num_epochs=2)
    monkeypatch.setattr(measure, "picture_classifier_test", short)


def test_every_row_is_there(few: None) -> None:
    kept: dict[str, Tensor] = {}
    with begun() as seeds:
        table = pd.DataFrame(ladder_large.run(1000, pictures=kept, **TINY))
    with begun() as others:
        ladder_large.run(1001, models=("real", "GAN"), **TINY)
    # fit asks about its validation pictures after each epoch, every time with the same stream
    validation = {
        stream_seed(
            stream_seed(1000, f"classifier: dogs, 64 pixels: {name}, truncated at 1"), "validation"
        )
        for name in (
            *("real at any budget", "training pictures at any budget"),
            *("GAN at × 3", "VAE + mixture at × 3"),
        )
    }
    assert set(shared(seeds)) == validation
    assert not set(seeds) & set(others) - set(DATA)
    assert list(table["model"]) == ["real", "training pictures", "GAN", "VAE + mixture"]
    assert set(table["failed"]) == {""}
    measured = [
        "validity",
        "frechet",
        "kernel_distance",
        "recall_pixels",
        "novelty",
        "power_32",
        "told_apart",
    ]
    assert table[measured].notna().all(axis=None)
    assert {images.shape[-1] for images in kept.values()} == {64}
    assert table["sharpness"].iloc[0] == pytest.approx(1, abs=0.15)  # 60 dogs against 60


def test_the_maps_inside_are_as_large() -> None:
    network = RECIPES["convolutional"].network(0.95)
    small = network.decoder(16, (1, 32, 32))
    large = deeper(network).decoder(16, (1, 64, 64))
    shapes = [[tuple(p.shape) for p in decoder.parameters()][:4] for decoder in (small, large)]
    assert shapes[0] == shapes[1]  # up to the first map
    assert large(torch.zeros(2, 16)).shape == (2, 1, 64, 64)


def test_averaged_dogs_are_like_small_ones_but_half_as_near_as_a_dog_must_be() -> None:
    factors = sample_factors(40, seed=1_000)
    large, small = render(factors, size=64), render(factors)
    gap = (averaged(large) - small).square().mean((1, 2, 3)).sqrt()
    assert 0.005 < float(gap.median()) < 0.04
    found = nearest_dog(averaged(large)[:8]).distance
    assert 0.01 < float(found.median()) < 0.03
    assert frechet_distance(averaged(large).flatten(1)[:, :9], small.flatten(1)[:, :9]) < 0.01
