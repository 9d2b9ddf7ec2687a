"""What all models share: a way in, a way out, blocks without gradients, priors that move along."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Gumbel,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
)
from torch.utils._python_dispatch import TorchDispatchMode

from tests.memory import MIB, peak_memory
from vaebook._checks import already_checked
from vaebook.distributions import (
    AutoregressiveLikelihood,
    BernoulliLikelihood,
    BoxCorners,
    ContinuousBernoulliLikelihood,
    ContinuousFlow,
    DiagonalGaussian,
    DiscretizedLogisticLikelihood,
    FlowDistribution,
    FlowPrior,
    GaussianLikelihood,
    HypersphericalUniform,
    LaplaceLikelihood,
    LearnedGaussianPrior,
    Mixture,
    MixturePrior,
    PixelGaussianLikelihood,
    PredictedGaussianLikelihood,
    SplineFlow,
    VampPrior,
    VelocityNetwork,
    gaussian_kl,
    kl,
    standard_normal,
    unit_laplace,
    unit_uniform,
)
from vaebook.models import (
    GAN,
    MLP,
    VAE,
    VAEGAN,
    VQVAE,
    Autoencoder,
    ConditionalVAE,
    Conv,
    IncompleteVAE,
    WassersteinAutoencoder,
)
from vaebook.training import seeded
from vaebook.training.players import players_of

close = torch.testing.assert_close
SHAPE = (1, 4, 4)
D = 3


def images(n: int = 6, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    with seeded(3):
        return torch.rand(n, *shape).round()


def vae(**settings: Any) -> VAE:
    with seeded(0):
        return VAE(SHAPE, D, network=MLP((8,), "tanh"), **settings)


def table(n: int = 6) -> Tensor:
    with seeded(4):
        return torch.randn(n, 5)


PRIORS: dict[str, Callable[[], Distribution]] = {
    "Laplace": lambda: unit_laplace(D),
    "torch's normal": lambda: Independent(Normal(torch.zeros(D), torch.ones(D)), 1),
    "low rank": lambda: LowRankMultivariateNormal(torch.zeros(D), torch.ones(D, 1), torch.ones(D)),
    "full": lambda: MultivariateNormal(torch.zeros(D), torch.eye(D)),
    "mixture of torch": lambda: MixtureSameFamily(
        Categorical(torch.ones(2)), Independent(Normal(torch.randn(2, D), torch.ones(2, D)), 1)
    ),
    "mixture": lambda: Mixture(
        torch.tensor([0.5, 0.5]).log(), DiagonalGaussian(*torch.randn(2, 2, D))
    ),
    "affine": lambda: TransformedDistribution(
        standard_normal(D), [AffineTransform(torch.ones(D), 2 * torch.ones(D), event_dim=1)]
    ),
    "Gumbel": lambda: Independent(Gumbel(torch.zeros(D), torch.ones(D)), 1),
    "logistic": lambda: TransformedDistribution(
        Independent(Uniform(torch.zeros(D), torch.ones(D)), 1),
        [SigmoidTransform(cache_size=1).inv, AffineTransform(torch.zeros(D), 2 * torch.ones(D))],
    ),
    "spline flow": lambda: SplineFlow(D, hidden=(8,)).requires_grad_(False)(),
    "continuous flow": lambda: _continuous(),
}


def _continuous() -> ContinuousFlow:
    network = VelocityNetwork(D, 8).requires_grad_(False)
    return ContinuousFlow(network, standard_normal(D), num_steps=2, divergence=network.divergence)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("family", ["VAE", "VAE-GAN", "GAN", "WAE"])
def test_a_fixed_prior_moves_with_its_model(name: str, family: str) -> None:
    kinds: dict[str, Any] = {
        "VAE": VAE,
        "VAE-GAN": VAEGAN,
        "GAN": GAN,
        "WAE": WassersteinAutoencoder,
    }
    with seeded(1):
        prior = PRIORS[name]()
        model = kinds.get(family, WassersteinAutoencoder)(SHAPE, D, network=MLP((8,)), prior=prior)
    with seeded(5):
        before = prior.sample((4,))
    moved = copy.deepcopy(model).double()
    codes = moved.prior.sample((4,))
    assert codes.dtype == torch.float64
    assert moved.prior.log_prob(codes).dtype == torch.float64
    if family != "GAN":
        close(
            moved.prior.log_prob(before.double()).float(),
            prior.log_prob(before),
            atol=1e-4,
            rtol=1e-4,
        )
    assert moved.sample(2, seed=0).dtype == torch.float64
    for player in players_of(moved):
        player.loss(images().double()).sum().backward()
    with seeded(5):  # what the user holds stays as it was
        assert torch.equal(prior.sample((4,)), before)
    assert moved.float().prior.sample((4,)).dtype == torch.float32
    meta = copy.deepcopy(model).to("meta")
    assert meta.prior.sample((2,)).device.type == "meta" or name in ("mixture", "continuous flow")


def test_the_box_is_the_same_in_double_precision() -> None:
    model, pictures = vae(prior=unit_uniform(D), posterior="beta"), images()
    rate = model.elbo(pictures).rate
    close(model.double().elbo(pictures.double()).rate.float(), rate, rtol=1e-4, atol=1e-5)


def test_the_sphere_moves_too() -> None:
    model = vae(prior=HypersphericalUniform(D), posterior="power spherical").double()
    assert model.sample(2, seed=0).dtype == torch.float64
    assert model.elbo(images().double()).elbo.dtype == torch.float64


@pytest.mark.parametrize("kind", [VAE, VAEGAN, GAN, WassersteinAutoencoder])
def test_what_is_no_prior_or_network_is_refused(kind: Any) -> None:
    wrong = {
        "prior is 'normal', a str; expected a torch.distributions.Distribution": "normal",
        "prior is 1, a int": 1,
        "Wrap independent numbers": Normal(torch.zeros(D), torch.ones(D)),
        r"events of shape \(2,\); expected \(3,\)": standard_normal(2),
        r"a batch of distributions of shape \(4,\); expected one": DiagonalGaussian(
            torch.zeros(4, D), torch.zeros(4, D)
        ),
    }
    for message, prior in wrong.items():
        with pytest.raises(ValueError, match=message):
            kind(SHAPE, D, prior=prior)
    for network in ("mlp", MLP, nn.Linear(2, 2)):
        with pytest.raises(ValueError, match="expected a plan with methods encoder and decoder"):
            kind(SHAPE, D, network=network)
    if kind in (GAN, WassersteinAutoencoder):
        with pytest.raises(ValueError, match="LearnedGaussianPrior"):
            kind(SHAPE, D, prior=LearnedGaussianPrior(D))


@pytest.mark.parametrize("posterior", ["diagonal", "full", "laplace"])
def test_a_posterior_must_stay_where_the_prior_is(posterior: Any) -> None:
    with pytest.raises(ValueError, match=r"support is .*posterior='beta' with unit_uniform"):
        vae(prior=unit_uniform(D), posterior=posterior)
    with pytest.raises(ValueError, match="posterior='power spherical'"):
        vae(prior=HypersphericalUniform(D), posterior=posterior)


def test_a_posterior_on_the_sphere_needs_a_prior_on_it() -> None:
    for prior in (None, unit_laplace(D), unit_uniform(D), MixturePrior(D, 2), FlowPrior(D)):
        with pytest.raises(ValueError, match=r"prior=HypersphericalUniform\(3\)"):
            vae(prior=prior, posterior="power spherical")
    vae(prior=VampPrior(images(2), D), posterior="power spherical").loss(images())
    vae(prior=unit_uniform(D), posterior="beta").loss(images())
    narrow = Independent(Uniform(-torch.ones(D), torch.ones(D)), 1)
    with pytest.raises(ValueError, match="reaches beyond"):
        vae(prior=narrow, posterior="beta")


def test_a_rate_needs_codes_of_one_size() -> None:
    one = DiagonalGaussian(torch.zeros(1), torch.zeros(1))
    full = MultivariateNormal(torch.zeros(1), torch.eye(1))
    for q in (one, full):
        with pytest.raises(ValueError, match=r"1.*3"):
            kl(q, standard_normal(3))
    with pytest.raises(ValueError, match=r"1.*3"):
        kl(one, MultivariateNormal(torch.zeros(3), torch.eye(3)))
    with pytest.raises(ValueError, match=r"1.*3"):
        kl(one, unit_laplace(3))


# --- likelihoods ---------------------------------------------------------------------------------

LIKELIHOODS = {
    "Bernoulli": BernoulliLikelihood,
    "Gaussian": GaussianLikelihood,
    "Laplace": LaplaceLikelihood,
    "continuous Bernoulli": ContinuousBernoulliLikelihood,
    "discretised logistic": DiscretizedLogisticLikelihood,
    "σ of a place": lambda: PixelGaussianLikelihood(SHAPE),
    "predicted σ": PredictedGaussianLikelihood,
    "autoregressive": lambda: AutoregressiveLikelihood(SHAPE, hidden=(8,)),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_no_image_is_broadcast(name: str) -> None:
    likelihood = LIKELIHOODS[name]()
    output = torch.zeros(2, likelihood.outputs_per_channel, 4, 4)
    for shape in ((2, 1, 1, 1), (2, 1, 4, 1), (1,), (4, 4)):
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            likelihood(output).log_prob(torch.zeros(shape))


def test_data_are_checked_for_the_likelihood() -> None:
    grey = torch.full((2, *SHAPE), 0.3)
    for name in ("Bernoulli", "autoregressive"):
        with pytest.raises(ValueError, match="Binarise"):
            vae(likelihood=LIKELIHOODS[name]()).check(grey)
    with pytest.raises(ValueError, match="no multiple of 1/255"):
        vae(likelihood=DiscretizedLogisticLikelihood()).check(grey)
    vae().check(grey)


# --- values are looked at once -------------------------------------------------------------------


class NoLooking(TorchDispatchMode):
    """Refuses what makes a processor wait for its accelerator, or gives sizes known only then."""

    forbidden = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.forbidden, name
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            assert all(i is None or i.dtype != torch.bool for i in args[1]), "a boolean index"
        return func(*args, **(kwargs or {}))


MODELS: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "VAE": lambda: (vae(), (images(),)),
    "free bits": lambda: (vae(free_bits=0.1), (images(),)),
    "full": lambda: (vae(posterior="full"), (images(),)),
    "Laplace": lambda: (vae(posterior="laplace", prior=unit_laplace(D)), (images(),)),
    "sphere": lambda: (
        vae(posterior="power spherical", prior=HypersphericalUniform(D)),
        (images(),),
    ),
    "beta": lambda: (vae(posterior="beta", prior=unit_uniform(D)), (images(),)),
    "VampPrior": lambda: (vae(prior=VampPrior(images(2), D)), (images(),)),
    "mixture prior": lambda: (vae(prior=MixturePrior(D, 4)), (images(),)),
    "Gaussian prior": lambda: (vae(prior=LearnedGaussianPrior(D, covariance="full")), (images(),)),
    "flow prior": lambda: (vae(prior=FlowPrior(D, hidden=(8,))), (images(),)),
    **{
        f"prior {name}": lambda make=make: (vae(prior=make()), (images(),))  # type: ignore[misc]
        for name, make in PRIORS.items()
        if name != "continuous flow"  # its density has no gradient
    },
    **{
        name: lambda make=make: (vae(likelihood=make()), (images(),))  # type: ignore[misc]
        for name, make in LIKELIHOODS.items()
    },
    "VAE-GAN": lambda: (VAEGAN(SHAPE, D, network=MLP((8,)), gradient_penalty=1.0), (images(),)),
    "GAN": lambda: (GAN(SHAPE, D, network=MLP((8,)), gradient_penalty=1.0), (images(),)),
    "conditional": lambda: (
        ConditionalVAE(SHAPE, D, condition_dim=4, network=MLP((8,)), prior="learned"),
        (images(), torch.arange(6) % 4),
    ),
    "incomplete": lambda: (IncompleteVAE(5, 2, num_importance=3), (table(), table() > 0)),
    "autoencoder": lambda: (Autoencoder(SHAPE, D), (images(),)),
    "WAE": lambda: (WassersteinAutoencoder(SHAPE, D), (images(),)),
    "VQ-VAE": lambda: (VQVAE(SHAPE, 2, 8, code_dim=2), (images(),)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_step_looks_at_no_value_once_they_are_checked(name: str) -> None:
    with seeded(0):
        model, batch = MODELS[name]()
    model.check(*batch)
    for player in players_of(model):
        with already_checked(), NoLooking():
            loss = player.loss(*batch)
            loss.mean().backward(inputs=list(player.trained))
        assert loss.shape == (6,)


@pytest.mark.parametrize("name", ["VAE", "GAN", "conditional", "incomplete", "WAE", "VQ-VAE"])
def test_a_model_is_a_function_that_looks_without_leaving_a_trace(name: str) -> None:
    """``model(x)`` has gradients, ``reconstruct`` and ``sample`` none; modes stay as they were."""
    with seeded(0):
        model, batch = MODELS[name]()
    model.train()
    next(iter(model.children())).eval()
    modes = [part.training for part in model.modules()]
    given = (torch.randn(6, D),) if name == "GAN" else batch
    assert model(*given).requires_grad
    before = {key: value.clone() for key, value in model.state_dict().items()}
    if name != "GAN":
        rebuilt = model.reconstruct(*batch)  # type: ignore[operator]
        close(rebuilt, model(*batch).detach())
        assert not rebuilt.requires_grad
    wanted = batch[1] if name == "conditional" else 4
    assert not model.sample(wanted, seed=0).requires_grad  # type: ignore[operator]
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Normalised(MLP):
    """A plan whose networks behave otherwise in training."""

    def encoder(self, image_shape: Any, num_outputs: int) -> nn.Module:
        return nn.Sequential(super().encoder(image_shape, num_outputs), nn.BatchNorm1d(num_outputs))

    def decoder(self, latent_dim: int, image_shape: Any) -> nn.Module:
        return nn.Sequential(super().decoder(latent_dim, image_shape), nn.Dropout(0.5))


def test_looking_never_trains() -> None:
    with seeded(0):
        model = VAE(SHAPE, D, network=Normalised((8,))).train()
    statistics = model.encoder[1].running_mean.clone()  # type: ignore[index, union-attr]
    first = model.reconstruct(images())
    assert torch.equal(first, model.reconstruct(images())), "no dropout"
    assert torch.equal(first[:1], model.reconstruct(images()[:1])), "no statistics of the batch"
    assert torch.equal(model.encoder[1].running_mean, statistics)  # type: ignore[index]
    assert model.training


def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pictures = vae(), images(50)
    codes, rebuilt, drawn = (
        model.encode(pictures),
        model.reconstruct(pictures),
        model.sample(50, seed=1),
    )
    sizes = []
    model.decoder.register_forward_hook(lambda _, given, out: sizes.append(len(out)))
    monkeypatch.setattr("vaebook.models.latent_variable.PIXELS_AT_ONCE", 16 * 20)
    close(model.encode_all(pictures), codes.detach())
    close(model.reconstruct(pictures), rebuilt)
    close(model.sample(50, seed=1), drawn)
    close(model.decode_all(codes), model.decode(codes).detach())
    assert sizes == [20, 20, 10] * 3 + [50]
    with pytest.raises(ValueError, match="expected a torch tensor"):
        model.reconstruct(pictures.numpy())  # type: ignore[arg-type]


def test_the_memory_of_many_images() -> None:
    """The results take 12 MiB and a block 25 more; in one block they would be well over 100."""
    model = VAE((1, 32, 32), 8, network=Conv((16, 32)))
    many = torch.rand(3_000, 1, 32, 32)
    assert peak_memory(lambda: model.sample(3_000)) < 80 * MIB
    assert peak_memory(lambda: model.reconstruct(many)) < 80 * MIB
    assert peak_memory(lambda: model.encode_all(many)) < 80 * MIB


def test_sizes_may_be_of_any_integers() -> None:
    model = VAE(np.array([1, 4, 4]), np.int64(3))  # type: ignore[arg-type]
    assert model.image_shape == (1, 4, 4)
    assert all(type(size) is int for size in model.image_shape)
    model.loss(images())


def test_channels_at_the_end_are_refused_with_the_cure() -> None:
    for shape in ((28, 28, 1), (32, 32, 3)):
        for kind in (VAE, Autoencoder, GAN):
            with pytest.raises(ValueError, match=r"permute\(0, 3, 1, 2\)"):
                kind(shape, 2)
    with pytest.raises(ValueError, match=r"permute\(0, 3, 1, 2\)"):
        VAE((3, 8, 8), 2).loss(torch.rand(2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"permute\(0, 3, 1, 2\)"):
        VAE((1, 4, 4), 2).check(torch.rand(2, 4, 4, 1))
    VAE((2, 1, 3), 2)
    VAE((16, 4, 4), 2)


# --- digits and terms ----------------------------------------------------------------------------


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_under_bfloat16_only_the_networks_round(posterior: Any) -> None:
    """The bound is the one of the rounded outputs, computed in single precision."""
    model, pictures = vae(posterior=posterior, prior=None), images(40)
    with torch.autocast("cpu", torch.bfloat16), seeded(1):
        terms = model.elbo(pictures)
    rounded = copy.deepcopy(model)
    for part in ("encoder", "decoder"):
        network = getattr(model, part)

        class Rounded(nn.Module):
            def forward(self, given: Tensor, network: nn.Module = network) -> Tensor:
                with torch.autocast("cpu", torch.bfloat16):
                    return network(given).float()

        setattr(rounded, part, Rounded())
    with seeded(1):
        expected = rounded.elbo(pictures)
    close(terms.rate, expected.rate, rtol=1e-6, atol=1e-6)
    if posterior == "diagonal":
        close(terms.distortion, expected.distortion, rtol=1e-6, atol=1e-5)
    assert all(part.dtype == torch.float32 for part in terms)
    assert not torch.equal(terms.rate, model.elbo(pictures).rate), "something was rounded"


def test_the_rate_of_each_number_of_a_code() -> None:
    model, pictures = vae(), images()
    each, posterior = model.rate_per_dimension(pictures), model.posterior(pictures)
    close(each.sum(1), model.elbo(pictures).rate)
    assert isinstance(posterior, DiagonalGaussian)
    close(each[:, 1], gaussian_kl(posterior.mu[:, 1:2], posterior.log_var[:, 1:2]))
    learned = vae(prior=LearnedGaussianPrior(D))
    with torch.no_grad():
        learned._prior.mu.fill_(1.0)  # type: ignore[operator, union-attr]
    close(learned.rate_per_dimension(pictures).sum(1), learned.elbo(pictures).rate)
    with pytest.raises(ValueError, match="no sum over dimensions"):
        vae(posterior="full").rate_per_dimension(pictures)


def test_a_flow_and_corners_are_drawn_where_their_tensors_are() -> None:
    assert BoxCorners(torch.rand(5, 2).double()).sample((3,)).dtype == torch.float64
    assert isinstance(SplineFlow(2, hidden=(4,))(), FlowDistribution)
    assert Laplace(torch.zeros(1), 1.0).log_prob(torch.zeros(1)).isfinite().all()
