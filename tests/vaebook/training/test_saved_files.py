"""Files of weights and checkpoints: what comes back, and what is refused with which words."""

import json
import os
import random
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from tests.properties import uniform
from vaebook.distributions import unit_laplace
from vaebook.models import MLP, VAE, Autoencoder
from vaebook.training import fit, load_weights, save_weights, seeded
from vaebook.training.checkpoint import first_of, load_run, save_run, sealed, size_of_run

IMAGE_SHAPE = (1, 4, 4)
NORMAL = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
WIDE = Independent(Normal(torch.zeros(2), 2 * torch.ones(2)), 1)
KEYS = {"epoch", "model"}
NOT_ROOT = pytest.mark.skipif(
    os.name == "nt" or os.getuid() == 0, reason="permissions do not bind the superuser"
)


def small(latent_dim: int = 2, **settings: object) -> VAE:
    with seeded(0):
        network = settings.pop("network", MLP(hidden=(8,)))
        return VAE(IMAGE_SHAPE, latent_dim, network=network, **settings)  # type: ignore[arg-type]


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def read_weights(path: Path) -> None:
    load_weights(nn.Linear(3, 2), path)


def read_run(path: Path) -> None:
    load_run(path, KEYS)


def write_weights(path: Path) -> None:
    save_weights(nn.Linear(3, 2), path)


def write_run(path: Path) -> None:
    save_run(path, {"epoch": 1, "model": {"w": torch.arange(6.0)}})


KINDS = pytest.mark.parametrize(
    ("write", "read"),
    [(write_weights, read_weights), (write_run, read_run)],
    ids=["weights", "checkpoint"],
)
Write = Callable[[Path], None]


# --- damage -------------------------------------------------------------------------------------


@KINDS
def test_one_flipped_bit_in_any_byte_is_refused(write: Write, read: Write, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    read(path)
    content = path.read_bytes()
    bits = random.Random(0)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << bits.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(path)):
            read(path)


@KINDS
def test_a_file_cut_short_anywhere_is_refused(write: Write, read: Write, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    content = path.read_bytes()
    for length in {0, 1, 7, 8, 9, 20, 100, len(content) // 2, len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut short|is empty|no whole|carries no checksum"):
            read(path)
    path.write_bytes(content + b"\n")
    with pytest.raises(ValueError, match=r"damaged|of \d+\. It was cut short|no checksum"):
        read(path)


@KINDS
def test_each_trouble_has_its_own_words(write: Write, read: Write, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError, match=f"no .* at {path}; write them with"):
        read(path)
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        read(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        read(path)
    path.write_text("epoch,loss\n" * 100)
    with pytest.raises(ValueError, match=r"of another kind"):
        read(path)


@KINDS
def test_a_file_that_may_not_be_read_is_called_so(
    write: Write, read: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match="is there, but you may not read it"):
        read(path)


@KINDS
@NOT_ROOT
def test_a_file_without_read_permission(write: Write, read: Write, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    path.chmod(0)
    with pytest.raises(PermissionError, match="is there, but you may not read it"):
        read(path)


@KINDS
def test_nobody_is_told_to_delete(write: Write, read: Write, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path)
    content = path.read_bytes()
    for damaged in (b"", b"1", b"x" * 1000, content[:-1], content[:100], b"PK\x03\x04" + content):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(path)) as info:
            read(path)
        assert "delete" not in str(info.value).replace(str(path), "").lower()


def test_one_kind_in_the_place_of_the_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_run(path)
    with pytest.raises(ValueError, match=r"written by torch.save, as checkpoints are.*fit"):
        read_weights(path)
    write_weights(path)
    with pytest.raises(ValueError, match="no checkpoint of fit: it is a file of another kind"):
        read_run(path)


# --- files from elsewhere -----------------------------------------------------------------------


def test_weights_without_a_checksum_are_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    save_file(model.state_dict(), path)
    with pytest.raises(ValueError, match=r"no checksum.*safetensors\.torch\.load_model"):
        load_weights(other, path)
    load_model(other, path)  # the cure
    assert torch.equal(weights(model), weights(other))


def test_others_can_read_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model, other = small(), small()
    nn.init.zeros_(other.decoder[0].weight)
    save_weights(model, path)
    assert load_file(path).keys() == model.state_dict().keys()
    load_model(other, path)
    assert torch.equal(weights(model), weights(other))


def test_a_checkpoint_without_a_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    torch.save({"epoch": 1, "model": {}}, path)
    with pytest.raises(ValueError, match=r"no checksum: it was written by torch\.save"):
        read_run(path)


def test_a_checkpoint_is_a_file_of_torch(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    write_run(path)
    assert torch.load(path, weights_only=True)["epoch"] == 1


def test_a_checkpoint_cannot_run_code_even_when_sealed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "evil"),))

    path = tmp_path / "run.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaebook.training.checkpoint.size_of_run", lambda _: 0)
        save_run(path, {key: Evil() for key in KEYS})
    with pytest.raises(ValueError, match="cannot be read as a checkpoint by torch"):
        read_run(path)
    assert not (tmp_path / "evil").exists()


# --- checkpoints --------------------------------------------------------------------------------


def test_tensors_and_plain_values_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    state = {
        "epoch": 3,
        "model": OrderedDict(w=torch.arange(6.0).reshape(2, 3).T, p=nn.Parameter(torch.ones(2))),
        "history": [{"loss": 1.5, "best": None}, {"loss": float("inf")}],
        "betas": (0.9, 0.999),
        "others": {"a": b"bytes", "b": True, "c": {1, 2}, "d": torch.float64, "e": torch.Size([2])},
        "milestones": Counter([3, 3]),
    }
    save_run(path, state)
    loaded = load_run(path, KEYS)
    assert torch.equal(loaded["model"].pop("w"), state["model"].pop("w"))  # type: ignore[attr-defined]
    assert torch.equal(loaded["model"].pop("p"), state["model"].pop("p"))  # type: ignore[attr-defined]
    assert loaded == state


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.float64(1), "numpy.float64"),
        (np.zeros(2), "numpy.ndarray"),
        (Path("x"), "PosixPath|WindowsPath"),
        (lambda: 1, "function"),
    ],
)
def test_what_could_not_be_read_is_refused_when_written(
    value: object, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.pt"
    write_run(path)
    state = {"epoch": 1, "callbacks": [{}, {"best": value}]}
    with pytest.raises(ValueError, match=rf"state\['callbacks'\]\[1\]\['best'\] is a .*({name})"):
        save_run(path, state)
    assert load_run(path, KEYS)["epoch"] == 1


def test_missing_keys_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save_run(path, {"epoch": 1})
    with pytest.raises(ValueError, match="no checkpoint of fit: it lacks model, position"):
        load_run(path, {"epoch", "model", "position"})


def test_a_checkpoint_of_a_gpu_loads_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.pt"
    with monkeypatch.context() as patch:  # as torch marks a tensor of the first GPU
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        write_run(path)
    with zipfile.ZipFile(path) as file:
        assert b"cuda:0" in b"".join(file.read(name) for name in file.namelist())
    assert load_run(path, KEYS)["model"]["w"].device.type == "cpu"


# --- weights ------------------------------------------------------------------------------------


def test_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model, other = small(), small()
    fit(model, uniform(0, 50, *IMAGE_SHAPE).float(), num_epochs=1)
    save_weights(model, path)
    load_weights(other, path)
    assert torch.equal(weights(model), weights(other))
    assert list(tmp_path.iterdir()) == [path]


def test_a_loaded_model_is_in_evaluation_mode(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    model(torch.randn(5, 3))
    save_weights(model, path)
    other = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    load_weights(other, path)
    assert not any(part.training for part in other.modules())
    values = torch.randn(4, 3)
    assert torch.equal(other(values), model.eval()(values))


class Odd(nn.Module):
    """Transposed, a view, two names for one tensor, no dimension, no entries, and whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.transposed = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)
        self.view = nn.Parameter(torch.arange(10.0)[2:5])
        self.tied = self.view
        self.scalar = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("count", torch.tensor(7))


def test_weights_may_lie_anyhow_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    first, second = Odd(), Odd()
    for value in second.state_dict().values():
        value.zero_()
    save_weights(first, path)
    load_weights(second, path)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_compiled_model_is_saved_under_plain_names(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model, other, part = small(), small(), small()
    nn.init.zeros_(other.decoder[0].weight)
    save_weights(torch.compile(model, backend="eager"), path)  # type: ignore[arg-type]
    assert load_file(path).keys() == model.state_dict().keys()
    part.encoder = torch.compile(part.encoder, backend="eager")  # type: ignore[assignment]
    for each in (other, torch.compile(small(), backend="eager"), part):
        load_weights(each, path)  # type: ignore[arg-type]
        assert torch.equal(weights(each), weights(model))  # type: ignore[arg-type]
    save_weights(part, path)
    load_weights(other, path)


def test_a_state_without_tensors_is_refused(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"a": 1}

    with pytest.raises(ValueError, match="_extra_state in the state of Extra is a dict"):
        save_weights(Extra(2, 2), tmp_path / "weights.safetensors")
    assert not list(tmp_path.iterdir())


def test_wrong_weights_leave_the_model_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model = small()
    before = weights(model)
    save_weights(small(latent_dim=3), path)
    with pytest.raises(ValueError, match=r"does not fit this VAE.*latent_dim 3 then, 2 now"):
        load_weights(model, path)
    with seeded(0):
        plain = Autoencoder(IMAGE_SHAPE, 2, network=MLP(hidden=(8,)))
    save_weights(plain, path)
    with pytest.raises(ValueError, match=r"does not fit this VAE.*'Autoencoder' then, 'VAE' now"):
        load_weights(model, path)
    assert torch.equal(weights(model), before)
    assert model.training


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        ({}, {"network": MLP((8,), activation="tanh")}, "network.activation 'relu' .* 'tanh' now"),
        ({"beta": 4.0}, {}, "beta 4.0 then, 1.0 now"),
        ({"free_bits": 0.5}, {}, "free_bits 0.5 then, 0.0 now"),
        ({"sample_codes": False}, {}, "sample_codes False then, True now"),
        ({"prior": unit_laplace(2)}, {}, "prior.distribution.class 'Independent' then"),
        ({"prior": unit_laplace(2)}, {"prior": NORMAL}, "base_dist.class 'Laplace' then, 'Normal'"),
        ({"prior": NORMAL}, {"prior": WIDE}, r"base_dist.scale .*\[1.0, 1.0\].* then, .*2.0"),
        ({"posterior": "laplace"}, {}, "posterior_family 'laplace' then, 'diagonal' now"),
    ],
)
def test_weights_of_other_settings_are_refused(
    then: dict, now: dict, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(small(**then), path)
    load_weights(small(**then), path)
    model = small(**now)
    before = weights(model)
    with pytest.raises(ValueError, match=rf"built otherwise: .*{message}"):
        load_weights(model, path)
    assert torch.equal(weights(model), before)


def test_weights_are_not_rounded_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(nn.Linear(3, 2).double(), path)
    with pytest.raises(ValueError, match=r"weight \(float64 \[2, 3\] in the file, float32"):
        load_weights(nn.Linear(3, 2), path)
    load_weights(nn.Linear(3, 2).double(), path)
    save_weights(nn.Linear(3, 2).half(), path)
    load_weights(nn.Linear(3, 2), path)  # every half is a float


def test_a_value_in_the_header_is_not_taken_for_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    fake = json.dumps({"sha256": "0" * 64}, separators=(",", ":"))
    path.write_bytes(sealed({"weight": torch.zeros(1), "bias": torch.ones(1)}, {"a": fake}))
    with pytest.raises(ValueError, match="does not fit this Linear"):
        load_weights(nn.Linear(3, 2), path)


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "0"), (4, "0, 1, 2, 3"), (5, "0, 1, 2, 3 and 1 more"), (9, "0, 1, 2, 3 and 5 more")],
)
def test_a_long_list_says_how_many_more_there_are(number: int, said: str) -> None:
    assert first_of([str(place) for place in range(number)]) == said


def test_the_size_of_a_run_is_that_of_its_numbers_and_letters() -> None:
    """Eight bytes for a number, one for a letter, and the tensors as they are."""
    state = {"ab": [1, 2.0, True, None], "t": torch.zeros(3), "x": ("four", b"12")}
    assert size_of_run(state) == (2 + 4 * 8) + (1 + 3 * 4) + (1 + 4 + 2)
    assert size_of_run({}) == 0
    with pytest.raises(ValueError, match=r"a key of state is a .*object"):
        size_of_run({object(): 1})
