"""A run that is resumed is the uninterrupted one, bit for bit, or it is refused."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Laplace
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, ReduceLROnPlateau
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from tests.properties import uniform
from tests.small_models import Denoiser, Duel, Flow, Items, built, rows, weights
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, VAE, VQVAE
from vaebook.training import Callback, History, KeepBest, Step, WarmUp, WeightAverage, fit, seeded
from vaebook.training.checkpoint import load_run
from vaebook.training.state import RUN_KEYS, _load_optimizer

TABLE, WATCHED = rows(22), rows(9, 1)  # four batches of six or fewer


class Crash(Callback):
    """Breaks the run off before a step, as a power cut does; its settings do not count."""

    def __init__(self, at: int | None = None) -> None:
        self._at = at

    def before_step(self, step: Step) -> None:
        if step.step == self._at:
            raise KeyboardInterrupt


def same(first: History, second: History) -> bool:
    """Whether two histories agree in all but the seconds."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in first.rows] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in second.rows
    ]


DATA: dict[str, tuple[Callable[[], object], dict[str, object]]] = {
    "tensor": (lambda: TABLE, {"batch_size": 6}),
    "drop_last": (lambda: TABLE, {"batch_size": 6, "drop_last": True}),
    "longer epochs": (lambda: TABLE, {"batch_size": 6, "steps_per_epoch": 7}),
    "augmented": (lambda: Items(TABLE, noise=0.3), {"batch_size": 6}),
    "loader": (lambda: DataLoader(Items(TABLE, noise=0.3), 6, shuffle=True), {}),
    "stream": (lambda: Flow(TABLE, noise=0.3), {"batch_size": 6}),
    "shorter epochs": (lambda: Flow(TABLE, noise=0.3), {"batch_size": 6, "steps_per_epoch": 3}),
}


@pytest.mark.parametrize("every", [None, 1, 4])
@pytest.mark.parametrize("name", DATA)
def test_a_run_that_breaks_off_anywhere_goes_on(
    tmp_path: Path, name: str, every: int | None
) -> None:
    """Four epochs of four steps, broken off in five places; every part begins with a new model."""
    make, settings = DATA[name]
    settings = settings | {"num_epochs": 4, "lr": 1e-2, "validation": WATCHED}
    whole = built(Denoiser)
    history = fit(whole, make(), callbacks=[Crash()], **settings)  # type: ignore[arg-type]
    settings |= {"checkpoint": tmp_path / "run.pt", "checkpoint_every": every, "resume": True}
    for at in (3, 4, 9, 10, 11):
        with pytest.raises(KeyboardInterrupt):
            fit(built(Denoiser), make(), callbacks=[Crash(at)], **settings)  # type: ignore[arg-type]
        torch.rand(5)  # the world goes on between the runs
    model = built(Denoiser)
    resumed = fit(model, make(), callbacks=[Crash()], **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(model), weights(whole))
    assert same(resumed, history)


def test_workers_too(tmp_path: Path) -> None:
    loader = partial(DataLoader, Items(TABLE, noise=0.3), 6, shuffle=True, num_workers=2)
    settings = {"num_epochs": 2, "lr": 1e-2}
    whole, model = built(Denoiser), built(Denoiser)
    history = fit(whole, loader(), callbacks=[Crash()], **settings)  # type: ignore[arg-type]
    settings |= {"checkpoint": tmp_path / "run.pt", "checkpoint_every": 1, "resume": True}
    with pytest.raises(KeyboardInterrupt):
        fit(built(Denoiser), loader(), callbacks=[Crash(5)], **settings)  # type: ignore[arg-type]
    resumed = fit(model, loader(), callbacks=[Crash()], **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(model), weights(whole))
    assert same(resumed, history)


class Draws(Callback):
    """Draws in each hook; a resumed run must draw the same."""

    def before_training(self, step: Step) -> None:
        torch.rand(3)

    def before_step(self, step: Step) -> None:
        torch.rand(1)

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
        return {"drawn": float(torch.rand(()))}


@pytest.mark.parametrize("every", [None, 3])
def test_all_that_has_a_state_goes_on(tmp_path: Path, every: int | None) -> None:
    """Two players, each with AdamW, a schedule, an average; a best epoch; a callback that draws."""

    def run(model: nn.Module, crash: int | None = None, **more: object) -> History:
        return fit(
            model, TABLE, num_epochs=5, batch_size=6, validation=WATCHED,
            optimizer=partial(AdamW, lr=0.05), max_grad_norm=0.5,
            scheduler=partial(CosineAnnealingLR, T_max=20),
            callbacks=[
                WeightAverage("behind"), KeepBest("validation_ahead_loss"), Draws(), Crash(crash),
            ],
            **more,
        )  # type: ignore[arg-type] # fmt: skip

    whole, model = built(Duel), built(Duel)
    history = run(whole)
    more = {"checkpoint": tmp_path / "run.pt", "checkpoint_every": every, "resume": True}
    for crash in (5, 11, 17):
        with pytest.raises(KeyboardInterrupt):
            run(built(Duel), crash, **more)
    resumed = run(model, **more)
    assert torch.equal(weights(model), weights(whole))
    assert same(resumed, history)
    assert len(set(history["drawn"])) == 5


def test_a_plateau_and_bfloat16_go_on(tmp_path: Path) -> None:
    def run(model: nn.Module, num_epochs: int, **more: object) -> History:
        return fit(
            model, TABLE, num_epochs=num_epochs, batch_size=6, validation=WATCHED,
            optimizer=partial(SGD, lr=0.1, momentum=0.9), precision="bfloat16",
            scheduler=partial(ReduceLROnPlateau, factor=0.5, patience=0), **more,
        )  # type: ignore[arg-type] # fmt: skip

    whole, model = built(Denoiser), built(Denoiser)
    history = run(whole, 8)
    for num_epochs in (2, 3, 7):
        run(built(Denoiser), num_epochs, checkpoint=tmp_path / "run.pt", resume=True)
    resumed = run(model, 8, checkpoint=tmp_path / "run.pt", resume=True)
    assert torch.equal(weights(model), weights(whole))
    assert same(resumed, history)


@pytest.mark.parametrize("name", DATA)
def test_an_epoch_that_was_cut_short_goes_on_in_a_longer_run(tmp_path: Path, name: str) -> None:
    make, settings = DATA[name]
    whole, model = built(Denoiser), built(Denoiser)
    settings = settings | {"lr": 1e-2, "validation": WATCHED, "callbacks": [Draws()]}
    history = fit(whole, make(), num_steps=15, **settings)  # type: ignore[arg-type]
    settings |= {"checkpoint": tmp_path / "run.pt", "resume": True}
    for num_steps in (2, 6, 6, 7, 8):
        part = fit(built(Denoiser), make(), num_steps=num_steps, **settings)  # type: ignore[arg-type]
        assert part["epoch"] == list(range(len(part))), "each has a row for the epoch it began"
    resumed = fit(model, make(), num_steps=15, **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(model), weights(whole))
    assert same(resumed, history)


@pytest.mark.parametrize("hook", ["before_step", "after_epoch"])
def test_a_run_that_was_stopped_stays_stopped(tmp_path: Path, hook: str) -> None:
    class Stop(Callback):
        def before_step(self, step: Step) -> None:
            if hook == "before_step" and step.step == 5:
                step.stop("enough")

        def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
            if hook == "after_epoch" and step.epoch == 1:
                step.stop(None)  # type: ignore[arg-type] # whatever the reason

    first, second = built(Denoiser), built(Denoiser)
    settings = {"batch_size": 6, "callbacks": [Stop()], "checkpoint": tmp_path / "run.pt"}
    history = fit(first, TABLE, num_epochs=9, **settings)  # type: ignore[arg-type]
    assert len(history) == 2
    again = fit(second, TABLE, num_epochs=20, resume=True, **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(first), weights(second))
    assert same(again, history)


def test_patience_counts_through_an_interruption(tmp_path: Path) -> None:
    def run(crash: int | None, **more: object) -> tuple[History, Tensor]:
        model = built(Denoiser)
        keep = KeepBest("loss", patience=3)
        history = fit(
            model, TABLE, num_epochs=60, batch_size=6, callbacks=[keep, Crash(crash)], lr=0.3,
            **more,
        )  # type: ignore[arg-type] # fmt: skip
        return history, weights(model)

    history, expected = run(None)
    last = 4 * len(history)
    assert 4 < len(history) < 60
    more = {"checkpoint": tmp_path / "run.pt", "resume": True}
    for crash in (last - 9, last - 3):
        with pytest.raises(KeyboardInterrupt):
            run(crash, **more)
    resumed, found = run(None, **more)
    assert same(resumed, history)
    assert torch.equal(found, expected)


# --- nothing bad is written ---------------------------------------------------------------------


class RootAtZero(nn.Module):
    """The root of a square: the gradient is NaN once the parameter is 0, and the loss is not."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = nn.Parameter(torch.tensor(5.0))

    def loss(self, batch: Tensor) -> Tensor:
        return (self.depth**2).sqrt().expand(len(batch))


@pytest.mark.parametrize("every", [None, 1])
def test_a_gradient_that_is_no_number_is_never_written(tmp_path: Path, every: int | None) -> None:
    """W6: it comes in the sixth step, the last of the second epoch."""
    path, model = tmp_path / "run.pt", RootAtZero()
    with pytest.raises(ValueError, match="depth became NaN or infinite by step 2 of epoch 1"):
        fit(
            model, rows(3), num_epochs=5, batch_size=1, optimizer=partial(SGD, lr=1.0),
            checkpoint=path, checkpoint_every=every,
        )  # fmt: skip
    state = load_run(path, RUN_KEYS)
    assert state["position"]["step"] == (3 if every is None else 5)
    assert torch.isfinite(state["model"]["depth"])


class Carries(nn.Module):
    """What a run carries beside its parameters goes wrong at a step, and no loss tells."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__()
        self.part = nn.Linear(3, 3)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
        self.register_buffer("unset", torch.full((), float("nan")))
        self.register_buffer("mean", torch.zeros(3))
        self._what, self._at, self._steps = what, at, 0

    def loss(self, batch: Tensor) -> Tensor:
        self._steps += 1
        output = self.part(batch).sum(1)
        if self._steps == self._at and self._what == "buffer":
            self.mean.fill_(float("nan"))
        if self._steps == self._at and self._what == "gradient":
            return 1e25 * (output - output.detach())
        return output


@pytest.mark.parametrize("every", [None, 2])
@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("buffer", "the buffer mean became"),
        ("gradient", "the optimiser's exp_avg_sq of part.weight became"),
    ],
)
def test_buffers_and_the_optimisers_memory_too(
    tmp_path: Path, what: str, named: str, every: int | None
) -> None:
    """Adam's second moment overflows at a gradient of 1e20, and the weight would never move."""
    path = tmp_path / "run.pt"
    settings = {"num_epochs": 2, "batch_size": 5, "checkpoint": path, "checkpoint_every": every}
    with pytest.raises(ValueError, match=named):
        fit(Carries(what, 8), rows(), **settings)  # type: ignore[arg-type]
    state = load_run(path, RUN_KEYS)
    assert state["position"]["step"] == (4 if every is None else 6)
    assert torch.isfinite(state["model"]["mean"]).all()
    fit(Carries(what, 99), rows(), **settings)  # type: ignore[arg-type]


# --- what differs is refused (W5) ---------------------------------------------------------------

SHAPE = (1, 4, 4)
IMAGES = uniform(0, 50, *SHAPE).float()
BASE: dict[str, object] = {"batch_size": 16, "optimizer": partial(AdamW, lr=1e-3)}


def vae(**settings: object) -> VAE:
    options = {"network": MLP((8,)), "likelihood": GaussianLikelihood(0.1)} | settings
    frozen = options.pop("frozen", None)
    with seeded(0):
        model = VAE(SHAPE, 2, **options)  # type: ignore[arg-type]
    if frozen is not None:
        model.get_submodule(str(frozen)).requires_grad_(False)
    return model


def laplace(scale: float = 1.0) -> Independent:
    return Independent(Laplace(torch.zeros(2), scale * torch.ones(2)), 1)


class Weighs(Callback):
    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight


class Milestones(Callback):
    def __init__(self, epochs: list[int], weight: Callable[[float], float] = float) -> None:
        self.epochs, self.weight = epochs, weight


class Changed(Dataset[Tensor]):
    """Images in a dictionary, behind a function and a number."""

    def __init__(self, images: Tensor, factor: float = 1.0, change: Callable = torch.clone) -> None:
        self.held = {"images": images}
        self.factor, self.change = factor, change
        self._num_read = 0  # a private count is no setting

    def __len__(self) -> int:
        return len(self.held["images"])

    def __getitem__(self, index: int) -> Tensor:
        self._num_read += 1
        return self.factor * self.change(self.held["images"][index])


def times(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda images: factor * images


def loader(**settings: object) -> dict[str, object]:
    return {"data": DataLoader(TensorDataset(IMAGES), 16, **settings)}  # type: ignore[arg-type]


def cosine(steps: int) -> dict[str, object]:
    return {"scheduler": partial(CosineAnnealingLR, T_max=steps)}


def power(base: float) -> dict[str, object]:
    return {"scheduler": partial(LambdaLR, lr_lambda=lambda step: base**step)}


OTHER: dict[str, tuple[dict, dict, str]] = {  # settings then, settings now, what is named
    "beta": ({"model": {}}, {"model": {"beta": 4.0}}, r"model\.beta 1.0 then, 4.0 now"),
    "activation": (
        {"model": {}},
        {"model": {"network": MLP((8,), activation="tanh")}},
        r"activation 'relu' then, 'tanh' now",
    ),
    "prior": ({"model": {}}, {"model": {"prior": laplace()}}, "prior"),
    "scale of the prior": (
        {"model": {"prior": laplace()}},
        {"model": {"prior": laplace(2.0)}},
        r"prior.*scale",
    ),
    "posterior": (
        {"model": {"posterior": "laplace"}},
        {"model": {}},
        "posterior.* 'laplace' then, 'diagonal' now",
    ),
    "sigma": ({"model": {}}, {"model": {"likelihood": GaussianLikelihood(0.2)}}, "sigma"),
    "callback setting": (
        {"callbacks": [Weighs()]},
        {"callbacks": [Weighs(2.0)]},
        r"callbacks.0.weight 1.0 then, 2.0 now",
    ),
    "callback": ({"callbacks": [Weighs()]}, {"callbacks": [KeepBest("loss")]}, "callbacks.0"),
    "images": ({}, {"data": uniform(2, 50, *SHAPE).float()}, r"data.tensor 0 .* then, .* now"),
    "images of a dataset": (
        {"data": TensorDataset(IMAGES), "drop_last": True},
        {"data": Subset(TensorDataset(IMAGES), range(50)), "drop_last": True},
        "data.dataset",
    ),
    "images of a loader": (
        {"data": DataLoader(TensorDataset(IMAGES), 16)},
        {"data": DataLoader(TensorDataset(1 - IMAGES), 16)},
        "data.tensors",
    ),
    "part of a dataset": (
        {"data": DataLoader(Subset(TensorDataset(IMAGES), range(20)), 16)},
        {"data": DataLoader(Subset(TensorDataset(IMAGES), range(20, 40)), 16)},
        "data.indices",
    ),
    "order of a loader": (loader(), loader(shuffle=True), "sampler.class 'Sequential.*Random"),
    "weights of a sampler": (
        loader(sampler=WeightedRandomSampler([1.0] * 50, 50)),
        loader(sampler=WeightedRandomSampler([1.0] * 49 + [2.0], 50)),
        "sampler.weights",
    ),
    "rows of a sampler": (
        loader(sampler=SubsetRandomSampler(range(20))),
        loader(sampler=SubsetRandomSampler(range(20, 40))),
        "sampler.indices",
    ),
    "sampler of batches": (
        {"data": DataLoader(Changed(IMAGES), batch_sampler=[[0, 1], [2]])},
        {"data": DataLoader(Changed(IMAGES), batch_sampler=[[0, 2], [1]])},
        "batch_sampler",
    ),
    "collation": (
        loader(collate_fn=lambda rows: torch.stack([row[0] for row in rows])),
        loader(collate_fn=lambda rows: 1 - torch.stack([row[0] for row in rows])),
        "collate_fn",
    ),
    "images in a dictionary": (
        {"data": Changed(IMAGES)},
        {"data": Changed(1 - IMAGES)},
        "held.images",
    ),
    "number in a dataset": (
        {"data": Changed(IMAGES)},
        {"data": Changed(IMAGES, 0.5)},
        r"data.factor 1.0 then, 0.5 now",
    ),
    "function in a dataset": (
        {"data": Changed(IMAGES, change=times(0.5))},
        {"data": Changed(IMAGES, change=times(0.7))},
        "data.change",
    ),
    "order of datasets": (
        {"data": ConcatDataset([Changed(IMAGES[:25]), Changed(IMAGES[25:])])},
        {"data": ConcatDataset([Changed(IMAGES[25:]), Changed(IMAGES[:25])])},
        "datasets.0.held.images",
    ),
    "list of a callback": (
        {"callbacks": [Milestones([1, 2])]},
        {"callbacks": [Milestones([1, 3])]},
        r"callbacks.0.epochs \(1, 2\) then, \(1, 3\) now",
    ),
    "function of a callback": (
        {"callbacks": [Milestones([1], times(2.0))]},
        {"callbacks": [Milestones([1], times(3.0))]},
        "callbacks.0.weight",
    ),
    "frozen parameters": (
        {"model": {}},
        {"model": {"frozen": "encoder"}},
        r"frozen \[\] then, \['encoder",
    ),
    "validation": ({"validation": IMAGES}, {"validation": 1 - IMAGES}, "validation.tensor 0"),
    "optimizer": (
        {},
        {"optimizer": partial(SGD, lr=1e-3)},
        r"optimizer.0.class 'AdamW' then, 'SGD' now",
    ),
    "weight decay": (
        {},
        {"optimizer": partial(AdamW, lr=1e-3, weight_decay=0.3)},
        r"weight_decay 0.01 then, 0.3 now",
    ),
    "scheduler": ({}, cosine(10), "scheduler"),
    "length of the schedule": (cosine(10), cosine(20), r"T_max 10 then, 20 now"),
    "precision": ({}, {"precision": "bfloat16"}, "precision 'float32' then, 'bfloat16' now"),
    "drop_last": ({}, {"drop_last": True}, "drop_last False then, True now"),
    "batch_size": ({}, {"batch_size": 8}, "batch_size 16 then, 8 now"),
    "seed": ({}, {"seed": 1}, "seed 0 then, 1 now"),
    "max_grad_norm": ({}, {"max_grad_norm": 1.0}, "max_grad_norm None then, 1.0 now"),
    "steps_per_epoch": ({}, {"steps_per_epoch": 2}, "steps_per_epoch None then, 2 now"),
}


def begin(num_epochs: int, settings: dict, path: Path, **more: object) -> VAE:
    options = BASE | settings
    model = vae(**options.pop("model", {}))  # type: ignore[arg-type]
    data = options.pop("data", IMAGES)
    if isinstance(data, DataLoader):
        options.pop("batch_size")
    before = weights(model)
    try:
        fit(model, data, num_epochs=num_epochs, checkpoint=path, **options, **more)  # type: ignore[arg-type]
    except ValueError:
        assert torch.equal(weights(model), before), "refused, and the model is unchanged"
        raise
    return model


@pytest.mark.parametrize("name", OTHER)
def test_what_differs_is_refused_and_named(tmp_path: Path, name: str) -> None:
    then, now, named = OTHER[name]
    path = tmp_path / "run.pt"
    begin(1, then, path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=rf"made with other settings: .*{named}"):
        begin(2, now, path, resume=True)
    assert path.read_bytes() == content
    begin(2, then, path, resume=True)


def test_a_loader_with_a_generator_of_its_own_cannot_be_resumed(tmp_path: Path) -> None:
    """No checkpoint holds that generator."""
    loader = DataLoader(Items(TABLE), 6, shuffle=True, generator=torch.Generator())
    fit(built(Denoiser), loader, num_epochs=1)
    with pytest.raises(ValueError, match=r"generator of its own.*Leave out generator="):
        fit(built(Denoiser), loader, num_epochs=1, checkpoint=tmp_path / "run.pt")


def test_a_loader_that_keeps_its_workers_cannot_be_resumed(tmp_path: Path) -> None:
    loader = DataLoader(Items(TABLE), 6, shuffle=True, num_workers=1, persistent_workers=True)
    with pytest.raises(ValueError, match=r"keeps its workers.*Leave out persistent_workers"):
        fit(built(Denoiser), loader, num_epochs=1, checkpoint=tmp_path / "run.pt")


def test_numbers_of_numpy_are_kept_as_those_of_python(tmp_path: Path) -> None:
    def run(model: nn.Module, number: Callable, num_epochs: int) -> None:
        fit(
            model, TABLE, num_epochs=number(num_epochs), batch_size=number(6), lr=number(1),
            seed=number(3), max_grad_norm=number(1), checkpoint=tmp_path / "run.pt",
            checkpoint_every=number(2), resume=True, callbacks=[Weighs(number(1))],
        )  # type: ignore[arg-type] # fmt: skip

    run(built(Denoiser), np.int64, 1)
    run(built(Denoiser), int, 2)
    fit(
        built(Denoiser), TABLE, num_epochs=1, lr=np.float64(0.5), callbacks=[Weighs(np.float64(2))],
        checkpoint=tmp_path / "other.pt",
    )  # fmt: skip


# --- noticed before the first step (E7) ---------------------------------------------------------


class Unkept(Callback):
    def state_dict(self) -> dict[str, object]:
        return {"value": object()}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder / "nope" / "run.pt", FileNotFoundError, "nope does not exist"),
        (lambda folder: folder, IsADirectoryError, "is a folder; give the name of a file"),
        (lambda folder: str(folder / "file" / "run.pt"), NotADirectoryError, "is a file"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_noticed_before_all_work(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    (tmp_path / "file").touch()
    model = built(Denoiser)
    before = weights(model)
    for resume in (False, True):
        with pytest.raises(error, match=message):
            fit(model, TABLE, num_epochs=1, checkpoint=make(tmp_path), resume=resume)  # type: ignore[arg-type]
    assert torch.equal(weights(model), before)


def test_a_state_that_cannot_be_kept_is_noticed_before_all_work(tmp_path: Path) -> None:
    model = built(Denoiser)
    before = weights(model)
    with pytest.raises(ValueError, match=r"\['value'\] is a builtins.object; a checkpoint holds"):
        fit(model, TABLE, num_epochs=1, checkpoint=tmp_path / "run.pt", callbacks=[Unkept()])
    assert torch.equal(weights(model), before)
    assert list(tmp_path.iterdir()) == []


# --- killed at any moment -----------------------------------------------------------------------

KILLED = """
import os, random, signal, sys, time
import torch
from vaebook.training import fit, seeded

class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Linear(3, 3)
    def loss(self, rows):
        time.sleep(0.004)
        return (self.network(rows + 0.1 * torch.randn_like(rows)) - rows).square().sum(1)

def run(every=None):
    with seeded(0):
        model, rows = Slow(), torch.randn(22, 3)
    checkpoint = None if every is None else sys.argv[1]
    fit(model, rows, num_epochs=50, batch_size=6, lr=0.05, checkpoint=checkpoint,
        checkpoint_every=every, resume=every is not None)
    return torch.nn.utils.parameters_to_vector(model.parameters()).tolist()

whole, moments, killed = run(), random.Random(4), 0
for number in range(60):
    child = os.fork()
    if not child:
        os._exit(0 if run(every=1 + number % 3) == whole else 7)
    if killed < 10:  # then let it come to its end
        time.sleep(moments.uniform(0.02, 0.14))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        break
    killed += 1
print(killed, os.waitstatus_to_exitcode(status), sorted(os.listdir(os.path.dirname(sys.argv[1]))))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_run_that_is_killed_ten_times_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Each of ten children is killed at some moment, in a step or while it writes."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "run.pt")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout == "10 0 ['run.pt']\n", done.stderr


def test_warm_ups_go_on_by_the_step(tmp_path: Path) -> None:
    whole, model = built(Denoiser), built(Denoiser)
    settings = {"num_epochs": 5, "batch_size": 6}
    fit(whole, TABLE, callbacks=[WarmUp(3), Crash()], **settings)  # type: ignore[arg-type]
    settings |= {"checkpoint": tmp_path / "run.pt", "checkpoint_every": 1, "resume": True}
    with pytest.raises(KeyboardInterrupt):
        fit(model, TABLE, callbacks=[WarmUp(3), Crash(6)], **settings)  # type: ignore[arg-type]
    assert model.beta == whole.beta == 0.5
    fit(model, TABLE, callbacks=[WarmUp(3), Crash()], **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(model), weights(whole))


# --- where a run begins -------------------------------------------------------------------------


def test_callbacks_get_their_state_back(tmp_path: Path) -> None:
    class Count(Callback):
        def before_training(self, step: Step) -> None:
            self._epochs = 0

        def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
            self._epochs += 1
            return {"count": self._epochs}

        def state_dict(self) -> dict[str, int]:
            return {"epochs": self._epochs}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self._epochs = state["epochs"]

    history = History()
    for num_epochs in (2, 4):
        history = fit(
            built(Denoiser), TABLE, num_epochs=num_epochs, callbacks=[Callback(), Count()],
            checkpoint=tmp_path / "run.pt", resume=True,
        )  # fmt: skip
    assert history["count"] == [1, 2, 3, 4]


def test_the_best_epoch_of_the_part_before_is_put_back(tmp_path: Path) -> None:
    class Drift(RootAtZero):
        """Adam moves depth from 5 down by 1 in each step; on the validation data 3 is best."""

        def loss(self, batch: Tensor) -> Tensor:
            value = self.depth if self.training else (self.depth - 3) ** 2
            return value.expand(len(batch))

    for num_epochs in (4, 6, 6):  # the last time, nothing is left to train
        model, keep = Drift(), KeepBest()
        fit(
            model, TABLE, num_epochs=num_epochs, lr=1.0, validation=WATCHED, callbacks=[keep],
            checkpoint=tmp_path / "run.pt", resume=True,
        )  # fmt: skip
        assert model.depth.item() == pytest.approx(3, abs=1e-5)
        assert keep.best_epoch == 1


def test_resume_without_a_file_starts_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    model, plain = built(Denoiser), built(Denoiser)
    fit(model, TABLE, num_epochs=2, checkpoint=path, resume=True)
    fit(plain, TABLE, num_epochs=2)
    assert torch.equal(weights(model), weights(plain))
    assert load_run(path, RUN_KEYS)["position"]["epoch"] == 2


def test_without_resume_a_checkpoint_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    fit(built(Denoiser), TABLE, num_epochs=3, checkpoint=path)
    fit(built(Denoiser), TABLE, num_epochs=1, checkpoint=path)
    assert load_run(path, RUN_KEYS)["position"]["epoch"] == 1


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    first, second = built(Denoiser), built(Denoiser)
    history = fit(first, TABLE, num_epochs=2, checkpoint=path)
    again = fit(second, TABLE, num_epochs=2, checkpoint=path, resume=True)
    assert torch.equal(weights(first), weights(second))
    assert again.rows == history.rows
    assert not second.training


def test_more_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    settings = {"checkpoint": tmp_path / "run.pt", "resume": True, "batch_size": 6}
    fit(built(Denoiser), TABLE, num_epochs=2, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="holds 2 epochs, more than num_epochs = 1"):
        fit(built(Denoiser), TABLE, num_epochs=1, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="holds 8 steps, more than num_steps = 7"):
        fit(built(Denoiser), TABLE, num_steps=7, **settings)  # type: ignore[arg-type]


def test_an_interrupted_codebook_goes_on_in_the_same_session(tmp_path: Path) -> None:
    """What it counts within an epoch is part of the run, and no setting of the model."""

    class Ends(Callback):
        def before_step(self, step: Step) -> None:
            if step.step == self._at:
                raise KeyboardInterrupt

        _at = 6

    def fresh() -> VQVAE:
        with seeded(0):
            return VQVAE(SHAPE, 2, 8, code_dim=2, network=MLP((8,)))

    whole = fit(fresh(), IMAGES, num_epochs=3, batch_size=16)["perplexity"]
    model, ends = fresh(), Ends()
    settings = {"num_epochs": 3, "batch_size": 16, "checkpoint_every": 1, "callbacks": [ends]}
    settings["checkpoint"] = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(model, IMAGES, **settings)  # type: ignore[arg-type]
    ends._at = -1
    assert fit(model, IMAGES, resume=True, **settings)["perplexity"] == whole  # type: ignore[arg-type]


def test_how_a_step_is_computed_is_not_taken_over_from_another_device() -> None:
    """The moments and the rate are, and a rate that lies on a device stays there."""
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    there = torch.optim.Adam([weight], lr=0.3, foreach=True)
    there.step()
    here = torch.optim.Adam([weight], lr=torch.tensor(0.1), capturable=True, foreach=False)
    rate = here.param_groups[0]["lr"]
    _load_optimizer(here, there.state_dict())
    group = here.param_groups[0]
    assert (group["foreach"], group["capturable"], group["fused"]) == (False, True, None)
    assert group["lr"] is rate
    assert float(rate) == pytest.approx(0.3)
    assert torch.equal(here.state[weight]["exp_avg"], there.state[weight]["exp_avg"])
    plain = torch.optim.Adam([weight], lr=0.5, fused=True)
    _load_optimizer(plain, here.state_dict())
    assert plain.param_groups[0]["fused"] is True
    assert not plain.param_groups[0]["capturable"]
    assert plain.param_groups[0]["lr"] == pytest.approx(0.3)
    assert isinstance(plain.param_groups[0]["lr"], float)
