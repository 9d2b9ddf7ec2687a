"""The training loop against a plain loop written out, and everything it promises about seeds."""

import inspect
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.properties import uniform
from vaebook.models import MLP, VAE, Autoencoder
from vaebook.training import (
    Callback,
    History,
    KeepBest,
    Player,
    Step,
    WarmUp,
    WeightAverage,
    fit,
    seeded,
    stream_seed,
)
from vaebook.training.fit import mean_loss

IMAGE_SHAPE = (1, 4, 4)


def images(num: int = 50, seed: int = 0) -> Tensor:
    return uniform(seed, num, *IMAGE_SHAPE).float()


def small_vae(seed: int = 0) -> VAE:
    with seeded(seed):
        return VAE(IMAGE_SHAPE, 2, network=MLP(hidden=(8,)))


def small_autoencoder() -> Autoencoder:
    with seeded(0):
        return Autoencoder(IMAGE_SHAPE, 2, network=MLP(hidden=(8,)))


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


class Recorder(nn.Module):
    """Notes the batches it is given; its loss is the first pixel, whatever its parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(()))
        self.batches: list[Tensor] = []
        self.modes: list[bool] = []

    def loss(self, batch: Tensor) -> Tensor:
        self.batches.append(batch[:, 0, 0, 0])
        self.modes.append(self.training)
        return batch[:, 0, 0, 0] + 0 * self.idle


def numbered(num: int) -> Tensor:
    """Image i is filled with i / num."""
    return (torch.arange(num) / num).reshape(num, 1, 1, 1).expand(-1, *IMAGE_SHAPE).contiguous()


# --- what one epoch is --------------------------------------------------------------------------


def test_each_image_is_seen_once_per_epoch_the_last_batch_too() -> None:
    model = Recorder()
    fit(model, numbered(50), num_epochs=3, batch_size=16)
    assert [len(batch) for batch in model.batches] == [16, 16, 16, 2] * 3
    for epoch in range(3):
        seen = torch.cat(model.batches[4 * epoch : 4 * epoch + 4])
        assert torch.equal(seen.sort().values, torch.arange(50) / 50)


def test_the_order_is_new_each_epoch_and_follows_the_seed() -> None:
    orders = []
    for seed in (0, 0, 1):
        model = Recorder()
        fit(model, numbered(50), num_epochs=2, batch_size=50, seed=seed)
        orders.append(model.batches)
    assert not torch.equal(orders[0][0], torch.arange(50) / 50), "images come shuffled"
    assert not torch.equal(orders[0][0], orders[0][1]), "anew each epoch"
    assert torch.equal(orders[0][0], orders[1][0])
    assert torch.equal(orders[0][1], orders[1][1])
    assert not torch.equal(orders[0][0], orders[2][0])


def test_the_loss_of_an_epoch_is_the_mean_over_images_not_over_batches() -> None:
    """50 images in batches of 48 and 2: a mean of the two means would weigh images unevenly."""
    model = Recorder()
    history = fit(model, numbered(50), num_epochs=1, batch_size=48, validation=numbered(30))
    # single precision
    assert history["loss"][0] == pytest.approx(float(numbered(50)[:, 0, 0, 0].mean()), abs=1e-6)
    expected = float(numbered(30)[:, 0, 0, 0].mean())
    assert history["validation_loss"][0] == pytest.approx(expected, abs=1e-6)
    assert mean_loss(model, numbered(30), batch_size=29) == pytest.approx(expected, abs=1e-6)


def test_it_is_the_loop_that_everybody_writes() -> None:
    """Adam, gradients set to zero, the mean over the batch; the same order of images."""
    data, ours, theirs = images(), small_autoencoder(), small_autoencoder()
    history = fit(ours, data, num_epochs=3, batch_size=16, lr=3e-3, seed=4)

    optimiser = torch.optim.Adam(theirs.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(stream_seed(4, "order"))
    losses = []
    for _ in range(3):
        total = 0.0
        for batch in torch.randperm(50, generator=generator).split(16):
            optimiser.zero_grad()
            loss = theirs.loss(data[batch]).mean()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        losses.append(total / 50)
    # the fused Adam rounds differently: 1e-6 per step, 12 steps
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-4, atol=1e-5)
    assert history["loss"] == pytest.approx(losses, rel=1e-5)


def test_training_lowers_the_loss() -> None:
    history = fit(small_vae(), images(), num_epochs=30, batch_size=16, lr=1e-2)
    assert history["loss"][-1] < history["loss"][0] - 1.0


# --- seeds --------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_whatever_ran_before() -> None:
    first, second, other = small_vae(), small_vae(), small_vae()
    history = fit(first, images(), num_epochs=3, batch_size=16, seed=1)
    torch.rand(17)
    again = fit(second, images(), num_epochs=3, batch_size=16, seed=1)
    fit(other, images(), num_epochs=3, batch_size=16, seed=2)
    assert torch.equal(weights(first), weights(second))
    assert history["loss"] == again["loss"]
    assert not torch.equal(weights(first), weights(other))


def test_the_global_generator_is_left_alone() -> None:
    class Breaks(Callback):
        def after_epoch(self, step: Step, row: Mapping[str, float]) -> None:
            raise KeyboardInterrupt

    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(small_vae(), images(), num_epochs=1, validation=images(10, 1))
    with pytest.raises(KeyboardInterrupt):
        fit(small_vae(), images(), num_epochs=1, callbacks=[Breaks()])
    with pytest.raises(ValueError, match="expected values in"):
        fit(small_vae(), 2 * images(), num_epochs=1)
    with pytest.raises(ValueError, match="watches"):
        fit(small_vae(), images(), num_epochs=1, callbacks=[KeepBest()])
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_may_come_from_numpy_and_be_large() -> None:
    first, second = small_vae(), small_vae()
    fit(first, images(), num_epochs=1, seed=np.int64(7))  # type: ignore[arg-type]
    fit(second, images(), num_epochs=1, seed=7)
    assert torch.equal(weights(first), weights(second))
    fit(second, images(), num_epochs=1, seed=2**64 - 1)


def test_watching_the_validation_loss_does_not_change_the_training() -> None:
    alone, watched = small_vae(), small_vae()
    fit(alone, images(), num_epochs=3, batch_size=16)
    fit(watched, images(), num_epochs=3, batch_size=16, validation=images(20, 1))
    assert torch.equal(weights(alone), weights(watched))


def test_validation_images_are_not_trained_on() -> None:
    model = Recorder()
    fit(model, numbered(20), num_epochs=2, batch_size=20, validation=numbered(7))
    assert [len(batch) for batch in model.batches] == [20, 7, 20, 7]
    assert model.modes == [True, False, True, False], "validation runs in evaluation mode"
    assert not model.training, "a trained model is in evaluation mode"

    trained = small_autoencoder()
    history = fit(trained, images(), num_epochs=2, validation=images(20, 1))
    assert history["validation_loss"][-1] == mean_loss(trained, images(20, 1))


def test_mean_loss_puts_the_mode_back_even_after_an_error() -> None:
    model = small_vae().train()
    mean_loss(model, images())
    assert model.training
    with pytest.raises(ValueError, match="this model expects"):
        mean_loss(model, torch.zeros(2, 1, 3, 3))
    assert model.training


def test_a_part_that_rests_goes_on_resting() -> None:
    """W9: the mode is put back part by part."""
    model = small_vae().train()
    model.encoder.eval()
    mean_loss(model, images())
    assert model.training
    assert model.decoder.training
    assert not model.encoder.training


def test_training_leaves_the_images_alone() -> None:
    data = images()
    fit(small_vae(), data, num_epochs=1)
    assert torch.equal(data, images())


# --- callbacks ----------------------------------------------------------------------------------


class Log(Callback):
    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def before_step(self, step: Step) -> None:
        self.calls.append(("step", step.epoch, step.step, step.steps_per_epoch, step.num_epochs))

    def after_epoch(self, step: Step, row: Mapping[str, float]) -> Mapping[str, float]:
        self.calls.append(("epoch", step.epoch, step.step))
        return {"twice": torch.tensor(2 * row["loss"])}  # type: ignore[dict-item]

    def after_training(self, step: Step) -> None:
        self.calls.append(("end", step.epoch, step.step))


def test_callbacks_are_called_in_order() -> None:
    log = Log()
    history = fit(small_vae(), images(40), num_epochs=2, batch_size=20, callbacks=[log])
    assert log.calls == [
        ("step", 0, 0, 2, 2),
        ("step", 0, 1, 2, 2),
        ("epoch", 0, 2),
        ("step", 1, 2, 2, 2),
        ("step", 1, 3, 2, 2),
        ("epoch", 1, 4),
        ("end", 1, 4),
    ]
    # the value passed through a tensor of single precision
    assert history["twice"] == pytest.approx([2 * loss for loss in history["loss"]])
    assert all(isinstance(value, float) for value in history["twice"])


def test_a_callback_may_do_nothing() -> None:
    plain, watched = small_vae(), small_vae()
    fit(plain, images(), num_epochs=1)
    fit(watched, images(), num_epochs=1, callbacks=[Callback()])
    assert torch.equal(weights(plain), weights(watched))


def test_a_callback_can_warm_up_beta() -> None:
    class WarmUp(Callback):
        def before_step(self, step: Step) -> None:
            step.model.beta = min(1.0, step.step / 6)  # type: ignore[assignment]

    model, betas = small_vae(), []
    loss = model.loss
    model.loss = lambda batch: (betas.append(model.beta), loss(batch))[1]  # type: ignore[func-returns-value,method-assign]
    fit(model, images(40), num_epochs=2, batch_size=10, callbacks=[WarmUp()])
    assert betas == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1])


def test_keep_best_puts_the_best_epoch_back() -> None:
    class Drift(nn.Module):
        """Its parameter p moves 1 down each step; the validation loss (p + 2)² is best at −2."""

        def __init__(self) -> None:
            super().__init__()
            self.p = nn.Parameter(torch.zeros(()))

        def loss(self, batch: Tensor) -> Tensor:
            value = self.p if self.training else (self.p + 2) ** 2
            return value.expand(len(batch))

    keep = KeepBest()
    model = Drift()
    history = fit(model, images(8), num_epochs=5, lr=1.0, validation=images(4), callbacks=[keep])
    # Adam's first steps have the length lr, here 1: p is −1, −2, −3, …
    assert history["validation_loss"] == pytest.approx([1, 0, 1, 4, 9], abs=1e-5)
    assert keep.best_epoch == 1
    assert model.p.item() == pytest.approx(-2, abs=1e-5)


def test_keep_best_can_watch_another_column() -> None:
    keep = KeepBest("loss")
    history = fit(small_vae(), images(), num_epochs=4, callbacks=[keep])
    assert keep.best_epoch == min(range(4), key=history["loss"].__getitem__)


def test_keep_best_needs_its_column() -> None:
    with pytest.raises(ValueError, match=r"watches 'validation_loss'.*Pass validation data"):
        fit(small_vae(), images(), num_epochs=1, callbacks=[KeepBest()])


# --- history ------------------------------------------------------------------------------------


def test_the_history_has_a_row_per_epoch() -> None:
    history = fit(small_vae(), images(), num_epochs=3, validation=images(10, 1))
    assert len(history) == 3
    assert history["epoch"] == [0.0, 1.0, 2.0]
    frame = history.frame()
    assert list(frame.columns) == ["epoch", "loss", "seconds", "validation_loss"]
    assert history.seconds == pytest.approx(frame["seconds"].sum())
    assert history.seconds > 0


def test_an_unknown_column_is_named() -> None:
    history = History([{"epoch": 0.0, "loss": 1.0}, {"epoch": 1.0, "loss": 0.5, "extra": 2.0}])
    with pytest.raises(KeyError, match="no column 'elbo'"):
        history["elbo"]
    first, second = history["extra"]
    assert first != first
    assert second == 2.0


# --- progress, device, dtype --------------------------------------------------------------------


def test_the_progress_bar_shows_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fit(small_vae(), images(), num_epochs=2)
    assert capsys.readouterr() == ("", ""), "silent outside a terminal"
    fit(small_vae(), images(), num_epochs=2, progress=True)
    shown = capsys.readouterr().err
    assert "VAE: 100%" in shown
    assert "loss=" in shown
    fit(small_vae(), images(), num_epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_other_devices_and_number_types() -> None:
    model = small_vae().double()
    fit(model, images().double(), num_epochs=1, device="cpu")
    assert {p.dtype for p in model.parameters()} == {torch.float64}


# --- what users get wrong -----------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_stops_the_run() -> None:
    class Broken(Recorder):
        def loss(self, batch: Tensor) -> Tensor:
            factor = float("nan") if len(self.batches) == 4 else 1.0
            return factor * super().loss(batch)

    with pytest.raises(ValueError, match=r"loss became nan in epoch 1, step 1\. Lower lr"):
        fit(Broken(), numbered(30), num_epochs=3, batch_size=10)

    class Infinite(Recorder):
        def loss(self, batch: Tensor) -> Tensor:
            return super().loss(batch) + float("inf")

    with pytest.raises(ValueError, match="loss became inf in epoch 0, step 0"):
        fit(Infinite(), numbered(30), num_epochs=1)


def test_a_loss_must_be_one_value_per_image() -> None:
    class Summed(Recorder):
        def loss(self, batch: Tensor) -> Tensor:
            return super().loss(batch).sum()

    with pytest.raises(ValueError, match=r"shape \(\) for 10 examples; expected \(10,\)"):
        fit(Summed(), numbered(10), num_epochs=1)


def test_wrong_settings_say_what_to_do() -> None:
    model, data = small_vae(), images()
    before = weights(model)
    for settings, message in (
        ({"num_epochs": 0}, "num_epochs is 0"),
        ({"num_epochs": 1.5}, "num_epochs is 1.5"),
        ({"num_epochs": 1, "batch_size": 0}, "batch_size is 0"),
        ({"num_epochs": 1, "lr": 0.0}, "lr is 0.0"),
        ({"num_epochs": 1, "lr": float("nan")}, "lr is nan"),
        ({"num_epochs": 1, "seed": -1}, "seed is -1"),
        ({"num_epochs": 1, "resume": True}, "resume=True needs a checkpoint"),
        ({"num_epochs": 1, "validation": 255 * data}, "validation: images lies in"),
        ({"num_epochs": 1, "validation": data[0]}, "validation: images has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(model, data, **settings)  # type: ignore[arg-type]
    for bad, message in (
        (255 * data, "Divide bytes by 255"),
        (data[:0], "is empty"),
        (data.numpy(), "Convert it with torch.as_tensor"),
        (data[0], "Add a batch dimension"),
        ((255 * data).byte(), r"images.float\(\) / 255"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(model, bad, num_epochs=1)  # type: ignore[arg-type]
    assert torch.equal(weights(model), before), "nothing was trained on the way"


def test_models_that_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="Linear has no method loss"):
        fit(nn.Linear(2, 2), images(), num_epochs=1)

    class Empty(nn.Module):
        def loss(self, batch: Tensor) -> Tensor:
            return batch.mean((1, 2, 3))

    with pytest.raises(ValueError, match="Empty has no parameters"):
        fit(Empty(), images(), num_epochs=1)


def test_seeds() -> None:
    with seeded(3):
        first = torch.rand(2)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(3):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before), "also after an error"
    with seeded(np.int64(3)):  # type: ignore[arg-type]
        assert torch.equal(torch.rand(2), first), "a number of numpy is one too"
    with seeded(2**64 - 1):
        torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)
    for bad in (-1, 2**64, 1.5, None, True, "0"):
        with pytest.raises(ValueError, match="expected a whole number"), seeded(bad):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (fit, {"drop_last": False, "seed": 0, "callbacks": (), "resume": False}),
        (WarmUp, {"num_cycles": 1, "hold": 0}),
        (WeightAverage, {"decay": 0.995}),
        (Player, {"betas": (0.9, 0.999), "lr_factor": 1.0}),  # Adam's own, Kingma & Ba (2015)
    ],
)
def test_what_is_left_out_is_what_the_records_were_made_with(
    function: Callable[..., object], expected: dict[str, object]
) -> None:
    parameters = inspect.signature(function).parameters.values()
    plain = {p.name: p.default for p in parameters if isinstance(p.default, int | float | tuple)}
    assert plain == expected


def test_batches_are_of_128_and_adam_steps_by_a_thousandth_by_default() -> None:
    """As fit's docstring has it."""
    sizes: list[int] = []

    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.zeros(()))

        def loss(self, rows: torch.Tensor) -> torch.Tensor:
            sizes.append(len(rows))
            return self.place.expand(len(rows))

    model = Line()
    fit(model, torch.zeros(300, 1), num_epochs=1, progress=False)
    assert sizes == [128, 128, 44]
    # where the gradient is 1 throughout, each step of Adam is its rate
    assert float(model.place.detach()) == pytest.approx(-3e-3, rel=1e-5)
