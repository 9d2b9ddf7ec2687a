"""A model over many images, in pieces of any size: the numbers are those of the whole."""

import pytest
import torch
from torch import nn

from tests.properties import normal, uniform
from tests.vaebook.metrics.measure_table import SHAPE, small_vae
from vaebook.distributions import MixturePrior
from vaebook.metrics.batches import evaluate_in_batches, log_likelihood, log_prior, to_model
from vaebook.models import MLP, VAE
from vaebook.training import seeded


@pytest.mark.parametrize("pixels", [1, 64 * 3, 64 * 7, 2**21])
@pytest.mark.parametrize("pictures", [2, 5, 64])
@pytest.mark.parametrize("shared", [True, False])
def test_the_likelihood_of_codes_in_any_pieces(
    shared: bool, pictures: int, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes that all pictures share are decoded once; codes of their own, each for its picture."""
    model, images = small_vae(), uniform(0, 7, *SHAPE).float()
    codes = normal(1, 5, 1 if shared else 7, 2).float()
    with torch.no_grad():
        expected = model.likelihood_of(codes.expand(5, 7, 2)).log_prob(images)
    decoded: list[int] = []

    def counted(some: torch.Tensor) -> object:
        decoded.append(some[..., 0].numel())
        return VAE.likelihood_of(model, some)

    monkeypatch.setattr(model, "likelihood_of", counted)
    monkeypatch.setattr("vaebook.metrics.batches._PIXELS_AT_ONCE", pixels)
    monkeypatch.setattr("vaebook.metrics.batches._PICTURES_AT_ONCE", pictures)
    with torch.no_grad():
        found = log_likelihood(model, codes, images)
    torch.testing.assert_close(found, expected)
    assert sum(decoded) == (5 if shared else 35)
    at_once = max(1, pixels // 64)
    assert max(decoded) <= at_once


def test_one_picture_and_one_code() -> None:
    model, image = small_vae(), uniform(0, 1, *SHAPE).float()
    codes = normal(1, 1, 1, 2).float()
    with torch.no_grad():
        expected = model.likelihood_of(codes).log_prob(image)
        assert log_likelihood(model, codes, image).shape == (1, 1)
        torch.testing.assert_close(log_likelihood(model, codes, image), expected)


def test_the_prior_of_codes_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    with seeded(0):
        model = VAE(SHAPE, 2, network=MLP((8,)), prior=MixturePrior(2, 3))
    codes = normal(1, 3, 5, 2).float()
    with torch.no_grad():
        expected = model.prior.log_prob(codes)
        for at_once in (1, 4, 2048):
            monkeypatch.setattr("vaebook.metrics.batches._CODES_AT_ONCE", at_once)
            torch.testing.assert_close(log_prior(model, codes), expected)


def test_values_take_the_type_of_the_first_weights_that_are_floats() -> None:
    class Counts(nn.Module):
        def __init__(self, dtype: torch.dtype) -> None:
            super().__init__()
            self.register_buffer("steps", torch.zeros(1, dtype=torch.long))
            self.register_buffer("scale", torch.zeros(1, dtype=dtype))

    values = torch.zeros(2)
    assert to_model(Counts(torch.float64), values).dtype == torch.float64
    assert to_model(nn.Linear(1, 1, dtype=torch.float64), values).dtype == torch.float64
    assert to_model(object(), values) is values
    assert to_model(nn.Identity(), values) is values


def test_what_is_measured_of_batches_comes_in_the_order_of_the_images() -> None:
    model, images = small_vae().train(), uniform(0, 7, *SHAPE)
    sizes: list[int] = []

    def measure(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sizes.append(len(batch))
        assert not model.training
        assert not torch.is_grad_enabled()
        assert batch.dtype == torch.float32
        return batch.sum((1, 2, 3)), torch.rand(len(batch))

    state = torch.get_rng_state()
    sums, noise = evaluate_in_batches(model, images, measure, seed=3, batch_size=3)
    assert sizes == [3, 3, 1]
    assert model.training
    torch.testing.assert_close(sums, images.float().sum((1, 2, 3)))
    assert torch.equal(torch.get_rng_state(), state)
    with seeded(3):
        assert torch.equal(noise, torch.cat([torch.rand(n) for n in sizes]))
    with pytest.raises(ValueError, match="batch_size is 0"):
        evaluate_in_batches(model, images, measure, seed=3, batch_size=0)
