"""The experiments of chapter 08 at small settings, and what their records say."""

import math

import numpy as np
import pytest

from vaebook.data.dogs import load_dogs
from vaebook.distributions import AutoregressiveLikelihood, BernoulliLikelihood
from vaebook.experiments import load_recorded, run_seeds
from vaebook.experiments.ch08_what_the_kl_does import beta_sweep, latent_sizes
from vaebook.experiments.ch08_what_the_kl_does.aggregate_posterior import (
    BATCH_SIZE,
    true_information,
)
from vaebook.experiments.ch08_what_the_kl_does.beta_sweep import BETAS
from vaebook.experiments.ch08_what_the_kl_does.collapse import VARIANTS, build, silhouettes


def test_the_known_case_is_biased_down_by_what_exceeds_log_n() -> None:
    found = run_seeds("aggregate_posterior", [0], num_pictures=(30, 2000), stds=(0.7, 0.1))
    assert true_information(0.7) == pytest.approx(8 * math.log(1 / 0.7))
    assert (found["mutual_information"] <= found["log_n"] + 1e-6).all()
    assert (found["minibatch"] <= math.log(BATCH_SIZE) + 1e-6).all()
    narrow = found[found["std"] == 0.1]
    np.testing.assert_allclose(narrow["mutual_information"], narrow["log_n"], atol=0.01)
    wide = found[(found["std"] == 0.7) & (found["num_pictures"] == 2000)].iloc[0]
    assert abs(wide["mutual_information"] - wide["truth"]) < 0.2


@pytest.fixture
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred dogs in place of thousands: they take their time to draw."""
    few = load_dogs(400, 20, 300)
    monkeypatch.setattr(beta_sweep, "load_dogs", lambda **_: few)
    monkeypatch.setattr(latent_sizes, "load_dogs", lambda: few)


@pytest.mark.usefixtures("few_dogs")
def test_a_sweep_gives_a_row_per_weight() -> None:
    found = run_seeds("beta_sweep", [0], betas=(1.0, 100.0), num_epochs=1, num_images=3)
    assert found["beta"].tolist() == [1.0, 100.0]
    assert found["noise"].tolist() == pytest.approx([0.1, 1.0])
    assert found["rate"][0] > found["rate"][1]
    total = found["mutual_information"] + found["aggregate_kl"]
    np.testing.assert_allclose(total, found["train_rate"], rtol=1e-6)
    for source in ("prior", "aggregate"):
        assert found[f"{source}_validity"].between(0, 1).all()


@pytest.mark.usefixtures("few_dogs")
def test_two_sizes() -> None:
    found = run_seeds("latent_sizes", [0], num_epochs=1, num_images=3)
    assert found["latent_dim"].tolist() == [2, 20]
    assert (found["active"] <= found["latent_dim"]).all()
    assert (found["nll"] <= -found["elbo"] + 1).all()


def test_the_variants_are_what_they_are_called() -> None:
    data = silhouettes(200)
    assert set(data.train.images.unique().tolist()) == {0.0, 1.0}
    for name, variant in VARIANTS.items():
        model = build(variant, data, seed=0)
        strong = variant.context is not None
        kind = AutoregressiveLikelihood if strong else BernoulliLikelihood
        assert isinstance(model.likelihood, kind), name
        assert model.beta == variant.beta
        assert model.free_bits == variant.free_bits


def test_collapse_is_followed_epoch_by_epoch() -> None:
    names = ("strong decoder", "two cycles", "large beta, warm-up")
    found = run_seeds("collapse", [0], variants=names, num_epochs=15, num_train=200)
    for name in names:
        part = found[found["variant"] == name]
        assert part["epoch"].tolist() == list(range(1, 16))
        assert part["nll"].notna().tolist() == [False] * 14 + [True]
        assert part["beta"].iloc[-1] == VARIANTS[name].beta
    cycles = found[found["variant"] == "two cycles"]["beta"].to_numpy()
    assert cycles[5] == 1.0
    assert cycles[9] < 1.0
    last = found[found["epoch"] == 15].set_index("variant")
    assert last["nll"]["strong decoder"] <= last["nelbo"]["strong decoder"] + 0.5


def test_the_records_obey_what_is_proved() -> None:
    sweep = load_recorded("beta_sweep")
    assert sorted(sweep["beta"].unique()) == sorted(BETAS)
    assert sweep["seed"].nunique() == 5
    log_n = math.log(10_000)
    assert (sweep["mutual_information"] <= log_n + 1e-3).all()
    # the proposition of chapter 06, with three standard errors of the estimate
    assert (
        sweep["aggregate_kl"] >= sweep["train_rate"] - log_n - 3 * sweep["split_error"] - 1e-3
    ).all()
    known = load_recorded("aggregate_posterior")
    assert (known["mutual_information"] <= known["log_n"] + 1e-3).all()
    collapse = load_recorded("collapse")
    assert set(collapse["variant"]) == set(VARIANTS)
    assert collapse.groupby("variant")["beta"].last().to_dict() == {
        name: variant.beta for name, variant in VARIANTS.items()
    }
