"""The benchmark's loops train one model; its goals, costs and recipe are what their names say.

Nothing here measures a time: sizes are tiny.
"""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import comparison, cost, gpu, loops, recipe
from benchmarks.comparison import Goal
from benchmarks.processor import matmul_peak, matmul_work, time_bare_matmuls
from benchmarks.pythae_environment import by_pythae, pythae_python
from benchmarks.task import (
    Outcome,
    Task,
    as_images,
    build,
    negative_elbo,
    spread,
    training_pixels,
)
from vaebook.data import load_fashion
from vaebook.metrics import evaluate_elbo

NUM_IMAGES = 300  # two batches of 128, and a last one


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return training_pixels(NUM_IMAGES)


@pytest.fixture(scope="module")
def test_images() -> torch.Tensor:
    return load_fashion().test.images[:200]


def test_pixels_become_the_images_that_the_package_has(pixels: np.ndarray) -> None:
    assert pixels.shape == (NUM_IMAGES, 28, 28)
    assert pixels.dtype == np.uint8
    images = as_images(pixels)
    assert images.shape == (NUM_IMAGES, 1, 28, 28)
    assert torch.equal((images * 255).round().to(torch.uint8)[:, 0], torch.from_numpy(pixels))


def test_the_loop_by_hand_takes_the_steps_of_fit(pixels: np.ndarray) -> None:
    """In one batch of all images order and noise make the only difference, and it is small."""
    task = Task(pixels[:128], 4, 0)
    ours, by_hand = loops.by_fit(task).weights, loops.by_hand(task).weights
    start = build(0).state_dict()
    name = "decoder.2.bias"  # Adam's first steps have one length, whatever the noise
    moved = (ours[name] - start[name]).abs().mean()
    assert moved > 3e-3
    assert (ours[name] - by_hand[name]).abs().mean() < 0.1 * moved


@pytest.mark.parametrize("name", ["by_hand", "by_dataloader", "by_fit_bfloat16"])
def test_loops_end_at_the_loss_of_fit(
    name: str, pixels: np.ndarray, test_images: torch.Tensor
) -> None:
    task = Task(pixels, 6, 0)
    reference = negative_elbo(loops.by_fit(task).weights, test_images)
    untrained = negative_elbo(build(0).state_dict(), test_images)
    outcome = getattr(loops, name)(task)
    assert outcome.seconds > 0
    assert untrained - reference > 20
    assert abs(negative_elbo(outcome.weights, test_images) - reference) < 2


def test_the_compiled_loop_is_compiled_once_before_its_clock(
    pixels: np.ndarray, test_images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def compiled_eagerly(model: torch.nn.Module) -> torch.nn.Module:
        calls.append("compile")
        return model

    monkeypatch.setattr(torch, "compile", compiled_eagerly)
    loops._compiled.cache_clear()
    outcomes = [loops.by_fit_compiled(Task(pixels, 1, seed)) for seed in (0, 0, 1)]
    loops._compiled.cache_clear()
    assert calls == ["compile"]
    first, again, other = (outcome.weights["decoder.2.bias"] for outcome in outcomes)
    assert torch.equal(first, again)  # each training begins anew, and keeps its weights
    assert not torch.equal(first, other)
    fit = loops.by_fit(Task(pixels, 1, 0)).weights["decoder.2.bias"]
    assert torch.equal(first, fit)


def test_the_judge_is_the_mean_negative_elbo(test_images: torch.Tensor) -> None:
    model = build(3)
    expected = -evaluate_elbo(model, test_images, num_samples=4).elbo.mean()
    assert negative_elbo(model.state_dict(), test_images) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("goal", "ratio", "words"),
    [
        (Goal("a", "b", 1.05), 1.05, "goal at most 1.05: met"),
        (Goal("a", "b", 1.05), 1.06, "goal at most 1.05: missed"),
        (Goal("a", "b", 2.0, at_least=True), 2.0, "goal at least 2.0: met"),
        (Goal("a", "b", 2.0, at_least=True), 1.9, "goal at least 2.0: missed"),
    ],
)
def test_a_goal_is_a_bound_from_one_side(goal: Goal, ratio: float, words: str) -> None:
    assert goal.verdict(ratio) == words


def test_spread_is_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0, 2.5]) == "2.50 (1.00 to 10.00)"


def fixed(seconds: list[float], outcome: Outcome) -> loops.Loop:
    """A loop that takes the seconds it is told, a round after the other, after its warm-up."""
    rounds = iter([0.0, *seconds])
    return lambda task: Outcome(next(rounds), outcome.weights)


@pytest.mark.parametrize(("trained", "status"), [(True, 0), (False, 1)])
def test_ratios_are_taken_within_a_round(
    trained: bool,
    status: int,
    pixels: np.ndarray,
    test_images: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A machine four times as slow in the second round leaves all ratios as they were."""
    monkeypatch.setattr(comparison, "matmul_peak", lambda: 1.0)
    fitted = loops.by_fit(Task(pixels, 2, 0))
    other = fitted if trained else Outcome(0.0, build(0).state_dict())
    told = {
        comparison.FIT: fixed([2.0, 8.0], fitted),
        comparison.BY_HAND: fixed([1.0, 4.0], fitted),
        comparison.DATALOADER: fixed([5.0, 20.0], other),
    }
    assert status == comparison.compare(told, pixels, test_images, num_epochs=1, num_rounds=2)
    printed = capsys.readouterr().out
    assert "fit / eager loop by hand   2.00 (2.00 to 2.00), goal at most 1.05: missed" in printed
    assert "DataLoader loop / fit      2.50 (2.50 to 2.50), goal at least 2.0: met" in printed
    assert f"goal at most 0.5: {'met' if trained else 'missed'}" in printed


def test_bfloat16_is_timed_where_it_is_arithmetic_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for has, all_loops, timed in (
        (False, False, False),
        (False, True, True),
        (True, False, True),
        (None, False, True),
    ):
        monkeypatch.setattr(comparison, "has_bfloat16", lambda has=has: has)
        chosen = comparison.choose_loops(None, all_loops=all_loops)
        assert (comparison.BFLOAT16 in chosen) == timed
        said = capsys.readouterr().out
        assert ("no bfloat16 arithmetic" in said) == (has is False)
        assert "pythae is not installed" in said


def test_multiplications_are_counted_by_hand() -> None:
    """784-400-40 and 20-400-784, three products each, without the gradient of the images."""
    products = 3 * (784 * 400 + 400 * 40 + 20 * 400 + 400 * 784) - 784 * 400
    assert matmul_work(build(), 1000) == pytest.approx(2 * products * 1000 / 1e9)
    assert time_bare_matmuls(build(), 300) > 0
    assert matmul_peak(64, 2) > 0


def test_the_recipe_is_trained_for_as_long_as_it_needs(pixels: np.ndarray) -> None:
    cycle = recipe.Recipe(128, 1e-3, 0.3, 0.95, num_epochs=2, most_epochs=4)
    losses = {2: 5.0, 3: 4.0, 4: 3.0}
    seen: list[int] = []

    def judge(outcome: Outcome) -> float:
        seen.append(2 + len(seen))
        return losses[seen[-1]]

    for target, num_epochs, loss in ((5.0, 2, 5.0), (4.5, 3, 4.0), (1.0, 4, 3.0)):
        seen.clear()
        reached = recipe.reach(target, cycle, pixels, judge, 0)
        assert (reached[0], reached[2]) == (num_epochs, loss)


def test_the_recipe_s_rate_rises_and_falls_over_the_whole_run(
    pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = recipe.Recipe(64, 4e-3, 0.3, 0.95, num_epochs=1, most_epochs=1)
    given = {}
    monkeypatch.setattr(recipe, "by_fit", lambda task, **settings: given.update(settings))
    cycle.train(Task(pixels, 4, 0))
    assert given["batch_size"] == 64
    optimizer = given["optimizer"]([torch.zeros(1)])
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.95)
    schedule = given["scheduler"](optimizer)
    rates = []
    for _ in range(4 * 5):  # 300 images in batches of 64
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(4e-3, rel=0.05)
    assert rates[0] < 4e-4
    assert rates[-1] < 1e-5


def test_the_recipe_s_report_names_who_stands_in_for_pythae(
    pixels: np.ndarray, test_images: torch.Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    cycle = recipe.Recipe(64, 4e-3, 0.3, 0.95, num_epochs=2, most_epochs=2)
    recipe.time_to_target(None, pixels, test_images, num_rounds=1, recipe=cycle, rival_epochs=1)
    printed = capsys.readouterr().out
    assert "fit, for pythae is not installed: batch 128, lr 0.001, 1 epochs" in printed
    assert "ours: batch 64, one cycle up to lr 0.004, β₂ 0.95" in printed
    assert "times as fast, aim 5, of which 1.00 (1.00 to 1.00) by the loop" in printed


def test_costs_are_measured_and_drawn(tmp_path: Path) -> None:
    measured = cost.measure(
        batch_sizes=(32, 64), num_examples=(100,), code_sizes=(2, 4), num_images=128
    )
    assert list(measured.batch_size) == list(measured.batch_size_by_hand) == [32, 64]
    assert list(measured.code_size) == [2, 4]
    assert list(measured.num_examples) == list(measured.memory) == [100]
    for values in (measured.batch_size, measured.code_size, measured.num_examples):
        assert all(1 < value < 1e6 for value in values.values())  # µs
    if sys.platform.startswith("linux"):  # at least what torch takes, at most a wrong unit
        assert 2**27 < measured.memory[100] < 2**32
    file = tmp_path / "bench" / "cost.png"
    cost.draw(measured, file)
    assert file.read_bytes()[:4] == b"\x89PNG"


def test_what_takes_too_much_memory_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cost, "free_memory", lambda: 1e6)
    measured = cost.measure(batch_sizes=(), num_examples=(1000,), code_sizes=(), num_images=128)
    assert measured.num_examples == {}
    assert "1,000 examples: left out" in capsys.readouterr().out


def test_each_loop_of_the_device_stands_beside_the_one_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"fit, eager": 2.6, "fit, captured": 1.4, "by hand, eager": 2.0}
    seconds["by hand, captured"] = 1.0
    # the first epoch of each is left out
    loops_told = {name: lambda *_, value=value: [9.0, value] for name, value in seconds.items()}
    monkeypatch.setattr(gpu, "LOOPS", loops_told)
    monkeypatch.setattr(gpu, "build", lambda name: torch.nn.Identity())
    monkeypatch.setattr(gpu, "NUM_IMAGES", 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a device")
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)
    gpu.report(num_rounds=2)
    printed = capsys.readouterr().out
    assert printed.count("fit / by hand, eager: 1.30, goal at most 1.3: met") == 9
    assert printed.count("fit / by hand, captured: 1.40, goal at most 1.3: missed") == 9


def test_pythae_s_environment_is_made_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.pythae_environment.ENVIRONMENT", tmp_path / "none")
    assert pythae_python() is None
    assert not (tmp_path / "none").exists()


def test_a_failure_of_pythae_is_told_with_its_words(pixels: np.ndarray) -> None:
    """The package's own interpreter, which has no pythae."""
    with pytest.raises(RuntimeError, match="No module named 'pythae'"):
        by_pythae(Task(pixels, 1, 0), python=Path(sys.executable))


def test_the_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m benchmarks --help``, less the start of an interpreter."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert "--install-pythae" in capsys.readouterr().out
