"""Priors that are trained: mixtures, VampPriors, flows; and the VAEs that hold them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from tests.properties import a_few, normal, seeds, uniform
from vaebook._checks import already_checked
from vaebook.distributions import (
    DiagonalGaussian,
    FixedPrior,
    FlowDistribution,
    FlowPrior,
    GaussianLikelihood,
    HypersphericalUniform,
    LearnedGaussianPrior,
    Mixture,
    MixturePrior,
    Prior,
    SplineFlow,
    VampPrior,
    monte_carlo_kl,
    standard_normal,
    unit_laplace,
    unit_uniform,
)
from vaebook.metrics import importance_weighted_nll
from vaebook.models import MLP, VAE
from vaebook.models.posteriors import POSTERIORS
from vaebook.training import fit, load_weights, save_weights, seeded

close = torch.testing.assert_close
SHAPE = (1, 4, 4)
PRIORS = {
    "diagonal": lambda: LearnedGaussianPrior(2),
    "full": lambda: LearnedGaussianPrior(2, covariance="full"),
    "mixture": lambda: MixturePrior(2, 4),
    "vamp": lambda: VampPrior(uniform(3, 5, *SHAPE).float(), 2),
    "flow": lambda: FlowPrior(2, hidden=(8,)),
}


def images(seed: int = 0, n: int = 6) -> torch.Tensor:
    return uniform(seed, n, *SHAPE).float()


def model_with(prior, *, seed: int = 0, d: int = 2, **options) -> VAE:
    with seeded(seed):
        return VAE(
            SHAPE, d, network=MLP((8,), activation="tanh"), likelihood=GaussianLikelihood(0.3),
            prior=prior, **options,
        )  # fmt: skip


def shaken(name: str, seed: int = 0) -> VAE:
    """A model whose prior's parameters are not those it starts with."""
    with seeded(seed):
        model = model_with(PRIORS[name]())
        # more would give the flow peaks that the grids below step over
        spread = 0.2 if name == "flow" else 0.5
        for parameter in model._prior.parameters():
            parameter.data += spread * torch.randn_like(parameter)
    return model


def mass(density, limit: float = 9.0, num_points: int = 451) -> float:
    """The integral of a density on the plane, by trapezoids."""
    axis = torch.linspace(-limit, limit, num_points)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        values = density.log_prob(points).double().exp()
    return values.sum().item() * (2 * limit / (num_points - 1)) ** 2


# --- mixtures -----------------------------------------------------------------------------------


def some_mixture(seed: int, k: int = 3, d: int = 2) -> Mixture:
    log_weights = torch.log_softmax(normal(seed, k), 0)
    return Mixture(log_weights, DiagonalGaussian(normal(seed + 1, k, d), normal(seed + 2, k, d)))


@a_few
@given(seeds)
def test_a_mixture_is_that_of_torch(seed: int) -> None:
    ours = some_mixture(seed)
    mu, std = ours.components.mu, ours.components.std
    reference = MixtureSameFamily(
        Categorical(logits=ours.log_weights), Independent(Normal(mu, std), 1)
    )
    z = normal(seed + 3, 5, 4, 2, spread=2.0)
    close(ours.log_prob(z), reference.log_prob(z))
    close(ours.mean, reference.mean)
    close(ours.variance, reference.variance)
    shares = ours.responsibilities(z)
    close(shares.sum(-1), torch.ones(5, 4).double())
    joint = ours.log_weights.exp() * Independent(Normal(mu, std), 1).log_prob(z[..., None, :]).exp()
    close(shares, joint / joint.sum(-1, keepdim=True))


def test_a_mixture_integrates_to_one() -> None:
    mixture = some_mixture(4)
    # double precision, smooth, and nothing beyond the limit
    assert mass(mixture, limit=15, num_points=801) == pytest.approx(1, abs=1e-6)


def test_a_code_comes_from_one_component_with_all_its_numbers() -> None:
    """Two components on a diagonal: the other two corners are empty, in density and in samples."""
    mu = torch.tensor([[3.0, 3.0], [-3.0, -3.0]])
    mixture = Mixture(torch.tensor([0.25, 0.75]).log(), DiagonalGaussian(mu, torch.zeros(2, 2)))
    corner = torch.tensor([3.0, -3.0])
    # log(½ · 2 Gaussians 6 away) against a product of marginals, which would put a quarter there
    assert mixture.log_prob(corner) < -18
    with seeded(0):
        draws = mixture.sample((4000,))
    assert (draws.sign().prod(-1) > 0).float().mean() > 0.99
    assert (draws[:, 0] > 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    close(draws.var(0), mixture.variance, rtol=0.06, atol=0)
    assert mixture.sample().shape == (2,)
    assert mixture.sample((2, 5)).shape == (2, 5, 2)
    assert mixture.sample((0,)).shape == (0, 2)


def test_the_sampler_of_a_mixture_follows_its_density() -> None:
    """Both coordinates by a KS test; wide and narrow components, so that σ² for σ shows."""
    log_var = torch.tensor([[-4.0, 2.0], [1.5, -3.0]])
    mu = torch.tensor([[-1.0, 0.0], [1.0, 2.0]])
    weights = torch.tensor([0.4, 0.6])
    mixture = Mixture(weights.log(), DiagonalGaussian(mu, log_var))
    with seeded(0):
        draws = mixture.sample((5000,)).numpy()
    for j in range(2):
        std = np.exp(0.5 * log_var[:, j].numpy())

        def cdf(z: np.ndarray, j: int = j, std: np.ndarray = std) -> np.ndarray:
            return weights.numpy() @ stats.norm(mu[:, j, None], std[:, None]).cdf(z)

        assert stats.kstest(draws[:, j], cdf).pvalue > 1e-3


def test_a_mixture_of_any_components() -> None:
    base = MultivariateNormal(normal(0, 3, 2), torch.eye(2).double())
    mixture = Mixture(torch.full((3,), -math.log(3)).double(), base)
    z = normal(1, 4, 2)
    close(mixture.log_prob(z), base.log_prob(z[:, None]).exp().mean(-1).log())


def test_wrong_mixtures_are_refused() -> None:
    components = DiagonalGaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"log_weights has shape \(2,\)"):
        Mixture(torch.tensor([0.5, 0.5]).log(), components)
    with pytest.raises(ValueError, match="the weights sum to 3"):
        Mixture(torch.zeros(3), components)
    with pytest.raises(ValueError, match=r"events of shape \(\)"):
        Mixture(torch.full((3,), -math.log(3)), Normal(torch.zeros(3), torch.ones(3)))
    with pytest.raises(ValueError, match=r"expected \[..., 2\]"):
        Mixture(torch.full((3,), -math.log(3)), components).log_prob(torch.zeros(4, 3))


# --- each learned prior as a density ------------------------------------------------------------


@pytest.mark.parametrize("name", PRIORS)
def test_every_learned_density_integrates_to_one(name: str) -> None:
    prior = shaken(name).prior
    # trapezoids on smooth densities; a spline has kinks in its second derivative
    assert mass(prior) == pytest.approx(1, abs=1e-3 if name == "flow" else 1e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_every_sampler_follows_its_density(name: str) -> None:
    """Means of five functions over samples, against integrals of the density on a grid."""
    with torch.no_grad():
        prior = shaken(name).prior
        with seeded(1):
            draws = prior.sample((20_000,)).double()
        axis = torch.linspace(-9, 9, 361)
        points = torch.cartesian_prod(axis, axis)
        weights = prior.log_prob(points).double().exp()
    weights, points = weights / weights.sum(), points.double()
    assert draws.shape == (20_000, 2)
    assert not draws.requires_grad
    for f in (
        lambda z: z[:, 0],
        lambda z: z[:, 1],
        lambda z: z[:, 0] ** 2,
        lambda z: z[:, 1] ** 2,
        lambda z: z[:, 0] * z[:, 1],
        lambda z: torch.tanh(3 * z[:, 0]),
    ):
        values = f(draws)
        expected = (weights * f(points)).sum()
        error = values.std() / math.sqrt(20_000)
        # 30 comparisons within 4.5 standard errors; 2e-3 is the grid's share
        assert (values.mean() - expected).abs() < 4.5 * error + 2e-3


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_has_no_batch_and_a_gradient(name: str) -> None:
    model = shaken(name)
    prior = model.prior
    assert tuple(prior.event_shape) == (2,)
    assert tuple(prior.batch_shape) == ()
    z = normal(0, 7, 2).float()
    (-prior.log_prob(z).mean()).backward()
    for key, parameter in model._prior.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", PRIORS)
def test_gradients_of_the_loss_agree_with_finite_differences(name: str) -> None:
    model, pictures = shaken(name).double(), images(5).double()
    parameters = list(model.parameters())
    if name == "vamp":
        model._prior.free_pseudo_inputs.data.clamp_(0.01, 0.99)  # the border is tested below

    def loss() -> torch.Tensor:
        with seeded(0):
            return model.loss(pictures).sum()

    gradients = torch.autograd.grad(loss(), parameters)
    step = 1e-6
    with torch.no_grad():
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            direction = normal(i, *parameter.shape)
            parameter.add_(step * direction)
            up = loss()
            parameter.sub_(2 * step * direction)
            down = loss()
            parameter.add_(step * direction)
            slope = ((up - down) / (2 * step)).item()
            # central differences in double precision
            assert slope == pytest.approx((gradient * direction).sum().item(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", PRIORS)
def test_a_vae_trains_saves_and_samples_its_own_prior(name: str, tmp_path) -> None:
    model, pictures = model_with(PRIORS[name]()), images(n=40)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    history = fit(model, pictures, num_epochs=4, batch_size=20, lr=1e-2, progress=False)
    assert history["loss"][-1] < history["loss"][0]
    moved = [
        key
        for key, value in model.state_dict().items()
        if key.startswith("_prior") and not torch.equal(value, before[key])
    ]
    assert moved, "the prior's weights are in the state and change"

    save_weights(model, tmp_path / "weights.safetensors")
    again = model_with(PRIORS[name](), seed=9)
    load_weights(again, tmp_path / "weights.safetensors")
    z = normal(0, 5, 2).float()
    close(again.prior.log_prob(z), model.prior.log_prob(z))

    with seeded(3):
        codes = model.prior.sample((7,))
    assert torch.equal(model.sample(7, seed=3), model.decode(codes).detach())
    nll = importance_weighted_nll(model, pictures[:5], num_samples=20)
    assert torch.isfinite(nll).all()


@pytest.mark.parametrize("name", PRIORS)
def test_samples_of_a_trained_model_are_those_of_the_density_in_its_rate(name: str) -> None:
    """Decoded samples against codes redrawn from the density by importance resampling."""
    model = shaken(name)
    with torch.no_grad():
        axis = torch.linspace(-9, 9, 301)
        points = torch.cartesian_prod(axis, axis)
        weights = model.prior.log_prob(points).exp()
        expected = (weights[:, None] * model.decode(points).flatten(1)).sum(0) / weights.sum()
        found = model.sample(4000, seed=0).flatten(1)
    error = found.std(0) / math.sqrt(4000)
    assert ((found.mean(0) - expected).abs() < 4.5 * error + 1e-3).all()


@pytest.mark.parametrize("name", ["mixture", "vamp", "flow"])
def test_the_rate_is_the_sampled_divergence(name: str) -> None:
    model, pictures = shaken(name), images(n=3)
    with torch.no_grad(), seeded(0):
        rate = model.elbo(pictures, num_samples=4000).rate
        found = monte_carlo_kl(model.posterior(pictures), model.prior, 4000)
    # two independent estimates of the same size
    assert ((rate - found.estimate).abs() < 5 * math.sqrt(2) * found.standard_error).all()
    assert (rate > -4 * found.standard_error).all(), "no divergence is negative"


# --- Gaussians ----------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_learned_gaussian_starts_at_the_standard_normal(covariance) -> None:
    prior = LearnedGaussianPrior(3, covariance=covariance)(None)
    z = normal(0, 5, 3).float()
    close(prior.log_prob(z), standard_normal(3).log_prob(z))


@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_the_rate_to_a_learned_gaussian_is_torch_s(name: str) -> None:
    model, pictures = shaken(name), images()
    q, p = model.posterior(pictures), model.prior
    covariance = p.covariance_matrix if name == "full" else torch.diag(p.variance)
    reference = kl_divergence(
        MultivariateNormal(q.mean, torch.diag_embed(q.variance)),
        MultivariateNormal(p.mean, covariance),
    )
    # float32
    close(model.elbo(pictures).rate, reference, rtol=1e-4, atol=1e-4)


def test_a_learned_full_covariance_has_a_proper_factor() -> None:
    factor = shaken("full").prior.scale_tril
    assert torch.equal(factor, factor.tril())
    assert (factor.diagonal() > 0).all()


# --- the mixture prior --------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2000])
def test_a_mixture_prior_starts_with_the_moments_of_the_normal(k: int) -> None:
    with seeded(0):
        prior = MixturePrior(3, k)(None)
    with torch.no_grad():
        # 2000 random means: standard errors of 0.7/√2000 and half of √2/√2000
        close(prior.mean, torch.zeros(3) if k > 1 else prior.components.mu[0], rtol=0, atol=0.07)
        close(prior.variance, torch.ones(3), rtol=0, atol=0.08)
    assert k == 1 or (prior.components.mu.std(0) > 0.5).all(), "components differ"


# --- the VampPrior ------------------------------------------------------------------------------


def test_a_vampprior_is_the_mean_of_posteriors() -> None:
    """By exponentials and a mean, in double precision, where nothing underflows."""
    pictures = uniform(3, 5, *SHAPE)
    model = model_with(VampPrior(pictures, 2)).double()
    z = normal(1, 4, 2)
    q = model.posterior(pictures)
    densities = Independent(Normal(q.mean, q.stddev), 1).log_prob(z[:, None]).exp()  # [4, 5]
    close(model.prior.log_prob(z), densities.mean(1).log())


def test_one_pseudo_input_gives_its_own_posterior() -> None:
    picture = uniform(3, 1, *SHAPE)
    model = model_with(VampPrior(picture, 2)).double()
    rate = model.elbo(picture, num_samples=5).rate
    close(rate, torch.zeros(1).double(), rtol=0, atol=1e-12)


def test_a_vampprior_works_with_every_posterior_family() -> None:
    pictures = images(n=4)
    for family in ("diagonal", "full", "laplace", "beta", "power spherical"):
        model = model_with(VampPrior(pictures, 3), d=3, posterior=family)
        assert torch.isfinite(model.loss(pictures)).all()
        assert model.sample(2, seed=0).shape == (2, *SHAPE)


def test_pseudo_inputs_start_as_copies_of_the_pictures() -> None:
    pictures = images(n=3)
    prior = VampPrior(pictures, 2)
    assert torch.equal(prior.pseudo_inputs, pictures)
    pictures.zero_()
    assert (prior.pseudo_inputs > 0).any()


def test_pseudo_inputs_stay_inside_and_come_back_from_the_border() -> None:
    prior = VampPrior(torch.tensor([0.0, 0.5, 1.0, 1.0]).reshape(1, 1, 1, 4), 2)
    optimiser = torch.optim.SGD(prior.parameters(), lr=1.0)
    outwards = torch.tensor([1.0, 0.1, -1.0, -1.0])  # gradients whose descent leads out
    for gradient, expected in (
        (outwards, [0.0, 0.4, 1.0, 1.0]),
        (-0.2 * outwards.sign(), [0.2, 0.6, 0.8, 0.8]),
    ):
        optimiser.zero_grad()
        (prior.pseudo_inputs.flatten() * gradient).sum().backward()
        optimiser.step()
        close(prior.pseudo_inputs.flatten().detach(), torch.tensor(expected))


def test_pseudo_inputs_must_be_images() -> None:
    with pytest.raises(ValueError, match=r"pseudo_inputs lies in \[0, 255\]"):
        VampPrior(torch.tensor([0.0, 255.0]).reshape(1, 1, 1, 2), 2)


# --- flows --------------------------------------------------------------------------------------


def test_the_log_determinant_is_that_of_the_jacobian() -> None:
    """log p(z) = log N(f(z)) + log |det ∂f/∂z|, the Jacobian by autograd."""
    with seeded(0):
        flow = SplineFlow(3, hidden=(8,)).double()
    density = flow()
    for z in normal(1, 5, 3):
        u = density.transform(z)
        jacobian = torch.autograd.functional.jacobian(density.transform, z)
        expected = standard_normal(3).log_prob(u) + torch.linalg.slogdet(jacobian).logabsdet
        close(density.log_prob(z), expected)


def test_a_flow_inverts_itself() -> None:
    with seeded(0):
        density = SplineFlow(4).double()()
    u = normal(0, 20, 4, spread=2.0)
    close(density.transform(density.transform.inv(u)), u, rtol=0, atol=1e-6)


def test_a_flow_in_more_dimensions_integrates_to_one() -> None:
    """By importance sampling from a wide Gaussian: E p(z)/r(z) = 1."""
    with seeded(0):
        density = SplineFlow(6, hidden=(16,))()
        proposal = Independent(Normal(torch.zeros(6), torch.full((6,), 1.3)), 1)
        z = proposal.sample((40_000,))
    with torch.no_grad():
        weights = (density.log_prob(z) - proposal.log_prob(z)).exp()
    error = weights.std().item() / 200
    assert error < 0.03
    assert weights.mean().item() == pytest.approx(1, abs=4 * error)


def test_a_flow_of_one_number() -> None:
    with seeded(0):
        density = SplineFlow(1)()
    grid = torch.linspace(-9, 9, 20_001)
    with torch.no_grad():
        mass_on_line = torch.trapezoid(density.log_prob(grid[:, None]).exp(), grid).item()
        with seeded(1):
            assert torch.isfinite(density.sample((5,))).all()
    assert mass_on_line == pytest.approx(1, abs=1e-3)


def test_a_flow_of_any_transform() -> None:
    scale = torch.distributions.AffineTransform(torch.ones(2), torch.full((2,), 0.5), event_dim=1)
    density = FlowDistribution(scale.inv, standard_normal(2))
    z = normal(0, 5, 2).float()
    expected = DiagonalGaussian(torch.ones(2), torch.full((2,), 2 * math.log(0.5)))
    close(density.log_prob(z), expected.log_prob(z))


@pytest.mark.parametrize("family", ["diagonal", "laplace", "beta", "power spherical"])
def test_at_the_prior_the_mean_still_moves_with_the_encoder(family: str) -> None:
    """Or a posterior that fell back to the prior would never leave it: a collapse by design."""
    plan = POSTERIORS[family]
    output = torch.full((1, plan.num_outputs(3)), 1e-4 if family == "power spherical" else 0.0)
    output.requires_grad_()
    for j in range(3):
        (slope,) = torch.autograd.grad(plan.build(output, 3).mean[0, j], output)
        assert slope.abs().max() > 0.3


# --- in a VAE -----------------------------------------------------------------------------------


def test_priors_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"events of shape \(3,\); expected \(2,\)"):
        model_with(MixturePrior(3, 2))
    with pytest.raises(ValueError, match=r"events of shape \(3,\); expected \(2,\)"):
        model_with(VampPrior(images(), 3))


def test_wrong_settings_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="covariance is 'banded'; expected 'diagonal' or 'full'"):
        LearnedGaussianPrior(2, covariance="banded")
    for make in (lambda: MixturePrior(2, 0), lambda: MixturePrior(0), lambda: FlowPrior(0)):
        with pytest.raises(ValueError, match="expected an integer of at least 1"):
            make()
    with pytest.raises(ValueError, match="num_bins is 1"):
        FlowPrior(2, num_bins=1)
    with pytest.raises(TypeError, match="abstract"):
        Prior(2)  # type: ignore[abstract]


FAMILIES = {
    "diagonal": lambda: standard_normal(3),
    "full": lambda: standard_normal(3),
    "laplace": lambda: unit_laplace(3),
    "beta": lambda: unit_uniform(3),
    "power spherical": lambda: HypersphericalUniform(3),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rate_of_every_family_is_what_samples_say(family: str) -> None:
    model = model_with(FAMILIES[family](), d=3, posterior=family)
    for parameter in model.encoder.parameters():
        parameter.data *= 2
    with torch.no_grad():
        rate = model.elbo(images()).rate
        with seeded(0):
            found = monte_carlo_kl(model.posterior(images()), model.prior, 5000)
    assert (rate > 0).all()
    assert ((rate - found.estimate).abs() < 5 * found.standard_error).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_bounds_the_evidence(family: str) -> None:
    """−ELBO ≥ −log p(x), which few dimensions let one find by importance sampling."""
    model, pictures = model_with(FAMILIES[family](), d=3, posterior=family), images()
    with torch.no_grad(), seeded(0):
        elbo = model.elbo(pictures, num_samples=500).elbo
        loose, tight = (importance_weighted_nll(model, pictures, num_samples=k) for k in (1, 3000))
        codes = model.prior.sample((20_000,))
        likelihood = model.likelihood_of(codes[:, None]).log_prob(pictures)
        naive = math.log(20_000) - torch.logsumexp(likelihood, 0)
    assert (-elbo.mean() > tight.mean() - 0.02).all()
    assert loose.mean() > tight.mean() - 1.0
    # the same number from q and from the prior: a wrong density of either would show
    close(tight, naive, rtol=0, atol=0.1)


def test_weights_may_be_rounded_and_no_more() -> None:
    """A few thousand of them in single precision sum to 1 up to some 1e-5."""
    components = DiagonalGaussian(torch.zeros(2, 1), torch.zeros(2, 1))
    for total in (1 - 9e-5, 1 + 9e-5):
        Mixture(torch.tensor([0.5, total - 0.5]).log(), components)
    for total in (1 - 3e-4, 1 + 3e-4):
        with pytest.raises(ValueError, match="expected 1"):
            Mixture(torch.tensor([0.5, total - 0.5]).log(), components)


def test_a_fixed_prior_takes_codes_on_trust_where_they_have_been_checked() -> None:
    """To look at values would make a processor wait for its accelerator in each step."""
    given = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(2), torch.ones(2), validate_args=True), 1,
        validate_args=True,
    )  # fmt: skip
    prior, bad = FixedPrior(given), torch.tensor([[0.0, torch.nan]])
    for _ in range(2):
        with pytest.raises(ValueError, match="within the support"):
            prior().log_prob(bad)
        with already_checked():
            assert prior().log_prob(bad).isnan().all()
        prior = prior.double().float()
    assert given.base_dist._validate_args, "what was given is left as it was"
