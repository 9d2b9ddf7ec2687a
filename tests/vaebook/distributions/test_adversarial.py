"""Chapter 11: Jensen-Shannon, the best discriminator, the generator's gradients, inversion."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal, Uniform, kl_divergence

from vaebook.distributions import jensen_shannon, quadrature_kl, standard_normal
from vaebook.metrics import invert
from vaebook.models import GAN, MLP
from vaebook.models.gan import discriminator_loss, minimax_loss, non_saturating_loss
from vaebook.training import seeded

GRID = torch.linspace(-12, 12, 8001, dtype=torch.float64)


def normal(mean: float, std: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


def mixture_of(p: Normal, g: Normal) -> MixtureSameFamily:
    both = Normal(torch.stack([p.loc, g.loc]), torch.stack([p.scale, g.scale]))
    return MixtureSameFamily(Categorical(torch.ones(2, dtype=torch.float64)), both)


def test_jensen_shannon_is_the_mean_of_two_divergences_to_the_mixture() -> None:
    p, g = normal(0.0, 1.0), normal(1.0, 0.5)
    m = mixture_of(p, g)
    by_kl = (quadrature_kl(p, m, low=-9, high=9) + quadrature_kl(g, m, low=-9, high=9)) / 2
    torch.testing.assert_close(jensen_shannon(p, g, low=-9, high=9), by_kl, atol=1e-12, rtol=0)
    # and by Monte Carlo: 2e5 draws, standard error below 1e-3
    torch.manual_seed(0)
    x, y = p.sample((200_000,)), g.sample((200_000,))
    drawn = (p.log_prob(x) - m.log_prob(x)).mean() + (g.log_prob(y) - m.log_prob(y)).mean()
    assert float(drawn / 2) == pytest.approx(float(by_kl), abs=4e-3)


def test_jensen_shannon_of_equal_and_of_disjoint_distributions() -> None:
    p = normal(0.0, 1.0)
    assert float(jensen_shannon(p, p, low=-9, high=9)) == pytest.approx(0.0, abs=1e-15)
    for distance in (20.0, 40.0):  # it cannot say how far apart
        g = normal(distance, 1.0)
        js = jensen_shannon(p, g, low=-9, high=distance + 9)
        assert float(js) == pytest.approx(math.log(2), abs=1e-9)


def test_jensen_shannon_of_overlapping_uniforms() -> None:
    """[0, 1] and [½, 3/2]: half of each is alone, where log(p/m) = log 2, half is shared: 0."""
    p, g = Uniform(0.0, 1.0, validate_args=False), Uniform(0.5, 1.5, validate_args=False)
    # the grid's points lie on the steps; 1 / 2,000,000 of mass is missing at most
    js = jensen_shannon(p, g, low=-0.25, high=1.75, num_points=4_000_001)
    assert float(js) == pytest.approx(math.log(2) / 2, abs=1e-5)


def test_jensen_shannon_takes_batches_and_refuses_bad_grids() -> None:
    p, g = normal(0.0, 1.0), Normal(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    assert jensen_shannon(p, g, low=-9, high=9).shape == (2,)
    with pytest.raises(ValueError, match="g integrates to"):
        jensen_shannon(p, normal(8.0, 1.0), low=-9, high=9)
    with pytest.raises(ValueError, match="low is 3"):
        jensen_shannon(p, p, low=3, high=-3)
    with pytest.raises(ValueError, match="event shapes"):
        jensen_shannon(standard_normal(2), standard_normal(2), low=-9, high=9)


def test_no_discriminator_pays_less_than_the_log_ratio() -> None:
    """Theorem 11.1 by quadrature: log p/g is the best logit, any other pays more."""
    p, g = normal(0.0, 1.0), normal(1.0, 0.7)

    def paid(logit: torch.Tensor) -> float:
        real = p.log_prob(GRID).exp() * nn.functional.softplus(-logit)
        fake = g.log_prob(GRID).exp() * nn.functional.softplus(logit)
        return float(torch.trapezoid(real + fake, GRID))

    best = p.log_prob(GRID) - g.log_prob(GRID)
    least = paid(best)
    js = float(jensen_shannon(p, g, low=-12, high=12))
    # torch's softplus is the identity beyond 20
    assert least == pytest.approx(math.log(4) - 2 * js, abs=1e-8)
    for other in (best + 0.1, 1.2 * best, best + torch.sin(GRID), torch.zeros_like(best)):
        assert paid(other) > least + 1e-4


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_what_the_generators_losses_descend_at_the_best_discriminator(loss: str) -> None:
    """G: z → m + s z against p = N(0, 1), D held at the best for the current G.

    The minimax loss has the gradient of 2 JS(p ‖ g), the non-saturating one that of
    KL(g ‖ p) − 2 JS(p ‖ g) (Arjovsky & Bottou 2017, theorem 2.5).
    """
    mean = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    std = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    held = normal(1.0, 0.7)
    p, noise = normal(0.0, 1.0), normal(0.0, 1.0)
    x = mean + std * GRID  # the generator's picture of each z
    logit = p.log_prob(x) - held.log_prob(x)
    of_logit = {"non-saturating": non_saturating_loss, "minimax": minimax_loss}[loss]
    expected_loss = torch.trapezoid(noise.log_prob(GRID).exp() * of_logit(logit), GRID)
    got = torch.autograd.grad(expected_loss, [mean, std])

    g = Normal(mean, std)
    divergence = 2 * jensen_shannon(p, g, low=-12, high=12)
    if loss == "non-saturating":
        divergence = kl_divergence(g, p) - divergence
    expected = torch.autograd.grad(divergence, [mean, std])
    torch.testing.assert_close(got, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.0, 0.7), (-3.0, 1.2), (6.0, 0.5)])
def test_what_the_non_saturating_loss_descends_is_a_divergence(mean: float, std: float) -> None:
    """KL(g ‖ p) − 2 JS(p ‖ g) = 2 KL((p + g)/2 ‖ p): never negative, 0 at g = p only."""
    p, g = normal(0.0, 1.0), normal(mean, std)
    difference = kl_divergence(g, p) - 2 * jensen_shannon(p, g, low=-12, high=12)
    to_midpoint = 2 * quadrature_kl(mixture_of(p, g), p, low=-12, high=12)
    torch.testing.assert_close(difference, to_midpoint, atol=1e-7, rtol=1e-7)
    assert (float(difference) > 1e-3) == ((mean, std) != (0.0, 1.0))


def test_a_forgotten_kind_costs_little_by_the_midpoint_divergence() -> None:
    """p has a kind of share 5 %; g leaves it out and is right in the rest, in proportion."""
    p, g = torch.tensor([0.95, 0.05]).double(), torch.tensor([1.0, 0.0]).double()
    m = (p + g) / 2
    assert float(2 * (m * (m / p).log()).sum()) == pytest.approx(0.016, abs=5e-4)
    assert float((p * (p / g).log()).sum()) == math.inf  # maximum likelihood's


def test_without_overlap_every_discriminator_can_be_beaten() -> None:
    """Where only p is positive the value grows with the logit: a supremum and no maximum."""
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)
    paid = discriminator_loss(logits, -logits)  # real where p is, generated where g is
    assert (paid.diff() < 0).all()
    assert 0 < float(paid[-1]) < 1e-3  # log 4 − 2 JS = 0 is never reached


def test_slopes_of_the_losses_in_the_logit() -> None:
    """Saturating: −D; non-saturating: −(1 − D)."""
    logit = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    judged = torch.sigmoid(logit.detach())
    (slope,) = torch.autograd.grad(minimax_loss(logit).sum(), logit)
    torch.testing.assert_close(slope, -judged)
    (slope,) = torch.autograd.grad(non_saturating_loss(logit).sum(), logit)
    torch.testing.assert_close(slope, -(1 - judged))
    (slope,) = torch.autograd.grad(discriminator_loss(logit, -logit).sum(), logit)
    torch.testing.assert_close(slope, -2 * (1 - judged))


class Linear(nn.Module):
    """x = W z, whose nearest picture is known: least squares."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 16, bias=False)
        self.prior = standard_normal(3)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return self.layer(codes).unflatten(1, (1, 4, 4)) + 0.5


def test_inversion_of_a_linear_generator_is_least_squares() -> None:
    model = Linear()
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = invert(model, images, num_steps=400)
    matrix = model.layer.weight.detach()
    target = (images - 0.5).flatten(1).T
    codes = torch.linalg.lstsq(matrix, target).solution
    expected = (matrix @ codes - target).square().mean(0).sqrt()
    torch.testing.assert_close(found.distance, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.codes, codes.T, atol=5e-3, rtol=0)
    assert model.layer.weight.grad is None
    with pytest.raises(ValueError, match="num_candidates"):
        invert(model, images, num_candidates=2)


def test_inversion_finds_the_noise_of_generated_pictures() -> None:
    model = Linear()
    codes = torch.tensor([[0.3, -0.2, 0.1], [-0.1, 0.2, 0.3]])
    with torch.no_grad():
        images = model.decode(codes)
    found = invert(model, images, num_steps=400)
    torch.testing.assert_close(found.codes, codes, atol=1e-3, rtol=0)
    assert float(found.distance.max()) < 1e-3


IMAGES = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(3))


def small_gan(loss: str = "non-saturating") -> GAN:
    torch.manual_seed(0)
    return GAN((1, 4, 4), 2, network=MLP((8,)), loss=loss)


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_the_generator_minimises_the_loss_it_was_given(loss: str) -> None:
    model = small_gan(loss)
    torch.manual_seed(7)
    got = model.generator_loss(IMAGES)
    torch.manual_seed(7)
    judged = torch.sigmoid(model.logits(model.sample(len(IMAGES))))
    expected = -judged.log() if loss == "non-saturating" else (1 - judged).log()
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_the_discriminator_gives_logits() -> None:
    """Its output has no bounds: it is linear in its last layer, bias included."""
    model = small_gan()
    with torch.no_grad():
        before = model.logits(IMAGES)
        model.discriminator[-1].bias.sub_(30.0)
        torch.testing.assert_close(model.logits(IMAGES), before - 30, atol=1e-4, rtol=0)


def test_a_turn_holds_the_weights_of_one_player() -> None:
    model = small_gan()
    critic, maker = model.players()
    assert {id(p) for p in critic.parameters} == {id(p) for p in model.discriminator.parameters()}
    assert {id(p) for p in maker.parameters} == {id(p) for p in model.generator.parameters()}


def starts_of(model: Linear, images: torch.Tensor, num_candidates: int, seed: int) -> torch.Tensor:
    """The draw of the prior whose picture is nearest to each image."""
    with seeded(seed), torch.no_grad():
        drawn = model.prior.sample((num_candidates,))
        distance = (model.decode(drawn)[None] - images[:, None]).square().sum((2, 3, 4))
    return drawn[distance.argmin(1)]


@pytest.mark.parametrize(("num_steps", "rates"), [(1, 1.0), (2, 1.0 + 0.5), (3, 1 + 0.75 + 0.25)])
def test_inversion_goes_from_the_nearest_draw_by_adam_along_a_cosine(
    num_steps: int, rates: float
) -> None:
    """Where the gradient hardly changes, Adam's step is its rate times the gradient's sign."""
    model = Linear()
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    first = starts_of(model, images, 50, seed=3).requires_grad_()
    (slope,) = torch.autograd.grad((model.decode(first) - images).square().sum(), first)
    found = invert(
        model, images, num_candidates=50, num_starts=1, num_steps=num_steps, lr=1e-3, seed=3
    )
    expected = first.detach() - 1e-3 * rates * slope.sign()
    torch.testing.assert_close(found.codes, expected, atol=5e-5, rtol=0)
    rmse = (model.decode(found.codes) - images).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(found.distance, rmse.detach())


class Stuck:
    """Below 0 all noise gives the same picture, and no gradient; above, the picture is the noise.

    Of the draws −1, 0.5 and 0.7 the first is nearest to 0.35, and the second gets there.
    """

    class Prior:
        def sample(self, shape: tuple[int]) -> torch.Tensor:
            return torch.tensor([[-1.0], [0.7], [0.5]])[: shape[0]]

    prior = Prior()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return torch.where(codes > 0, codes, 0.3 + 0 * codes)[:, :, None, None]


def test_of_several_starts_the_one_that_ends_nearest_is_given() -> None:
    images = torch.tensor([0.35, 0.31]).view(2, 1, 1, 1)
    settings = {"num_candidates": 3, "num_steps": 60, "lr": 0.02}
    one = invert(Stuck(), images, num_starts=1, **settings)
    torch.testing.assert_close(one.codes, torch.full((2, 1), -1.0))
    torch.testing.assert_close(one.distance, torch.tensor([0.05, 0.01]), atol=1e-6, rtol=1e-3)
    for num_starts in (2, 3):
        found = invert(Stuck(), images, num_starts=num_starts, **settings)
        assert (found.distance < 8e-3).all()
        torch.testing.assert_close(found.codes, images.view(2, 1), atol=8e-3, rtol=0)


def test_inversion_does_not_depend_on_how_many_go_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Linear()
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    settings = {"num_candidates": 20, "num_steps": 5, "lr": 0.01}
    whole = invert(model, images, num_starts=3, **settings)
    monkeypatch.setattr("vaebook.metrics.samples.inversion._PIXELS_AT_ONCE", 3 * 16 * 2)
    for found, expected in zip(invert(model, images, num_starts=3, **settings), whole, strict=True):
        torch.testing.assert_close(found, expected)
    monkeypatch.setattr("vaebook.metrics.samples.inversion._PIXELS_AT_ONCE", 1)
    torch.testing.assert_close(invert(model, images, num_starts=3, **settings)[0], whole[0])


def test_an_inverted_model_is_in_evaluation_and_as_many_draws_as_starts_are_enough() -> None:
    gan, images = small_gan().train(), IMAGES[:2]
    modes: list[bool] = []
    gan.generator.register_forward_hook(lambda *_: modes.append(gan.training))
    found = invert(gan, images, num_candidates=3, num_starts=3, num_steps=1)
    assert not any(modes)
    assert gan.training
    assert found.codes.shape == (2, 2)
    assert not found.codes.requires_grad
    with pytest.raises(ValueError, match="num_candidates is 2"):
        invert(gan, images, num_candidates=2, num_starts=3, num_steps=1)
    for lacking in (nn.Identity(), standard_normal(2)):
        with pytest.raises(ValueError, match="expected a generator with a prior and decode"):
            invert(lacking, images)


def test_a_grid_that_misses_a_part_says_how_much_and_of_what() -> None:
    """Φ(1) = 0.841345 of N(8, 1) lies below 9; in a batch the worst is named."""
    p = normal(0.0, 1.0)
    told = r"g integrates to 0\.84134\d over \[-9, 9\] with 4001 points; expected 1"
    with pytest.raises(ValueError, match=told):
        jensen_shannon(p, normal(8.0, 1.0), low=-9, high=9)
    means = torch.tensor([0.0, 8.0, 7.0], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"q integrates to 0\.84134\d"):
        quadrature_kl(Normal(means, torch.ones(3).double()), p, low=-9, high=9)
