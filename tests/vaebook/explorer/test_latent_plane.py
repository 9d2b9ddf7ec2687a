"""The latent plane: its dogs, its priors, its models and what was measured of them."""

import pytest
import torch
from torch.distributions import Laplace, Normal

from vaebook.explorer import LatentPlane, pack_network, unpack_network
from vaebook.explorer.kinds import FRAME, KINDS, PAPER, SHAPE, dogs_of_five_kinds, framed
from vaebook.explorer.plane_models import EDGE, decoder_of, load_plane, model_names
from vaebook.explorer.prior_maps import PRIOR_MAPS
from vaebook.explorer.training.plane import (
    BETAS,
    NUM_COMPONENTS,
    NUM_SHOWN,
    NUM_TRAIN,
    distances,
)
from vaebook.explorer.training.principal import PrincipalMLP, principal_components
from vaebook.metrics.dogs import nearest_dog


@pytest.fixture(scope="module")
def plane() -> dict[str, torch.Tensor]:
    return load_plane()


def test_the_dogs_are_dogs_of_five_kinds_inside_the_frame() -> None:
    dogs = dogs_of_five_kinds(60, seed=1)
    assert dogs.images.shape == (60, *SHAPE)
    assert set(dogs.kinds.tolist()) == set(range(len(KINDS)))
    whole = framed(dogs.images)
    assert (whole[:, :, FRAME, FRAME] == dogs.images).all()
    assert (whole[:, :, :7] == PAPER).all()
    found = nearest_dog(whole[:8]).distance  # an upper bound: it may miss one
    assert (found < 1e-3).sum() >= 7, "what the frame cuts off is bare paper"
    assert (dogs_of_five_kinds(9, seed=1).images == dogs_of_five_kinds(9, seed=1).images).all()


def test_few_components_are_enough_and_the_networks_pass_through_them() -> None:
    images = dogs_of_five_kinds(400, seed=0).images
    mean, basis = principal_components(images, NUM_COMPONENTS)
    flat = images.flatten(1)
    back = (flat - mean) @ basis.T @ basis + mean
    assert (back - flat).square().mean().sqrt() < 5e-4
    decoder = PrincipalMLP(mean, basis).decoder(2, SHAPE)
    out = decoder(torch.randn(50, 2)).flatten(1) - mean
    torch.testing.assert_close(out @ basis.T @ basis, out, atol=1e-3, rtol=1e-2)
    assert not list(decoder)[-2].weight.requires_grad


@pytest.mark.parametrize("name", PRIOR_MAPS)
def test_a_map_can_be_taken_back_and_turns(name: str) -> None:
    codes = (torch.rand(500, 2, generator=torch.Generator().manual_seed(0)).double() * 2 - 1) * EDGE
    there = PRIOR_MAPS[name].forward(codes)
    torch.testing.assert_close(PRIOR_MAPS[name].inverse(there), codes, atol=1e-9, rtol=0)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda z: PRIOR_MAPS[name].forward(z[None])[0]))
    assert (jacobian(codes).det() > 0).all(), "no fold"


def test_the_maps_bring_the_normal_to_the_priors_that_they_name() -> None:
    codes = torch.linspace(-3, 3, 50).double()[:, None].expand(-1, 2)
    normal = Normal(0.0, 1.0).log_prob(codes)
    laplace = Laplace(0.0, 2**-0.5)
    for name, log_density in (
        ("uniform", torch.zeros_like),
        ("laplace", laplace.log_prob),
    ):
        there = codes.detach().clone().requires_grad_()
        mapped = PRIOR_MAPS[name].forward(there)
        (slope,) = torch.autograd.grad(mapped.sum(), there)
        torch.testing.assert_close(
            normal - slope.log(), log_density(mapped.detach()), atol=1e-6, rtol=0
        )


def test_six_models_with_collapse_at_the_end(plane: dict[str, torch.Tensor]) -> None:
    assert model_names(plane) == ["autoencoder", *(f"beta {beta:g}" for beta in BETAS)]
    dogs = dogs_of_five_kinds(NUM_SHOWN, seed=1)
    errors = []
    for name in model_names(plane):
        codes = plane[f"{name}.codes"]
        with torch.no_grad():
            decoded = decoder_of(plane, name)(codes)
        errors.append(float((decoded - dogs.images.flatten(1)).square().mean().sqrt()))
    assert errors == sorted(errors), "the more the code must be like the prior, the less it tells"
    assert errors[0] < 0.005
    assert errors[-1] > 0.15
    torch.testing.assert_close(
        torch.cov(plane["autoencoder.codes"].T), torch.eye(2), atol=0.02, rtol=0
    )
    assert (plane["beta 125.spreads"] - 1).abs().max() < 0.2
    assert NUM_TRAIN > NUM_SHOWN


def test_what_a_page_carries_decodes_alike(plane: dict[str, torch.Tensor]) -> None:
    codes = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    for name in model_names(plane):
        decoder = decoder_of(plane, name)
        with torch.no_grad():
            difference = unpack_network(pack_network(decoder))(codes) - decoder(codes)
        assert difference.abs().max() < 2e-3


def test_the_measured_distances_are_those_of_the_oracle(plane: dict[str, torch.Tensor]) -> None:
    """A few places of each grid, measured again."""
    for name in ("autoencoder", "beta 1"):
        grid = plane[f"{name}.distances"]
        decoder = decoder_of(plane, name)
        for row, column in ((13, 3), (5, 20)):
            code = torch.tensor([[column, row]]) / (len(grid) - 1) * 2 * EDGE - EDGE
            with torch.no_grad():
                image = decoder(code).clamp(0, 1).view(1, *SHAPE)
            found = float(nearest_dog(framed(image)).distance)
            assert float(grid[row, column]) == pytest.approx(found, abs=2e-3)
    corners = distances(decoder_of(plane, "autoencoder"), 2)
    measured = plane["autoencoder.distances"][[0, -1]][:, [0, -1]]
    torch.testing.assert_close(corners, measured, atol=2e-3, rtol=0)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no model 'beta 2'; expected one of autoencoder, beta"):
        LatentPlane().decode("beta 2", torch.zeros(1, 2))
