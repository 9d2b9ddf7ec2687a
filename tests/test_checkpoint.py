"""Runs that go on as if they had never stopped."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.properties import uniform
from vaebook.models import MLP, VAE
from vaebook.training import (
    Callback,
    History,
    KeepBest,
    Step,
    fit,
    seeded,
)
from vaebook.training.checkpoint import load_run
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
