"""The uses of a VAE over classes and tables: rows, streams, closed forms, and the rule."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import ImageData, Split, load_digits, load_fashion
from vaebook.experiments.ch13_using_a_vae import (
    anomalies_by_class,
    generation_by_class,
    imputation_by_table,
    inpainting_by_class,
)
from vaebook.experiments.ch13_using_a_vae.uses_by_unit import USES, UnitUse, compare
from vaebook.experiments.reference import RECIPES
from vaebook.models import Conv, ProbabilisticPCA
from vaebook.training import stream_seed

close = torch.testing.assert_close
ALL = {use.record: use for use in USES}
TINY: dict[str, dict[str, Any]] = {
    "anomalies_by_class": {
        "classes": (0,),
        "models": ("VAE", "autoencoder"),
        "num_samples": 2,
        "scale": 1e-6,
    },
    "imputation_by_table": {"tables": ("iris", "wine"), "num_steps": 3},
    "inpainting_by_class": {"scale": 1e-6},
    "generation_by_class": {"classes": (0, 7), "scale": 1e-6},
}
RUN: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "anomalies_by_class": anomalies_by_class.run,
    "imputation_by_table": imputation_by_table.run,
    "inpainting_by_class": inpainting_by_class.run,
    "generation_by_class": generation_by_class.run,
}


def fewer(data: ImageData, step: int) -> ImageData:
    """Every so many-th picture: they are sorted by class."""
    train, validation, test = (
        Split(split.images[::step], None if split.labels is None else split.labels[::step])
        for _, split in data.splits()
    )
    return ImageData(data.name, train, validation, test, data.label_names)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred pictures and networks of 4 channels."""
    clothes, digits = fewer(load_fashion(), 10), fewer(load_digits(), 4)
    small = RECIPES["convolutional"]._replace(
        network=lambda blank: Conv((4, 4), 32, background=blank, blank=blank)
    )
    monkeypatch.setitem(RECIPES, "convolutional", small)
    monkeypatch.setattr(
        anomalies_by_class, "LOAD", {"clothes": lambda: clothes, "digits": lambda: digits}
    )
    for module in (inpainting_by_class, generation_by_class):
        monkeypatch.setattr(module, "load_fashion", lambda: clothes)
    monkeypatch.setattr(generation_by_class, "RANKS", (2, 3))
    monkeypatch.setattr(generation_by_class, "NUM_COMPONENTS", 1)
    monkeypatch.setattr(
        generation_by_class,
        "recorded_features",
        lambda name: lambda x: x[:, 0, ::9, ::9].flatten(1),
    )


@pytest.mark.parametrize("name", RUN)
def test_every_row_is_there_and_has_streams_of_its_own(few: None, name: str) -> None:
    with begun() as seeds:
        rows = RUN[name](1000, **TINY[name])
    with begun() as others:
        RUN[name](1001, **TINY[name])
    # fit asks about its validation rows after each epoch, every time with the same stream
    models = [
        f"VAE of {table}, {share:g} of its entries"
        for table in TINY[name].get("tables", ())
        for share in (0.1, 0.5)
    ]
    asked = {stream_seed(stream_seed(1000, model), "validation") for model in models}
    assert set(shared(seeds)) <= asked
    assert not set(seeds) & set(others) - set(DATA)
    use, table = ALL[name], pd.DataFrame(rows)
    assert set(table["failed"]) == {""}
    units = table[use.unit].nunique()
    assert units == {"inpainting_by_class": 10}.get(name, 2)
    assert table[[use.measure, f"validation_{use.measure}"]].notna().all(axis=None)
    plain = tuple(method for method in use.plain if method in set(table["method"]))
    found = compare(use._replace(plain=plain), table.assign(seed=1000))
    assert (found.gain.num_units, found.gain.unit) == (units, use.unit)
    assert found.plain in plain


def test_the_plain_methods_of_the_rule_are_those_of_the_records() -> None:
    ranks = {f"Gaussian of {rank} components" for rank in inpainting_by_class.RANKS}
    assert ranks < set(ALL["inpainting_by_class"].plain)
    ranks = {f"Gaussian of {rank} components" for rank in generation_by_class.RANKS}
    assert ranks < set(ALL["generation_by_class"].plain)
    assert set(imputation_by_table.PLAIN) == set(ALL["imputation_by_table"].plain)
    assert ALL["inpainting_by_class"].vae == inpainting_by_class.VAE_NAME
    assert ALL["imputation_by_table"].vae == imputation_by_table.VAE_NAME
    assert ALL["generation_by_class"].vae in generation_by_class.VAES


def test_a_training_that_breaks_down_is_no_better_than_nothing(
    few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **settings: object) -> None:
        raise ValueError("the loss became nan")

    for module in (anomalies_by_class, inpainting_by_class, generation_by_class):
        monkeypatch.setattr(module, "train_reference", broken)
    monkeypatch.setattr(imputation_by_table, "fit_vae", broken)
    worst = {"auroc": 0.5, "recall": 0.0}
    for name, run in RUN.items():
        table = pd.DataFrame(run(1000, **TINY[name])).set_index("method")
        row = table.loc[[ALL[name].vae]]
        assert (row["failed"] == "the loss became nan").all()
        for column in worst.keys() & set(row):
            assert (row[column] == worst[column]).all()
        if name == "imputation_by_table":
            assert (row["rmse"].to_numpy() == table.loc[["mean"], "rmse"].to_numpy()).all()


def test_the_choice_is_validations_and_the_judgement_is_the_tests() -> None:
    """A plain method that is best on the test pictures alone is not the one compared with."""
    use = UnitUse("", "", "class", "v", ("lucky", "good"), "x", True, 1e-3)
    values = {"v": (0.8, 0.8), "lucky": (0.9, 0.1), "good": (0.7, 0.6)}
    rows = [
        {"class": name, "seed": seed, "method": method, "failed": ""}
        | {"x": test + shift, "validation_x": validation}
        for name, shift in zip("abc", (0.0, 0.01, 0.03), strict=True)
        for seed in range(2)
        for method, (test, validation) in values.items()
    ]
    found = compare(use, pd.DataFrame(rows))
    assert (found.plain, found.winner, found.gain.num_units) == ("good", "VAE", 3)
    assert found.gain.mean == pytest.approx(0.1)
    lower = compare(use._replace(higher_is_better=False), pd.DataFrame(rows))
    assert (lower.plain, lower.winner) == ("lucky", "VAE")
    with pytest.raises(ValueError, match="no rows of"):
        compare(use._replace(plain=("absent",)), pd.DataFrame(rows))


def test_a_method_under_another_name_is_no_better() -> None:
    use = UnitUse("", "", "class", "v", ("same",), "x", True, 1e-3)
    rows = [
        {"class": name, "method": method, "x": value, "validation_x": value}
        for name, value in zip("abc", (0.5, 0.7, 0.9), strict=True)
        for method in ("v", "same")
    ]
    assert compare(use, pd.DataFrame(rows)).winner == "open"


# --- known answers ------------------------------------------------------------------------------


def test_half_of_every_garment_is_hidden_and_not_told() -> None:
    halves = torch.arange(4)
    seen = inpainting_by_class.visible(halves, 28)
    assert seen.flatten(1).sum(1).tolist() == [392] * 4
    images = load_fashion().test.images[:4]
    other = torch.where(seen, images, torch.ones_like(images))
    first, second = (inpainting_by_class.conditions_of(part, halves) for part in (images, other))
    assert torch.equal(first, second)
    # left, right, top, bottom: which one is hidden
    assert not seen[0, 0, :, 0].any()
    assert not seen[1, 0, :, -1].any()
    assert not seen[2, 0, 0].any()
    assert not seen[3, 0, -1].any()


def test_the_conditional_mean_in_other_code() -> None:
    clothes = load_fashion()
    model = ProbabilisticPCA.fit(clothes.train.images[:300], 5)
    images, halves = clothes.test.images[:3], torch.tensor([2, 2, 2])
    found = inpainting_by_class.conditional_mean(model, images, halves).flatten(1).double()
    seen = inpainting_by_class.visible(halves[:1], 28).flatten()
    joint = MultivariateNormal(
        model.offset, model.weights @ model.weights.T + model.sigma**2 * torch.eye(784).double()
    ).covariance_matrix
    rest = images.flatten(1)[:, seen].double() - model.offset[seen]
    solved = torch.linalg.solve(joint[seen][:, seen], rest.T)
    expected = model.offset[~seen] + (joint[~seen][:, seen] @ solved).T
    close(found[:, ~seen], expected, atol=1e-5, rtol=0)


def test_a_known_picture_is_its_own_neighbour() -> None:
    known, halves = load_fashion().train.images[:40], torch.arange(40) % 4
    guessed = inpainting_by_class.neighbours_mean(known, 1, known, halves)
    assert inpainting_by_class.hidden_rmse(known, halves, guessed) == 0
    assert inpainting_by_class.hidden_rmse(known, halves, 1 - known) > 0.3


def test_samples_of_the_gaussian_are_the_gaussians() -> None:
    model = ProbabilisticPCA.fit(load_fashion().train.images[:300], 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codes: Tensor = torch.randn(4000, 3).double()
    flat = generation_by_class._decoded(model, codes, (1, 28, 28)).flatten(1).double()
    close(flat.mean(0), model.offset, atol=0.05, rtol=0)
    spread = (model.weights @ model.weights.T).trace()
    assert float(flat.var(0).sum() / spread) == pytest.approx(1, abs=0.08)


def test_tables_have_rows_and_columns_that_vary() -> None:
    shapes = {
        name: tuple(imputation_by_table.load_table(name).shape)
        for name in imputation_by_table.TABLES
    }
    assert shapes["iris"] == (150, 4)
    assert shapes["wine"] == (178, 13)
    assert shapes["cancer"] == (569, 30)
    assert shapes["diabetes"] == (442, 10)
    assert shapes["digits"][0] == 599
    assert 40 < shapes["digits"][1] < 60
