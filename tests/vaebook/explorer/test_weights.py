"""Arrays and networks, packed for a page."""

import pytest
import torch
from torch import nn

from vaebook.explorer import pack_array, pack_network, unpack_array, unpack_network
from vaebook.models import MLP


@pytest.mark.parametrize(("kind", "steps"), [("int16", 32767), ("uint8", 255)])
def test_a_packed_array_comes_back_to_half_a_step(kind: str, steps: int) -> None:
    array = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) * 3
    packed = pack_array(array if kind == "uint8" else array - 1, kind)
    back = unpack_array(packed) + (kind == "int16")
    assert packed["shape"] == [5, 7]
    assert (back - array).abs().max() <= 0.51 * 3 / steps + 1e-6
    assert unpack_array(pack_array(torch.zeros(3))).tolist() == [0, 0, 0]


def test_in_8_bits_each_row_has_a_scale() -> None:
    array = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    array[1:4] *= torch.tensor([[1e-3], [1e3], [0.0]])
    packed = pack_array(array, "int8")
    back = unpack_array(packed)
    assert packed["scale"]["shape"] == [6]
    largest = array.abs().amax(1, keepdim=True)
    wide = largest.max() / 127 / 32767  # half a step of the scales' own scale, times 127
    assert ((back - array).abs() <= 0.51 * largest / 127 + 64 * wide).all()
    assert len(packed["data"]) == 72


def test_a_packed_network_computes_what_it_did() -> None:
    network = MLP((64, 16), activation="silu").decoder(2, (1, 32, 32))
    assert isinstance(network, nn.Sequential)
    codes = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = unpack_network(pack_network(network))(codes) - network(codes).flatten(1)
    assert 0 < difference.abs().max() < 1e-3


def test_the_activations_are_kept_in_their_places() -> None:
    network = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Tanh(), nn.Linear(3, 1), nn.Sigmoid())
    packed = pack_network(network)
    assert [layer["activation"] for layer in packed] == ["tanh", "sigmoid"]
    assert unpack_array(packed[0]["bias"]).tolist() == [0, 0, 0]


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="expected linear layers"):
        pack_network(nn.Sequential(nn.Conv2d(1, 1, 3)))
    with pytest.raises(ValueError, match="none below 0 for uint8"):
        pack_array(torch.tensor([-1.0, 1.0]), "uint8")
    with pytest.raises(ValueError, match=r"shape \(3,\); expected rows and columns for int8"):
        pack_array(torch.ones(3), "int8")
    with pytest.raises(ValueError, match="kind"):
        pack_array(torch.ones(2), "int4")
    with pytest.raises(ValueError, match="array"):
        pack_array(torch.tensor([float("nan")]))
