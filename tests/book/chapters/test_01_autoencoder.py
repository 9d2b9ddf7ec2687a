"""What the text of chapter 01 says of its records, of its dogs, and of what it derives."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from sklearn.decomposition import PCA
from sklearn.preprocessing import QuantileTransformer
from torch import Tensor

from vaebook.data import (
    FACTOR_NAMES,
    FACTORS,
    ImageData,
    factor_range,
    load_digits,
    load_dogs,
    render,
)
from vaebook.distributions import BernoulliLikelihood, GaussianLikelihood
from vaebook.experiments import load_recorded, summarise
from vaebook.experiments.ch01_autoencoder import code_size, linear_autoencoder
from vaebook.experiments.settings import DOG_NETWORK
from vaebook.models import MLP, Autoencoder
from vaebook.plots import summary_text
from vaebook.training import fit, seeded

LINEAR = load_recorded("linear_autoencoder")
BY_ADAM = LINEAR[LINEAR["optimiser"] == "adam"].set_index("latent_dim")
POLISHED = LINEAR[LINEAR["optimiser"] == "adam, lbfgs"]
SIZES = load_recorded("code_size")
NETWORK = SIZES[SIZES["model"] == "mlp"]
ERRORS = NETWORK.pivot_table("rmse", "seed", "latent_dim")
SIXTEEN = NETWORK[NETWORK["latent_dim"] == 16]


@pytest.fixture(scope="module")
def dogs() -> ImageData:
    return load_dogs()


@pytest.fixture(scope="module")
def pca(dogs: ImageData) -> PCA:
    """Of the training dogs."""
    return PCA(svd_solver="covariance_eigh").fit(dogs.train.images.flatten(1).numpy())


@pytest.fixture(scope="module")
def eigenvalues() -> Tensor:
    """Of the digits' covariance, the largest first."""
    flat = load_digits().train.images.flatten(1).double()
    return torch.linalg.eigvalsh(torch.cov(flat.T, correction=0)).flip(0)


# ---------------------------------------------------------------- the dogs


def test_a_dog_has_1024_pixels_and_sixteen_factors(dogs: ImageData) -> None:
    assert dogs.image_shape == (1, 32, 32)
    assert len(FACTORS) == 16


def test_the_factors_redraw_held_out_dogs(dogs: ImageData) -> None:
    redrawn = render(dogs.test.factors[:100])
    assert (redrawn - dogs.test.images[:100]).abs().max() < 1e-5


# torch's own forward mode says this on its first use
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_the_derivative_by_each_factor_agrees_with_small_steps(dogs: ImageData) -> None:
    low, high = factor_range()
    # the same dog sixteen times, each moved along another factor
    one = dogs.test.factors[:1].double().repeat(len(FACTORS), 1)
    moved = torch.eye(len(FACTORS), dtype=torch.double)
    _, slopes = torch.func.jvp(render, (one,), (moved,))
    step = 1e-6 * (high - low)[:, None].double()
    forward, backward = render(one + step * moved), render(one - step * moved)
    differences = (forward - backward) / (2 * step[..., None, None])
    scale = slopes.abs().amax((1, 2, 3), keepdim=True)
    assert ((slopes - differences).abs() / scale).max() < 1e-4


def test_17_percent_of_the_standardised_pixels_lie_where_no_sigmoid_gets(dogs: ImageData) -> None:
    pixels = dogs.train.images
    standard = (pixels - pixels.mean()) / pixels.std()
    outside = ((standard < 0) | (standard > 1)).float().mean().item()
    assert f"{outside:.0%}" == "17%"


@pytest.mark.parametrize(("level", "components"), [(0.8, 23), (0.9, 51), (0.95, 91)])
def test_principal_components_for_a_share_of_the_variance(
    level: float, components: int, pca: PCA
) -> None:
    share = pca.explained_variance_ratio_.cumsum()
    assert (share < level).sum() + 1 == components


# ---------------------------------------------------------------- the theorem


def test_the_loss_of_a_subspace_is_the_trace_and_above_the_bound_by_angles() -> None:
    flat = load_digits().train.images.flatten(1).double()
    centred = flat - flat.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    values, vectors = values.flip(0), vectors.flip(1)
    d = 4
    principal = vectors[:, :d]
    best, gap = values[d:].sum(), values[d - 1] - values[d]
    with seeded(0):
        for _ in range(1000):
            # subspaces at all distances from the principal one
            size = 10 ** torch.empty(1).uniform_(-4, 1)
            noise = torch.randn(64, d, dtype=torch.double) * size
            basis = torch.linalg.qr(principal + noise).Q
            loss = (centred - centred @ basis @ basis.T).square().sum(1).mean()
            sines = d - torch.linalg.svdvals(basis.T @ principal).square().sum()
            weights = (basis.T @ vectors).square().sum(0)  # w_j of the proof
            assert abs(loss - (values * (1 - weights)).sum()) < 1e-10
            assert loss - best - gap * sines > -1e-10


def test_four_eigenvalues_of_the_digits_are_zero(eigenvalues: Tensor) -> None:
    assert (eigenvalues < 1e-12).sum() == 4


# ---------------------------------------------------------------- linear autoencoders


def test_five_seeds_of_linear_autoencoders_are_recorded() -> None:
    assert LINEAR.groupby("optimiser")["seed"].nunique().eq(5).all()
    assert len(POLISHED) == 20


def test_after_lbfgs_every_run_decodes_into_the_principal_subspace() -> None:
    assert POLISHED["angle_last"].max() < 0.03
    assert POLISHED["excess"].max() < 2e-6


def test_after_adam_short_codes_are_there_and_the_last_of_16_directions_is_not() -> None:
    assert BY_ADAM.loc[[2, 4, 8], "angle_last"].max() < 0.6
    angles = BY_ADAM.loc[16, "angle_last"]
    assert f"{angles.min():.0f} {angles.max():.0f}" == "20 36"
    assert BY_ADAM.loc[16, "excess"].max() < 0.03
    assert BY_ADAM.loc[16, "optimum"].round().eq(35).all()


def test_the_17th_axis_costs_more_than_the_worst_run_of_adam(eigenvalues: Tensor) -> None:
    last, next_one = eigenvalues[15].item(), eigenvalues[16].item()
    swap = (last - next_one) / (2 * linear_autoencoder.SIGMA**2)
    worst = BY_ADAM.loc[16, "excess"].max()
    assert f"{swap:.2f} {worst:.2f}" == "0.07 0.03"
    assert f"{1 - next_one / last:.0%}" == "2%"


def test_no_angle_is_larger_than_its_loss_allows() -> None:
    assert not (LINEAR["angle_last"] > LINEAR["bound"] + 1e-6).any()


def test_codes_hold_the_scores_and_are_not_the_scores() -> None:
    assert f"{POLISHED['axis_angle'].min():.0f} {POLISHED['axis_angle'].max():.0f}" == "9 67"
    assert POLISHED["score_error"].max() < 1e-5


# ---------------------------------------------------------------- the size of the code


@pytest.fixture(scope="module")
def by_components() -> pd.Series:
    """Error of PCA by the number of components, computed now."""
    return pd.DataFrame(code_size.measure_pca()).set_index("latent_dim")["rmse"]


def test_pca_is_the_same_as_in_the_record(by_components: pd.Series) -> None:
    recorded = SIZES[(SIZES["model"] == "pca") & (SIZES["seed"] == 0)]
    recorded = recorded.set_index("latent_dim")["rmse"]
    assert list(recorded.index) == list(by_components.index)
    assert np.allclose(recorded, by_components, rtol=1e-3)


@pytest.mark.parametrize(
    ("few", "more", "change"),
    [
        (2, 4, "−26.9 ± 0.9"),
        (4, 8, "−24.8 ± 1.0"),
        (8, 16, "−14.6 ± 1.1"),
        (16, 32, "−12.9 ± 0.8"),
        (32, 64, "−1.9 ± 1.5"),
    ],
)
def test_twice_the_numbers_change_the_error_by_less_and_less(
    few: int, more: int, change: str
) -> None:
    changes = (ERRORS[more] / ERRORS[few] - 1).rename("change").reset_index()
    assert summary_text(summarise(changes, []).iloc[0], 1, factor=100) == change


def test_nothing_marks_sixteen() -> None:
    assert ERRORS[32].max() < 0.95 * ERRORS[16].min()


def test_the_network_beats_pca_up_to_32_numbers_and_never_with_64(
    by_components: pd.Series,
) -> None:
    assert (ERRORS[16] < 0.75 * by_components[16]).all()
    for size in (2, 4, 8, 16, 32):
        assert (ERRORS[size] < by_components[size]).all()
    assert (ERRORS[64] > by_components[64]).all()


def test_the_convolutional_network_is_worse_than_pca_with_16_numbers(
    by_components: pd.Series,
) -> None:
    convolutional = SIZES[(SIZES["model"] == "conv") & (SIZES["latent_dim"] == 16)]
    assert (convolutional["rmse"] > by_components[16]).all()


def test_16_numbers_do_the_work_of_43_principal_components(dogs: ImageData, pca: PCA) -> None:
    flat = dogs.test.images.flatten(1).numpy()
    scores = pca.transform(flat)
    squares = (scores**2).mean(0)  # what each component takes off the squared error
    left = squares.sum() - squares.cumsum()
    errors = np.sqrt(left / flat.shape[1])  # by one component, by two, …
    assert (errors > ERRORS[16].mean()).sum() + 1 == 43


def test_little_is_learned_by_heart() -> None:
    above = NETWORK["rmse"] / NETWORK["rmse_train"] - 1
    assert f"{above.max():.0%}" == "4%"


def test_where_the_codes_of_sixteen_numbers_lie() -> None:
    off = SIXTEEN["code_mean"].abs()
    assert f"{off.min():.1f} {off.max():.1f}" == "1.3 1.8"
    low, high = SIXTEEN["code_sd_low"].min(), SIXTEEN["code_sd_high"].max()
    assert f"{low:.1f} {high:.1f}" == "0.8 1.8"
    assert (SIXTEEN["code_lowest"] < -5).all()
    assert (SIXTEEN["code_highest"] > 5).all()
    assert set(SIXTEEN["code_correlation"].round(1)) == {0.6, 0.7}


# ---------------------------------------------------------------- what codes tell


def told(codes: Tensor, factor: Tensor) -> float:
    """Share of a factor's variance known from the 20 nearest codes."""
    distance = torch.cdist(codes, codes).fill_diagonal_(math.inf)
    nearest = distance.topk(20, largest=False).indices
    return 1 - float((factor - factor[nearest].mean(1)).var() / factor.var())


def test_two_numbers_tell_of_facing_and_coat_and_hardly_of_the_ears(dogs: ImageData) -> None:
    """The two autoencoders of the chapter's scatter plots."""
    shares: dict[str, list[float]] = {"facing": [], "coat": [], "ear_length": []}
    for seed in (0, 1):
        with seeded(seed):
            flat = Autoencoder(dogs.image_shape, 2, network=DOG_NETWORK)
        some = dogs.train.images[:4000]
        fit(flat, some, num_epochs=4, batch_size=64, lr=2e-3, seed=seed)
        with torch.no_grad():
            codes = flat.encode(dogs.test.images)
        for name, found in shares.items():
            found.append(told(codes, dogs.test.factors[:, FACTOR_NAMES.index(name)]))
    assert min(shares["facing"]) > 0.6
    assert min(shares["coat"]) > 1 / 3
    assert max(shares["ear_length"]) < 0.1


def test_64_numbers_for_64_pixels_restore_noise_without_training() -> None:
    with seeded(0):
        copier = Autoencoder(
            (1, 8, 8), 64, network=MLP(()), likelihood=GaussianLikelihood(mean="identity")
        )
        rotation = torch.linalg.qr(torch.randn(64, 64)).Q
        noise = torch.rand(100, 1, 8, 8)
    encoder, decoder = copier.encoder[1], copier.decoder[0]
    with torch.no_grad():
        encoder.weight.copy_(rotation)
        decoder.weight.copy_(rotation.T)
        decoder.bias.copy_(-rotation.T @ encoder.bias)
        assert code_size.rmse(noise, copier.reconstruct(noise)) < 1e-6


def test_numbers_bent_one_by_one_have_the_fourth_moment_of_a_normal(dogs: ImageData) -> None:
    with seeded(0), torch.no_grad():
        codes = Autoencoder(dogs.image_shape, 16, network=DOG_NETWORK).encode(dogs.train.images)
    bend = QuantileTransformer(n_quantiles=10_000, output_distribution="normal")
    normal = torch.as_tensor(bend.fit_transform(codes.double().numpy()))
    inner = normal[(normal.abs() < 4).all(1)]  # without the two ends of each table
    kurtosis = ((inner - inner.mean(0)) / inner.std(0)).pow(4).mean(0)
    assert (kurtosis - 3).abs().max() < 0.2


# ---------------------------------------------------------------- what readers ask


@pytest.mark.parametrize(("mean", "mass"), [(0.5, "0.50"), (0.1, "0.36")])
def test_grey_levels_under_a_bernoulli_do_not_integrate_to_one(mean: float, mass: str) -> None:
    total, _ = quad(lambda x: mean**x * (1 - mean) ** (1 - x), 0, 1)
    assert f"{total:.2f}" == mass


def test_the_bernoulli_refuses_grey_pixels(dogs: ImageData) -> None:
    coin = Autoencoder(dogs.image_shape, 2, likelihood=BernoulliLikelihood())
    with pytest.raises(ValueError, match="pixels are neither 0 nor 1"):
        coin.loss(dogs.test.images[:1])


def test_squared_error_and_cross_entropy_ask_for_the_same_output() -> None:
    pixel = torch.tensor([0.2, 0.9, 0.9])  # of three pictures with one code
    guess = torch.linspace(0.001, 0.999, 999)[:, None]
    squares = (guess - pixel).square().mean(1)
    entropy = -(pixel * guess.log() + (1 - pixel) * (1 - guess).log()).mean(1)
    assert squares.argmin() == entropy.argmin()


def test_l2_asks_for_the_mean_and_l1_for_the_median() -> None:
    possible = torch.eye(3)
    levels = torch.linspace(0, 1, 301)[:, None, None]
    error = levels - possible
    best_l2 = levels[error.square().mean(1).argmin(0), 0, 0]
    best_l1 = levels[error.abs().mean(1).argmin(0), 0, 0]
    assert torch.allclose(best_l2, possible.mean(0), atol=2e-3)
    assert torch.allclose(best_l1, possible.median(0).values, atol=2e-3)
