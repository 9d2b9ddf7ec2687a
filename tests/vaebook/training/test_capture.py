"""What of captured steps needs no GPU: when they are, what they look at, what they put back."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from vaebook.training.capture import (
    CapturedStep,
    _addresses,
    _plain_attributes,
    _put_back,
    _restore,
    _snapshot,
    make_capturable,
    why_not_captured,
)
from vaebook.training.losses import EpochLosses

CPU, CUDA = torch.device("cpu"), torch.device("cuda")  # no GPU is asked for anything


class Model(nn.Module):
    """With numbers of its own, and of its parts, that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.beta, self.names = 2.0, ("a",)


def adam(model: nn.Module, **settings: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.1, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"device": CPU}, "no CUDA graphs on cpu"),
        ({"compiled": True}, "the model is compiled"),
        ({"watches_steps": ["WarmUp", "Log"]}, "WarmUp, Log acts before each step"),
        ({"optimizers": "plain"}, "SGD cannot be captured"),
        ({"wanted": False}, "capture=False"),
    ],
)
@pytest.mark.parametrize("wanted", [None, True])
def test_steps_are_captured_unless_something_speaks_against_it(
    changed: dict[str, object], reason: str | None, wanted: bool | None
) -> None:
    model = Model()
    can = adam(model, capturable=True, foreach=True)
    given: dict[str, object] = {
        "device": CUDA,
        "optimizers": [can],
        "watches_steps": [],
        "compiled": False,
        "wanted": wanted,
    } | changed
    if changed.get("optimizers"):
        given["optimizers"] = [torch.optim.SGD(model.parameters(), lr=0.1), can]
    if reason is not None and given["wanted"]:
        with pytest.raises(ValueError, match=f"capture=True cannot be had: {reason}"):
            why_not_captured(**given)  # type: ignore[arg-type]
    else:
        assert why_not_captured(**given) == reason  # type: ignore[arg-type]


def test_an_optimiser_that_can_reads_its_rate_from_the_device() -> None:
    model = Model()
    can, cannot = adam(model), torch.optim.LBFGS(model.parameters(), lr=0.5)
    for optimizer in (can, cannot):
        make_capturable(optimizer, CPU)
    assert can.param_groups[0]["capturable"] is True
    assert torch.equal(can.param_groups[0]["lr"], torch.tensor(0.1))
    assert cannot.param_groups[0]["lr"] == 0.5


def test_plain_attributes_are_those_of_all_parts_and_are_put_back() -> None:
    model = Model()
    before = _plain_attributes(model)
    assert before["beta"] == 2.0
    assert before["inner.in_features"] == 2
    assert before["norm.momentum"] == 0.1
    assert not {"names", "training", "inner.training"} & set(before)
    model.beta, model.norm.momentum = 3.0, 0.5
    assert _plain_attributes(model) != before
    _put_back(model, before)
    assert _plain_attributes(model) == before


def test_what_a_warm_up_changes_is_put_back_in_place() -> None:
    """Weights, buffers and the optimiser's memory, at the same addresses."""
    model, data = Model(), torch.randn(5, 2)
    optimizer = adam(model)

    def step() -> None:
        optimizer.zero_grad()
        model.norm(model.inner(data)).square().mean().backward()
        optimizer.step()

    step()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    memory = [v.clone() for s in optimizer.state.values() for v in s.values()]
    state, addresses = _snapshot(model, [optimizer]), _addresses(model)
    assert len(addresses) == len({*addresses}) == 4 + 3
    step()
    step()
    assert not torch.equal(model.norm.running_mean, kept["norm.running_mean"])
    _restore(model, [optimizer], state)
    assert _addresses(model) == addresses
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept[name]), name
    after = [v for s in optimizer.state.values() for v in s.values()]
    assert all(torch.equal(one, other) for one, other in zip(memory, after, strict=True))
    assert len(memory) == 4 * 3
    model.norm.running_mean = model.norm.running_mean.clone()
    assert _addresses(model) != addresses


class Graph:
    """Stands for a graph: replays the sum of what lies in the inputs."""

    def __init__(self, step: "Step") -> None:
        self.step, self.replayed = step, 0

    def replay(self) -> None:
        self.replayed += 1
        assert self.step._means is not None
        self.step._means.copy_(self.step._inputs[0].sum())


class Step(CapturedStep):
    """Captures without a GPU."""

    captures = 0
    fails: Exception | None = None

    def _capture(self, batch: tuple[Tensor, ...]) -> None:
        self.captures += 1
        if self.fails is not None:
            raise self.fails
        self._inputs = tuple(tensor.clone() for tensor in batch)
        self._means = torch.zeros(1)
        self._attributes = _plain_attributes(self.model)
        self._graph = Graph(self)  # type: ignore[assignment]


def stepping(**settings: bool) -> tuple[Step, list[float]]:
    eager: list[float] = []

    def step(batch: tuple[Tensor, ...]) -> Sequence[Tensor]:
        eager.append(float(batch[0].sum()))
        return [batch[0].sum()]

    return Step(step, Model(), [], **settings), eager


def batch(value: float, size: int = 3) -> tuple[Tensor, ...]:
    return (torch.full((size,), value),)


def test_the_first_step_is_eager_the_second_is_captured_and_others_are_replayed() -> None:
    step, eager = stepping()
    found = [float(step(batch(v))[0]) for v in (1.0, 2.0, 3.0)]
    assert found == [3.0, 6.0, 9.0]
    assert eager == [3.0]
    assert step.captures == 1
    assert float(step(batch(5.0, size=2))[0]) == 10.0, "another shape, such as the last batch"
    assert eager == [3.0, 10.0]
    assert float(step(batch(4.0))[0]) == 12.0
    assert step.engine == "captured"


def test_a_changed_number_of_the_model_means_a_new_graph() -> None:
    step, _ = stepping()
    for value in (1.0, 2.0):
        step(batch(value))
    step.refresh()
    step(batch(3.0))
    assert step.captures == 1
    step.model.beta = 7.0  # type: ignore[assignment]
    step.refresh()
    step(batch(4.0))
    assert step.captures == 2


@pytest.mark.parametrize(
    ("error", "told"), [(RuntimeError("it waits\nand more"), "it waits"), (KeyError(), "KeyError")]
)
def test_where_the_capture_fails_all_steps_are_eager(error: Exception, told: str) -> None:
    step, eager = stepping()
    step.fails = error
    assert [float(step(batch(v))[0]) for v in (1.0, 2.0, 3.0)] == [3.0, 6.0, 9.0]
    assert eager == [3.0, 6.0, 9.0]
    assert step.captures == 1, "it is not tried again"
    assert step.engine == f"eager: the step cannot be captured ({told})"
    required, _ = stepping(required=True)
    required.fails = error
    required(batch(1.0))
    with pytest.raises(type(error)):
        required(batch(2.0))


@pytest.mark.parametrize("stacked", [True, False])
def test_losses_that_lie_on_an_accelerator_are_fetched_in_blocks(
    stacked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two players, seven steps of different sizes, three steps in a block."""
    monkeypatch.setattr("vaebook.training.losses.BLOCK", 3)
    waiting, direct = EpochLosses(2, CPU), EpochLosses(2, CPU)
    waiting._waits, waiting._block = True, torch.empty(3, 2, dtype=torch.float64)
    means, sizes = torch.rand(7, 2), [4, 4, 4, 4, 4, 4, 1]
    for row, size in zip(means, sizes, strict=True):
        waiting.add(row if stacked else list(row), size)
        direct.add(list(row), size)
    assert waiting.num_steps == 6, "the last one still lies there"
    waiting.collect()
    waiting.collect()
    assert waiting.state_dict() == direct.state_dict()
    expected = (means * torch.tensor(sizes)[:, None]).sum(0) / 25
    assert direct.means() == pytest.approx(expected.tolist())
    again = EpochLosses(2, CPU)
    again.load_state_dict(direct.state_dict())
    assert again.means() == direct.means()
    waiting.add(torch.tensor([1.0, torch.inf]), 2)
    with pytest.raises(FloatingPointError) as error:
        waiting.collect()
    assert error.value.args == (7, 1, float("inf"))
