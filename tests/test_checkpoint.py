"""Files that are whole or not there, and runs that go on as if they had never stopped."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.properties import uniform
from vaebook.models import MLP, VAE, Autoencoder
from vaebook.training import (
    Callback,
    History,
    KeepBest,
    Step,
    fit,
    load_weights,
    save_weights,
    seeded,
)
from vaebook.training.checkpoint import load_run
from vaebook.training.files import write_atomically
from vaebook.training.state import RUN_KEYS

IMAGE_SHAPE = (1, 4, 4)
TRAIN = uniform(0, 50, *IMAGE_SHAPE).float()
VALIDATION = uniform(1, 20, *IMAGE_SHAPE).float()


def small(latent_dim: int = 2) -> VAE:
    with seeded(0):
        return VAE(IMAGE_SHAPE, latent_dim, network=MLP(hidden=(8,)))


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def run(model: VAE, num_epochs: int, **settings: object) -> History:
    options = {"batch_size": 16, "lr": 1e-2, "seed": 3, "validation": VALIDATION} | settings
    return fit(model, TRAIN, num_epochs=num_epochs, **options)  # type: ignore[arg-type]


def without_seconds(history: History) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]


# --- resuming -----------------------------------------------------------------------------------


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole = small()
    history = run(whole, 6)

    path = tmp_path / "run.pt"
    run(small(), 2, checkpoint=path)
    torch.rand(5)  # the world goes on between the runs
    second = small()
    resumed = run(second, 6, checkpoint=path, resume=True)
    assert torch.equal(weights(second), weights(whole))
    assert without_seconds(resumed) == without_seconds(history)
    assert resumed["epoch"] == [0, 1, 2, 3, 4, 5]


def test_a_run_that_crashed_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    class Crash(Callback):
        def before_step(self, step: Step) -> None:
            if step.step == 14:  # in the fourth epoch of four steps
                raise KeyboardInterrupt

    class Calm(Callback):
        pass

    Calm.__name__ = "Crash"  # the same run, but for the crash
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        run(small(), 6, checkpoint=path, callbacks=[Crash()])
    assert load_run(path, RUN_KEYS)["position"]["epoch"] == 3
    resumed, whole = small(), small()
    run(resumed, 6, checkpoint=path, resume=True, callbacks=[Calm()])
    run(whole, 6)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_nan_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    class Poison(Callback):
        def before_step(self, step: Step) -> None:
            if step.step == 10:
                next(step.model.parameters()).data.fill_(float("nan"))

    path = tmp_path / "run.pt"
    with pytest.raises(ValueError, match="NaN"):
        run(small(), 6, checkpoint=path, callbacks=[Poison()])
    state = load_run(path, RUN_KEYS)
    assert state["position"]["epoch"] == 2
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_keep_best_remembers_across_runs(tmp_path: Path) -> None:
    class Drift(nn.Module):
        """Best on the validation images after two steps, before the run is stopped."""

        def __init__(self) -> None:
            super().__init__()
            self.p = nn.Parameter(torch.zeros(()))

        def loss(self, batch: Tensor) -> Tensor:
            value = self.p if self.training else (self.p + 2) ** 2
            return value.expand(len(batch))

    def drift(num_epochs: int, resume: bool) -> tuple[float, int]:
        model, keep = Drift(), KeepBest()
        fit(
            model, TRAIN, num_epochs=num_epochs, lr=1.0, validation=VALIDATION, callbacks=[keep],
            checkpoint=tmp_path / "run.pt", resume=resume,
        )  # fmt: skip
        return model.p.item(), keep.best_epoch

    assert drift(6, False) == (pytest.approx(-2, abs=1e-5), 1)
    drift(4, False)
    assert drift(6, True) == (pytest.approx(-2, abs=1e-5), 1)
    assert drift(6, True) == (pytest.approx(-2, abs=1e-5), 1), "nothing left to train"


def test_callbacks_get_their_state_back(tmp_path: Path) -> None:
    class Count(Callback):
        def __init__(self) -> None:
            self.epochs = 0

        def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
            self.epochs += 1
            return {"count": self.epochs}

        def state_dict(self) -> dict[str, int]:
            return {"epochs": self.epochs}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.epochs = state["epochs"]

    path = tmp_path / "run.pt"
    run(small(), 2, checkpoint=path, callbacks=[Callback(), Count()])
    history = run(small(), 4, checkpoint=path, resume=True, callbacks=[Callback(), Count()])
    assert history["count"] == [1, 2, 3, 4]


def test_resume_without_a_file_starts_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    model, plain = small(), small()
    run(model, 2, checkpoint=path, resume=True)
    run(plain, 2)
    assert torch.equal(weights(model), weights(plain))
    assert path.is_file()


def test_without_resume_a_checkpoint_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    run(small(), 3, checkpoint=path)
    run(small(), 1, checkpoint=path)
    assert load_run(path, RUN_KEYS)["position"]["epoch"] == 1


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    first, second = small(), small()
    history = run(first, 2, checkpoint=path)
    again = run(second, 2, checkpoint=path, resume=True)
    assert torch.equal(weights(first), weights(second))
    assert again.rows == history.rows
    assert not second.training


def test_other_settings_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    run(small(), 2, checkpoint=path)
    again = {"checkpoint": path, "resume": True}
    with pytest.raises(ValueError, match=r"made with other settings: lr 0.01 then, 0.1 now"):
        run(small(), 4, lr=0.1, **again)
    with pytest.raises(ValueError, match=r"batch_size 16 then, 8 now.*seed 3 then, 4 now"):
        run(small(), 4, batch_size=8, seed=4, **again)
    with pytest.raises(ValueError, match=r"callbacks.* then, .*'KeepBest' now"):
        run(small(), 4, callbacks=[KeepBest()], **again)
    with pytest.raises(ValueError, match=r"data.tensor 0 .\(50, .* then, .\(20, .* now"):
        fit(small(), VALIDATION, num_epochs=4, batch_size=16, lr=1e-2, seed=3, **again)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="holds 2 epochs, more than num_epochs = 1"):
        run(small(), 1, **again)


def test_a_checkpoint_of_another_model_is_refused_and_the_model_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    run(small(), 1, checkpoint=path)
    other = small(latent_dim=3)
    before = weights(other)
    with pytest.raises(ValueError, match=r"made with other settings: .*latent_dim 2 then, 3 now"):
        run(other, 2, checkpoint=path, resume=True)
    assert torch.equal(weights(other), before)


def test_damaged_checkpoints_say_so(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    run(small(), 1, checkpoint=path)
    content = path.read_bytes()
    for damaged in (b"", b"not a checkpoint", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cannot be read as a checkpoint.*resume=False"):
            run(small(), 2, checkpoint=path, resume=True)
    for thing in ([1, 2], torch.zeros(3), 5):
        torch.save(thing, path)
        with pytest.raises(ValueError, match="checkpoint"):
            load_run(path)
    torch.save({"model": {}, "epoch": 1}, path)
    with pytest.raises(ValueError, match="no checkpoint of fit: it lacks"):
        load_run(path)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "evil"),))

    path = tmp_path / "run.pt"
    torch.save({key: Evil() for key in RUN_KEYS}, path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_run(path)
    assert not (tmp_path / "evil").exists()


# --- files --------------------------------------------------------------------------------------


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_atomically(path, lambda temporary: temporary.write_text("old"))

    def half(temporary: Path) -> None:
        temporary.write_text("ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert path.read_text() == "old"

    write_atomically(path, write)
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    save_weights(small(), tmp_path / "weights.safetensors")
    run(small(), 1, checkpoint=tmp_path / "run.pt")
    usual = stat.S_IMODE(plain.stat().st_mode)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == usual, path.name


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; create it first"):
        save_weights(small(), tmp_path / "nowhere" / "weights.safetensors")


def test_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model, other = small(), small()
    fit(model, TRAIN, num_epochs=1)
    save_weights(model, path)
    load_weights(other, path)
    assert torch.equal(weights(model), weights(other))
    assert list(tmp_path.iterdir()) == [path]


def test_weights_may_lie_anyhow_in_memory(tmp_path: Path) -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)

    path = tmp_path / "weights.safetensors"
    first, second = Transposed(), Transposed()
    nn.init.zeros_(second.w)
    save_weights(first, path)
    load_weights(second, path)
    assert torch.equal(first.w, second.w)


def test_wrong_weights_leave_the_model_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    model = small()
    before = weights(model)
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load_weights(model, path)
    save_weights(small(latent_dim=3), path)
    with pytest.raises(ValueError, match=r"does not fit this VAE.*settings it was saved with"):
        load_weights(model, path)
    with seeded(0):
        plain = Autoencoder(IMAGE_SHAPE, 2, network=MLP(hidden=(8,)))
    save_weights(plain, path)
    with pytest.raises(ValueError, match="does not fit this VAE"):
        load_weights(model, path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="no complete safetensors file"):
        load_weights(model, path)
    assert torch.equal(weights(model), before)
