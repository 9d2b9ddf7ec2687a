"""Draws nearer to the middle, against what they must come out as in closed form."""

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vaebook.distributions import BoxCorners, DiagonalGaussian, Mixture, standard_normal, truncate
from vaebook.training import seeded

close = torch.testing.assert_close
MEANS = torch.tensor([[-4.0, 0.0], [4.0, 1.0]])
TRIL = torch.tensor([[[1.0, 0.0], [0.5, 0.2]], [[0.3, 0.0], [-0.1, 2.0]]])


def test_noise_is_multiplied() -> None:
    with seeded(0, "here"):
        plain = standard_normal(3).sample((5,))
    with seeded(0, "here"):
        near = truncate(standard_normal(3), 0.7).sample((5,))
    close(near, 0.7 * plain)
    with seeded(0, "here"):
        assert torch.equal(truncate(standard_normal(3), 1.0).sample((5,)), plain)


def test_a_gaussian_keeps_its_mean_and_loses_spread() -> None:
    mu, log_var = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 1.0])
    points = torch.tensor([[0.5, -2.5], [1.0, -2.0], [3.0, 0.0]])
    expected = DiagonalGaussian(mu, log_var + 2 * torch.tensor(0.5).log())
    found = truncate(DiagonalGaussian(mu, log_var), 0.5)
    close(found.log_prob(points), expected.log_prob(points))


@pytest.mark.parametrize("own", [False, True])
def test_a_mixture_keeps_its_components(own: bool) -> None:
    weights = torch.tensor([0.3, 0.7])

    def mixture(tril: torch.Tensor) -> Mixture | MixtureSameFamily:
        components = MultivariateNormal(MEANS, scale_tril=tril)
        if own:
            return Mixture(weights.log(), components)
        return MixtureSameFamily(Categorical(weights), components)

    near = truncate(mixture(TRIL), 0.5)
    with seeded(0, "points"):
        points = 3 * torch.randn(50, 2)
        draws = near.sample((4000,))
    close(near.log_prob(points), mixture(0.5 * TRIL).log_prob(points))
    right = draws[:, 0] > 0
    # a share of 4,000 has a standard error of 0.007; means of 1,200 draws one of 0.03 at most
    assert float(right.float().mean()) == pytest.approx(0.7, abs=0.03)
    close(draws[~right].mean(0), MEANS[0], atol=0.1, rtol=0)
    close(draws[right].T.cov(), 0.25 * TRIL[1] @ TRIL[1].T, atol=0.1, rtol=0)


@pytest.mark.parametrize("factor", [0.0, 1.1, -1.0])
def test_only_towards_the_middle(factor: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        truncate(standard_normal(2), factor)


def test_what_has_no_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="BoxCorners, which knows no mean"):
        truncate(BoxCorners(MEANS), 0.5)
    with pytest.raises(ValueError, match="expected vectors"):
        truncate(torch.distributions.Normal(0.0, 1.0), 0.5)
