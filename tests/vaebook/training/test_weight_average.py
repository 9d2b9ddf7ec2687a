"""The moving average of a player's weights."""

from functools import partial

import pytest
import torch
from torch import nn

from vaebook.models import GAN, MLP
from vaebook.training import WeightAverage, fit
from vaebook.training.callbacks import Step

SHAPE = (1, 4, 4)


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(1, 1, bias=False)


class Falling(Line):
    """Its weight falls from 2 by 1 in each step; at 0 its loss is no number."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.part.weight, 2.0)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        value = self.part(batch)[:, 0]
        return value if value.detach().min() > 0 else value * float("nan")


def test_the_average_is_the_recursion_by_hand():
    model, callback = Line(), WeightAverage("part", decay=0.6)
    values, expected = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0], None
    for step, value in enumerate(values):
        nn.init.constant_(model.part.weight, value)
        at = Step(model, 0, step, len(values), len(values))
        if not step:
            callback.before_training(at)
        if step < len(values) - 1:
            callback.before_step(at)
        else:
            callback.after_training(at)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert float(model.part.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_training_goes_on_from_the_weights_and_ends_with_the_average():
    images = torch.rand(64, *SHAPE)
    models = []
    for callbacks in ([], [WeightAverage()]):
        torch.manual_seed(0)
        model = GAN(SHAPE, 2, network=MLP((8,)))
        fit(model, images, num_epochs=2, batch_size=16, callbacks=callbacks)
        models.append(model.state_dict())
    plain, averaged = models
    for name, value in plain.items():
        assert torch.equal(value, averaged[name]) != name.startswith("generator"), name


def test_a_resumed_run_has_the_same_average(tmp_path):
    images = torch.rand(64, *SHAPE)
    results = []
    for stops in ((4,), (2, 4)):
        torch.manual_seed(0)
        model = GAN(SHAPE, 2, network=MLP((8,)))
        path = tmp_path / f"{len(stops)}.pt"
        for num_epochs in stops:
            torch.manual_seed(0)
            model = GAN(SHAPE, 2, network=MLP((8,)))
            fit(
                model,
                images,
                num_epochs=num_epochs,
                batch_size=16,
                callbacks=[WeightAverage()],
                checkpoint=path,
                resume=True,
            )
        results.append(model.state_dict())
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


def test_one_average_serves_several_runs():
    images, average, found = torch.rand(64, *SHAPE), WeightAverage(), []
    for callback in (average, average, WeightAverage()):
        torch.manual_seed(0)
        model = GAN(SHAPE, 2, network=MLP((8,)))
        fit(model, images, num_epochs=1, batch_size=16, callbacks=[callback])
        found.append(model.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name
        assert torch.equal(value, found[2][name]), name


def test_after_an_error_the_average_of_the_steps_before_is_there():
    model, average = Falling(), WeightAverage("part", decay=0.5)
    with pytest.raises(ValueError, match="became nan in epoch 0, step 2"):
        fit(
            model,
            torch.ones(4, 1),
            num_epochs=1,
            batch_size=1,
            optimizer=partial(torch.optim.SGD, lr=1.0),
            callbacks=[average],
        )
    # weights 2, 1, 0 before the steps; decays 0.1, 2/11 and 3/12
    expected = 2.0
    for value, decay in ((2.0, 1 / 10), (1.0, 2 / 11), (0.0, 3 / 12)):
        expected = decay * expected + (1 - decay) * value
    assert float(model.part.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="decay is 1"):
        WeightAverage(decay=1)
    with pytest.raises(ValueError, match="no part 'critic'; expected one of"):
        fit(
            GAN(SHAPE, 2, network=MLP((8,))),
            torch.rand(8, *SHAPE),
            num_epochs=1,
            callbacks=[WeightAverage("critic")],
        )


class Normalised(nn.Module):
    """A part with running statistics; its gradient is no number from a step on."""

    def __init__(self, breaks_at: int = 99) -> None:
        super().__init__()
        self.part = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
        self.breaks_at, self._steps = breaks_at, 0

    def loss(self, rows):
        self._steps += 1
        restored = self.part(rows)
        losses = (restored - rows).square().sum(1)
        if self._steps == self.breaks_at:
            losses = losses + (0 * restored.sum(1)).sqrt()
        return losses


def test_statistics_of_normalisation_are_those_of_training():
    torch.manual_seed(0)
    model, rows = Normalised(), 5 + torch.rand(32, 3)
    fit(model, rows, num_epochs=10, batch_size=8, callbacks=[WeightAverage("part")])
    assert int(model.part[0].num_batches_tracked) == 40
    assert (model.part[0].running_mean > 5).all()


@pytest.mark.parametrize("breaks_at", [3, 4])
def test_weights_that_are_no_numbers_do_not_join_the_average(breaks_at):
    """In the middle of an epoch, where the next step would take them in, and at its end."""
    torch.manual_seed(0)
    model, rows = Normalised(breaks_at), torch.rand(32, 3)
    with pytest.raises(ValueError, match="NaN or infinit"):
        fit(model, rows, num_epochs=2, batch_size=8, callbacks=[WeightAverage("part")])
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_weights_in_half_precision_may_add_up_to_more_than_it_holds():
    model, callback = nn.ModuleDict({"part": nn.Linear(300, 300).half()}), WeightAverage("part")
    nn.init.constant_(model["part"].weight, 1.0)
    callback.before_training(Step(model, 0, 0, 2, 2))
    nn.init.constant_(model["part"].weight, 3.0)
    assert model["part"].weight.sum().isinf()
    callback.before_step(Step(model, 0, 0, 2, 2))  # the first step keeps a tenth
    assert float(callback.average.weight.detach()[0, 0]) == pytest.approx(2.8, rel=1e-3)


def test_the_average_keeps_no_graph_of_the_steps() -> None:
    """Between steps gradients are recorded: it would hold every batch of the run."""
    model, callback = Line(), WeightAverage("part", decay=0.6)
    for step in range(2):
        at = Step(model, 0, step, 3, 3)
        if not step:
            callback.before_training(at)
        callback.before_step(at)
    assert callback.average is not None
    assert not any(weight.requires_grad for weight in callback.average.parameters())
