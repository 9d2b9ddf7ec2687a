"""Two models that compute the same are described the same, and any other difference is named."""

import contextlib
import functools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Geometric,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.nn import functional as F

from vaebook.distributions import unit_laplace
from vaebook.models import MLP, VAE, Conv
from vaebook.training import fit, seeded
from vaebook.training.description import description, differences

SHAPE = (1, 4, 4)


class Net(nn.Module):
    """Any user's module."""

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        for name, value in attributes.items():
            setattr(self, name, value)


def normal(scale: float, size: int = 20) -> Distribution:
    return Independent(Normal(torch.zeros(size), torch.full((size,), scale)), 1)


def mixture(weight: float) -> Distribution:
    components = Independent(Normal(torch.zeros(2, 20), torch.ones(2, 20)), 1)
    return MixtureSameFamily(Categorical(torch.tensor([weight, 1 - weight])), components)


def moved(by: float) -> Distribution:
    return TransformedDistribution(normal(1.0), [AffineTransform(by, 1.0)])


def moved_back(by: float) -> Distribution:
    return TransformedDistribution(normal(1.0), [AffineTransform(by, 1.0).inv])


def correlated(value: float) -> Distribution:
    matrix = torch.eye(20)
    matrix[0, 1] = matrix[1, 0] = value
    return MultivariateNormal(torch.zeros(20), matrix)


def scaled(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda x: factor * x


def scaled_by_default(factor: float) -> Callable[[Tensor], Tensor]:
    def scale(x: Tensor, by: float = factor) -> Tensor:
        return by * x

    return scale


PAIRS: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module], str]] = [
    (lambda: VAE(SHAPE, 2), lambda: VAE(SHAPE, 2, beta=4.0), "beta 1.0 then, 4.0 now"),
    (lambda: VAE(SHAPE, 2), lambda: VAE(SHAPE, 2, free_bits=0.1), "free_bits 0.0 then, 0.1 now"),
    (
        lambda: VAE(SHAPE, 2, network=MLP((8,), "relu")),
        lambda: VAE(SHAPE, 2, network=MLP((8,), "tanh")),
        "encoder.2.class 'ReLU' then, 'Tanh' now",
    ),
    (
        lambda: VAE(SHAPE, 2, network=MLP((8,), "leaky relu")),
        lambda: VAE(SHAPE, 2, network=Conv((8,), 16, "leaky relu")),
        "network.class 'MLP' then, 'Conv' now",
    ),
    (
        lambda: VAE(SHAPE, 2, prior=unit_laplace(2)),
        lambda: VAE(SHAPE, 2),
        "^.*prior.distribution.class 'Independent' then, 'DiagonalGaussian' now",
    ),
    (lambda: Net(act=torch.relu), lambda: Net(act=torch.tanh), "relu' then, "),
    (lambda: Net(act=F.elu), lambda: Net(act=F.gelu), "act '.*elu' then, '.*gelu' now"),
    (lambda: Net(act=lambda x: x + 1), lambda: Net(act=lambda x: x + 2), "act "),
    (lambda: Net(act=lambda x: x.exp()), lambda: Net(act=lambda x: x.sin()), "exp.* then, .*sin"),
    (lambda: Net(act=scaled(2.0)), lambda: Net(act=scaled(3.0)), "act .*2.0.* then, .*3.0.* now"),
    (
        lambda: Net(act=scaled_by_default(2.0)),
        lambda: Net(act=scaled_by_default(3.0)),
        "act .*2.0.* then, .*3.0.* now",
    ),
    (
        lambda: Net(act=functools.partial(F.leaky_relu, negative_slope=0.1)),
        lambda: Net(act=functools.partial(F.leaky_relu, negative_slope=0.2)),
        "act.keywords.negative_slope 0.1 then, 0.2 now",
    ),
    (lambda: Net(drop=nn.Dropout(0.1)), lambda: Net(drop=nn.Dropout(0.5)), "drop.p 0.1 then, 0.5"),
    (lambda: Net(sizes=(1, 2)), lambda: Net(sizes=(1, 3)), r"sizes \(1, 2\) then, \(1, 3\) now"),
    (lambda: Net(table={"a": [1]}), lambda: Net(table={"a": [2]}), "table.a"),
    (lambda: Net(name="a"), lambda: Net(), "name 'a' then, absent now"),
    (lambda: Net(on=True), lambda: Net(on=False), "on True then, False now"),
    (lambda: Net(mask=torch.eye(5)), lambda: Net(mask=torch.ones(5, 5)), "mask 'float32"),
    (lambda: Net(p=normal(1.0)), lambda: Net(p=normal(2.0)), "p.base_dist.scale 'float32"),
    (lambda: Net(p=normal(1.0, 2)), lambda: Net(p=normal(2.0, 2)), r"scale 'float32\[2\] \[1.0"),
    (lambda: Net(p=mixture(0.5)), lambda: Net(p=mixture(0.4)), "p.mixture_distribution"),
    (lambda: Net(p=moved(1.0)), lambda: Net(p=moved(2.0)), "transforms.0.loc 1.0 then, 2.0 now"),
    (lambda: Net(p=moved_back(1.0)), lambda: Net(p=moved_back(2.0)), "loc 1.0 then, 2.0 now"),
    (lambda: Net(p=correlated(0.1)), lambda: Net(p=correlated(0.2)), "p.unbroadcasted_scale_tril"),
    (lambda: Net(p=Geometric(0.1)), lambda: Net(p=Geometric(0.2)), "p.probs"),
]


@pytest.mark.parametrize(("one", "other", "message"), PAIRS)
def test_what_differs_is_named(
    one: Callable[[], nn.Module], other: Callable[[], nn.Module], message: str
) -> None:
    assert differences(description(one()), description(one())) == []
    with pytest.raises(AssertionError, match=message):
        assert not differences(description(one()), description(other()))


def test_training_changes_nothing() -> None:
    with seeded(0):
        model = VAE(SHAPE, 2, network=MLP((8,)), prior=unit_laplace(2))
        model.encoder.append(nn.BatchNorm1d(4))
    before = description(model)
    fit(model, torch.rand(20, *SHAPE), num_epochs=1, batch_size=10)
    assert not differences(before, description(model))
    model.to(torch.device("cpu")).requires_grad_(False)
    assert not differences(before, description(model))


def test_use_of_a_distribution_changes_nothing() -> None:
    priors = [
        normal(1.0),
        mixture(0.3),
        moved(1.0),
        moved_back(1.0),
        correlated(0.3),
        Geometric(0.2),
    ]
    for prior in priors:
        before = description(Net(p=prior))
        value = prior.sample()
        prior.log_prob(value)
        for name in ("mean", "logits", "probs", "precision_matrix", "covariance_matrix"):
            with contextlib.suppress(NotImplementedError):
                getattr(prior, name, None)
        assert not differences(before, description(Net(p=prior))), prior


def test_compiling_changes_nothing() -> None:
    model = VAE(SHAPE, 2)
    before = description(model)
    assert not differences(before, description(torch.compile(model, backend="eager")))  # type: ignore[arg-type]
    model.compile(backend="eager")
    assert not differences(before, description(model))
    model.encoder = torch.compile(model.encoder, backend="eager")  # type: ignore[assignment]
    assert not differences(before, description(model))


def test_compiling_changes_nothing_where_lightning_is_imported() -> None:
    """Lightning notes on the module how it was compiled."""
    pytest.importorskip("lightning")
    model = VAE(SHAPE, 2)
    before = description(model)
    compiled = torch.compile(model, backend="eager")
    assert description(compiled) == before == description(model)  # type: ignore[arg-type]


def test_buffers_that_are_not_saved_count_where_asked() -> None:
    class Range(nn.Module):
        def __init__(self, high: float) -> None:
            super().__init__()
            self.register_buffer("high", torch.full((3,), high), persistent=False)
            self.register_buffer("mean", torch.full((3,), high))

    one, other = Range(1.0), Range(2.0)
    assert [line.split()[0] for line in differences(description(one), description(other))] == [
        "high"
    ]
    without = [description(model, tensors=False) for model in (one, other)]
    assert not differences(*without)


def test_all_values_are_plain() -> None:
    class Loop:
        def __init__(self) -> None:
            self.me = self

    model = Net(
        loop=Loop(), numbers=[float("nan"), 1], kind=torch.float64, word=b"a", big=range(3),
        generator=torch.Generator(), tensors=[torch.zeros(2), torch.zeros(3)], hidden=[nn.ReLU()],
    )  # fmt: skip
    described = description(model)
    assert all(isinstance(v, bool | int | float | str | tuple | None) for v in described.values())
    assert described["hidden.0.class"] == "ReLU"
    assert not differences(described, description(model)), "NaN differs from itself"


def test_it_takes_any_module_and_half_and_double_tensors() -> None:
    for dtype in (torch.bfloat16, torch.float64, torch.complex64, torch.int64, torch.bool):
        one, other = torch.zeros(20, dtype=dtype), torch.ones(20, dtype=dtype)
        assert not differences(description(Net(t=one)), description(Net(t=one.clone())))
        assert differences(description(Net(t=one)), description(Net(t=other)))
    shared: Tensor = torch.zeros(2)
    assert description(Net(t=shared))["class"] == "Net"
    assert description(nn.Sequential())["class"] == "Sequential"


@pytest.mark.parametrize(
    ("wrap", "deepest"),
    [
        (lambda value: {"in": value}, 6),
        (lambda value: SimpleNamespace(inner=value), 6),
        (lambda value: [{"in": value}], 3),  # two levels each
        (lambda value: functools.partial(max, value), 2),  # its parts, their tuple, what is there
    ],
    ids=["mapping", "object", "list", "partial"],
)
def test_settings_are_told_apart_six_levels_down_and_no_further(
    wrap: Callable[[object], object], deepest: int
) -> None:
    one, other = 1.0, 2.0
    for level in range(1, deepest + 2):
        one, other = wrap(one), wrap(other)  # type: ignore[assignment]
        apart = description(Net(act=one)) != description(Net(act=other))
        assert apart == (level <= deepest), level
