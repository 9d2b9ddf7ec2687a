"""The weight of the rate over a run: by the step, to the end, through an interruption."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from tests.properties import uniform
from vaebook.models import MLP, VAE
from vaebook.training import Callback, Step, WarmUp, fit, seeded

IMAGES = uniform(0, 20, 1, 4, 4)  # five steps of four


def small(beta: float = 2.0) -> VAE:
    with seeded(0):
        return VAE((1, 4, 4), 2, network=MLP((8,)), beta=beta).double()


class Record(Callback):
    """Remembers the weight of every step, and breaks the run off after some epochs."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.betas: list[float] = []
        self._stop_after = stop_after  # no setting of the run

    def before_step(self, step: Step) -> None:
        self.betas.append(float(step.model.beta))  # type: ignore[arg-type]

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
        if step.epoch + 1 == self._stop_after:
            raise KeyboardInterrupt


def betas(warm_up: WarmUp, num_epochs: int = 4) -> tuple[list[float], VAE]:
    model, record = small(), Record()
    fit(model, IMAGES, num_epochs=num_epochs, batch_size=4, callbacks=[warm_up, record])
    return record.betas, model


def test_it_rises_by_the_step_and_ends_at_the_models_own_weight() -> None:
    found, model = betas(WarmUp(2))
    # ten steps of rise: 0, 0.2, …, 1.8; then 2
    assert found == pytest.approx([2.0 * k / 10 for k in range(10)] + [2.0] * 10)
    assert model.beta == 2.0


def test_cycles_rise_hold_and_rise_again() -> None:
    found, model = betas(WarmUp(1, num_cycles=2, hold=1), num_epochs=4)
    rise = [0.0, 0.4, 0.8, 1.2, 1.6]
    assert found == pytest.approx(rise + [2.0] * 5 + rise + [2.0] * 5)
    assert model.beta == 2.0


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """The state is written after an epoch's callbacks, so the broken epoch is run again."""
    settings = {"num_epochs": 4, "batch_size": 4, "checkpoint": tmp_path / "run.pt"}
    whole = small()
    fit(whole, IMAGES, num_epochs=4, batch_size=4, callbacks=[WarmUp(3), Record()])
    first = small()
    with pytest.raises(KeyboardInterrupt):
        fit(first, IMAGES, callbacks=[WarmUp(3), Record(stop_after=2)], **settings)  # type: ignore[arg-type]
    assert first.beta == 2  # also where it was broken off
    record = Record()
    fit(first, IMAGES, callbacks=[WarmUp(3), record], resume=True, **settings)  # type: ignore[arg-type]
    assert record.betas == pytest.approx([2.0 * k / 15 for k in range(5, 15)] + [2.0] * 5)
    assert first.beta == 2.0
    for name, value in whole.state_dict().items():
        assert torch.equal(value, first.state_dict()[name]), name


def test_the_weight_is_given_back_however_the_run_ends() -> None:
    model = small()
    with pytest.raises(KeyboardInterrupt):
        fit(model, IMAGES, num_epochs=4, batch_size=4, callbacks=[WarmUp(3), Record(2)])
    assert model.beta == 2.0
    warm_up = WarmUp(1)
    for beta in (1.0, 4.0):
        model = small(beta)
        fit(model, IMAGES, num_epochs=2, batch_size=4, callbacks=[warm_up])
        assert model.beta == beta, "each training has its own weight"


def test_a_stream_says_how_long_its_epochs_are() -> None:
    class Flow(IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            return iter(IMAGES)

    with pytest.raises(ValueError, match=r"these data have no length; pass steps_per_epoch"):
        fit(small(), Flow(), num_epochs=4, batch_size=4, callbacks=[WarmUp(2)])
    record = Record()
    fit(
        small(), Flow(), num_epochs=4, batch_size=4, steps_per_epoch=5,
        callbacks=[WarmUp(2), record],
    )  # fmt: skip
    assert record.betas == pytest.approx([2.0 * k / 10 for k in range(10)] + [2.0] * 10)


def test_a_model_without_a_weight_is_named() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centre = nn.Parameter(torch.zeros(()))

        def loss(self, batch: Tensor) -> Tensor:
            return self.centre.expand(len(batch))

    with pytest.raises(ValueError, match=r"WarmUp raises model.beta, and Plain has no number"):
        fit(Plain(), IMAGES, num_epochs=4, callbacks=[WarmUp(2)])


def test_a_rise_that_would_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="warm-up takes 4 of 4 epochs"):
        betas(WarmUp(4))
    with pytest.raises(ValueError, match="warm-up takes 5 of 4 epochs"):
        betas(WarmUp(2, num_cycles=2, hold=1))
    for bad in (
        {"num_epochs": 0},
        {"num_epochs": 1, "hold": -1},
        {"num_epochs": 1, "num_cycles": 0},
    ):
        with pytest.raises(ValueError, match="expected an integer"):
            WarmUp(**bad)
