"""What networks were chosen by: rows, streams, and that the recipes are those of the pilots."""

from types import ModuleType

import pandas as pd
import pytest

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import load_digits
from vaebook.experiments.ch06_vae import reference_search
from vaebook.experiments.ch11_gan import gan_search
from vaebook.experiments.record.load import load_recorded, results_folder
from vaebook.experiments.reference import RECIPES
from vaebook.experiments.registry import EXPERIMENTS


def pilot(name: str) -> pd.DataFrame:
    """A row for each candidate, a column for each data set."""
    record = load_recorded(name, results_folder() / "pilots")
    assert record["seed"].min() >= 1000
    measure = {"gan_search": "kernel_distance", "reference_search": "neg_elbo"}[name]
    return record.pivot_table(measure, "candidate", "data")


def is_recipe(candidate: reference_search.Candidate, name: str) -> bool:
    recipe = RECIPES[name]
    return (
        recipe.network(0.95) == candidate.network(0.95)
        and (recipe.lr, recipe.batch_size) == (candidate.lr, candidate.batch_size)
    )  # fmt: skip


def test_the_recipe_of_the_gan_has_the_lowest_product_of_kernel_distances() -> None:
    found = pilot("gan_search")
    assert set(found.index) == set(gan_search.CANDIDATES)
    best = found["dogs"].mul(found["fashion"]).idxmin()
    for name, candidate in gan_search.CANDIDATES.items():
        assert is_recipe(candidate, "GAN") == (name == best)


@pytest.mark.parametrize(("recipe", "kind"), [("convolutional", "conv"), ("MLP", "MLP")])
def test_the_recipes_of_the_vaes_have_the_lowest_means(recipe: str, kind: str) -> None:
    found = pilot("reference_search").mean(axis=1)
    assert set(found.index) == set(reference_search.CANDIDATES)
    best = found[found.index.str.startswith(kind)].idxmin()
    for name, candidate in reference_search.CANDIDATES.items():
        assert is_recipe(candidate, recipe) == (name == best)


@pytest.mark.parametrize(
    ("search", "name"), [(gan_search, "gan_search"), (reference_search, "reference_search")]
)
def test_a_row_for_each_candidate(
    search: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = list(search.CANDIDATES)[:2]
    digits = load_digits()
    monkeypatch.setattr(reference_search, "HELD_OUT", len(digits.train.images) - 64)
    if search is gan_search:
        monkeypatch.setattr(search, "load_pictures_of", lambda name: digits)
        monkeypatch.setattr(search, "recorded_features", lambda name: lambda x: x.flatten(1))
    else:
        monkeypatch.setattr(search, "load_dogs", lambda: digits)
    settings = {"candidates": some, "data_names": ("dogs",), "epochs": 1e-6}
    few = {"num_images": 200} if search is gan_search else {}
    with begun() as seeds:
        rows = EXPERIMENTS[name].run(1000, **settings, **few)
    assert not shared(seeds)
    with begun() as others:
        EXPERIMENTS[name].run(1001, **settings, **few)
    assert not set(seeds) & set(others) - set(DATA)
    assert [row["candidate"] for row in rows] == some
    assert all(row["data"] == "dogs" for row in rows)
    assert pd.DataFrame(rows).notna().all(axis=None)
