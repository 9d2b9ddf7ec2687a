"""The experiments that count dogs: their measures on cases with a known answer, and tiny runs."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vaebook.data import load_dogs
from vaebook.data.dog_controls import dog_controls
from vaebook.distributions import fit_box, standard_normal
from vaebook.experiments.ch02_holes import code_map, dog_threshold, holes
from vaebook.experiments.ch06_vae import anatomy, pixel_noise
from vaebook.metrics.dogs import nearest_dog
from vaebook.models import MLP, VAE, Autoencoder

TINY = MLP((8,), background=0.95)
FEW = load_dogs(96, 8, 40)


@pytest.fixture
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments that train for an epoch on 96 dogs."""
    for module in (holes, code_map, anatomy, pixel_noise):
        monkeypatch.setattr(module, "load_dogs", lambda: FEW)
    short = {"num_epochs": 1, "batch_size": 32, "lr": 1e-3}
    for module in (holes, anatomy):
        monkeypatch.setattr(module, "DOG_NETWORK", TINY)
        monkeypatch.setattr(module, "DOG_TRAINING", short)
    monkeypatch.setattr(pixel_noise, "NETWORKS", {"one layer": (TINY, 1e-3)})


def normal(num_codes: int, latent_dim: int, seed: int) -> Tensor:
    return torch.randn(num_codes, latent_dim, generator=torch.Generator().manual_seed(seed))


def test_the_geometry_of_normal_codes() -> None:
    """The ellipsoid of a standard normal is a ball whose radius χ² knows."""
    codes, held_out = normal(20_000, 3, 0), normal(20_000, 3, 1)
    found = holes.code_geometry(codes, held_out)
    low, high = codes.numpy().min(0), codes.numpy().max(0)
    assert found["log_box"] == pytest.approx(np.log(high - low).sum(), rel=1e-5)
    radius = math.sqrt(11.345)  # the 99 % quantile of χ² with 3 degrees of freedom
    assert found["log_ellipsoid"] == pytest.approx(math.log(4 / 3 * math.pi * radius**3), abs=0.05)
    assert (found["orthants"], found["held_out_orthants"]) == (8, 1.0)
    assert found["principal_dims"] == 3
    assert found["code_variance"] == pytest.approx(1, abs=0.02)
    assert found["code_mean"] < 0.02


def test_how_a_samplers_codes_lie() -> None:
    codes, held_out = normal(5_000, 4, 0), normal(2_000, 4, 1)
    density = standard_normal(4)
    found = holes.measure_sampler(density, held_out, codes, held_out)
    expected = -2 * math.log(2 * math.pi) - 0.5 * held_out.square().sum(1).mean()
    assert found["log_density"] == pytest.approx(float(expected), rel=1e-5)
    assert found["nearest_code"] == pytest.approx(1, abs=0.05)  # they are held-out codes
    assert found["norm"] == pytest.approx(0.94, abs=0.02)  # √(2/d) Γ((d+1)/2) / Γ(d/2), d = 4
    far = holes.measure_sampler(None, held_out + 10, codes, held_out)
    assert math.isnan(far["log_density"])
    assert far["nearest_code"] > 10
    box = holes.measure_sampler(fit_box(codes), held_out, codes, held_out)
    volume = float((codes.amax(0) - codes.amin(0)).log().sum())
    assert box["log_density"] == pytest.approx(-volume, rel=1e-5)  # of those inside


def test_midpoints_are_halfway_and_great_circles_keep_the_norm() -> None:
    codes, held_out = normal(1_000, 64, 0) + 3, normal(200, 64, 1) + 3
    drawn = holes.draw_codes(holes.densities(codes), codes, held_out, 50, seed=0)
    assert set(drawn) == {
        *holes.FITS,
        "noisy codes",
        "held-out codes",
        "midpoints",
        "slerp midpoints",
    }
    assert all(z.shape == (50, 64) for z in drawn.values())
    centre = codes.mean(0)
    radius = {name: float((z - centre).norm(dim=1).mean()) for name, z in drawn.items()}
    assert radius["midpoints"] == pytest.approx(math.sqrt(32), rel=0.05)
    assert radius["slerp midpoints"] == pytest.approx(8, rel=0.05)
    corners = drawn["corners"]
    assert ((corners == codes.amin(0)) | (corners == codes.amax(0))).all()
    inside = (drawn["box"] >= codes.amin(0)) & (drawn["box"] <= codes.amax(0))
    assert inside.all()
    noise = torch.cdist(drawn["noisy codes"], codes).amin(1)
    assert float(noise.mean()) == pytest.approx(holes.COPY_NOISE * 8, rel=0.1)


def test_dogs_are_judged_to_be_dogs_and_copies_to_be_copies() -> None:
    new = FEW.test.images[:10]
    judged = holes.judge(new, nearest_dog(new), FEW)
    assert (judged["validity"], judged["validity_at_0.5"], judged["validity_at_2"]) == (1, 1, 1)
    pixels = (new[:, None] - FEW.train.images).square().mean((2, 3, 4)).sqrt()
    assert judged["training_distance"] == pytest.approx(float(pixels.amin(1).median()), rel=1e-3)
    copies = FEW.train.images[:10]
    assert holes.judge(copies, nearest_dog(copies), FEW)["training_distance"] == 0


def test_codes_of_an_autoencoder_are_points_and_of_a_vae_draws() -> None:
    images = FEW.test.images[:8]
    plain, noisy = Autoencoder((1, 32, 32), 3, network=TINY), VAE((1, 32, 32), 3, network=TINY)
    assert torch.equal(holes.codes_of(plain, images), plain.encode(images))
    assert not torch.equal(holes.codes_of(noisy, images), noisy.encode(images))
    assert torch.equal(holes.codes_of(noisy, images, seed=4), holes.codes_of(noisy, images, seed=4))
    assert holes.posterior_variance(plain, images) == 0
    assert holes.posterior_variance(noisy, images) > 0


@pytest.mark.usefixtures("few_dogs")
def test_holes_measures_every_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "NUM_COMPONENTS", 2)
    pictures: dict[str, Tensor] = {}
    rows = holes.run(0, latent_dims=(2, 4), num_images=4, pictures=pictures)
    for latent_dim, more in ((2, True), (4, False)):
        for model in ("autoencoder", "vae"):
            found = [
                r["sampler"] for r in rows if (r["model"], r["latent_dim"]) == (model, latent_dim)
            ]
            expected = holes.SAMPLERS[model] + (holes.MORE_SAMPLERS[model] if more else ())
            assert tuple(found) == expected
    assert {key.split("/")[1] for key in pictures} == {"2"}
    assert all(
        0 <= row["validity_at_0.5"] <= row["validity"] <= row["validity_at_2"] <= 1 for row in rows
    )


@pytest.mark.usefixtures("few_dogs")
def test_a_code_map_counts_every_code_once() -> None:
    rows = code_map.run(0, points_per_side=3, num_codes=5)
    cells = [row for row in rows if row["kind"] == "cell"]
    assert len(cells) == 9
    assert sum(row["codes"] for row in cells) == 96
    assert sum(row["kind"] == "code" for row in rows) == 5


@pytest.mark.usefixtures("few_dogs")
def test_anatomy_switches_the_parts() -> None:
    rows = anatomy.run(0, latent_dim=3, num_epochs=1, num_images=6)
    assert len(rows) == 3 * len(anatomy.VARIANTS)
    assert {row["source"] for row in rows} == {"reconstruction", "prior", "fitted"}
    has_bound = {row["variant"] for row in rows if not math.isnan(row["nll"])}
    assert has_bound == {"vae", "vae, learned σ"}
    again = anatomy.run(0, latent_dim=3, num_epochs=1, num_images=6, variants=("vae",))
    timeless = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    for row in again:
        assert {k: v for k, v in row.items() if k != "seconds"} in timeless


@pytest.mark.usefixtures("few_dogs")
def test_pixel_noise_follows_its_recipes() -> None:
    recipes = tuple(pixel_noise.Recipe("one layer", sigma, 2) for sigma in (0.1, 10.0))
    rows = pixel_noise.run(0, recipes=recipes, num_images=6, sources=("prior", "reconstruction"))
    assert [(r["sigma"], r["source"]) for r in rows] == [
        (0.1, "prior"), (0.1, "reconstruction"), (10.0, "prior"), (10.0, "reconstruction"),
    ]  # fmt: skip
    assert rows[2]["rate"] < rows[0]["rate"]  # what is below the noise is not worth its nats
    assert all(row["training_distance"] > 0 for row in rows)


def test_the_threshold_lets_dogs_through_and_stops_what_is_none() -> None:
    rows = {row["pictures"]: row for row in dog_threshold.run(0, num_images=12)}
    assert set(rows) == set(dog_controls(1, seed=0))
    assert rows["dog"]["found"] == rows["dog"]["validity"] == 1
    assert rows["noise"]["validity_at_2"] == rows["empty paper"]["validity"] == 0
    assert rows["dog, blurred by 0.5 pixels"]["median"] < rows["dog, blurred by 2 pixels"]["median"]
    assert rows["mean of two dogs"]["validity"] < 0.5
    for row in rows.values():
        assert row["low"] <= row["median"] <= row["high"]
        assert row["validity_at_0.5"] <= row["validity"] <= row["validity_at_2"]


def test_controls_are_made_from_the_same_dogs() -> None:
    groups = dog_controls(5, seed=3)
    dogs = groups["dog"]
    for name, images in groups.items():
        assert images.shape == dogs.shape
        assert float(images.min()) >= 0
        assert float(images.max()) <= 1
        if name != "dog":
            assert not torch.equal(images, dogs)
    # taking away what is dark never darkens; adding a tail never brightens
    for name in ("dog without ears", "dog without a head", "dog without its near foreleg"):
        assert (groups[name] - dogs).mean() > 0
    assert (groups["dog with a second tail"] <= dogs + 1e-6).all()


def test_codes_on_opposite_sides_of_the_mean_are_not_walked_between() -> None:
    codes = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).repeat(50, 1)
    held_out = torch.cat([codes, torch.tensor([[0.0, 1.0], [0.0, 2.0]]).repeat(50, 1)])
    drawn = holes.draw_codes({}, codes, held_out, 20, seed=0)
    assert len(drawn["midpoints"]) == len(drawn["slerp midpoints"]) == 20
    assert (drawn["midpoints"].norm(dim=1) > 0.1).all()
