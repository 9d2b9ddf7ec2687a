"""Every setting of fit against a loop written out, and what a failing step says."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from tests.small_models import Denoiser, Duel, Exact, Recorder, built, numbered, rows, weights
from vaebook.training import Callback, Player, Step, fit, seeded, stream_seed
from vaebook.training.capture import make_capturable
from vaebook.training.failures import bad_number
from vaebook.training.fit import mean_loss

NUM, SIZE, EPOCHS, SEED = 20, 6, 4, 3


def by_hand(
    model: nn.Module,
    losses: list[tuple[Callable[..., Tensor], list[nn.Parameter]]],
    optimizers: list[Optimizer],
    schedulers: list[LRScheduler] | None = None,
    max_norm: float | None = None,
) -> list[list[float]]:
    """The loop that everybody writes; the mean losses of each epoch."""
    generator = torch.Generator().manual_seed(stream_seed(SEED, "order"))
    data, means = rows(NUM), []
    model.train()
    for _ in range(EPOCHS):
        totals = [0.0] * len(losses)
        for chosen in torch.randperm(NUM, generator=generator).split(SIZE):
            for player, ((loss_of, parameters), optimizer) in enumerate(
                zip(losses, optimizers, strict=True)
            ):
                optimizer.zero_grad()
                loss = loss_of(data[chosen]).mean()
                loss.backward(inputs=parameters)
                if max_norm is not None:
                    clip_grad_norm_(parameters, max_norm)
                optimizer.step()
                totals[player] += loss.item() * len(chosen)
            for scheduler in schedulers or []:
                scheduler.step()
        means.append([total / NUM for total in totals])
    return means


def one_player(model: Exact) -> list[tuple[Callable[..., Tensor], list[nn.Parameter]]]:
    return [(model.loss, list(model.parameters()))]


OPTIMIZERS: dict[str, Callable] = {
    "AdamW": partial(AdamW, lr=1e-2, weight_decay=0.1),
    "SGD": partial(SGD, lr=1e-2, momentum=0.9),
}
SCHEDULERS: dict[str, Callable] = {
    "StepLR": partial(StepLR, step_size=3, gamma=0.5),
    "cosine": partial(CosineAnnealingLR, T_max=16),
    "lambda": partial(LambdaLR, lr_lambda=lambda step: 1 / (1 + step)),
    "one cycle": partial(OneCycleLR, max_lr=0.05, total_steps=17, cycle_momentum=False),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", [None, *SCHEDULERS])
def test_any_optimizer_and_schedule_is_the_loop_by_hand(name: str, schedule: str | None) -> None:
    ours, theirs = built(Exact), built(Exact)
    chosen = SCHEDULERS[schedule] if schedule else None
    history = fit(
        ours, rows(NUM), num_epochs=EPOCHS, batch_size=SIZE, seed=SEED,
        optimizer=OPTIMIZERS[name], scheduler=chosen,
    )  # fmt: skip
    optimizer = OPTIMIZERS[name](theirs.parameters())
    schedulers = [chosen(optimizer)] if chosen else []
    means = by_hand(theirs, one_player(theirs), [optimizer], schedulers)
    assert torch.equal(weights(ours), weights(theirs)), "to the last bit"
    assert history["loss"] == pytest.approx([mean for (mean,) in means], rel=1e-12)


def test_a_schedule_of_the_default_adam() -> None:
    """Once a step: after 16 steps of a cosine to 0 over 16, nothing moves."""
    model = built(Exact)
    fit(
        model, rows(NUM), num_steps=16, batch_size=SIZE, lr=0.1,
        scheduler=partial(CosineAnnealingLR, T_max=16),
    )  # fmt: skip
    longer = built(Exact)
    fit(
        longer, rows(NUM), num_steps=17, batch_size=SIZE, lr=0.1,
        scheduler=partial(CosineAnnealingLR, T_max=16),
    )  # fmt: skip
    torch.testing.assert_close(weights(model), weights(longer), rtol=0, atol=1e-7)


def test_a_plateau_lowers_the_rate_by_the_validation_loss() -> None:
    class Flat(Recorder):
        """Its loss has the slope 1 in a parameter that its validation loss does not see."""

        def loss(self, rows: Tensor) -> Tensor:
            value = self.idle.expand(len(rows))
            return value if self.training else 0 * value + 1

    model, rates = Flat(), []

    class Rates(Callback):
        def after_epoch(self, step: Step, row) -> None:
            rates.append(model.idle.item())

    # the first epoch is the best so far; patience 0: each later one divides the rate by 10
    fit(
        model, numbered(4), num_epochs=4, optimizer=partial(SGD, lr=1.0), callbacks=[Rates()],
        scheduler=partial(ReduceLROnPlateau, factor=0.1, patience=0), validation=numbered(2),
    )  # fmt: skip
    assert rates == pytest.approx([-1, -2, -2.1, -2.11])
    model, rates = Flat(), []
    fit(
        model, numbered(4), num_epochs=4, optimizer=partial(SGD, lr=1.0), callbacks=[Rates()],
        scheduler=partial(ReduceLROnPlateau, factor=0.1, patience=0),
    )  # fmt: skip
    assert rates == pytest.approx([-1, -2, -3, -4]), "without one, by the training loss"


def test_gradients_of_what_an_optimizer_leaves_out_do_not_add_up() -> None:
    """They would grow with every step, and with them the length that max_grad_norm cuts to."""

    def half(parameters: Iterable[nn.Parameter]) -> Optimizer:
        return SGD(list(parameters)[2:], lr=0.1)

    model = built(Exact)
    settings = {"optimizer": half, "max_grad_norm": 0.5, "batch_size": NUM, "seed": SEED}
    fit(model, rows(NUM), num_epochs=EPOCHS, **settings)  # type: ignore[arg-type]
    expected = built(Exact)
    optimizer = SGD(list(expected.parameters())[2:], lr=0.1)
    for _ in range(EPOCHS):
        expected.zero_grad()
        expected.loss(rows(NUM)).mean().backward()
        clip_grad_norm_(expected.parameters(), 0.5)
        optimizer.step()
    torch.testing.assert_close(weights(model), weights(expected))


@pytest.mark.parametrize("max_norm", [0.05, 1e9])
def test_gradients_are_cut_to_a_length(max_norm: float) -> None:
    ours, theirs = built(Exact), built(Exact)
    fit(
        ours, rows(NUM), num_epochs=EPOCHS, batch_size=SIZE, seed=SEED, max_grad_norm=max_norm,
        optimizer=OPTIMIZERS["SGD"],
    )  # fmt: skip
    optimizer = OPTIMIZERS["SGD"](theirs.parameters())
    by_hand(theirs, one_player(theirs), [optimizer], max_norm=max_norm)
    assert torch.equal(weights(ours), weights(theirs))


@pytest.mark.parametrize("chosen", [None, *OPTIMIZERS])
def test_each_player_has_its_own_optimiser_rate_and_schedule(chosen: str | None) -> None:
    ours, theirs = built(Duel), built(Duel)
    schedule = SCHEDULERS["StepLR"]
    history = fit(
        ours, rows(NUM), num_epochs=EPOCHS, batch_size=SIZE, seed=SEED, scheduler=schedule,
        optimizer=None if chosen is None else OPTIMIZERS[chosen],
        lr=1e-2 if chosen is None else None, max_grad_norm=0.3, validation=rows(7, 1),
    )  # fmt: skip
    players = theirs.players()
    if chosen is None:
        optimizers = [
            Adam(theirs.ahead.parameters(), lr=1e-2, betas=(0.5, 0.9), fused=True),
            Adam(theirs.behind.parameters(), lr=3 * 1e-2, fused=True),
        ]
    else:
        optimizers = [OPTIMIZERS[chosen](player.parameters) for player in players]
        optimizers[1].param_groups[0]["lr"] *= 3.0
    means = by_hand(
        theirs, [(player.loss, list(player.parameters)) for player in players], optimizers,
        [schedule(optimizer) for optimizer in optimizers], max_norm=0.3,
    )  # fmt: skip
    assert torch.equal(weights(ours), weights(theirs))
    assert history["ahead_loss"] == pytest.approx([mean for mean, _ in means], rel=1e-12)
    assert history["behind_loss"] == pytest.approx([mean for _, mean in means], rel=1e-12)
    expected = theirs.follow(rows(7, 1)).mean().item()
    assert history["validation_behind_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_the_default_is_adam() -> None:
    for rate in (None, 3e-3, np.float64(3e-3), torch.tensor(3e-3, dtype=torch.float64)):
        ours, theirs = built(Exact), built(Exact)
        fit(ours, rows(NUM), num_epochs=EPOCHS, batch_size=SIZE, seed=SEED, lr=rate)  # type: ignore[arg-type]
        lr = 1e-3 if rate is None else 3e-3
        optimizer = Adam(theirs.parameters(), lr=lr, fused=True)
        by_hand(theirs, one_player(theirs), [optimizer])
        assert torch.equal(weights(ours), weights(theirs)), rate


def test_frozen_parameters_stay() -> None:
    model = built(Exact)
    model.network[0].requires_grad_(False)
    before = model.network[0].weight.clone()
    moved = model.network[2].weight.clone()
    fit(model, rows(NUM), num_epochs=1, optimizer=OPTIMIZERS["AdamW"])
    assert torch.equal(model.network[0].weight, before)
    assert not torch.equal(model.network[2].weight, moved)


# --- precision ----------------------------------------------------------------------------------


class Typed(Exact):
    """Notes the type in which its network computes."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[tuple[bool, torch.dtype]] = set()

    def loss(self, rows: Tensor) -> Tensor:
        hidden = self.network(rows)
        self.types.add((self.training, hidden.dtype))
        return (hidden - rows).square().sum(1)


def test_bfloat16_is_for_the_networks_alone() -> None:
    model, single = built(Typed), built(Typed)
    settings = {"num_epochs": EPOCHS, "batch_size": SIZE, "lr": 1e-2, "validation": rows(9, 1)}
    history = fit(model, rows(NUM), precision="bfloat16", **settings)  # type: ignore[arg-type]
    exact = fit(single, rows(NUM), **settings)  # type: ignore[arg-type]
    assert model.types == {(True, torch.bfloat16), (False, torch.float32)}
    assert single.types == {(True, torch.float32), (False, torch.float32)}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not torch.equal(weights(model), weights(single))
    # bfloat16 has 8 bits: the losses agree to about 1 %
    assert history["loss"] == pytest.approx(exact["loss"], rel=0.02)
    assert history["loss"] != exact["loss"]


def test_a_loss_in_half_precision_is_averaged_in_single() -> None:
    """The mean of 257 and 256 ones and twos: in bfloat16 it would be 1.5 or the sum would stall."""

    class Half(Recorder):
        def loss(self, rows: Tensor) -> Tensor:
            return super().loss(rows).bfloat16()

    table = torch.cat([torch.ones(257, 3), 2 * torch.ones(256, 3)])
    history = fit(Half(), table, num_epochs=1, batch_size=513)
    assert history["loss"][0] == pytest.approx((257 + 512) / 513, rel=1e-6)


def test_what_is_computed_in_single_precision_is_left_alone() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centre = nn.Parameter(torch.zeros(3))

        def loss(self, rows: Tensor) -> Tensor:
            return (rows - self.centre).square().sum(1)

    results = []
    for precision in ("float32", "bfloat16"):
        model = Plain()
        history = fit(model, rows(NUM), num_epochs=3, lr=0.1, precision=precision)  # type: ignore[arg-type]
        results.append((weights(model).tolist(), history["loss"]))
    assert results[0] == results[1]


# --- compiled models (W10) ----------------------------------------------------------------------


def counting() -> tuple[list[int], Callable]:
    """A backend that computes as usual and counts the graphs that it is given."""
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    return graphs, backend


def test_a_compiled_model_is_compiled() -> None:
    torch._dynamo.reset()
    graphs, backend = counting()
    plain, model = built(Exact), built(Exact)
    settings = {"num_epochs": 2, "batch_size": 6, "validation": rows(6, 1)}
    compiled = torch.compile(model, backend=backend)
    history = fit(compiled, rows(18), **settings)  # type: ignore[arg-type]
    assert len(graphs) == 2, "one for training and one for evaluation"
    assert min(graphs) > 5, "the network and the loss are in it"
    expected = fit(plain, rows(18), **settings)  # type: ignore[arg-type]
    assert torch.equal(weights(model), weights(plain))
    assert history["loss"] == expected["loss"]
    assert set(model.state_dict()) == set(plain.state_dict()), "names without a prefix"
    torch._dynamo.reset()


def test_so_is_one_that_was_compiled_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    _, backend = counting()
    model = built(Exact)
    model.compile(backend=backend)
    compiled: list[object] = []

    def compile_like_it(function: Callable) -> Callable:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile_like_it)
    fit(model, rows(), num_epochs=1)
    assert compiled == [model.loss]


# --- steps that cannot be taken -----------------------------------------------------------------


class Overflows(Recorder):
    """Its ELBO has a rate that becomes infinite when the parameter passes −2."""

    def elbo(self, rows: Tensor):
        from collections import namedtuple

        rate = torch.exp(torch.where(self.idle < -2, 1e3, 0.0)).expand(len(rows))
        return namedtuple("Terms", ["elbo", "distortion", "rate"])(
            -rate, torch.zeros(len(rows)), rate
        )

    def loss(self, rows: Tensor) -> Tensor:
        return self.elbo(rows).rate + self.idle


def test_a_loss_that_is_no_number_is_named_with_its_term_and_moves_nothing() -> None:
    model = Overflows()
    with pytest.raises(ValueError, match=r"loss became inf in epoch 1, step 1 ") as caught:
        fit(model, numbered(4), num_epochs=9, batch_size=2, optimizer=partial(SGD, lr=0.9))
    message = str(caught.value)
    assert "its rate is inf" in message
    assert "its elbo is -inf" in message
    assert "distortion" not in message
    assert "parameter" not in message
    assert model.idle.item() == pytest.approx(-2.7), "as after three steps"
    assert len(caught.value.history) == 1  # type: ignore[attr-defined]


class RootAtZero(Recorder):
    """The root of a square: a loss of 0 with a gradient that is NaN, once the parameter is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = nn.Parameter(torch.tensor(2.0))

    def loss(self, rows: Tensor) -> Tensor:
        return (self.depth**2).sqrt().expand(len(rows)) + 0 * self.idle


def test_a_gradient_that_is_no_number_is_named() -> None:
    """SGD with rate 1 goes from 2 to 1 to 0; there the gradient is NaN, whatever the loss."""
    model = RootAtZero()
    settings = {"num_epochs": 9, "batch_size": 1, "optimizer": partial(SGD, lr=1.0)}
    with pytest.raises(ValueError, match="depth") as caught:
        fit(model, numbered(3), **settings)  # type: ignore[arg-type]
    # of three steps in an epoch, the third is the last
    assert "depth became NaN or infinite by step 2 of epoch 0" in str(caught.value)
    with pytest.raises(ValueError, match="depth") as caught:
        fit(RootAtZero(), numbered(4), **settings)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "loss became nan in epoch 0, step 3" in message
    assert "the parameter depth holds NaN or infinity after the step before" in message


def test_one_player_that_fails_is_named() -> None:
    class Fails(Duel):
        def follow(self, rows: Tensor) -> Tensor:
            return super().follow(rows) * float("nan")

    model = built(Fails)
    before = weights(model.behind)
    with pytest.raises(ValueError, match="the behind_loss became nan in epoch 0, step 0"):
        fit(model, rows(), num_epochs=1)
    assert torch.equal(weights(model.behind), before)


def test_parameters_of_any_kind_are_looked_at() -> None:
    class Mixed(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.whole = nn.Parameter(torch.arange(3), requires_grad=False)
            self.empty = nn.Parameter(torch.zeros(0))
            self.fine = nn.Parameter(torch.zeros(2, dtype=torch.float64))
            self.large = nn.Parameter(torch.full((9,), 6e4).half())

    fit(Mixed(), numbered(4), num_epochs=1)
    bad = Mixed()
    bad.fine.data[1] = float("inf")
    with pytest.raises(ValueError, match="parameter fine became NaN or infinite"):
        fit(bad, numbered(4), num_epochs=1)


def test_a_loss_without_gradient_says_so() -> None:
    class Detached(Recorder):
        def loss(self, rows: Tensor) -> Tensor:
            return super().loss(rows).detach()

    with pytest.raises(RuntimeError, match="does not require grad") as caught:
        fit(Detached(), numbered(4), num_epochs=1)
    assert "The loss does not depend on the parameters" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("loss", "given"),
    [
        (lambda rows: rows.sum(), r"shape \(\) for 4 examples; expected \(4,\)"),
        (lambda rows: rows, r"shape \(4, 3\) for 4 examples"),
        (lambda rows: rows[:1, 0], r"shape \(1,\) for 4 examples"),
        (lambda rows: 3.0, "shape float for 4 examples"),
        (lambda rows: (rows[:, 0], rows[:, 1]), "shape tuple for 4 examples"),
        (lambda rows: None, "shape NoneType for 4 examples.* Leave the mean to fit"),
    ],
)
def test_a_loss_is_one_value_for_each_example(loss: Callable, given: str) -> None:
    model = Recorder()
    model.loss = loss  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=given):
        fit(model, numbered(4), num_epochs=1)


# --- settings that cannot be used ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither num_epochs nor num_steps is given; expected one"),
        ({"num_epochs": 1, "num_steps": 1}, "both of them is given"),
        ({"num_epochs": "3"}, "num_epochs is '3'; expected an integer"),
        ({"num_epochs": True}, "num_epochs is True"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"num_epochs": 1, "batch_size": 2.0}, "batch_size is 2.0"),
        ({"num_epochs": 1, "batch_size": "8"}, "batch_size is '8'"),
        ({"num_epochs": 1, "steps_per_epoch": 0}, "steps_per_epoch is 0"),
        ({"num_epochs": 1, "lr": "0.1"}, "lr is '0.1'; expected a finite number above 0"),
        ({"num_epochs": 1, "lr": -1}, "lr is -1"),
        ({"num_epochs": 1, "max_grad_norm": 0}, "max_grad_norm is 0"),
        ({"num_epochs": 1, "max_grad_norm": float("inf")}, "max_grad_norm is inf"),
        ({"num_epochs": 1, "precision": "float16"}, "precision is 'float16'; expected 'float32'"),
        ({"num_epochs": 1, "precision": torch.bfloat16}, "precision is torch.bfloat16"),
        ({"num_epochs": 1, "seed": 2**64}, r"seed is 18446744073709551616; expected .*2\*\*64"),
        ({"num_epochs": 1, "seed": None}, "seed is None"),
        ({"num_epochs": 1, "device": "gpu"}, "device is 'gpu', which cannot be used here"),
        ({"num_epochs": 1, "device": "cuda:99"}, "device is 'cuda:99', which cannot be used"),
        ({"num_epochs": 1, "device": ["cpu"]}, "device is .*expected 'cpu', or 'cuda'"),
        ({"num_epochs": 1, "device": "meta"}, "device is 'meta', which holds no numbers"),
        ({"num_epochs": 1, "checkpoint": True}, "the path is True; expected the name of a file"),
        ({"num_epochs": 1, "checkpoint": ""}, "the path is ''; expected the name of a file"),
        ({"num_epochs": 1, "checkpoint_every": 5}, "checkpoint_every needs a checkpoint file"),
        ({"num_epochs": 1, "checkpoint_every": 0, "checkpoint": "x"}, "checkpoint_every is 0"),
        ({"num_epochs": 1, "lr": 0.1, "optimizer": SGD}, "lr is given beside optimizer"),
        ({"num_epochs": 1, "optimizer": "adam"}, "optimizer is a str; expected a function"),
        ({"num_epochs": 1, "optimizer": lambda parameters: 3}, "optimizer made a int; expected"),
        ({"num_epochs": 1, "optimizer": LBFGS}, "optimizer made an LBFGS"),
        (
            {"num_epochs": 1, "optimizer": Adam([nn.Parameter(torch.zeros(1))])},
            "optimizer is a Adam; expected a function that makes one",
        ),
        ({"num_epochs": 1, "scheduler": "cosine"}, "scheduler is a str; expected a function"),
        ({"num_epochs": 1, "scheduler": lambda optimizer: 3}, "scheduler made a int; expected"),
        ({"num_epochs": 1, "capture": True}, "capture=True cannot be had: no CUDA graphs on cpu"),
    ],
)
def test_settings_that_cannot_be_used_say_what_to_do(settings: dict, message: str) -> None:
    model = Recorder()
    with pytest.raises(ValueError, match=message):
        fit(model, numbered(4), **settings)
    assert not model.trained


def test_models_that_have_nothing_to_train() -> None:
    frozen = built(Exact).requires_grad_(False)
    with pytest.raises(ValueError, match=r"all parameters of Exact are frozen.*requires_grad_"):
        fit(frozen, rows(), num_epochs=1)
    assert mean_loss(frozen, rows()) > 0, "measuring it is no training"
    half = built(Duel)
    half.ahead.requires_grad_(False)
    with pytest.raises(ValueError, match="all parameters of Duel's ahead are frozen"):
        fit(half, rows(), num_epochs=1)
    with pytest.raises(ValueError, match=r"Duel has several losses \(ahead, behind\)"):
        mean_loss(built(Duel), rows())

    class Nobody(nn.Module):
        def players(self) -> tuple[Player, ...]:
            return ()

    with pytest.raises(ValueError, match=r"Nobody.players\(\) is empty"):
        fit(Nobody(), rows(), num_epochs=1)
    with pytest.raises(ValueError, match="str has no method loss"):
        fit("VAE", rows(), num_epochs=1)  # type: ignore[arg-type]


# --- what the device must read ------------------------------------------------------------------


def test_a_captured_step_would_read_the_rate_that_a_schedule_sets() -> None:
    """On CUDA a step is replayed: a rate that is a number in Python would be that of the start."""
    place = torch.device("cpu")
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = Adam([parameter], lr=0.5)
    make_capturable(optimizer, place)
    (group,) = optimizer.param_groups
    rate = group["lr"]
    assert isinstance(rate, Tensor)
    assert rate.dtype == torch.float32
    scheduler = CosineAnnealingLR(optimizer, T_max=4)
    parameter.grad = torch.ones(2)
    for step in range(1, 4):
        optimizer.param_groups[0]["capturable"] = False  # here there is no graph to be captured
        optimizer.step()
        scheduler.step()
        assert group["lr"] is rate, "filled, not replaced"
        assert float(rate) == pytest.approx(0.25 * (1 + math.cos(math.pi * step / 4)))
    plain = SGD([parameter], lr=0.5)
    make_capturable(plain, place)
    assert plain.param_groups[0]["lr"] == 0.5, "one that cannot be captured is left alone"


def test_noise_of_the_model_does_not_depend_on_the_number_of_examples() -> None:
    """The order of the data and the noise are streams of their own."""
    drawn: list[list[float]] = []

    class Notes(Recorder):
        def loss(self, rows: Tensor) -> Tensor:
            drawn[-1].append(float(torch.rand(())))
            return super().loss(rows)

    for num in (4, 8):
        drawn.append([])
        fit(Notes(), numbered(num), num_steps=3, batch_size=2)
    assert drawn[0] == drawn[1]
    with seeded(0, "noise"):
        assert drawn[0] == [float(torch.rand(())) for _ in range(3)]


def test_the_order_does_not_depend_on_how_much_noise_the_model_draws() -> None:
    orders = []
    for num_draws in (0, 7):

        class Noisy(Recorder):
            def loss(self, rows: Tensor, num_draws: int = num_draws) -> Tensor:
                torch.rand(num_draws)
                return super().loss(rows)

        model = Noisy()
        fit(model, numbered(10), num_epochs=3, batch_size=4)
        orders.append(torch.cat([batch[:, 0] for batch in model.trained]))
    assert torch.equal(*orders)


def test_denoiser_draws() -> None:
    """What the tests of seeds rest on: this model's loss does depend on its noise."""
    model = built(Denoiser)
    first = model.loss(rows())
    assert not torch.equal(first, model.loss(rows()))


def test_no_two_streams_of_a_run_share_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, order, noise, validation and callbacks: each begins where no other does."""

    class Draws(Callback):
        def after_step(self, step: Step) -> None:
            torch.rand(())

    class Noisy(Recorder):
        def loss(self, rows: Tensor) -> Tensor:
            torch.rand(())
            return super().loss(rows)

    begun: list[int] = []
    start = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda seed: begun.append(seed) or start(seed))
    with seeded(0):
        model = Noisy()
    fit(model, numbered(8), num_epochs=1, validation=numbered(4), callbacks=[Draws()])
    names = ("noise", "order", "callbacks", "validation")
    assert sorted(begun) == sorted([0, *(stream_seed(0, name) for name in names)])
    assert len(set(begun)) == 5


class Holds(nn.Module):
    """A weight, a mask of infinities, and a buffer that was NaN before training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("gap", torch.tensor([torch.nan]))
        self.register_buffer("count", torch.tensor(3))


def test_what_a_run_may_carry_along_and_what_not() -> None:
    model = Holds()
    optimizer = torch.optim.Adam(model.parameters())
    model.weight.sum().backward()
    optimizer.step()
    bad = partial(bad_number, model, [optimizer], from_the_start={"gap"})
    assert bad() is None
    assert bad_number(model, [optimizer]) == "the buffer gap"
    kept = optimizer.state[model.weight]
    kept["step"].fill_(torch.inf)  # no memory of a gradient: its shape is not the weight's
    assert bad() is None
    kept["exp_avg"][1] = torch.inf
    assert bad() == "the optimiser's exp_avg of weight"
    model.mask[0] = torch.nan
    assert bad() == "the buffer mask"
    for value in (torch.nan, torch.inf):
        model.weight.data[0] = value
        assert bad() == "the parameter weight"
    model.weight.data.fill_(1e30)  # whose norm overflows single precision
    model.mask.zero_()
    kept["exp_avg"].zero_()
    assert bad() is None
