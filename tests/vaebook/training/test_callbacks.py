"""The life of callbacks: from a new start to an end that always comes, without a trace."""

import gc
import random
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.small_models import Denoiser, Recorder, built, numbered, rows, weights
from vaebook.metrics import evaluate_elbo
from vaebook.models import MLP, VAE, VQVAE
from vaebook.training import Callback, KeepBest, Step, WarmUp, WeightAverage, fit
from vaebook.training.fit import mean_loss

HOOKS = ("before_training", "before_step", "after_epoch", "after_training")


class Drift(nn.Module):
    """Adam moves p down by lr in each step; on the validation data (p + 2)² is best at −2."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.zeros(()))
        self.beta = 4.0

    def loss(self, batch: Tensor) -> Tensor:
        value = self.p if self.training else (self.p + 2) ** 2
        return value.expand(len(batch))


class Log(Callback):
    """Writes down each call, and raises an error at one."""

    def __init__(self, calls: list[str], name: str = "", fail: str = "", at: int = 0) -> None:
        self.calls, self.name, self.fail, self.at = calls, name, fail, at
        self.error: type[BaseException] = RuntimeError

    def _note(self, hook: str, step: Step) -> None:
        self.calls.append(f"{self.name}{hook}")
        if hook == self.fail and step.step >= self.at:
            raise self.error(f"{self.name}{hook} failed")

    def before_training(self, step: Step) -> None:
        self._note("before_training", step)

    def before_step(self, step: Step) -> None:
        self._note("before_step", step)

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
        self._note("after_epoch", step)

    def after_training(self, step: Step) -> None:
        self._note("after_training", step)


# --- a new start in each training (W1) ----------------------------------------------------------


def test_one_warm_up_serves_models_of_any_beta() -> None:
    warm_up, betas = WarmUp(2), []
    for beta in (1.0, 4.0, 16.0):
        model = Denoiser(beta=beta)
        fit(model, rows(8), num_epochs=3, batch_size=4, callbacks=[warm_up])
        betas.append(model.beta)
    assert betas == [1.0, 4.0, 16.0]


def test_one_keep_best_serves_several_seeds() -> None:
    keep, found, alone = KeepBest(), [], []
    for seed in range(3):
        settings = {"num_epochs": 4, "lr": 0.1, "validation": rows(9, 5), "seed": seed}
        model, other = built(Denoiser), built(Denoiser)
        fit(model, rows(), callbacks=[keep], **settings)  # type: ignore[arg-type]
        fit(other, rows(), callbacks=[KeepBest()], **settings)  # type: ignore[arg-type]
        found.append(weights(model))
        alone.append(weights(other))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, alone, strict=True))
    assert not torch.equal(found[0], found[1])


def test_keep_best_forgets_a_better_run_before() -> None:
    keep = KeepBest()
    first, second = Drift(), Drift()
    fit(first, rows(4), num_epochs=3, lr=1.0, validation=rows(2), callbacks=[keep])
    assert first.p.item() == pytest.approx(-2, abs=1e-5)
    fit(second, rows(4), num_epochs=1, lr=1.0, validation=rows(2), callbacks=[keep])
    assert second.p.item() == pytest.approx(-1, abs=1e-5), "its own best, not the first run's"
    assert keep.best_epoch == 0


# --- an end in each case (W2) -------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_any_hook_leaves_model_and_history_in_order(
    hook: str, error: type[BaseException]
) -> None:
    """The fourth epoch of five under a rise that takes four: the best one is the second."""
    model, calls = Drift(), []
    broken = Log(calls, fail=hook, at=3 if hook != "before_training" else 0)
    broken.error = error
    keep = KeepBest()
    with pytest.raises(error, match=f"{hook} failed") as caught:
        fit(
            model, rows(4), num_epochs=5, lr=1.0, validation=rows(2),
            callbacks=[WarmUp(4), keep, broken, Log(calls, "last ")],
        )  # fmt: skip
    assert model.beta == 4.0
    assert not model.training
    history = caught.value.history  # type: ignore[attr-defined]
    expected = {"before_training": 0, "before_step": 3, "after_epoch": 3, "after_training": 5}
    assert len(history) == expected[hook]
    if hook != "before_training":
        assert history["validation_loss"][:3] == pytest.approx([1, 0, 1], abs=1e-5)
        assert keep.best_epoch == 1
        assert model.p.item() == pytest.approx(-2, abs=1e-5), "the best weights are put back"
        assert calls.count("after_training") == calls.count("last after_training") == 1
    else:
        assert calls == ["before_training"], "what has not begun has no end"
        assert model.p.item() == 0.0


@pytest.mark.parametrize("where", ["loss", "data"])
def test_ctrl_c_in_a_step_too(where: str) -> None:
    class Stops(Drift):
        def loss(self, batch: Tensor) -> Tensor:
            if where == "loss" and self.training and self.p < -2.5:
                raise KeyboardInterrupt
            return super().loss(batch)

    class Data(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Tensor:
            if where == "data" and model.p < -2.5:
                raise KeyboardInterrupt
            return torch.zeros(3)

    model = Stops()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(
            model, Data(), num_epochs=9, lr=1.0, validation=rows(2),
            callbacks=[WarmUp(5), KeepBest()],
        )  # fmt: skip
    assert model.beta == 4.0
    assert not model.training
    assert model.p.item() == pytest.approx(-2, abs=1e-5)
    assert len(caught.value.history) == 3  # type: ignore[attr-defined]
    (note,) = caught.value.__notes__
    assert "after 3 steps, in epoch 3" in note
    assert "checkpoint" not in note


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_ctrl_c_at_any_moment(tmp_path: Path) -> None:
    """Thirty moments of short runs that write a checkpoint every few steps."""
    moments, caught = random.Random(2), 0
    state = torch.get_rng_state()
    watchers = gc.callbacks[:]
    gc.callbacks.clear()  # hypothesis counts the collections: an interrupt there is lost
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        for _ in range(30):
            model, calls = built(Denoiser), []
            callbacks = [WarmUp(2), KeepBest("loss"), Log(calls)]
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.003, 0.04))
                fit(
                    model, rows(80), num_epochs=30, batch_size=2, callbacks=callbacks,
                    checkpoint=tmp_path / "run.pt", checkpoint_every=3,
                )  # fmt: skip
            except KeyboardInterrupt:
                caught += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert model.beta == 0.5
            assert calls.count("after_training") == calls.count("before_training")
            assert not calls or not model.training
            assert torch.equal(torch.get_rng_state(), state)
            assert torch.is_grad_enabled()
    finally:
        signal.signal(signal.SIGALRM, before)
        gc.callbacks.extend(watchers)
    assert caught == 30
    others = threading.Thread(target=lambda: fit(built(Denoiser), rows(), num_epochs=1))
    others.start()
    others.join(20)
    assert not others.is_alive(), "nobody waits for a run that is over"


class PressesInAStep(torch.optim.SGD):
    """Ctrl-C once or twice within the third step, where torch has gradients switched off."""

    def __init__(self, parameters: Iterable[nn.Parameter], times: int) -> None:
        super().__init__(parameters, lr=0.1)
        self.times, self.steps = times, 0

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.steps += 1
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        for _ in range(self.times if self.steps == 3 else 0):
            signal.raise_signal(signal.SIGINT)
        super().step()
        torch.set_autocast_enabled("cpu", False)
        torch.set_grad_enabled(True)


def test_ctrl_c_lets_the_step_come_to_its_end() -> None:
    whole, model = built(Denoiser), built(Denoiser)
    fit(whole, rows(80), num_steps=3, batch_size=2, optimizer=partial(torch.optim.SGD, lr=0.1))
    with pytest.raises(KeyboardInterrupt):
        fit(model, rows(80), num_steps=9, batch_size=2, optimizer=partial(PressesInAStep, times=1))
    assert torch.equal(weights(model), weights(whole))


def test_a_second_one_within_a_step_leaves_torch_as_it_was() -> None:
    """Before, whatever trained after it in the same process met losses without gradients."""
    whole, model = built(Denoiser), built(Denoiser)
    fit(whole, rows(80), num_steps=2, batch_size=2, optimizer=partial(torch.optim.SGD, lr=0.1))
    with pytest.raises(KeyboardInterrupt):
        fit(model, rows(80), num_steps=9, batch_size=2, optimizer=partial(PressesInAStep, times=2))
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert torch.equal(weights(model), weights(whole))


@pytest.mark.parametrize("ending", ["by itself", "by Ctrl-C", "by an error"])
def test_an_impatient_ctrl_c_waits_until_the_best_weights_are_back(ending: str) -> None:
    class Impatient(KeepBest):
        def after_training(self, step: Step) -> None:
            signal.raise_signal(signal.SIGINT)
            super().after_training(step)

    class Ends(Callback):
        def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
            if ending != "by itself" and step.step == 4:
                raise KeyboardInterrupt if ending == "by Ctrl-C" else RuntimeError("it ends")

    model = Drift()
    settings = {"num_epochs": 5, "lr": 1.0, "validation": rows(2)}
    with pytest.raises(RuntimeError if ending == "by an error" else KeyboardInterrupt) as caught:
        fit(model, rows(4), callbacks=[Impatient(), WarmUp(4), Ends()], **settings)  # type: ignore[arg-type]
    assert model.beta == 4.0
    assert not model.training
    assert model.p.item() == pytest.approx(-2, abs=1e-5)
    assert len(caught.value.history) == (5 if ending == "by itself" else 4)  # type: ignore[attr-defined]


def test_a_second_one_ends_what_hangs() -> None:
    class Hangs(Callback):
        def after_training(self, step: Step) -> None:
            signal.raise_signal(signal.SIGINT)
            calls.append("waited")
            signal.raise_signal(signal.SIGINT)
            calls.append("never here")

    calls: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    model = Drift()
    with pytest.raises(KeyboardInterrupt):
        fit(model, rows(4), num_epochs=2, callbacks=[Hangs(), WarmUp(1), Log(calls)])
    assert "waited" in calls
    assert "never here" not in calls
    assert calls[-1] == "after_training", "the others have their end"
    assert model.beta == 4.0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_loss_that_is_no_number_too() -> None:
    class Breaks(Drift):
        def loss(self, batch: Tensor) -> Tensor:
            factor = float("nan") if self.training and self.p < -2.5 else 1.0
            return factor * super().loss(batch)

    model = Breaks()
    with pytest.raises(ValueError, match="loss became nan in epoch 3, step 0") as caught:
        fit(
            model, rows(4), num_epochs=9, lr=1.0, validation=rows(2),
            callbacks=[WarmUp(5), KeepBest()],
        )  # fmt: skip
    assert model.beta == 4.0
    assert model.p.item() == pytest.approx(-2, abs=1e-5)
    assert len(caught.value.history) == 3  # type: ignore[attr-defined]


def test_every_callback_that_began_ends_once_whatever_the_others_do() -> None:
    calls: list[str] = []
    callbacks = [
        Log(calls, "a "),
        Log(calls, "b ", fail="after_training"),
        Log(calls, "c ", fail="after_training"),
        Log(calls, "d "),
    ]
    with pytest.raises(RuntimeError, match="b after_training failed") as caught:
        fit(Recorder(), numbered(4), num_epochs=1, callbacks=callbacks)
    assert calls[-4:] == [f"{name} after_training" for name in "abcd"]
    assert calls.count("a after_training") == 1
    assert "c after_training failed" in "".join(caught.value.__notes__)
    assert len(caught.value.history) == 1  # type: ignore[attr-defined]


def test_the_error_that_ended_the_run_is_the_one_that_is_raised() -> None:
    calls: list[str] = []
    errors: list[BaseException | None] = []

    class Ask(Callback):
        def after_training(self, step: Step) -> None:
            errors.append(step.error)

    callbacks = [
        Log(calls, "a ", fail="before_step", at=1),
        Log(calls, "b ", fail="after_training"),
        Ask(),
    ]
    with pytest.raises(RuntimeError, match="a before_step failed") as caught:
        fit(Recorder(), numbered(4), num_epochs=2, callbacks=callbacks)
    assert "b after_training failed" in "".join(caught.value.__notes__)
    assert errors == [caught.value]
    errors.clear()
    fit(Recorder(), numbered(4), num_epochs=2, callbacks=[Ask()])
    assert errors == [None]


def test_hooks_come_in_order() -> None:
    calls: list[str] = []
    fit(Recorder(), numbered(4), num_epochs=2, batch_size=2, callbacks=[Log(calls)])
    epoch = ["before_step", "before_step", "after_epoch"]
    assert calls == ["before_training", *epoch, *epoch, "after_training"]


# --- watching without a trace -------------------------------------------------------------------


class Draws(Callback):
    """Samples in every hook, as a callback does that shows pictures."""

    def before_training(self, step: Step) -> None:
        torch.rand(3)

    def before_step(self, step: Step) -> None:
        torch.rand(step.step + 1)

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
        return {"drawn": float(torch.rand(()))}

    def after_training(self, step: Step) -> None:
        torch.rand(7)


class Trains(Callback):
    """Fits another model in each epoch, as a probe of the codes does."""

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
        history = fit(built(Denoiser), rows(), num_epochs=1, seed=step.epoch)
        return {"probe": history["loss"][0]}


@pytest.mark.parametrize("callbacks", [[Draws()], [Trains()], [Draws(), Trains()]])
def test_what_a_callback_draws_changes_nothing(callbacks: list[Callback]) -> None:
    plain, watched = built(Denoiser), built(Denoiser)
    fit(plain, rows(), num_epochs=3, batch_size=6)
    first = fit(watched, rows(), num_epochs=3, batch_size=6, callbacks=callbacks)
    assert torch.equal(weights(plain), weights(watched))
    again = fit(built(Denoiser), rows(), num_epochs=3, batch_size=6, callbacks=callbacks)
    extra = {name for name in first.rows[0] if name in ("drawn", "probe")}
    assert extra
    for name in extra:
        assert first[name] == again[name], "and follows the seed"
        assert len(set(first[name])) == 3, "anew each time"


# --- an early end -------------------------------------------------------------------------------


def test_patience_ends_a_run_that_gets_no_better() -> None:
    model, keep = Drift(), KeepBest(patience=2)
    history = fit(model, rows(4), num_epochs=50, lr=1.0, validation=rows(2), callbacks=[keep])
    assert history["validation_loss"] == pytest.approx([1, 0, 1, 4], abs=1e-5)
    assert keep.best_epoch == 1
    assert model.p.item() == pytest.approx(-2, abs=1e-5)
    with pytest.raises(ValueError, match="patience is 0"):
        KeepBest(patience=0)


class Stop(Callback):
    def __init__(self, hook: str, at: int) -> None:
        self.hook, self.at = hook, at

    def before_step(self, step: Step) -> None:
        if self.hook == "before_step" and step.step == self.at:
            step.stop("enough")

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
        if self.hook == "after_epoch" and step.epoch == self.at:
            step.stop("enough")


@pytest.mark.parametrize(("hook", "at", "steps"), [("before_step", 4, 5), ("after_epoch", 1, 6)])
def test_a_callback_can_end_the_run(hook: str, at: int, steps: int) -> None:
    model = Recorder()
    history = fit(model, numbered(9), num_epochs=9, batch_size=3, callbacks=[Stop(hook, at)])
    assert len(model.trained) == steps
    assert len(history) == 2, "the epoch that was begun has its row"
    (last,) = {len(batch) for batch in model.trained}
    assert history["loss"][1] == pytest.approx(
        float(torch.cat(model.trained[3:])[:, 0].mean()), rel=1e-6
    )
    assert last == 3


def test_a_step_that_belongs_to_no_run_cannot_stop_one() -> None:
    with pytest.raises(RuntimeError, match="no training is under way"):
        Step(Recorder(), 0, 0, 1, 1).stop("now")


# --- what is given instead of callbacks ---------------------------------------------------------


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (KeepBest(), r"expected a list: callbacks=\[KeepBest\(…\)\]"),
        (KeepBest, r"expected a list: callbacks=\[KeepBest\(…\)\]"),
        ([KeepBest], "callbacks holds <class .*expected objects"),
        (["KeepBest"], "callbacks holds 'KeepBest'; expected objects"),
        ("KeepBest", "callbacks is 'KeepBest'; expected a list"),
        (None, "callbacks is None; expected a list"),
        ([lambda step: None], "callbacks holds <function"),
    ],
)
def test_what_is_no_list_of_callbacks_is_named(callbacks: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(Recorder(), numbered(4), num_epochs=1, callbacks=callbacks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WarmUp(1), "WarmUp raises model.beta, and Recorder has no number of that name"),
        (lambda: WeightAverage("critic"), r"Recorder has no part 'critic'"),
        (lambda: KeepBest(), "watches 'validation_loss'.*Pass validation data"),
        (lambda: KeepBest("elbo"), "watches 'elbo', but an epoch records"),
    ],
)
def test_callbacks_say_what_they_miss_before_the_first_step(
    make: Callable[[], Callback], message: str
) -> None:
    model = Recorder()
    with pytest.raises(ValueError, match=message):
        fit(model, numbered(4), num_epochs=2, callbacks=[make()])
    assert not model.trained


def test_keep_best_waits_for_a_column_that_another_callback_may_add() -> None:
    class Judge(Callback):
        def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
            return {"validation_loss": -float(step.epoch)}

    best = KeepBest()
    fit(Recorder(), numbered(4), num_epochs=2, callbacks=[Judge(), best])
    assert best.best_epoch == 1


@pytest.mark.parametrize("hook", ["before_training", "before_step", "after_epoch"])
def test_a_callback_that_looks_at_the_model_does_not_end_its_training(hook: str) -> None:
    """W9: whoever calls model.eval() to show pictures, and forgets, still trains."""

    class Looks(Callback):
        def __init__(self, part: str) -> None:
            self.part = part

        def look(self, step: Step, row: object = None) -> None:
            step.model.get_submodule(self.part).eval()

    class Modes(Recorder):
        def loss(self, batch: Tensor) -> Tensor:
            modes.append((self.training, self.layer.training))
            return super().loss(batch)

    for part in ("", "layer"):
        modes: list[tuple[bool, bool]] = []
        model = Modes()
        model.layer = nn.Dropout()
        setattr(Looks, hook, Looks.look)
        fit(model, numbered(4), num_epochs=3, batch_size=2, callbacks=[Looks(part)])
        assert all(whole for whole, _ in modes)
        assert modes[-1] == (True, part == "")
        assert not model.training


# --- threads ------------------------------------------------------------------------------------


def test_two_threads_train_as_one_after_the_other() -> None:
    """W8: torch's generators belong to the whole process."""
    torch.manual_seed(9)
    before = torch.get_rng_state()
    alone, together = {}, {seed: built(Denoiser) for seed in range(4)}
    for seed in range(4):
        model = built(Denoiser)
        fit(model, rows(), num_epochs=3, batch_size=4, seed=seed)
        alone[seed] = weights(model)

    def train(seed: int) -> None:
        fit(together[seed], rows(), num_epochs=3, batch_size=4, seed=seed)

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert torch.equal(weights(together[seed]), alone[seed]), seed
    assert torch.equal(torch.get_rng_state(), before)


SMALL = (1, 2, 2)
BESIDE: dict[str, Callable[[VAE], object]] = {
    "samples of a seed": lambda other: other.sample(2, seed=1),
    "samples": lambda other: other.sample(2),
    "a model": lambda other: VAE(SMALL, 2, network=MLP((4,))),
    "words": lambda other: VQVAE(SMALL, 2, 4, network=MLP((4,))).sample(2),
    "a loss": lambda other: mean_loss(other, torch.ones(2, *SMALL)),
    "an ELBO": lambda other: evaluate_elbo(other, torch.ones(2, *SMALL)),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_another_thread_draws_does_not_change_a_run(name: str) -> None:
    other = VAE(SMALL, 2, network=MLP((4,))).eval()

    def run() -> Tensor:
        model = built(Denoiser)
        fit(model, rows(60), num_epochs=3, batch_size=4, callbacks=[Log([]), begun])
        return weights(model)

    class Begun(Callback):
        def before_step(self, step: Step) -> None:
            running.set()

    running, begun = threading.Event(), Begun()
    alone, found = run(), []
    running.clear()
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    running.wait(20)
    while thread.is_alive():
        BESIDE[name](other)
    assert torch.equal(found[0], alone)
