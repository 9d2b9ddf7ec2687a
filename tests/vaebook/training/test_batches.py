"""Where batches come from: whatever the data are, each example is met once in a pass."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, TensorDataset

from tests.properties import a_few
from tests.small_models import Denoiser, Flow, Items, Recorder, built, numbered, rows, weights
from vaebook.models import MLP, VAE, IncompleteVAE
from vaebook.training import fit, seeded
from vaebook.training.fit import mean_loss

NUM = 11


def seen(batches: list[Tensor]) -> list[int]:
    return torch.cat(batches)[:, 0].int().tolist()


def in_batches(**settings: object) -> DataLoader[Tensor]:
    return DataLoader(Items(numbered(NUM)), **settings)  # type: ignore[arg-type]


def loader_of_batches() -> DataLoader[Tensor]:
    sampler = BatchSampler(range(NUM), 4, drop_last=False)
    return DataLoader(Items(numbered(NUM)), batch_sampler=sampler)


SOURCES = {
    "tensor": lambda: numbered(NUM),
    "tuple": lambda: (numbered(NUM),),
    "list": lambda: [numbered(NUM)],
    "TensorDataset": lambda: TensorDataset(numbered(NUM)),
    "Dataset": lambda: Items(numbered(NUM)),
    "stream": lambda: Flow(numbered(NUM)),
    "DataLoader": lambda: in_batches(batch_size=4, shuffle=True),
    "DataLoader of a TensorDataset": lambda: DataLoader(TensorDataset(numbered(NUM)), 4),
    "DataLoader of a stream": lambda: DataLoader(Flow(numbered(NUM)), 4),
    "batch_sampler": loader_of_batches,
}


@pytest.mark.parametrize("name", SOURCES)
def test_each_example_is_met_once_in_a_pass(name: str) -> None:
    model, data = Recorder(), SOURCES[name]()
    size = None if isinstance(data, DataLoader) else 4
    history = fit(model, data, num_epochs=2, batch_size=size, validation=data)
    assert [len(batch) for batch in model.trained] == [4, 4, 3] * 2
    for epoch in range(2):
        assert sorted(seen(model.trained[3 * epoch : 3 * epoch + 3])) == list(range(NUM))
    assert sorted(seen(model.measured)) == sorted(list(range(NUM)) * 2)
    assert history["loss"] == pytest.approx([5.0, 5.0])
    assert history["validation_loss"] == pytest.approx([5.0, 5.0])
    assert mean_loss(model, data) == pytest.approx(5.0)
    shuffled = "stream" not in name and name not in (
        "batch_sampler",
        "DataLoader of a TensorDataset",
    )
    assert (seen(model.trained[:3]) != list(range(NUM))) == shuffled


def test_workers_bring_the_same_batches() -> None:
    found = []
    for num_workers in (0, 2):
        model = Recorder()
        loader = in_batches(batch_size=4, shuffle=True, num_workers=num_workers)
        fit(model, loader, num_epochs=2, seed=5)
        found.append(seen(model.trained))
    assert found[0] == found[1]
    assert found[0][:NUM] != found[0][NUM:], "a new order in each pass"


def test_a_dataset_trains_like_its_tensor() -> None:
    """The orders differ, as a loader draws its own: the losses are those of the same examples."""
    model, other = built(Denoiser), built(Denoiser)
    first = fit(model, rows(64), num_epochs=30, batch_size=16, lr=1e-2)
    second = fit(other, Items(rows(64)), num_epochs=30, batch_size=16, lr=1e-2)
    assert first["loss"][-1] < 0.9 * first["loss"][0]
    # the noise of ten epochs' means, 0.02 each
    assert np.mean(first["loss"][20:]) == pytest.approx(np.mean(second["loss"][20:]), abs=0.05)


def test_tensors_go_to_the_loss_side_by_side() -> None:
    class Pairs(Recorder):
        def check(self, rows: Tensor, labels: Tensor) -> None:
            super().check(rows)

        def loss(self, rows: Tensor, labels: Tensor) -> Tensor:
            assert torch.equal(rows[:, 0].long(), labels)
            return super().loss(rows)

    pair = (numbered(NUM), torch.arange(NUM))
    for data in (pair, TensorDataset(*pair), DataLoader(TensorDataset(*pair), 4, shuffle=True)):
        size = None if isinstance(data, DataLoader) else 4
        model = Pairs()
        history = fit(model, data, num_epochs=1, batch_size=size, validation=data)
        assert sorted(seen(model.trained)) == list(range(NUM))
        assert history["validation_loss"] == [5.0]


def test_a_mask_goes_to_the_loss_with_its_rows() -> None:
    """What hides behind the mask changes nothing, wherever its row goes."""
    table, found = rows(40), []
    observed = torch.arange(120).reshape(40, 3) % 4 != 0
    for hidden in (0.0, 7.0):
        with seeded(0):
            model = IncompleteVAE(3, 2, network=MLP((4,)))
        pair = (torch.where(observed, table, hidden), observed)
        for data in (pair, TensorDataset(*pair)):
            fit(model, data, num_epochs=2, batch_size=16, validation=pair)
        found.append(weights(model))
    assert torch.equal(*found)


def test_a_model_that_takes_images_alone_refuses_labels() -> None:
    with seeded(0):
        model = VAE((1, 2, 2), 1, network=MLP((4,)))
    pair = (torch.rand(8, 1, 2, 2), torch.arange(8))
    for data in (pair, TensorDataset(*pair), DataLoader(TensorDataset(*pair), 4)):
        with pytest.raises(ValueError, match=r"a batch holds 2 tensors .*to leave labels out"):
            fit(model, data, num_epochs=1)


def test_a_tensor_may_lie_in_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.bin")
    mapped = torch.from_file(path, shared=True, size=3 * NUM).reshape(NUM, 3)
    mapped.copy_(numbered(NUM))
    model = Recorder()
    fit(model, mapped, num_epochs=1, batch_size=4, checkpoint=tmp_path / "run.pt")
    assert sorted(seen(model.trained)) == list(range(NUM))
    array = np.memmap(path, np.float32, "r+", shape=(NUM, 3))
    fit(Recorder(), torch.from_numpy(array), num_epochs=1, checkpoint=tmp_path / "run.pt")


# --- epochs of data without length --------------------------------------------------------------


def test_a_stream_has_epochs_of_so_many_steps() -> None:
    """Eleven rows in batches of four: a pass has three steps, an epoch two."""
    model = Recorder()
    history = fit(
        model, Flow(numbered(NUM)), num_steps=5, steps_per_epoch=2, batch_size=4,
        validation=numbered(7),
    )  # fmt: skip
    assert [len(batch) for batch in model.trained] == [4, 4, 3, 4, 4]
    assert history["epoch"] == [0, 1, 2]
    expected = [np.mean(range(8)), np.mean([8, 9, 10, 0, 1, 2, 3]), np.mean([4, 5, 6, 7])]
    assert history["loss"] == pytest.approx(expected)
    assert history["validation_loss"] == [3.0] * 3
    assert [len(batch) for batch in model.measured] == [7] * 3

    again = Recorder()
    fit(again, Flow(numbered(NUM)), num_epochs=3, steps_per_epoch=2, batch_size=4)
    assert [len(batch) for batch in again.trained] == [4, 4, 3, 4, 4, 3]


def test_steps_may_end_a_run_in_the_middle_of_a_pass() -> None:
    model = Recorder()
    history = fit(model, numbered(NUM), num_steps=4, batch_size=4)
    assert [len(batch) for batch in model.trained] == [4, 4, 3, 4]
    assert len(history) == 2
    assert history["loss"][1] == float(model.trained[3][:, 0].mean())


def test_epochs_may_be_longer_than_a_pass() -> None:
    model = Recorder()
    history = fit(model, numbered(NUM), num_epochs=2, steps_per_epoch=6, batch_size=4)
    assert [len(batch) for batch in model.trained] == [4, 4, 3] * 4
    assert history["loss"] == pytest.approx([5.0, 5.0])


def test_a_stream_that_gives_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="the data gave no batch in epoch 0"):
        fit(Recorder(), Flow(numbered(0)), num_epochs=1)

    class Once(IterableDataset[Tensor]):
        def __init__(self) -> None:
            self.left = iter(numbered(4))

        def __iter__(self) -> Iterator[Tensor]:
            return self.left

    with pytest.raises(ValueError, match=r"no batch in epoch 1; .* read anew in each pass"):
        fit(Recorder(), Once(), num_epochs=2)


# --- the last batch -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [numbered(NUM), Items(numbered(NUM))], ids=["tensor", "Dataset"])
def test_a_smaller_last_batch_can_be_left_out(data: Tensor | Dataset[Tensor]) -> None:
    model = Recorder()
    fit(model, data, num_epochs=2, batch_size=4, drop_last=True)
    assert [len(batch) for batch in model.trained] == [4, 4] * 2
    with pytest.raises(ValueError, match=r"no batch of 12 with drop_last=True.*smaller batch_size"):
        fit(model, data, num_epochs=1, batch_size=12, drop_last=True)
    with pytest.raises(ValueError, match="no batch of 12 with drop_last=True"):
        fit(model, in_batches(batch_size=12, drop_last=True), num_epochs=1)


def test_one_example_left_under_batch_normalisation_names_the_cure() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

        def loss(self, rows: Tensor) -> Tensor:
            return self.network(rows).square().sum(1)

    with pytest.raises(ValueError, match="more than 1 value per channel") as caught:
        fit(Normalised(), rows(9), num_epochs=1, batch_size=4)
    assert "drop_last=True" in str(caught.value)
    fit(Normalised(), rows(8), num_epochs=1, batch_size=4, validation=rows(1))
    fit(Normalised(), rows(9), num_epochs=1, batch_size=4, drop_last=True)


# --- checked once -------------------------------------------------------------------------------


def test_data_are_checked_once_and_not_in_each_step() -> None:
    model = Recorder()
    fit(model, numbered(NUM), num_epochs=3, batch_size=4, validation=numbered(7))
    assert [len(batch) for batch in model.checked] == [NUM, 7]
    for data in (Items(numbered(NUM)), Flow(numbered(NUM))):
        model = Recorder()
        fit(model, data, num_epochs=3, batch_size=4)
        assert [len(batch) for batch in model.checked] == [4, 4, 3]
    model = Recorder()
    fit(model, in_batches(batch_size=4, num_workers=2), num_epochs=3)
    assert [len(batch) for batch in model.checked] == [4, 4, 3]


def test_what_a_model_cannot_take_is_found_wherever_it_lies() -> None:
    class Positive(Recorder):
        def check(self, rows: Tensor) -> None:
            if not (rows >= 0).all():
                raise ValueError("rows below 0")

    bad = numbered(NUM)
    bad[-1] = -1
    for data in (bad, Items(bad), Flow(bad)):
        with pytest.raises(ValueError, match="rows below 0"):
            fit(Positive(), data, num_epochs=1, batch_size=4)
    model = Positive()
    with pytest.raises(ValueError, match="validation: rows below 0"):
        fit(model, numbered(NUM), num_epochs=1, validation=bad)
    assert not model.trained, "noticed before the first step"


def test_a_model_without_a_check_is_spared_numbers_that_are_none() -> None:
    bad = rows()
    bad[3, 1] = float("nan")
    with pytest.raises(ValueError, match="tensor 0 of the data holds 1 values that are NaN"):
        fit(built(Denoiser), bad, num_epochs=1)
    with pytest.raises(ValueError, match="validation: tensor 0 of the data holds 1 values"):
        fit(built(Denoiser), rows(), num_epochs=1, validation=bad)


# --- what cannot be used ------------------------------------------------------------------------


class WithLabels(Items):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:  # type: ignore[override]
        return self.rows[index], index


class WithNames(Items):
    def __getitem__(self, index: int) -> dict[str, Tensor]:  # type: ignore[override]
        return {"rows": self.rows[index]}


class WithWords(Items):
    def __getitem__(self, index: int) -> tuple[Tensor, str]:  # type: ignore[override]
        return self.rows[index], "dog"


class Endless(Dataset[Tensor]):
    def __getitem__(self, index: int) -> Tensor:
        return torch.zeros(3)


LABELLED = (numbered(NUM), torch.arange(NUM))
UNUSABLE = {
    "labels": (LABELLED, r"a batch holds 2 tensors .*loss of Recorder .* to leave labels out"),
    "labels of a Dataset": (WithLabels(numbered(NUM)), "holds 2 tensors .* to leave labels out"),
    "labels of a loader": (
        DataLoader(WithLabels(numbered(NUM)), 4),
        "whose collate_fn drops them",
    ),
    "lengths": ((numbered(NUM), numbered(3)), r"shapes \[\(11, 3\), \(3, 3\)\]; expected one row"),
    "dictionary": (WithNames(numbered(NUM)), "gave a dict; expected .* Pass a collate_fn"),
    "words": (WithWords(numbered(NUM)), r"\['Tensor', 'tuple'\]; .* Pass a collate_fn"),
    "no length": (Endless(), "Endless without a length; expected a Dataset with __len__"),
    "nothing": (Items(numbered(0)), "data is empty"),
    "no row": (numbered(0), "data is empty"),
    "no tensor": ((), "data is empty"),
    "array": (np.zeros((4, 3)), "data is a ndarray; .* Convert it with torch.as_tensor"),
    "arrays": ([np.zeros((4, 3))], r"a list of \['ndarray'\]; .* torch.as_tensor"),
    "path": ("images.npz", "data is a str; expected a tensor"),
    "number": (3, "data is a int; expected a tensor"),
    "none": (None, "data is a NoneType; expected a tensor"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_data_that_cannot_be_used_say_what_to_do(name: str) -> None:
    model = Recorder()
    data, message = UNUSABLE[name]
    with pytest.raises(ValueError, match=message):
        fit(model, data, num_epochs=1)  # type: ignore[arg-type]
    assert not model.trained


def test_validation_with_labels_is_noticed_before_the_first_step() -> None:
    model = Recorder()
    with pytest.raises(ValueError, match="validation: a batch holds 2 tensors"):
        fit(model, numbered(NUM), num_epochs=1, validation=LABELLED)
    assert not model.trained


def test_validation_from_a_loader_is_looked_at_before_the_first_step() -> None:
    with seeded(0):
        model = VAE((1, 4, 4), 2, network=MLP((4,)))
    before = weights(model)
    for wrong in (DataLoader(torch.rand(3, 1, 4, 5), 2), Items(torch.rand(3, 1, 4, 5))):
        with pytest.raises(ValueError, match="validation: images has image shape"):
            fit(model, torch.rand(4, 1, 4, 4), num_epochs=1, validation=wrong)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("setting", [{"batch_size": 4}, {"drop_last": True}])
def test_a_loader_has_its_own_settings(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="given beside a DataLoader, which has its own"):
        fit(Recorder(), in_batches(batch_size=4), num_epochs=1, **setting)  # type: ignore[arg-type]


# --- for all sizes ------------------------------------------------------------------------------


@a_few
@given(
    st.integers(1, 20),
    st.integers(1, 25),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(["tensor", "Dataset", "stream"]),
)
def test_steps_examples_and_means_for_all_sizes(
    num: int, size: int, num_epochs: int, drop_last: bool, dtype: torch.dtype, kind: str
) -> None:
    table = numbered(num, dtype)
    data = {"tensor": table, "Dataset": Items(table), "stream": Flow(table)}[kind]
    steps = num // size if drop_last else -(-num // size)
    model = Recorder().to(dtype)
    if not steps:
        with pytest.raises(ValueError, match=r"no batch"):
            fit(model, data, num_epochs=num_epochs, batch_size=size, drop_last=drop_last)
        return
    history = fit(model, data, num_epochs=num_epochs, batch_size=size, drop_last=drop_last)
    assert len(model.trained) == steps * num_epochs
    assert all(batch.dtype == dtype for batch in model.trained)
    for epoch in range(num_epochs):
        ours = seen(model.trained[epoch * steps : (epoch + 1) * steps])
        assert len(set(ours)) == len(ours) == min(num, steps * size)
        assert history["loss"][epoch] == pytest.approx(np.mean(ours), rel=1e-6)
    assert mean_loss(model, data, batch_size=size) == pytest.approx((num - 1) / 2, rel=1e-6)


@a_few
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 14), st.booleans())
def test_a_pass_that_is_taken_up_again_brings_what_was_left(
    num: int, size: int, skip: int, in_items: bool
) -> None:
    from vaebook._random import Stream
    from vaebook.training.batches import as_batches

    data = Items(numbered(num)) if in_items else numbered(num)
    source = as_batches(
        data, batch_size=size, device=torch.device("cpu"), check=lambda batch: None
    )  # fmt: skip
    first, again = Stream(3), Stream(3)
    whole = [batch[0] for batch in source.one_pass(first)]
    rest = [batch[0] for batch in source.one_pass(again, skip)]
    assert [batch.tolist() for batch in rest] == [batch.tolist() for batch in whole[skip:]]
    following, other = source.one_pass(first), source.one_pass(again)
    assert torch.equal(next(following)[0], next(other)[0]), "the order goes on alike"


def test_a_trained_model_is_the_same_whatever_holds_its_tensor() -> None:
    found = []
    for data in (rows(), (rows(),), TensorDataset(rows()), [rows()]):
        model = built(Denoiser)
        fit(model, data, num_epochs=2, batch_size=6)
        found.append(weights(model))
    assert all(torch.equal(found[0], other) for other in found[1:])
