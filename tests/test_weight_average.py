"""The moving average of a player's weights."""

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
        # a resumed run counts the step at its stop twice, once as the end of the first part
        assert torch.allclose(value, results[1][name], atol=1e-6), name


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
