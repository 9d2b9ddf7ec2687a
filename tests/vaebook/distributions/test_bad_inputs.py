"""Everything public in ``distributions`` refuses what it cannot mean, in words of its own.

Each argument in turn is replaced by things of other kinds. What comes is either a result, or a
``ValueError`` that the package raised: never an error from the depths of torch.
"""

import inspect
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import AffineTransform, Independent, Normal

import vaebook
from tests.properties import normal, uniform
from vaebook import distributions as d

PACKAGE = Path(vaebook.__file__).parent
SHAPE = (1, 8, 8)
# what nothing takes, so that it must be refused
NOTHING: dict[str, Any] = {
    "object": object(),
    "complex": torch.ones(3, 2, dtype=torch.complex64),
    "sparse": torch.eye(3).to_sparse(),
    "text": "x",
}
# what some arguments take and others do not
OTHERS: dict[str, Any] = {
    "None": None,
    "list": [1.0, "a"],
    "negative": -1,
    "zero": 0,
    "fraction": 2.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "array": np.ones((3, 2)),
    "whole numbers": torch.ones(5, 3, dtype=torch.long),
    "one number": torch.tensor(1.0),
    "no rows": torch.zeros(0, 3),
    "another shape": torch.full((4, 7), 0.5),
    "a dimension more": torch.full((2, 3, 4), 0.5),
    "NaN inside": torch.full((5, 3), float("nan")),
    "distribution": Normal(torch.zeros(4), torch.ones(4)),
    "empty": (),
}
RECORDS = {"FlowState", "LossConvention", "LossTranslation", "MonteCarlo", "SampleGradients"}
ABSTRACT = {"Likelihood", "Prior"}


def drift(x: Tensor, t: Tensor) -> Tensor:
    return x


def divergence(x: Tensor, t: Tensor) -> Tensor:
    return x.sum(-1)


def square(z: Tensor) -> Tensor:
    return z.square().sum(-1)


@cache
def calls() -> dict[str, dict[str, Any]]:
    """For each function or class arguments that it takes."""
    mu, log_var = normal(0, 5, 3).float(), normal(1, 5, 3).float()
    gaussian = {"mu": mu, "log_var": log_var}
    q, standard = d.DiagonalGaussian(mu, log_var), d.standard_normal(2)
    line = Normal(torch.tensor(0.0), torch.tensor(1.0))
    grid = {"low": -9, "high": 9, "num_points": 500}
    codes, draws = normal(2, 60, 2).float(), normal(3, 7, 5, 3).float()
    pairs = {"noise": codes, "codes": codes, "t": uniform(4, 60).float()}
    images = uniform(5, 6, *SHAPE).float()
    kernel = {"x": codes, "y": codes, "kernel": "imq", "scales": (1.0,)}
    size, spline = {"latent_dim": 2}, {"num_transforms": 1, "hidden": (8,), "num_bins": 4}
    flow = {"velocity": drift, "num_steps": 2, "divergence": divergence}
    fitting = {"num_epochs": 1, "seed": 0}
    table: dict[str, dict[str, Any]] = {
        "gaussian_kl": gaussian,
        "gaussian_kl_diagonal": {**gaussian, "prior_mu": mu, "prior_log_var": log_var},
        "gaussian_kl_full": {
            "mu": mu,
            "scale_tril": torch.eye(3),
            "prior_mu": mu[0],
            "prior_scale_tril": torch.eye(3),
        },
        "gaussian_kl_quadrature": {"mu": 0.3, "log_var": 0.1},
        "kl": {"q": q, "p": d.standard_normal(3)},
        "monte_carlo_kl": {"q": q, "p": d.standard_normal(3), "num_samples": 4},
        "quadrature_kl": {"q": line, "p": line, **grid},
        "jensen_shannon": {"p": line, "g": line, **grid},
        "reparameterise": {**gaussian, "noise": draws[0]},
        "DiagonalGaussian": gaussian,
        "standard_normal": size,
        "unit_laplace": size,
        "unit_uniform": size,
        "kernel_matrix": kernel,
        "mmd": kernel,
        "fit_box": {"codes": codes},
        "BoxCorners": {"codes": codes},
        "fit_gaussian": {"codes": codes},
        "fit_diagonal_gaussian": {"codes": codes},
        "fit_mixture": {"codes": codes, "num_components": 2, "seed": 0},
        "fit_flow": {"codes": codes, "lr": 1e-3, **fitting},
        "fit_flow_matching": {
            "codes": codes,
            "base": standard,
            "scale": 1.0,
            "batch_size": 16,
            "lr": 1e-2,
            "hidden": 8,
            "num_steps": 3,
            **fitting,
        },
        "SplineFlow": {**size, **spline},
        "FlowDistribution": {
            "transform": AffineTransform(torch.zeros(2), torch.ones(2), event_dim=1),
            "base": standard,
        },
        "straight_path": pairs,
        "flow_matching_loss": {"velocity": drift, **pairs},
        "gaussian_velocity": {"mean": torch.zeros(2), "std": torch.ones(2)},
        "empirical_velocity": {"codes": codes},
        "exact_divergence": {"velocity": drift},
        "VelocityNetwork": {**size, "hidden": 8},
        "integrate": {**flow, "points": codes, "start": 0.0, "end": 1.0},
        "ContinuousFlow": {**flow, "base": standard},
        "score_function_gradient": {"f": square, "q": q, "noise": draws, "baseline": 0.0},
        "pathwise_gradient": {"f": square, "q": q, "noise": draws},
        "leave_one_out": {"values": draws},
        "Mixture": {"log_weights": torch.full((5,), 0.2).log(), "components": q},
        "truncate": {"density": q, "factor": 0.7},
        "HypersphericalUniform": {"dim": 3},
        "PowerSpherical": {
            "direction": nn.functional.normalize(mu, dim=-1),
            "concentration": torch.ones(5),
        },
        "StretchedBeta": {
            "alpha": torch.ones(5, 2),
            "beta": torch.ones(5, 2),
            "low": torch.zeros(2),
            "high": torch.ones(2),
        },
        "LearnedGaussianPrior": {**size, "covariance": "full"},
        "MixturePrior": {**size, "num_components": 3},
        "VampPrior": {"pseudo_inputs": images, **size},
        "FlowPrior": {**size, **spline},
        "FixedPrior": {"distribution": standard},
        "as_prior": {"prior": standard, **size},
        "fit_codes": {
            "codes": torch.arange(180).reshape(60, 3) % 4,
            "codebook_size": 4,
            **fitting,
        },
        "MADE": {"num_variables": 3, "hidden": (8,), "num_values": 4},
        "AutoregressiveCodes": {"network": d.MADE(3, (8,), num_values=4)},
        "translate_loss": {
            "image_shape": SHAPE,
            "latent_dim": 2,
            "reconstruction": "squared error",
            "over_pixels": "sum",
            "over_latents": "sum",
            "reconstruction_weight": 1.0,
            "kl_weight": 1.0,
        },
        "grey_level_log_prob": {
            "pixels": d.PixelGaussianLikelihood(SHAPE)(images),
            "images": (images * 255).round() / 255,
            "levels": 256,
        },
        "optimal_sigma": {"images": images, "means": images},
        "AutoregressiveLikelihood": {"image_shape": SHAPE},
        "PixelGaussianLikelihood": {"image_shape": SHAPE},
    }
    for name in d.__all__:
        if name.endswith("Likelihood") and name not in table and name not in ABSTRACT:
            parameters = inspect.signature(getattr(d, name)).parameters.values()
            own = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            table[name] = {p.name: p.default for p in own}
    return table


ARGUMENTS = [(name, key) for name, arguments in calls().items() for key in arguments]


def refusal(name: str, key: str, bad: object) -> str | None:
    """The message of the package's refusal; ``None`` if the argument was taken."""
    function: Callable[..., object] = getattr(d, name)
    refused: ValueError | None = None
    try:
        function(**{**calls()[name], key: bad})
    except ValueError as error:
        refused = error
    if refused is None:
        return None
    raised_in = Path(traceback.extract_tb(refused.__traceback__)[-1].filename)
    assert PACKAGE in raised_in.parents, f"not ours: {refused}"
    return str(refused)


def test_nothing_public_is_left_out() -> None:
    functions = {name for name in d.__all__ if callable(getattr(d, name))}
    assert functions - set(calls()) == RECORDS | ABSTRACT


@pytest.mark.parametrize("name", calls())
def test_good_arguments_are_taken(name: str) -> None:
    getattr(d, name)(**calls()[name])


@pytest.mark.parametrize(("name", "key"), ARGUMENTS)
def test_what_is_refused_is_refused_in_our_words(name: str, key: str) -> None:
    for kind, bad in OTHERS.items():
        message = refusal(name, key, bad)
        assert message is None or len(message) > 20, kind


@pytest.mark.parametrize(("name", "key"), ARGUMENTS)
def test_what_means_nothing_is_refused(name: str, key: str) -> None:
    for kind, bad in NOTHING.items():
        message = refusal(name, key, bad)
        assert message is not None, f"{kind} was taken"
        assert "expected" in message, kind


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("quadrature_kl", "num_points"),
        ("jensen_shannon", "num_points"),
        ("monte_carlo_kl", "num_samples"),
        ("SplineFlow", "num_bins"),
        ("HypersphericalUniform", "dim"),
        ("fit_codes", "codebook_size"),
        ("DiscretizedLogisticLikelihood", "levels"),
        ("grey_level_log_prob", "levels"),
    ],
)
def test_where_one_is_too_few_it_is_refused(name: str, key: str) -> None:
    message = refusal(name, key, 1)
    assert message is not None
    assert message.startswith(f"{key} is 1")


@pytest.mark.parametrize(
    ("name", "key", "least"),
    [
        ("monte_carlo_kl", "num_samples", 2),
        ("SplineFlow", "num_bins", 2),
        ("HypersphericalUniform", "dim", 2),
        ("fit_codes", "seed", 0),
        ("fit_mixture", "seed", 0),
        ("fit_mixture", "num_components", 1),
        ("DiscretizedLogisticLikelihood", "levels", 2),
        ("translate_loss", "latent_dim", 1),
    ],
)
def test_the_least_number_is_enough(name: str, key: str, least: int) -> None:
    assert refusal(name, key, least) is None
    assert (refusal(name, key, least - 1) or "").startswith(f"{key} is {least - 1}")


def test_two_codebook_vectors_and_two_grey_levels_are_enough() -> None:
    d.fit_codes(torch.tensor([[0, 1]]), 2)
    black = torch.zeros(1, *SHAPE)
    d.grey_level_log_prob(d.PixelGaussianLikelihood(SHAPE)(black), black, levels=2)


# Two points are a grid, on which a narrow density has no mass; that is another refusal.
@pytest.mark.parametrize("name", ["quadrature_kl", "jensen_shannon"])
def test_two_points_are_a_grid(name: str) -> None:
    assert "integrates to" in (refusal(name, "num_points", 2) or "")


@pytest.mark.parametrize(
    ("name", "fewest"),
    [
        ("fit_box", 2),
        ("BoxCorners", 2),
        ("fit_diagonal_gaussian", 2),
        ("fit_gaussian", 3),  # more codes than their two dimensions
        ("fit_mixture", 5),  # more codes than two components times two dimensions
        ("fit_flow", 20),
        ("fit_flow_matching", 20),
        ("empirical_velocity", 1),
    ],
)
def test_how_few_codes_are_enough(name: str, fewest: int) -> None:
    codes = normal(6, 60, 2).float()
    assert refusal(name, "codes", codes[:fewest]) is None
    message = refusal(name, "codes", codes[: fewest - 1])
    assert message is not None
    assert "expected a tensor" in message or "too few" in message


def test_how_few_rows_are_enough_for_a_network() -> None:
    rows = torch.arange(60).reshape(20, 3) % 4
    d.fit_codes(rows, 4, autoregressive=True, num_epochs=1)
    with pytest.raises(ValueError, match="19 rows of codes are too few"):
        d.fit_codes(rows[1:], 4, autoregressive=True, num_epochs=1)
    with pytest.raises(ValueError, match="with at least one row; given 0 rows"):
        d.fit_codes(rows[:0], 4)


# Arguments that must have as many numbers as another one.
FITTING = [
    *(("gaussian_kl", key) for key in ("mu", "log_var")),
    *(("gaussian_kl_diagonal", k) for k in ("mu", "log_var", "prior_mu", "prior_log_var")),
    *(("gaussian_kl_full", k) for k in ("mu", "scale_tril", "prior_mu", "prior_scale_tril")),
    *(("reparameterise", key) for key in ("mu", "log_var", "noise")),
    *(("kernel_matrix", key) for key in ("x", "y")),
    *(("straight_path", key) for key in ("noise", "codes", "t")),
    *(("gaussian_velocity", key) for key in ("mean", "std")),
    ("fit_flow_matching", "codes"),
    ("score_function_gradient", "noise"),
    ("pathwise_gradient", "noise"),
    ("Mixture", "log_weights"),
    ("PowerSpherical", "concentration"),
    *(("StretchedBeta", key) for key in ("alpha", "beta", "low", "high")),
    *(("optimal_sigma", key) for key in ("images", "means")),
]


@pytest.mark.parametrize(("name", "key"), FITTING)
def test_neither_one_number_more_nor_one_fewer_is_taken(name: str, key: str) -> None:
    good = calls()[name][key]
    more = torch.cat([good, good[..., :1]], -1)
    for bad in (more, good[..., :-1]):
        message = refusal(name, key, bad)
        assert message is not None, tuple(bad.shape)
        assert "expected" in message


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("kernel_matrix", "x"),
        ("kernel_matrix", "y"),
        ("integrate", "points"),
        ("fit_codes", "codes"),
        ("empirical_velocity", "codes"),
    ],
)
def test_neither_a_row_nor_a_stack_is_a_table(name: str, key: str) -> None:
    good = calls()[name][key]
    for bad in (good[0], torch.stack([good, good])):
        assert "expected" in (refusal(name, key, bad) or "")


# Sums over these would be wrong in whole numbers, or their gradients missing.
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gaussian_kl_full", "scale_tril"),
        ("gaussian_kl_full", "prior_scale_tril"),
        ("kernel_matrix", "x"),
        ("kernel_matrix", "y"),
        ("straight_path", "t"),
        ("integrate", "points"),
        ("score_function_gradient", "noise"),
        ("leave_one_out", "values"),
        ("Mixture", "log_weights"),
        ("PowerSpherical", "direction"),
        ("PowerSpherical", "concentration"),
    ],
)
def test_whole_numbers_of_the_right_shape_are_refused(name: str, key: str) -> None:
    message = refusal(name, key, calls()[name][key].long())
    assert message is not None
    assert message.startswith(("the ", key))
    assert "expected floats" in message


def standard(*size: int, batch: tuple[int, ...] = ()) -> Independent:
    """N(0, I) over events of a shape."""
    shape = batch + size
    return Independent(Normal(torch.zeros(shape), torch.ones(shape)), len(size))


@pytest.mark.parametrize("size", [(), (1,), (3,), (2, 2)])
@pytest.mark.parametrize(("name", "key"), [("as_prior", "prior"), ("fit_flow_matching", "base")])
def test_a_prior_of_codes_of_two_numbers(name: str, key: str, size: tuple[int, ...]) -> None:
    assert "over events of shape" in (refusal(name, key, standard(*size)) or "")


@pytest.mark.parametrize("size", [(), (2, 2)])
def test_a_number_and_a_matrix_are_no_vector(size: tuple[int, ...]) -> None:
    for name, key in (("truncate", "density"), ("FixedPrior", "distribution")):
        assert "expected vectors" in (refusal(name, key, standard(*size)) or "")
    components = standard(*size, batch=(5,))
    assert "expected vectors" in (refusal("Mixture", "components", components) or "")


def test_two_numbers_are_not_integrated_over_a_line() -> None:
    for key in ("q", "p"):
        message = refusal("quadrature_kl", key, d.standard_normal(1))
        assert "expected one number each" in (message or "")
    with pytest.raises(ValueError, match="expected one number each"):
        d.quadrature_kl(d.standard_normal(2), d.standard_normal(2), low=-9, high=9)
    one = d.standard_normal(1)
    assert float(d.quadrature_kl(one, one, low=-9, high=9)) == 0
    assert "expected low < high" in (refusal("quadrature_kl", "high", -9) or "")


@pytest.mark.parametrize(("key", "edge"), [("factor", 1.0), ("dropout", 0.0)])
def test_the_edge_is_taken_and_what_lies_beyond_is_not(key: str, edge: float) -> None:
    name = {"factor": "truncate", "dropout": "AutoregressiveLikelihood"}[key]
    function, arguments = getattr(d, name), calls()[name]
    function(**{**arguments, key: edge})
    with pytest.raises(ValueError, match=key):
        function(**{**arguments, key: edge + 0.01 if edge else -0.01})


@pytest.mark.parametrize("kind", [d.PixelGaussianLikelihood, d.PredictedGaussianLikelihood])
def test_a_sigma_starts_above_its_floor(kind: type) -> None:
    arguments = {"image_shape": SHAPE} if kind is d.PixelGaussianLikelihood else {}
    kind(**arguments, initial_sigma=0.051, floor=0.05)
    with pytest.raises(ValueError, match="expected to start above the floor"):
        kind(**arguments, initial_sigma=0.05, floor=0.05)


def test_a_baseline_fits_the_values() -> None:
    for good in (torch.tensor(0.5), torch.zeros(5), torch.zeros(7, 5), torch.zeros(1, 5)):
        assert refusal("score_function_gradient", "baseline", good) is None
    for bad in (torch.zeros(4), torch.zeros(6), torch.zeros(2, 5), torch.zeros(1, 7, 5)):
        message = refusal("score_function_gradient", "baseline", bad)
        assert "expected a number, (5,) or (7, 5)" in (message or "")
    whole = torch.zeros(5, dtype=torch.long)
    assert "expected floats" in (refusal("score_function_gradient", "baseline", whole) or "")


# --- what is meant where nothing is said --------------------------------------------------------

# What the chapters' models and the records were made with.
DEFAULTS: dict[str, dict[str, Any]] = {
    "integrate": {"start": 0.0, "end": 1.0, "num_steps": 20},
    "ContinuousFlow": {"num_steps": 20},
    "fit_mixture": {"num_components": 10},
    "fit_flow": {"num_epochs": 10, "lr": 3e-3},
    "fit_codes": {"autoregressive": False, "num_epochs": 15},
    "fit_flow_matching": {
        "scale": 1.0,
        "num_epochs": 60,
        "batch_size": 128,
        "lr": 1e-2,
        "hidden": 256,
        "num_steps": 20,
    },
    "SplineFlow": {"num_transforms": 2, "hidden": (64, 64), "num_bins": 8},
    "FlowPrior": {"num_transforms": 2, "hidden": (64, 64), "num_bins": 8},
    "VelocityNetwork": {"hidden": 256},
    "MADE": {"hidden": (256, 256), "num_values": 1},
    "MixturePrior": {"num_components": 50},
    "AutoregressiveLikelihood": {"hidden": (256,), "dropout": 0.0},
    "GaussianLikelihood": {"sigma": 0.1},
    "LearnedGaussianLikelihood": {"initial_sigma": 0.1},
    "PixelGaussianLikelihood": {"initial_sigma": 0.1, "floor": 1 / 255},
    "PredictedGaussianLikelihood": {"initial_sigma": 0.1, "floor": 1 / 255},
    "LaplaceLikelihood": {"scale": 0.1 / 2**0.5},  # a standard deviation of 0.1
    "DiscretizedLogisticLikelihood": {"initial_scale": 0.05, "levels": 256},
    "grey_level_log_prob": {"levels": 256},
    "optimal_sigma": {"per_pixel": False},
    "quadrature_kl": {"num_points": 4001},
    "jensen_shannon": {"num_points": 4001},
    "score_function_gradient": {"baseline": 0.0},
    "translate_loss": {"reconstruction_weight": 1.0, "kl_weight": 1.0},
    "mmd": {"unbiased": True},
    "as_prior": {"learned": True},
}


@pytest.mark.parametrize("name", calls())
def test_what_is_left_out_is_what_the_records_were_made_with(name: str) -> None:
    parameters = inspect.signature(getattr(d, name)).parameters.values()
    plain = {p.name: p.default for p in parameters if isinstance(p.default, int | float | tuple)}
    defaults = {key: value for key, value in plain.items() if key not in ("seed", "scales")}
    assert plain.get("seed", 0) == 0
    assert defaults == DEFAULTS.get(name, {})
    if "scales" in plain:  # those of the program of Tolstikhin et al. (2018)
        assert plain["scales"] == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
