"""The trial of the priors: what each spec is, and a tiny run of all of them."""

import math

import pandas as pd
import pytest
import torch
from torch.distributions import Independent, Normal

from vaebook.data import load_dogs
from vaebook.distributions import standard_normal
from vaebook.experiments import EXPERIMENTS
from vaebook.experiments.ch09_why_normal import priors, specs
from vaebook.experiments.ch09_why_normal.records import PRIOR_RECORDS
from vaebook.experiments.ch09_why_normal.specs import MODELS, normal_at
from vaebook.models import MLP, VAE

FEW = load_dogs(96, 8, 24)
SHORT = {"num_epochs": 1, "batch_size": 32, "lr": 1e-3}


@pytest.fixture
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of 8 hidden units, trained for an epoch on 96 dogs."""
    monkeypatch.setattr(priors, "load_dogs", lambda: FEW)
    monkeypatch.setattr(priors, "DOG_DEEP_TRAINING", SHORT)
    monkeypatch.setattr(priors, "NUM_FITTED", 2)
    monkeypatch.setattr(priors, "NUM_WEIGHTS", 5)
    monkeypatch.setattr(specs, "DOG_DEEP", MLP((8,), background=0.95))


def test_every_contestant_makes_rows(few_dogs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # the oracle has a test of its own, and takes seconds for pictures that are no dogs
    monkeypatch.setattr(priors, "measure_samples", lambda images, *_: {"validity": len(images)})
    kept: dict[str, torch.Tensor] = {}
    frame = pd.DataFrame(
        [
            row
            for name in PRIOR_RECORDS
            for row in EXPERIMENTS[name].run(0, num_images=6, pictures=kept)
        ]
    ).set_index("model")
    # discrete codes are drawn in two ways, and three models get a mixture afterwards
    assert len(frame) == len(MODELS) + 1 + 3 - 1  # the autoencoder only with its mixture
    assert set(kept) == set(frame.index)
    assert not frame["failed"].any()
    defined = frame["nll_kind"] != priors.NONE
    assert set(frame.index[~defined]) == {
        "Wasserstein",
        "Wasserstein + mixture",
        "autoencoder + mixture",
    }
    assert frame.loc[defined, ["nll", "neg_elbo", "rate"]].notna().all().all()
    assert frame.loc[~defined, ["nll", "neg_elbo", "rate"]].isna().all().all()
    gap = frame["neg_elbo"] - frame["distortion"] - frame["rate"]
    # nats of a few hundred in float32, averaged over 24 dogs
    assert gap[defined].abs().max() < 1e-2
    assert (frame["validity"] == 6).all()
    assert (frame["seconds"] > 0).all()


def test_a_model_that_breaks_down_loses_no_other(
    few_dogs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: object) -> VAE:
        raise ValueError("the loss became nan in epoch 0")

    monkeypatch.setitem(MODELS, "flow", broken)
    rows = priors.run(0, models=("flow", "normal at 3"), num_images=4)
    assert [row["model"] for row in rows] == ["flow", "normal at 3"]
    assert "nan" in rows[0]["failed"]
    assert rows[1]["failed"] == ""


def test_a_fitted_prior_is_the_prior_of_the_same_model(few_dogs: None) -> None:
    """Under N(0, I) itself nothing changes, and under a wide prior the rate rises as computed."""
    model, _ = priors.train("normal", FEW, seed=0, num_epochs=1)
    assert isinstance(model, VAE)
    images = FEW.test.images
    before = priors.vae_likelihood(model, images)
    same = Independent(Normal(torch.zeros(16), torch.ones(16)), 1)
    after = priors.vae_likelihood(priors.with_prior(model, same, FEW), images)
    # the same draws; the rate is a closed form on one side and a mean over 96 draws on the other
    assert after["nll"] == pytest.approx(before["nll"], abs=1e-2)
    assert after["distortion"] == pytest.approx(before["distortion"], abs=1e-2)
    wide = Independent(Normal(torch.zeros(16), torch.full((16,), math.e)), 1)
    wider = priors.vae_likelihood(priors.with_prior(model, wide, FEW), images)
    codes = model.posterior(images).sample((500,))
    dearer = (same.log_prob(codes) - wide.log_prob(codes)).mean()
    # over 96 draws of a difference that varies by 2.4 nats: a standard error of 0.25
    assert float(wider["rate"]) - float(after["rate"]) == pytest.approx(float(dearer), abs=1.0)


def test_codes_are_not_drawn_from_the_datas_own_stream() -> None:
    """Noise from seed 0 follows the dogs of load_dogs, which come from seed 0 too."""
    dogs = load_dogs(2000, 8, 8)
    factors = dogs.train.factors
    assert factors is not None
    factors = (factors - factors.mean(0)) / factors.std(0)
    model = VAE(dogs.image_shape, 16, network=MLP((4,)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()  # q(z | x) is N(0, I) for every dog
    codes = priors.codes_of(model, dogs.train.images)
    # correlations of 2,000 independent pairs have a standard deviation of 0.022
    assert (factors.T @ codes / len(codes)).abs().max() < 0.1


def test_the_normal_elsewhere() -> None:
    codes = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        normal_at(3.0).log_prob(codes + 3), standard_normal(16).log_prob(codes)
    )


def test_training_is_that_of_the_seed(few_dogs: None) -> None:
    first, _ = priors.train("mixture", FEW, seed=1, num_epochs=1)
    again, _ = priors.train("mixture", FEW, seed=1, num_epochs=1)
    other, _ = priors.train("mixture", FEW, seed=2, num_epochs=1)
    pairs = zip(first.parameters(), again.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) and not torch.equal(a, c) for a, b, c in pairs)
