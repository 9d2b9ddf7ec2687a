"""The experiments of chapter 14 in tiny runs."""

import math
from collections.abc import Sequence
from functools import partial

import pandas as pd
import pytest
import torch

from vaebook.data import load_dogs
from vaebook.distributions import fit_flow, fit_flow_matching, standard_normal
from vaebook.experiments.ch09_why_normal import specs as prior_specs
from vaebook.experiments.ch14_verdicts import latent_flow, latent_scale
from vaebook.experiments.ch14_verdicts import specs as encoder_specs
from vaebook.experiments.ch14_verdicts.specs import ENCODERS, NOISE, PRIORS
from vaebook.metrics import Reference, measure_samples
from vaebook.models import MLP, VAE

FEW = load_dogs(240, 8, 24)
SHORT = {"num_epochs": 1, "batch_size": 64, "lr": 1e-3}


def without_oracle(
    images: torch.Tensor, reference: Reference, measures: Sequence[str]
) -> dict[str, float]:
    """All that is asked for but the nearest dogs: in their place, how many pictures there were."""
    found = measure_samples(images, reference, [name for name in measures if name != "dogs"])
    return found | ({"validity": float(len(images))} if "dogs" in measures else {})


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of 8 hidden units, trained for an epoch on 240 dogs; pictures are not judged."""
    for module in (latent_flow, latent_scale):
        monkeypatch.setattr(module, "load_dogs", lambda: FEW)
        # the oracle has a test of its own, and takes seconds for pictures that are no dogs
        monkeypatch.setattr(module, "measure_samples", without_oracle)
    monkeypatch.setattr(encoder_specs, "DOG_DEEP_TRAINING", SHORT)
    monkeypatch.setattr(prior_specs, "DOG_DEEP", MLP((8,), background=0.95))
    quick = partial(fit_flow_matching, num_epochs=1, hidden=8)
    monkeypatch.setattr(encoder_specs, "fit_flow_matching", quick)
    monkeypatch.setattr(encoder_specs, "fit_flow", partial(fit_flow, num_epochs=1))
    monkeypatch.setattr(latent_flow, "NUM_COMPARED", 24)
    monkeypatch.setattr(latent_flow, "NUM_WEIGHTS", 3)


def test_every_pair_makes_a_row() -> None:
    kept: dict[str, torch.Tensor] = {}
    frame = pd.DataFrame(latent_flow.run(0, num_epochs=1, num_images=5, pictures=kept))
    assert len(frame) == len(ENCODERS) * (len(PRIORS) - len(NOISE)) + len(NOISE)
    assert set(kept) == {"real", *(frame["encoder"] + "/" + frame["prior"])}
    assert not frame.duplicated(["encoder", "prior"]).any()
    is_vae = frame["encoder"] != "autoencoder"
    possible = frame["impossible"] == 0
    assert frame.loc[is_vae & possible, ["nll", "rate", "code_nll"]].notna().all().all()
    assert frame.loc[~is_vae, ["nll", "rate"]].isna().all().all()
    assert possible[frame["prior"] != "flow matching from uniform"].all()
    assert frame[["precision_pixels", "recall_pixels"]].to_numpy().max() <= 1
    assert (frame["validity"] == 5).all()


def test_a_tiny_weight_leaves_a_high_rate() -> None:
    frame = pd.DataFrame(
        latent_scale.run(
            0, betas=(1e-6, 1.0), scales=(1.0, 3.0), num_epochs=1, flow_epochs=1, num_images=4
        )
    )
    encoders, flows = (frame[frame["part"] == part] for part in ("encoder", "flow"))
    assert list(encoders["beta"]) == [1e-6, 1.0]
    assert encoders["rate"].iloc[0] > encoders["rate"].iloc[1]
    assert len(flows) == len(latent_scale.STEPS) + len(latent_scale.STEPS_EVERYWHERE)
    assert (flows["validity"] == 4).all()


def test_what_is_measured_of_codes_is_what_its_name_says() -> None:
    model = VAE(FEW.image_shape, 16, network=MLP((4,)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # q(z | x) is N(0, I) for every dog
        model.encoder[-1].bias[:16] = 2.0  # type: ignore[index, union-attr]
        model.encoder[-1].bias[16:] = 2 * math.log(0.5)  # type: ignore[index, union-attr]
    about = latent_scale.about(model, FEW)
    assert about["second_moment"] == pytest.approx(4.25)
    assert about["posterior_std"] == pytest.approx(0.5)
    # 3,840 draws of σ = 0.5: the error of their standard deviation is about 1 %
    assert about["code_std"] == pytest.approx(0.5, rel=0.05)
    by_hand = 16 * 0.5 * (4 + 0.25 - 1 - math.log(0.25))
    assert about["rate"] == pytest.approx(by_hand, rel=1e-5)


def test_samples_are_decoded_draws_of_the_prior() -> None:
    model = encoder_specs.train(1e-6, FEW, seed=0, num_epochs=1)
    assert isinstance(model, VAE)
    assert model.beta == 1e-6
    first = latent_flow.draw(model, standard_normal(16), 3, seed=0)
    again = latent_flow.draw(model, standard_normal(16), 3, seed=0)
    other = latent_flow.draw(model, standard_normal(16), 3, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (3, *FEW.image_shape)
