"""Every measure with arguments it takes, and of what kind each is: what several tests run over."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal

from tests.properties import normal, uniform
from vaebook import metrics
from vaebook.distributions import fit_gaussian, standard_normal
from vaebook.metrics import dogs as oracle
from vaebook.models import MLP, VAE
from vaebook.training import seeded

SHAPE = (1, 8, 8)


class Argument(NamedTuple):
    """What a measure is given, and the kind of thing that it is."""

    kind: str
    value: Any


def all_measures() -> dict[str, Callable[..., Any]]:
    """The public functions of ``vaebook.metrics`` and of its oracle for dogs."""
    found = {name: getattr(metrics, name) for name in metrics.__all__}
    found |= {name: getattr(oracle, name) for name in oracle.__all__}
    return {name: thing for name, thing in found.items() if inspect.isfunction(thing)}


def small_vae(network: Any = None) -> VAE:
    with seeded(0):
        return VAE(SHAPE, 2, network=network or MLP((8,)))


def moments(n: int, d: int) -> Tensor:
    return torch.cov(normal(n, 50, d).T)


@cache
def table() -> dict[str, dict[str, Argument]]:
    """For each measure its arguments by name."""
    model = Argument("model", small_vae().eval())
    images = Argument("images", uniform(0, 12, *SHAPE).float())
    of_model = {"model": model, "images": images._replace(kind="images of the model")}
    other = Argument("images", uniform(1, 15, *SHAPE).float())
    pixels = Argument("pixels", normal(2, 5, *SHAPE).float())
    x, y = (Argument("table", normal(3 + k, 30, 3).float()) for k in range(2))
    items, more = (Argument("items", normal(5 + k, 20, 4).float()) for k in range(2))
    scores, others = (Argument("vector", normal(7 + k, 40).float()) for k in range(2))
    weights = Argument("log-weights", normal(9, 6, 4).float())
    q = metrics.posterior_parameters(model.value, images.value)
    posterior = {"posterior": Argument("posterior", q)}
    codes = Argument("table", normal(10, 9, 2).float())
    gaussian = MultivariateNormal(torch.zeros(3), torch.eye(3))
    count, seed = Argument("count", 2), Argument("seed", 3)
    batch_size, positive = Argument("count", 7), Argument("positive", 1.5)
    drawn = {"num_samples": count, "seed": seed}
    batched = {**drawn, "batch_size": batch_size}
    sets = {"x": x, "y": y}
    dogs = Argument("images", uniform(2, 1, 1, 32, 32).float())
    return {
        "active_units": {**of_model, "threshold": Argument("real", 0.01)},
        "aggregate_log_prob": {**posterior, "codes": codes},
        "aggregate_moments": of_model,
        "auroc": {"normal": scores, "anomalous": others, "num_resamples": count, "seed": seed},
        "choose_threshold": {"validation": scores, "false_alarms": Argument("share", 0.05)},
        "classifier_test": {**sets, "seed": seed},
        "coverage": {
            "factors": Argument("table", normal(11, 9, 16).float()),
            "of": Argument("factor names", ("x", "size")),
        },
        "overlap_ceiling": {"n": count, "num_bins": count},
        "density_coverage": {"real": items, "generated": more, "num_neighbours": count},
        "draw_aggregate": {**posterior, **drawn},
        "effective_sample_size": {"log_weights": weights},
        "evaluate_elbo": {**of_model, **batched},
        "expected_coverage": {"num_real": count, "num_generated": count, "num_neighbours": count},
        "factor_regression": {
            "codes": x,
            "factors": y,
            "held_out_codes": x,
            "held_out_factors": y,
            "seed": seed,
        },
        "factor_overlap": {
            "factors": Argument("table", normal(11, 9, 16).float()),
            "num_bins": count,
        },
        "flagged": {"scores": scores, "threshold": Argument("real", 0.2)},
        "frechet_bias": {
            "covariance": Argument("matrix", moments(3, 3)),
            "num_real": count,
            "num_generated": count,
        },
        "frechet_distance": {"real": x, "generated": y},
        "gaussian_frechet": {
            "mean": Argument("vector", normal(12, 3)),
            "covariance": Argument("matrix", moments(4, 3)),
            "other_mean": Argument("vector", normal(13, 3)),
            "other_covariance": Argument("matrix", moments(5, 3)),
        },
        "gradient_energy": {"values": pixels},
        "grid_posterior": {
            **of_model,
            "limit": positive,
            "num_points": Argument("count", 9),
            "batch_size": batch_size,
        },
        "importance_log_weights": {
            **of_model,
            "proposal": Argument("proposal", standard_normal(2)),
            **batched,
        },
        "importance_weighted_nll": {**of_model, **batched},
        "invert": {
            "model": Argument("generator", model.value),
            "images": images._replace(kind="images of the model"),
            "num_candidates": Argument("count", 20),
            "num_starts": count,
            "num_steps": Argument("count", 3),
            "lr": positive,
            "seed": seed,
        },
        "kernel_distance": {"real": x, "generated": y},
        "kl_lower_bound": {
            "codes": codes,
            "prior": Argument("single Gaussian", standard_normal(2)),
            "fit_density": Argument("function", fit_gaussian),
        },
        "kolmogorov_smirnov": sets,
        "laplace_proposal": {**of_model, "num_steps": Argument("count", 3), "widen": positive},
        "log_ball_volume": {"num_dimensions": count, "radius": positive},
        "log_mean_interval": {"log_weights": weights, "num_errors": positive},
        "log_mean_weight": {"log_weights": weights, "num_samples": count},
        "mahalanobis": {"codes": x, "gaussian": Argument("gaussian", gaussian)},
        "minibatch_mutual_information": {
            **posterior,
            "batch_size": count,
            "num_batches": count,
            "seed": seed,
        },
        "mmd_test": {**sets, "num_permutations": count, "seed": seed},
        "nearest_distance": {"images": images, "training": other},
        "nearest_dog": {"images": dogs},
        "neighbour_distance": {"images": items, "known": more, "num_neighbours": count},
        "measure_samples": {
            "samples": dogs,
            "reference": Argument("reference", metrics.Reference(uniform(9, 3, 1, 32, 32).float())),
            "measures": Argument("names of measures", ["sharpness"]),
            "num_judged": count,
            "num_told_apart": count,
            "found": Argument("nearest dogs", None),
            "seed": seed,
        },
        "novelty": {
            "samples": images,
            "training": other,
            "held_out_distance": Argument("vector", uniform(3, 9).float()),
        },
        "picture_classifier_test": {
            "real": Argument("images", uniform(1, 60, *SHAPE).float()),
            "samples": Argument("images", uniform(2, 60, *SHAPE).float()),
            "num_epochs": count,
            "seed": seed,
        },
        "posterior_parameters": {**of_model, "batch_size": batch_size},
        "power_spectrum": {"images": images},
        "precision_recall": {"real": items, "generated": more, "num_neighbours": count},
        "principal_dimensions": {"codes": x, "share": Argument("share", 0.9)},
        "prior_monte_carlo_log_likelihood": {**of_model, **batched},
        "quadrature_elbo": {
            **of_model,
            "posterior": Argument("Gaussian of each image", q),
            "num_nodes": Argument("count", 3),
        },
        "rate_per_dimension": of_model,
        "relative_sharpness": {"images": images, "real": other},
        "share_in_orthants_of": {"codes": x, "reference": y},
        "sharpness": {"images": images},
        "spectral_energy": {"values": pixels},
        "split_rate": {
            **posterior,
            "prior": Argument("single Gaussian", standard_normal(2)),
            **drawn,
        },
        "vae_anomaly_scores": {**of_model, **batched},
        "validity": {"images": dogs, "threshold": positive},
    }


def call(name: str, **changed: Any) -> Any:
    """A measure of what the table gives it, but for what is given here."""
    arguments = {key: argument.value for key, argument in table()[name].items()}
    return all_measures()[name](**(arguments | changed))


def numbers(found: Any) -> list[Tensor]:
    """All tensors and numbers in what a measure returns."""
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, dict):
        return numbers(tuple(found.values()))
    if isinstance(found, MultivariateNormal):
        return [found.mean, found.covariance_matrix]
    if isinstance(found, Distribution):
        return [found.mean, found.variance]
    if isinstance(found, tuple):
        return [tensor for part in found for tensor in numbers(part)]
    return [torch.as_tensor(found)]


class BatchNormed:
    """A plan of networks that remember what they saw, and forget by chance."""

    def encoder(self, image_shape: tuple[int, int, int], num_outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8), nn.Dropout(0.5),
                             nn.Linear(8, num_outputs))  # fmt: skip

    def decoder(self, latent_dim: int, image_shape: tuple[int, int, int]) -> nn.Module:
        size = image_shape[0] * image_shape[1] * image_shape[2]
        return nn.Sequential(nn.Linear(latent_dim, 8), nn.BatchNorm1d(8), nn.Dropout(0.5),
                             nn.Linear(8, size), nn.Unflatten(1, image_shape))  # fmt: skip
