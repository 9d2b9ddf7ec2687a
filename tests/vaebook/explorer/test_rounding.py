"""Weights of 8 bits: a network computes nearly what it did, and a page finds the same numbers."""

import pytest
import torch
from torch import nn

from vaebook.explorer import LatentSliders, pack_network, unpack_network
from vaebook.explorer.plane_models import load_plane, model_names, own_layers
from vaebook.explorer.training.rounding import rounded


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 5)]
        return nn.Sequential(*layers).requires_grad_(False)


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    return 4 * torch.rand(2000, 2, generator=torch.Generator().manual_seed(1)) - 2


def test_whole_numbers_are_chosen_together(network: nn.Sequential, codes: torch.Tensor) -> None:
    exact = network(codes)
    each_by_itself = (unpack_network(pack_network(network, "int8"))(codes) - exact).square().mean()
    together = (rounded(network, codes)(codes) - exact).square().mean()
    assert 0 < together < each_by_itself / 16, "a quarter of the error"


def test_on_codes_that_it_did_not_mind_it_is_as_near(network: nn.Sequential) -> None:
    minded, others = 4 * torch.rand(2, 3000, 2, generator=torch.Generator().manual_seed(2)) - 2
    made = rounded(network, minded)
    errors = [float((made(c) - network(c)).square().mean().sqrt()) for c in (minded, others)]
    assert errors[1] < 1.2 * errors[0]


def test_a_page_keeps_it_and_the_network_that_was_given_stays(
    network: nn.Sequential, codes: torch.Tensor
) -> None:
    before = network(codes)
    made = rounded(network, codes)
    kept = unpack_network(pack_network(made, "int8"))
    torch.testing.assert_close(kept(codes), made(codes), atol=1e-4, rtol=0)
    assert (network(codes) == before).all()
    assert made[0].weight.dtype == torch.float32


def test_the_models_that_ship_are_in_whole_numbers() -> None:
    plane = load_plane()
    shipped = [LatentSliders().decoder, *(own_layers(plane, n) for n in model_names(plane))]
    for model in shipped:
        for layer in model:
            if isinstance(layer, nn.Linear):
                numbers = layer.weight * (127 / layer.weight.abs().amax(1, keepdim=True))
                assert (numbers - numbers.round()).abs().max() < 0.13, "half precision's last digit"
