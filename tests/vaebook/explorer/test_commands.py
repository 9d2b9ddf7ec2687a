"""``python -m vaebook.explorer``: each training from end to end, on little data, and its errors."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from vaebook.explorer import WIDGETS, __main__
from vaebook.explorer.weights import trained_weights

LITTLE: dict[str, dict[str, Any]] = {  # of each training, what makes it long
    "plane": {"NUM_TRAIN": 60, "NUM_EPOCHS": 1, "NUM_ROUNDED": 300, "FINE": 1, "COARSE": 1},
    "sliders": {"NUM_EPOCHS": 1, "NUM_ROUNDED": 300},
    "flow": {"NUM_EPOCHS": 1, "COPIES": 1},
    "loss": {"NUM_EPOCHS": 1, "HIDDEN": 16},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands write, in place of the package; the trainings are short."""
    monkeypatch.setattr(__main__, "FOLDER", tmp_path)
    for module, settings in LITTLE.items():
        for name, value in settings.items():
            monkeypatch.setattr(import_module(f"vaebook.explorer.training.{module}"), name, value)
    for name in ("weights", "stills"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("name", __main__.TRAINED)
def test_a_training_writes_what_its_widget_reads(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    __main__.main(["train", name])
    assert f"made {name}\n" in capsys.readouterr().out
    assert [path.name for path in (folder / "weights").iterdir()] == [f"{name}.safetensors"]
    made, shipped = load_file(folder / "weights" / f"{name}.safetensors"), trained_weights(name)
    assert made.keys() == shipped.keys()
    for key, value in made.items():
        if not key.endswith(".distances"):  # on a coarser grid
            assert value.shape == shipped[key].shape, key
        assert value.isfinite().all(), key


def test_stills_are_drawn_for_all(folder: Path) -> None:
    __main__.main(["stills", "kl", "loss"])
    drawn = {path.stem: path.read_bytes() for path in (folder / "stills").iterdir()}
    assert drawn.keys() == {"kl", "loss"}
    assert drawn["kl"] == WIDGETS["kl"]().redraw()


@pytest.mark.parametrize("what", ["train", "stills"])
def test_an_unknown_name_is_refused_before_anything_is_made(
    folder: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        __main__.main([what, "loss", "latent-plain"])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert f"no 'latent-plain' to {what}; expected some of latent-plane, latent-sliders, " in told
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_a_training_that_fails_leaves_the_old_file_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = folder / "weights" / "flow.safetensors"
    old.write_bytes(b"old")

    def fails() -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr("vaebook.explorer.training.flow.train_flow", fails)
    with pytest.raises(RuntimeError, match="no memory"):
        __main__.main(["train", "flow"])
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_folder_that_cannot_be_written_is_found_before_the_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr("vaebook.explorer.training.flow.train_flow", lambda: trained.append("flow"))
    (folder / "weights").rmdir()
    with pytest.raises(FileNotFoundError, match="weights does not exist; create it first"):
        __main__.main(["train", "flow"])
    assert not trained
