"""A model that comes out of a file is the model that went in, or the file is refused."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    ComposeTransform,
    Dirichlet,
    Distribution,
    Gumbel,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    StudentT,
    TanhTransform,
    TransformedDistribution,
    Uniform,
)

from tests.properties import uniform
from vaebook import distributions as d
from vaebook import models as m
from vaebook.models import MLP, VAE, Conv, load_model, save_model
from vaebook.training import fit, load_weights, save_weights, seeded
from vaebook.training.checkpoint import load_run, save_run, sealed, unsealed
from vaebook.training.description import description, differences

SHAPE = (1, 8, 8)
IMAGES = uniform(0, 6, *SHAPE).float()
NET = MLP((8,), activation="silu")

Build = Callable[[], nn.Module]


Data = tuple[Tensor, ...]
CONDITIONS = torch.eye(3).repeat(2, 1)
TABLE = (uniform(1, 6, 4).float(), uniform(2, 6, 4) > 0.3)


MODELS: dict[str, tuple[Build, Data]] = {
    "Autoencoder": (lambda: m.Autoencoder(SHAPE, 2, network=Conv((4,), 8)), (IMAGES,)),
    "VAE": (lambda: VAE(SHAPE, 2, network=NET, beta=4.0, free_bits=0.1), (IMAGES,)),
    "VAE full": (
        lambda: VAE(SHAPE, 3, network=NET, posterior="full", sample_codes=False),
        (IMAGES,),
    ),
    "ConditionalVAE": (
        lambda: m.ConditionalVAE(SHAPE, 2, condition_dim=3, network=NET, prior="learned", beta=2.0),
        (IMAGES, CONDITIONS),
    ),
    "VQVAE": (lambda: m.VQVAE(SHAPE, 3, 5, code_dim=2, network=NET), (IMAGES,)),
    "WassersteinAutoencoder": (
        lambda: m.WassersteinAutoencoder(
            SHAPE, 2, network=NET, prior=d.unit_laplace(2), kernel="rbf", scales=[0.5, 2.0]
        ),
        (IMAGES,),
    ),
    "GAN": (
        lambda: m.GAN(
            SHAPE, 2, network=NET, discriminator=Conv((4,), 8), spectral_norm=True,
            prior=d.unit_uniform(2), betas=(0.1, 0.9),
        ),
        (IMAGES,),
    ),
    "VAEGAN": (lambda: m.VAEGAN(SHAPE, 2, network=NET, adversarial_weight=3.0), (IMAGES,)),
    "IncompleteVAE": (lambda: m.IncompleteVAE(4, 2, num_importance=3), TABLE),
    "FactorRegressor": (
        lambda: m.FactorRegressor(SHAPE, torch.zeros(3), torch.tensor([1.0, 2.0, 3.0])),
        (IMAGES, uniform(4, 6, 3).float()),
    ),
    "ClassClassifier": (
        lambda: m.ClassClassifier(SHAPE, 4, num_features=8, background=0.5),
        (IMAGES, torch.arange(6) % 4),
    ),
    "Codebook": (lambda: m.Codebook(5, 3, decay=0.9), (uniform(0, 6, 3).float(),)),
}  # fmt: skip
LIKELIHOODS: dict[str, Callable[[], d.Likelihood]] = {
    "Bernoulli": d.BernoulliLikelihood,
    "Gaussian": lambda: d.GaussianLikelihood(0.3, mean="identity"),
    "learned Gaussian": lambda: d.LearnedGaussianLikelihood(0.3),
    "logistic": lambda: d.DiscretizedLogisticLikelihood(0.1, levels=64),
    "continuous Bernoulli": d.ContinuousBernoulliLikelihood,
    "pixel Gaussian": lambda: d.PixelGaussianLikelihood(SHAPE),
    "predicted Gaussian": d.PredictedGaussianLikelihood,
    "Laplace": d.LaplaceLikelihood,
    "autoregressive": lambda: d.AutoregressiveLikelihood(
        SHAPE, hidden=(8,), pixels=d.DiscretizedLogisticLikelihood(0.2), dropout=0.1
    ),
}
TWO = torch.tensor([0.1, 0.7])
PRIORS: dict[str, Callable[[], Distribution | d.Prior]] = {
    "learned Gaussian": lambda: d.LearnedGaussianPrior(2, covariance="full"),
    "learned mixture": lambda: d.MixturePrior(2, 4),
    "VampPrior": lambda: d.VampPrior(IMAGES[:3], 2),
    "flow": lambda: d.FlowPrior(2, num_transforms=1, hidden=[8], num_bins=4),
    "normal": lambda: Independent(Normal(TWO, TWO), 1),
    "standard": lambda: d.standard_normal(2),
    "Laplace": lambda: d.unit_laplace(2),
    "Student": lambda: Independent(StudentT(torch.tensor([3.0, 4.0])), 1),
    "Gaussian": lambda: MultivariateNormal(TWO, torch.tensor([[1.0, 0.5], [0.5, 2.0]])),
    "by precision": lambda: MultivariateNormal(TWO, precision_matrix=torch.eye(2) * 3),
    "low rank": lambda: LowRankMultivariateNormal(TWO, torch.ones(2, 1), TWO),
    "mixture of torch": lambda: MixtureSameFamily(
        Categorical(torch.tensor([0.1, 0.6, 0.3])),
        Independent(Laplace(uniform(0, 3, 2).float(), torch.ones(3, 2)), 1),
    ),
    "mixture": lambda: d.Mixture(
        torch.tensor([0.3, 0.7]).log(), d.DiagonalGaussian(torch.eye(2), torch.zeros(2, 2))
    ),
    "fitted mixture": lambda: d.fit_mixture(uniform(0, 50, 2).float(), 3),
    "fitted Gaussian": lambda: d.fit_gaussian(uniform(0, 50, 2).float()),
    "transformed": lambda: TransformedDistribution(
        Independent(Normal(TWO, TWO), 1),
        [AffineTransform(TWO, 2.0, event_dim=1), ComposeTransform([TanhTransform()])],
    ),
    "Gumbel": lambda: Independent(Gumbel(TWO, torch.ones(2)), 1),
    "logistic": lambda: TransformedDistribution(
        Independent(Uniform(torch.zeros(2), torch.ones(2)), 1),
        [SigmoidTransform().inv, AffineTransform(TWO, 2.0).inv],
    ),
    "sphere": lambda: d.HypersphericalUniform(2),
    "uniform": lambda: d.unit_uniform(2),
}


def trained(build: Build, data: Data) -> nn.Module:
    """A model that a training step has moved from where it was built."""
    with seeded(1):
        model = build()
        for value in model.parameters():
            value.data += 0.01 * torch.randn_like(value)
        if hasattr(model, "loss") or hasattr(model, "players"):
            fit(model, data if len(data) > 1 else data[0], num_epochs=1, batch_size=3, seed=2)  # type: ignore[call-arg]
        elif isinstance(model, m.Codebook):
            model(*data)
    return model


def assert_same(one: nn.Module, other: nn.Module, *data: Tensor) -> None:
    assert type(one) is type(other)
    assert differences(description(one), description(other)) == []
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
        assert value.dtype == other.state_dict()[name].dtype
    for name, value in one.named_buffers():
        assert torch.equal(value, dict(other.named_buffers())[name]), name
    assert not any(part.training for part in other.modules())
    one.eval()
    calls: dict[str, Callable[[nn.Module], object]] = {
        "loss": lambda model: model.loss(*data),
        "encode": lambda model: model.encode(*data),
        "sample": lambda model: model.sample(3 if len(data) == 1 else data[1], seed=5),
        "features": lambda model: model.features(data[0]),
        "generator_loss": lambda model: model.generator_loss(*data),
    }
    made = 0
    for name, call in calls.items():
        if hasattr(one, name):
            results = []
            for model in (one, other):
                try:
                    with seeded(7):
                        results.append(call(model))
                except (NotImplementedError, ValueError, AttributeError, TypeError):
                    continue  # not for this model or this likelihood
            assert len(results) in (0, 2), name
            made += bool(results)
            assert not results or torch.equal(*results), name  # type: ignore[arg-type]
    assert made or isinstance(one, m.Codebook)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    build, data = MODELS[name]
    model = trained(build, data)
    random = torch.get_rng_state()
    save_model(model, path)
    loaded = load_model(path)
    assert torch.equal(random, torch.get_rng_state())
    assert_same(model, loaded, *data)
    save_model(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_no_model_is_forgotten() -> None:
    public = {
        name
        for name in m.__all__
        if isinstance(getattr(m, name), type) and issubclass(getattr(m, name), nn.Module)
    }
    assert public - {name.split()[0] for name in MODELS} <= {
        "GenerativeModel",
        "LatentVariableModel",
    }


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    images = (IMAGES > 0.5).float()
    model = trained(lambda: VAE(SHAPE, 2, network=NET, likelihood=LIKELIHOODS[name]()), (images,))
    save_model(model, path)
    assert_same(model, load_model(path), images)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with seeded(3):
        prior = PRIORS[name]()
    posterior = {"sphere": "power spherical", "uniform": "beta"}.get(name, "diagonal")
    build = lambda: VAE(SHAPE, 2, network=NET, prior=prior, posterior=posterior)  # noqa: E731
    try:
        model = trained(build, (IMAGES,))
    except ValueError as error:  # a support that no posterior has
        assert "0" in str(error), error  # noqa: PT017
        model = m.WassersteinAutoencoder(SHAPE, 2, network=NET, prior=prior)  # type: ignore[arg-type]
    prior = model.prior  # use it: what it works out for later is not kept
    prior.log_prob(prior.sample((2,)))
    save_model(model, path)
    loaded = load_model(path)
    assert_same(model, loaded, IMAGES)
    codes = prior.sample((5,))
    assert torch.equal(loaded.prior.log_prob(codes), prior.log_prob(codes))


def test_a_simplex_is_no_place_for_this_but_its_prior_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = m.GAN(SHAPE, 3, network=NET, prior=Dirichlet(torch.tensor([0.5, 1.0, 2.0])))
    save_model(model, path)
    assert_same(model, load_model(path), IMAGES)


def test_attributes_changed_after_building_come_back(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = VAE(SHAPE, 2, network=NET)
    model.beta, model.free_bits = 2.5, 0.25
    model.encoder[2].inplace = True
    save_model(model, path)
    loaded = load_model(path)
    assert (loaded.beta, loaded.free_bits, loaded.encoder[2].inplace) == (2.5, 0.25, True)
    assert_same(model, loaded, IMAGES)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_floating_point_types_come_back(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = VAE(SHAPE, 2, network=NET, prior=d.unit_laplace(2)).to(dtype)
    save_model(model, path)
    assert_same(model, load_model(path), IMAGES.to(dtype))
    mixed = VAE(SHAPE, 2, network=NET)
    mixed.decoder.double()
    save_model(mixed, path)
    loaded = load_model(path)
    assert loaded.decoder[0].weight.dtype == torch.float64
    assert loaded.encoder[1].weight.dtype == torch.float32


def test_a_compiled_model_is_saved_as_itself(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = VAE(SHAPE, 2, network=NET)
    save_model(torch.compile(model, backend="eager"), path)  # type: ignore[arg-type]
    assert_same(model, load_model(path), IMAGES)


def test_the_default_device_is_the_main_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(VAE(SHAPE, 2, network=NET), path)
    loaded = load_model(path)
    assert {value.device.type for value in loaded.parameters()} == {"cpu"}
    with pytest.raises(ValueError, match="device is 'meta', which holds no numbers"):
        load_model(path, "meta")


# --- with load_weights --------------------------------------------------------------------------


def test_weights_load_from_a_model_file_into_the_same_model_only(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = VAE(SHAPE, 2, network=NET, prior=d.unit_laplace(2), beta=4.0)
    save_model(model, path)
    other = VAE(SHAPE, 2, network=NET, prior=d.unit_laplace(2), beta=4.0)
    load_weights(other, path)
    assert_same(model, other, IMAGES)
    with pytest.raises(ValueError, match=r"beta 4\.0 then, 1\.0 now"):
        load_weights(VAE(SHAPE, 2, network=NET, prior=d.unit_laplace(2)), path)


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        (d.GaussianLikelihood(0.1), d.GaussianLikelihood(0.2), "sigma 0.1 then, 0.2 now"),
        (d.GaussianLikelihood(), d.LearnedGaussianLikelihood(), "likelihood.class"),
        (
            d.GaussianLikelihood(),
            d.GaussianLikelihood(mean="identity"),
            "mean 'sigmoid' then, 'identity' now",
        ),
    ],
)
def test_weights_under_another_likelihood_are_refused(
    then: d.Likelihood, now: d.Likelihood, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(VAE(SHAPE, 2, network=NET, likelihood=then), path)
    with pytest.raises(ValueError, match=message):
        load_weights(VAE(SHAPE, 2, network=NET, likelihood=now), path)


def test_a_learned_prior_may_have_started_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(VAE(SHAPE, 2, network=NET, prior=d.VampPrior(IMAGES[:3], 2)), path)
    load_weights(VAE(SHAPE, 2, network=NET, prior=d.VampPrior(IMAGES[3:], 2)), path)


def test_a_file_of_weights_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(VAE(SHAPE, 2, network=NET), path)
    with pytest.raises(ValueError, match=r"weights only.*load_weights\(model, path\)"):
        load_model(path)


# --- one's own classes --------------------------------------------------------------------------


class Mine(VAE):
    """A user's model, with an argument of its own and a network with batch normalisation."""

    def __init__(self, *shape: int, width: int = 4, sizes: np.ndarray | None = None) -> None:
        super().__init__(shape, 2, network=NET)  # type: ignore[arg-type]
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width))
        self.encoder.extend([nn.Dropout(0.5), nn.Linear(width, 4)])
        self.sizes = sizes


@dataclass(frozen=True)
class MyPlan:
    """A user's plan of networks."""

    width: int = 5

    def encoder(self, image_shape: tuple[int, int, int], num_outputs: int) -> nn.Module:
        return MLP((self.width,)).encoder(image_shape, num_outputs)

    def decoder(self, latent_dim: int, image_shape: tuple[int, int, int]) -> nn.Module:
        return MLP((self.width,)).decoder(latent_dim, image_shape)


def test_ones_own_model_comes_back_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = trained(lambda: Mine(*SHAPE, width=6, sizes=np.arange(3)), (IMAGES,))
    save_model(model, path)
    with pytest.raises(ValueError, match=r"Mine, which is no class of vaebook.*classes=\[Mine\]"):
        load_model(path)
    loaded = load_model(path, classes=[Mine])
    assert_same(model, loaded, IMAGES)
    with torch.no_grad():
        assert torch.equal(loaded.elbo(IMAGES).rate, loaded.elbo(IMAGES).rate), "no dropout"


def test_ones_own_plan_comes_back_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = VAE(SHAPE, 2, network=MyPlan(7))
    save_model(model, path)
    with pytest.raises(ValueError, match=r"classes=\[MyPlan\]"):
        load_model(path)
    assert_same(model, load_model(path, classes=[MyPlan]), IMAGES)


class Handmade:
    """A plan that says nothing of itself."""

    encoder, decoder = MLP().encoder, MLP().decoder


class Shifted(Normal):
    """A distribution that holds a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(torch.zeros(2), torch.ones(2))
        self.function = function


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VAE(SHAPE, 2, network=Handmade()), r"VAE\.network is a .*Handmade, which a file"),
        (
            lambda: VAE(SHAPE, 2, prior=Independent(Shifted(torch.sin), 1)),
            r"VAE\.prior\.base_dist\.function is a builtins\.builtin_function_or_method",
        ),
        (lambda: nn.Linear(2, 2), "a Linear does not keep the arguments .*save_weights"),
        (lambda: m.ProbabilisticPCA.fit(IMAGES.double(), 2), "ProbabilisticPCA does not keep"),
    ],
)
def test_what_cannot_be_described_is_said_before_anything_is_written(
    build: Callable[[], nn.Module], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    with pytest.raises(ValueError, match=message):
        save_model(build(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_was_rebuilt_by_hand_is_refused(tmp_path: Path) -> None:
    model = VAE(SHAPE, 2, network=NET)
    model.encoder[2] = nn.Tanh()
    with pytest.raises(ValueError, match=r"no longer what its arguments build: encoder\.2\.class"):
        save_model(model, tmp_path / "model.safetensors")
    model = VAE(SHAPE, 2, network=NET)
    model.likelihood = d.BernoulliLikelihood()
    with pytest.raises(ValueError, match=r"no longer what its arguments build: likelihood"):
        save_model(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


# --- trust --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "torch.nn.Linear",
        "torch.distributions.kl.warnings.warn",
        "vaebook.models.io.json",
        "vaebook.models.io.import_module",
        "vaebook.models.save_model",
        "vaebook.experiments.__main__.main",
        "nowhere.Thing",
    ],
)
def test_a_file_builds_nothing_but_what_it_may(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    plan = {
        "model": {"class": name, "arguments": {"command": "true"}},
        "attributes": [],
        "buffers": {},
    }
    path.write_bytes(sealed({}, {"model": json.dumps(plan)}))
    with pytest.raises(ValueError, match=f"{name}, which is no class of vaebook"):
        load_model(path)


def test_the_settings_can_be_read_by_anyone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(VAE(SHAPE, 2, network=NET, beta=0.5, prior=d.unit_laplace(2)), path)
    with safe_open(path, framework="pt") as file:
        plan = json.loads(file.metadata()["model"])
    assert plan["model"]["class"] == "vaebook.models.VAE"
    assert plan["model"]["arguments"]["beta"] == 0.5
    assert plan["model"]["arguments"]["network"]["class"] == "vaebook.models.MLP"
    assert plan["model"]["arguments"]["prior"]["class"] == "torch.distributions.Independent"


def test_a_flipped_bit_in_a_model_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(m.Codebook(2, 2), path)
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(path)):
            unsealed(path)


# --- between devices ----------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("prior", ["normal", "mixture", "learned mixture"])
def test_a_model_saved_on_a_gpu_loads_anywhere(prior: str, tmp_path: Path) -> None:
    path, run = tmp_path / "model.safetensors", tmp_path / "run.pt"
    model = VAE(SHAPE, 2, network=NET, prior=PRIORS[prior]()).cuda()
    save_model(model, path)
    save_weights(model, tmp_path / "weights.safetensors")
    loaded = load_model(path)
    assert {value.device.type for value in loaded.parameters()} == {"cpu"}
    assert differences(description(model), description(loaded)) == []
    assert_same(loaded, load_model(path), IMAGES)
    assert_same(model, load_model(path, "cuda"), IMAGES.cuda())
    load_weights(loaded, tmp_path / "weights.safetensors")
    assert_same(loaded, load_model(path), IMAGES)
    save_run(run, {"model": model.state_dict()})
    state = load_run(run, {"model"})["model"]
    assert {value.device.type for value in state.values()} == {"cpu"}


# --- what is meant where nothing is said --------------------------------------------------------

# What the chapters' models and the records were made with.
DEFAULTS: dict[str, dict[str, object]] = {
    "MLP": {"hidden": (400,), "background": 0.0},
    "Conv": {"channels": (16, 32), "hidden": 256, "background": 0.0, "blank": 0.0},
    "VAE": {"beta": 1.0, "free_bits": 0.0, "sample_codes": True},
    "ConditionalVAE": {
        "prior_hidden": 256,
        "beta": 1.0,
        "encoder_sees": True,
        "decoder_sees": True,
    },
    "GAN": {
        "gradient_penalty": 0.0,
        "spectral_norm": False,
        "discriminator_lr": 1.0,
        "betas": (0.5, 0.99),
    },
    "VAEGAN": {
        "beta": 1.0,
        "adversarial_weight": 1.0,
        "gradient_penalty": 0.0,
        "discriminator_lr": 1.0,
        "betas": (0.5, 0.99),
    },
    "WassersteinAutoencoder": {"mmd_weight": 1000.0},
    "VQVAE": {"num_codes": 16, "codebook_size": 32, "code_dim": 4, "commitment": 1.0},
    "Codebook": {"decay": 0.99, "least_share": 0.03},
    "IncompleteVAE": {"num_importance": 1},
    "FactorRegressor": {"num_features": 64, "background": 0.0},
    "ClassClassifier": {"num_features": 64, "background": 0.0},
}


@pytest.mark.parametrize("name", [name for name in m.__all__ if isinstance(getattr(m, name), type)])
def test_what_is_left_out_is_what_the_records_were_made_with(name: str) -> None:
    parameters = inspect.signature(getattr(m, name)).parameters.values()
    plain = {p.name: p.default for p in parameters if isinstance(p.default, int | float | tuple)}
    plain.pop("scales", None)  # of the kernel, which distributions pins
    assert plain == DEFAULTS.get(name, {})


def test_files_of_weights_hold_no_constants() -> None:
    """What a plan determines is not saved, so that older files still fit."""
    parts: dict[str, nn.Module] = {
        "_zeros": d.SplineFlow(2, num_transforms=1, hidden=(4,)),
        "mask": d.MADE(3, (4,)),
        "_place": VAE(SHAPE, 2, network=NET),
        "low": m.FactorRegressor(SHAPE, torch.zeros(3), torch.ones(3)),
    }
    for constant, part in parts.items():
        assert constant in {name.rpartition(".")[2] for name, _ in part.named_buffers()}
        assert constant not in {name.rpartition(".")[2] for name in part.state_dict()}
