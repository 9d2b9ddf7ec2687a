"""What holds for every measure: what it takes and refuses, that it never trains, on any device."""

import copy
import inspect
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from tests.properties import normal, uniform
from tests.vaebook.metrics.measure_table import (
    SHAPE,
    BatchNormed,
    all_measures,
    call,
    numbers,
    small_vae,
    table,
)
from vaebook.distributions import DiagonalGaussian, standard_normal
from vaebook.metrics import (
    draw_aggregate,
    flagged,
    importance_log_weights,
    mmd_test,
    precision_recall,
)
from vaebook.models import MLP, VAE, Autoencoder, ConditionalVAE

close = torch.testing.assert_close
NAN = float("nan")
ROWS = [(name, key) for name, row in table().items() for key in row]
TABLES = ("table", "items", "matrix", "log-weights")
DATA = (*TABLES, "images", "images of the model", "pixels", "vector")


def nan_inside(*shape: int) -> torch.Tensor:
    values = torch.full(shape, 0.5)
    values.view(-1)[0] = NAN
    return values


def bad_gaussians(good_batch: torch.Size) -> dict[str, tuple[Any, str]]:
    of_three = DiagonalGaussian(torch.zeros(*good_batch, 3), torch.zeros(*good_batch, 3))
    batch = DiagonalGaussian(torch.zeros(5, 2), torch.zeros(5, 2))
    return {
        "none": ("q", "str"),
        "a batch of five": (batch, "(5,)"),
        "three dimensions": (of_three, "(3,)"),
    }


NOTHING: dict[str, tuple[Any, str]] = {
    "None": (None, "NoneType"),
    "text": ("x", "str"),
    "texts": (["a", "b"], "list"),
    "ragged": ([[1.0], [1.0, 2.0]], "list"),
    "objects": (np.array([object()]), "ndarray"),
    "complex": (torch.ones(3, 2, dtype=torch.complex64), "complex64"),
}
IMAGES: dict[str, tuple[Any, str]] = NOTHING | {
    "no channel": (torch.rand(4, 8, 8), "(4, 8, 8)"),
    "none at all": (torch.rand(0, 1, 8, 8), "(0, 1, 8, 8)"),
    "NaN": (nan_inside(2, *SHAPE), "NaN"),
    "bytes": (torch.ones(2, *SHAPE, dtype=torch.uint8), "uint8"),
    "bytes of numpy": (np.ones((2, *SHAPE), dtype=np.uint8), "uint8"),
    "up to 255": (255 * torch.rand(2, *SHAPE), "lies in"),
}
ROWS_OF_NUMBERS: dict[str, tuple[Any, str]] = NOTHING | {
    "a vector": (torch.rand(30), "(30,)"),
    "no rows": (torch.rand(0, 3), "(0, 3)"),
    "no columns": (torch.rand(30, 0), "(30, 0)"),
    "NaN": (nan_inside(30, 3), "NaN"),
    "infinity": (torch.full((30, 3), float("inf")), "infinite"),
    "mixed columns": (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), "DataFrame"),
}
BAD: dict[str, dict[str, tuple[Any, str]]] = {
    "model": {
        "None": (None, "NoneType"),
        "text": ("vae", "str"),
        "autoencoder": (Autoencoder(SHAPE, 2, network=MLP((8,))), "Autoencoder"),
        "conditional": (
            ConditionalVAE(SHAPE, 2, condition_dim=3, network=MLP((8,))),
            "ConditionalVAE",
        ),
    },
    "generator": {
        "text": ("gan", "str"),
        "autoencoder": (Autoencoder(SHAPE, 2, network=MLP((8,))), "Autoencoder"),
    },
    "images": IMAGES,
    "images of the model": IMAGES | {"another shape": (torch.rand(2, 1, 9, 9), "(1, 9, 9)")},
    "pixels": NOTHING
    | {
        "no channel": (torch.rand(4, 8, 8), "(4, 8, 8)"),
        "none at all": (torch.rand(0, 1, 8, 8), "(0, 1, 8, 8)"),
        "NaN": (nan_inside(2, *SHAPE), "NaN"),
    },
    "table": ROWS_OF_NUMBERS | {"three dimensions": (torch.rand(30, 3, 1), "(30, 3, 1)")},
    "items": ROWS_OF_NUMBERS,
    "matrix": NOTHING
    | {
        "not square": (torch.rand(3, 2), "(3, 2)"),
        "a vector": (torch.rand(3), "(3,)"),
        "not symmetric": (torch.tensor([[1.0, 2, 0], [0, 1, 0], [0, 0, 1]]), "differ by up to 2"),
        "NaN": (nan_inside(3, 3), "NaN"),
    },
    "vector": NOTHING
    | {
        "a column": (torch.rand(40, 1), "(40, 1)"),
        "a number": (torch.tensor(1.0), "()"),
        "empty": (torch.rand(0), "(0,)"),
        "NaN": (nan_inside(40), "NaN"),
    },
    "log-weights": NOTHING
    | {"empty": (torch.rand(0, 4), "(0, 4)"), "NaN": (nan_inside(6, 4), "NaN")},
    "reference": {"None": (None, "NoneType"), "pictures": (torch.rand(2, *SHAPE), "Tensor")},
    "function": {"text": ("fit", "fit"), "None": (None, "None")},
    "nearest dogs": {"text": ("dogs", "str"), "distances": (torch.rand(2), "Tensor")},
    "names of measures": {repr(bad): (bad, repr(bad)) for bad in ("dogs", ["coverage"], None, 3)},
    "factor names": {repr(bad): (bad, repr(bad)) for bad in ("size", (), ("length",))},
    "count": {repr(bad): (bad, repr(bad)) for bad in (0, -1, 1.5, "3", True, [2])},
    "seed": {repr(bad): (bad, repr(bad)) for bad in (-1, 0.5, "0", 2**64, True)},
    "real": {repr(bad): (bad, repr(bad)) for bad in (NAN, float("inf"), "1", None, [1.0])},
    "positive": {repr(bad): (bad, repr(bad)) for bad in (0, -1.0, NAN, float("inf"), "1", None)},
    "share": {repr(bad): (bad, repr(bad)) for bad in (0, 1.0, 1.5, -0.1, NAN, "0.5", None)},
    "posterior": {
        "None": (None, "NoneType"),
        "one picture's": (standard_normal(2), "()"),
        "another family": (
            MultivariateNormal(torch.zeros(4, 2), torch.eye(2)),
            "MultivariateNormal",
        ),
        "NaN": (DiagonalGaussian(nan_inside(4, 2), torch.zeros(4, 2), False), "NaN"),
    },
    "proposal": bad_gaussians(torch.Size()),
    "Gaussian of each image": bad_gaussians(torch.Size([12])),
    "single Gaussian": bad_gaussians(torch.Size()),
    "gaussian": {
        "text": ("N", "str"),
        "another family": (standard_normal(3), "DiagonalGaussian"),
        "a batch": (MultivariateNormal(torch.zeros(4, 3), torch.eye(3)), "(4,)"),
        "two dimensions": (MultivariateNormal(torch.zeros(2), torch.eye(2)), "2"),
    },
}
CASES = [
    pytest.param(name, key, bad, given, id=f"{name}-{key}-{what}")
    for name, row in table().items()
    for key, argument in row.items()
    for what, (bad, given) in BAD[argument.kind].items()
    if not (name == "mahalanobis" and what == "two dimensions")
]


def refused(name: str, *names: str, given: str, **changed: Any) -> None:
    """The measure raises an error that names the arguments and says what was given and expected."""
    with pytest.raises((ValueError, TypeError)) as error:
        call(name, **changed)
    message = str(error.value)
    for argument in names:
        assert re.search(rf"\b{argument}\b", message), message
    assert given in message, message
    assert re.search(r"expect(ed|s)|give at least", message), message


def test_the_table_has_a_row_for_every_measure_and_every_argument() -> None:
    assert sorted(table()) == sorted(all_measures())
    for name, measure in all_measures().items():
        code = measure.__wrapped__.__code__ if hasattr(measure, "__wrapped__") else measure.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        assert set(table()[name]) == set(code.co_varnames[:count]), name


@pytest.mark.parametrize("name", table())
def test_what_the_table_gives_is_taken(name: str) -> None:
    for found in numbers(call(name)):
        assert found.isfinite().all()


@pytest.mark.parametrize(("name", "key", "bad", "given"), CASES)
def test_bad_input_is_refused_with_the_cure(name: str, key: str, bad: Any, given: str) -> None:
    refused(name, key, given=given, **{key: bad})


@pytest.mark.parametrize(
    ("name", "names", "given", "changed"),
    [
        ("active_units", ["images"], "1 images", {"images": torch.rand(1, *SHAPE)}),
        ("aggregate_log_prob", ["codes"], "(9, 3)", {"codes": torch.rand(9, 3)}),
        ("choose_threshold", ["validation"], "10 scores", {"validation": torch.rand(10)}),
        ("classifier_test", ["x", "y"], "30 and 29", {"y": torch.rand(29, 3)}),
        ("classifier_test", ["x", "y"], "9 and 9", {"x": torch.rand(9, 3), "y": torch.rand(9, 3)}),
        ("classifier_test", ["seed"], str(2**32), {"seed": 2**32}),
        ("factor_overlap", ["factors"], "(9, 15)", {"factors": torch.rand(9, 15)}),
        ("frechet_distance", ["real"], "(1, 3)", {"real": torch.rand(1, 3)}),
        ("frechet_distance", ["real", "generated"], "(30, 4)", {"generated": torch.rand(30, 4)}),
        ("gaussian_frechet", ["mean", "other_mean"], "(4,)", {"other_mean": torch.rand(4)}),
        ("gaussian_frechet", ["covariance"], "(4, 4)", {"covariance": torch.eye(4)}),
        ("gradient_energy", ["values"], "(2, 1, 1, 8)", {"values": torch.rand(2, 1, 1, 8)}),
        ("grid_posterior", ["model"], "latent_dim is 3", {"model": VAE(SHAPE, 3)}),
        ("invert", ["num_candidates"], "1", {"num_candidates": 1}),
        ("kolmogorov_smirnov", ["x", "y"], "(30, 4)", {"y": torch.rand(30, 4)}),
        ("laplace_proposal", ["model"], "Mixture", {"model": "mixture"}),
        ("log_mean_weight", ["num_samples"], "7", {"num_samples": 7}),
        ("mahalanobis", ["codes"], "(9, 2)", {"codes": torch.rand(9, 2)}),
        ("minibatch_mutual_information", ["batch_size"], "13", {"batch_size": 13}),
        ("mmd_test", ["x"], "(1, 3)", {"x": torch.rand(1, 3)}),
        ("mmd_test", ["x", "y"], "(30, 4)", {"y": torch.rand(30, 4)}),
        ("nearest_distance", ["images"], "(2, 1, 8, 7)", {"images": torch.rand(2, 1, 8, 7)}),
        ("nearest_dog", ["images"], "(2, 3, 32, 32)", {"images": torch.rand(2, 3, 32, 32)}),
        ("nearest_dog", ["images"], "(2, 1, 7, 7)", {"images": torch.rand(2, 1, 7, 7)}),
        ("neighbour_distance", ["images", "known"], "(20, 5)", {"known": torch.rand(20, 5)}),
        ("neighbour_distance", ["known", "num_neighbours"], "20 pictures", {"num_neighbours": 21}),
        ("novelty", ["held_out_distance"], "0", {"held_out_distance": torch.zeros(9)}),
        ("power_spectrum", ["images"], "8×6", {"images": torch.rand(2, 1, 8, 6)}),
        ("precision_recall", ["real", "num_neighbours"], "20 items", {"num_neighbours": 20}),
        ("precision_recall", ["real", "generated"], "(20, 5)", {"generated": torch.rand(20, 5)}),
        ("principal_dimensions", ["codes"], "do not vary", {"codes": torch.ones(9, 3)}),
        ("relative_sharpness", ["real"], "constant", {"real": torch.ones(2, *SHAPE)}),
        ("share_in_orthants_of", ["codes", "reference"], "(9, 2)", {"codes": torch.rand(9, 2)}),
        ("sharpness", ["images"], "(2, 1, 1, 8)", {"images": torch.rand(2, 1, 1, 8)}),
        ("spectral_energy", ["values"], "8×6", {"values": torch.rand(2, 1, 8, 6)}),
    ],
)
def test_what_does_not_fit_together_is_refused(
    name: str, names: list[str], given: str, changed: dict[str, Any]
) -> None:
    if changed == {"model": "mixture"}:
        torch_prior = MultivariateNormal(torch.zeros(2), 2 * torch.eye(2))
        changed, given = {"model": VAE(SHAPE, 2, prior=torch_prior)}, "MultivariateNormal"
    refused(name, *names, given=given, **changed)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("grid_posterior", "num_points"),
        ("quadrature_elbo", "num_nodes"),
        ("frechet_bias", "num_real"),
        ("frechet_bias", "num_generated"),
        ("split_rate", "num_samples"),
    ],
)
def test_where_one_is_too_few_it_is_refused(name: str, key: str) -> None:
    refused(name, key, given="is 1", **{key: 1})


def test_channels_first_and_last_are_no_neighbours() -> None:
    with pytest.raises(ValueError, match=r"\(9, 3, 8, 8\) and \(9, 8, 8, 3\)"):
        precision_recall(torch.rand(9, 3, 8, 8), torch.rand(9, 8, 8, 3))
    images = torch.rand(9, 3, 8, 8)
    assert precision_recall(images, images.flatten(1)) == (1.0, 1.0)


# --- what can be meant --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"), [row for row in ROWS if table()[row[0]][row[1]].kind in DATA]
)
def test_numbers_of_any_holder_are_taken(name: str, key: str) -> None:
    argument = table()[name][key]
    array = argument.value.numpy()
    array = array.copy()
    array.flags.writeable = False  # as pandas gives them
    others = [
        argument.value.double(),
        array,
        array[::-1][::-1],
        array.astype(">f8"),
        array.tolist(),
    ]
    others.append(argument.value.clone().requires_grad_())
    if argument.kind in TABLES:
        others.append(pd.DataFrame(array))
    expected = numbers(call(name))
    for other in others if name not in ("nearest_dog", "validity") else others[:3]:
        for found, number in zip(numbers(call(name, **{key: other})), expected, strict=True):
            close(found.detach().double(), number.detach().double(), rtol=1e-3, atol=1e-4)


def test_a_list_of_tensors_that_carry_gradients_is_refused_in_our_words() -> None:
    refused("auroc", "normal", given="list", normal=[torch.ones(2, requires_grad=True)])


def test_whole_numbers_and_short_floats_are_taken() -> None:
    items = torch.arange(40).reshape(20, 2) ** 2 % 23
    expected = precision_recall(items.double(), items.double() + 3)
    assert precision_recall(items, items + 3) == expected
    assert precision_recall(items.half(), items.bfloat16() + 3) == expected
    assert flagged(torch.tensor([1, 2, 3]), 2) == pytest.approx(1 / 3)
    assert flagged(torch.tensor([True, False]), torch.tensor(0.5)) == 0.5


def test_seeds_and_counts_of_numpy_are_taken() -> None:
    assert mmd_test(
        normal(0, 5, 2), normal(1, 5, 2), seed=np.int64(0), num_permutations=np.int32(9)
    )
    q = DiagonalGaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    assert torch.equal(
        draw_aggregate(q, np.int64(4), seed=np.int32(5)), draw_aggregate(q, 4, seed=5)
    )


# --- measures never train -----------------------------------------------------------------------

WITH_MODEL = [name for name, row in table().items() if "model" in row]


@pytest.mark.parametrize("name", WITH_MODEL)
def test_a_model_in_training_is_measured_as_if_it_were_not(name: str) -> None:
    model = small_vae(BatchNormed())
    model.posterior(uniform(5, 9, *SHAPE).float())  # statistics that are not 0 and 1
    model.decoder[1].eval()  # a part that its owner has frozen
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    found = numbers(call(name, model=model))
    assert [module.training for module in model.modules()] == modes
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(weight.grad is None for weight in model.parameters())
    for number, expected in zip(found, numbers(call(name, model=model.eval())), strict=True):
        assert torch.equal(number, expected)


@pytest.mark.parametrize("name", WITH_MODEL)
def test_the_mode_is_put_back_after_an_error(name: str) -> None:
    model = small_vae(BatchNormed()).train()
    model.likelihood = nn.Identity()  # type: ignore[assignment]
    model.encoder = nn.Identity()
    with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the broken model raises)
        call(name, model=model)
    assert all(module.training for module in model.modules())


def test_the_posterior_of_many_images_is_encoded_in_batches() -> None:
    for family in ("diagonal", "full", "laplace"):
        model = VAE(SHAPE, 2, network=MLP((8,)), posterior=family)  # type: ignore[arg-type]
        images = uniform(0, 1100, *SHAPE).float()
        ours = importance_log_weights(model, images, num_samples=2, seed=1)
        whole = importance_log_weights(
            model, images, num_samples=2, seed=1, proposal=model.posterior(images)
        )
        close(ours, whole.detach(), rtol=1e-4, atol=1e-3)


# --- any device ---------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", table())
@pytest.mark.parametrize("where", ["model", "data", "first", "both"])
def test_model_and_data_may_be_on_different_devices(name: str, where: str) -> None:
    row, changed = table()[name], {}
    data = [key for key, argument in row.items() if argument.kind in DATA]
    for key in data[:1] if where == "first" else data if where in ("data", "both") else []:
        changed[key] = row[key].value.cuda()
    if "model" in row and where in ("model", "both"):
        changed["model"] = copy.deepcopy(row["model"].value).cuda()
    found, expected = numbers(call(name, **changed)), numbers(call(name))
    drawn = "seed" in row and "model" in changed and name != "mmd_test"
    for number, other in zip(found, expected, strict=True):
        assert number.isfinite().all()
        if "images" in row and isinstance(call(name), torch.Tensor):
            images = changed.get("images", row["images"].value)
            assert number.device.type == images.device.type
        if not drawn:  # other generators draw other numbers
            close(number.cpu().double(), other.double(), rtol=2e-3, atol=2e-3)


# --- what is meant where nothing is said --------------------------------------------------------

# The records were made with these, and readers compare their own numbers with the book's.
DEFAULTS: dict[str, dict[str, Any]] = {
    "active_units": {"threshold": 0.01},  # Burda, Grosse & Salakhutdinov (2016)
    "auroc": {"num_resamples": 500},
    "choose_threshold": {"false_alarms": 0.05},
    "density_coverage": {"num_neighbours": 5},  # Naeem et al. (2020)
    "evaluate_elbo": {"num_samples": 1, "batch_size": 500},
    "expected_coverage": {"num_neighbours": 5},
    "factor_overlap": {"num_bins": 10},
    "grid_posterior": {"limit": 6.0, "num_points": 241, "batch_size": 2000},
    "importance_log_weights": {"batch_size": 1000},
    "importance_weighted_nll": {"num_samples": 100, "batch_size": 100},
    "invert": {"num_candidates": 2000, "num_starts": 4, "num_steps": 200, "lr": 0.05},
    "laplace_proposal": {"num_steps": 20, "widen": 1.0},
    "log_ball_volume": {"radius": 1.0},
    "log_mean_interval": {"num_errors": 1.96},  # 95 % of a normal distribution
    "minibatch_mutual_information": {"num_batches": 10},
    "mmd_test": {"num_permutations": 199},  # p-values in steps of 1/200
    "neighbour_distance": {"num_neighbours": 5},
    "overlap_ceiling": {"num_bins": 10},
    "picture_classifier_test": {"num_epochs": 20},
    "posterior_parameters": {"batch_size": 500},
    "precision_recall": {"num_neighbours": 3},  # Kynkäänniemi et al. (2019)
    "principal_dimensions": {"share": 0.99},
    "prior_monte_carlo_log_likelihood": {"num_samples": 1000, "batch_size": 1000},
    "quadrature_elbo": {"num_nodes": 20},
    "split_rate": {"num_samples": 1000},
    "vae_anomaly_scores": {"num_samples": 50, "batch_size": 100},
    "validity": {"threshold": 0.04},
}


@pytest.mark.parametrize("name", table())
def test_what_is_left_out_is_what_the_records_were_made_with(name: str) -> None:
    parameters = inspect.signature(all_measures()[name]).parameters.values()
    defaults = {p.name: p.default for p in parameters if isinstance(p.default, int | float)}
    assert defaults.pop("seed", 0) == 0
    assert defaults == DEFAULTS.get(name, {})
