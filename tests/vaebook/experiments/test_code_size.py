"""The error of restored dogs against code size: the measures, and PCA by another route."""

import numpy as np
import pytest
import torch

from vaebook.data import load_dogs
from vaebook.experiments.ch01_autoencoder import code_size
from vaebook.models import MLP, Conv


@pytest.fixture(autouse=True)
def few_dogs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_size, "load_dogs", lambda: load_dogs(96, 8, 40))


def test_rmse_is_that_of_numpy() -> None:
    first, second = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    expected = np.sqrt(np.mean((first.numpy() - second.numpy()) ** 2))
    assert code_size.rmse(first, second) == pytest.approx(expected, rel=1e-6)


def test_pca_is_the_truncated_singular_value_decomposition() -> None:
    dogs = load_dogs(96, 8, 40)
    train = dogs.train.images.flatten(1).double().numpy()
    test = dogs.test.images.flatten(1).double().numpy()
    mean = train.mean(0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2]
    rows = code_size.measure_pca()
    assert [row["latent_dim"] for row in rows] == list(code_size.LATENT_DIMS["pca"])
    for row in rows:
        kept = axes[: row["latent_dim"]]
        for name, images in (("rmse", test), ("rmse_train", train[:40])):
            residual = (images - mean) - (images - mean) @ kept.T @ kept
            assert row[name] == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-3)


def test_a_run_measures_every_model_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"num_epochs": 1, "batch_size": 32, "lr": 1e-3}
    plans = {"mlp": (MLP((8,)), short), "conv": (Conv((2,), hidden=8), short)}
    monkeypatch.setattr(code_size, "NETWORKS", plans)
    monkeypatch.setattr(code_size, "LATENT_DIMS", {"pca": (2, 4), "mlp": (2, 4), "conv": (4,)})
    rows = code_size.run(0)
    assert [(row["model"], row["latent_dim"]) for row in rows] == [
        ("pca", 2), ("pca", 4), ("mlp", 2), ("mlp", 4), ("conv", 4),
    ]  # fmt: skip
    assert rows == code_size.run(0)


def test_measures_agree_with_each_other() -> None:
    """The loss in nats is the squared error in the unit of the likelihood, plus its constant."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = code_size.Autoencoder((1, 32, 32), 3, network=MLP((8,), background=0.95))
    measured = code_size.measure(model)
    nats = 1024 * (measured["rmse"] ** 2 / 0.02 + np.log(0.1) + 0.5 * np.log(2 * np.pi))
    assert measured["loss"] == pytest.approx(nats, rel=1e-5)
    assert measured["code_lowest"] < measured["code_mean"] < measured["code_highest"]
    assert measured["code_sd_low"] <= measured["code_sd_high"]
