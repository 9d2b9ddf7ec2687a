"""The flow of chapter 14: what ships, and what was trained."""

import pytest
import torch

from vaebook.distributions import integrate, standard_normal, unit_uniform
from vaebook.distributions.velocity import VelocityNetwork
from vaebook.explorer import FlowExplorer, unpack_network
from vaebook.explorer.flow import NOISES, field_of, layers_of, load_flow
from vaebook.explorer.training.flow import as_layers
from vaebook.training import seeded


def test_side_by_side_the_layers_are_the_network() -> None:
    with seeded(0):
        network = VelocityNetwork(2, 48)
        x, t = torch.randn(10, 2), torch.rand(10)
    shipped = {f"some.{key}": value for key, value in as_layers(network).state_dict().items()}
    with torch.no_grad():
        assert torch.allclose(field_of(shipped, "some")(x, t), network(x, t), atol=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_the_page_gets_the_field(noise: str) -> None:
    inputs = torch.randn(20, 11, generator=torch.Generator().manual_seed(0))
    packed = FlowExplorer().data()["fields"][noise]
    shipped = layers_of(load_flow(), noise)
    assert torch.allclose(unpack_network(packed)(inputs), shipped(inputs), atol=2e-3)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_comes_to_all_five_kinds(noise: str) -> None:
    shipped = load_flow()
    base = {"normal": standard_normal(2), "uniform": unit_uniform(2)}[noise]
    with seeded(1):
        points = integrate(field_of(shipped, noise), base.sample((1000,)), num_steps=100).points
    distance, nearest = torch.cdist(points, shipped["codes"]).min(1)
    assert (distance < 0.3).float().mean() > 0.9
    shares = torch.bincount(shipped["kinds"][nearest].long(), minlength=5) / 1000
    assert shares.min() > 0.1


def test_the_codes_have_mean_0_and_size_1() -> None:
    codes = load_flow()["codes"]
    assert codes.mean(0).abs().max() < 1e-3
    assert float(codes.square().mean()) == pytest.approx(1, abs=1e-2)
