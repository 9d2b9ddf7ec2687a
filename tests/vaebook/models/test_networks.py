"""Encoders and decoders: shapes, sizes, and what they refuse."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn

from vaebook.models import MLP, Conv, Network
from vaebook.models.networks import as_network, linear_layer
from vaebook.training import seeded

PLANS: list[Network] = [
    MLP(),
    MLP(hidden=()),
    MLP(hidden=(32, 16), activation="silu"),
    Conv(),
    Conv(channels=(4,), hidden=8, activation="tanh"),
]


@pytest.mark.parametrize("plan", PLANS, ids=repr)
@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 12, 16)])
def test_encoder_and_decoder_fit_together(plan: Network, image_shape: tuple[int, int, int]) -> None:
    encoder, decoder = plan.encoder(image_shape, 5), plan.decoder(5, image_shape)
    images = torch.rand(7, *image_shape)
    codes = encoder(images)
    assert codes.shape == (7, 5)
    output = decoder(codes)
    assert output.shape == images.shape
    output.square().sum().backward()
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert parameter.grad.abs().sum() > 0, f"no gradient reaches {name}"


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_both_end_linearly(plan: Network) -> None:
    """A last activation would keep outputs from being negative, or large."""
    for module in (plan.encoder((1, 8, 8), 3), plan.decoder(3, (1, 8, 8))):
        layers = [layer for layer in module if not isinstance(layer, nn.Unflatten)]
        assert isinstance(layers[-1], nn.Linear | nn.ConvTranspose2d)


def test_the_decoder_mirrors_the_encoder() -> None:
    def widths(module: nn.Module) -> list[tuple[int, int]]:
        return [(m.in_features, m.out_features) for m in module if isinstance(m, nn.Linear)]

    plan = MLP(hidden=(32, 16))
    assert widths(plan.encoder((1, 8, 8), 3)) == [(64, 32), (32, 16), (16, 3)]
    assert widths(plan.decoder(3, (1, 8, 8))) == [(3, 16), (16, 32), (32, 64)]


def test_no_hidden_layer_is_a_linear_map() -> None:
    encoder = MLP(hidden=()).encoder((1, 2, 2), 3).double()
    a, b = torch.rand(2, 1, 1, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(encoder(0.3 * a + 0.7 * b), 0.3 * encoder(a) + 0.7 * encoder(b))


def test_each_convolution_halves_the_image() -> None:
    plan = Conv(channels=(4, 6, 8), hidden=10)
    encoder = plan.encoder((2, 16, 24), 3)
    sizes = []
    x = torch.rand(1, 2, 16, 24)
    for layer in encoder:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            sizes.append(tuple(x.shape[1:]))
    assert sizes == [(4, 8, 12), (6, 4, 6), (8, 2, 3)]


def test_activations_do_what_their_names_say() -> None:
    x = torch.tensor([-1.0, 0.5])
    for name, expected in {
        "relu": torch.tensor([0.0, 0.5]),
        "tanh": torch.tanh(x),
        "silu": x / (1 + torch.exp(-x)),
    }.items():
        layer = MLP(hidden=(2,), activation=name).encoder((1, 1, 2), 1)[2]
        torch.testing.assert_close(layer(x), expected)


def test_two_builds_share_no_weights() -> None:
    plan = MLP(hidden=(4,))
    with seeded(0):
        first, second = plan.encoder((1, 2, 2), 3), plan.encoder((1, 2, 2), 3)
    with seeded(0):
        again = plan.encoder((1, 2, 2), 3)
    assert not torch.equal(first[1].weight, second[1].weight)
    assert torch.equal(first[1].weight, again[1].weight)


def test_wrong_plans_say_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"activation is 'gelu'; expected one of \['leaky relu'"):
        MLP(activation="gelu").encoder((1, 8, 8), 3)
    with pytest.raises(ValueError, match=r"image_shape is \(8, 8\); expected \(channels"):
        MLP().encoder((8, 8), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="image_shape's height is 0"):
        MLP().decoder(3, (1, 0, 8))
    with pytest.raises(ValueError, match="the number of codes is 0"):
        MLP().decoder(0, (1, 8, 8))


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (1, 27, 33), (3, 64, 78), (3, 32, 32), (2, 5, 3), (1, 1, 1)]
)
@pytest.mark.parametrize("channels", [(4, 8), (4, 8, 8)])
def test_convolutions_take_pictures_of_any_size(
    shape: tuple[int, int, int], channels: tuple[int, ...]
) -> None:
    plan = Conv(channels, 16, "tanh", background=0.9, blank=0.5)
    encoder, decoder = plan.encoder(shape, 5), plan.decoder(5, shape)
    images = torch.rand(2, *shape)
    assert encoder(images).shape == (2, 5)
    first, second = decoder(torch.randn(2, 5))
    assert first.shape == shape
    assert (first != second).float().mean() > 0.9, "the code reaches every pixel"
    images.requires_grad_()
    encoder(images).abs().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).any(0).float().mean() > 0.9, "the encoder sees the whole picture"


def test_the_frame_is_empty_and_only_where_it_is_needed() -> None:
    plan = Conv((4, 8), 16, background=0.9)
    for module in (plan.encoder((1, 32, 28), 5), plan.decoder(5, (1, 32, 28))):
        assert not [part for part in module.modules() if isinstance(part, nn.ZeroPad2d)]
    inner = nn.Sequential(*list(plan.encoder((1, 7, 5), 5))[:2])
    framed = inner(torch.ones(1, 1, 7, 5))
    assert framed.shape == (1, 1, 8, 8)
    assert framed.count_nonzero() == 35
    assert framed[0, 0, :7, 1:6].allclose(torch.tensor(0.1))


@pytest.mark.parametrize("plan", [MLP, Conv])
def test_background_is_subtracted_before_the_encoder_only(plan: type) -> None:
    with seeded(0):
        plain = plan().encoder((1, 8, 8), 3)
    with seeded(0):
        shifted = plan(background=0.25).encoder((1, 8, 8), 3)
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(shifted(images), plain(images - 0.25))
    decoder = plan(background=0.25).decoder(3, (1, 8, 8))
    assert [type(layer) for layer in decoder] == [
        type(layer) for layer in plan().decoder(3, (1, 8, 8))
    ]


def test_a_blank_sheet_is_added_to_what_the_decoder_puts_out() -> None:
    decoders = []
    for blank in (0.0, 0.95):
        torch.manual_seed(0)
        decoders.append(Conv((4,), hidden=8, blank=blank).decoder(2, (1, 4, 4)))
    codes = torch.randn(5, 2)
    with torch.no_grad():
        plain, blank = (decoder(codes) for decoder in decoders)
    torch.testing.assert_close(blank, plain + 0.95)
    assert plain.min() < 0, "linear at the end: no activation after the last layer"


def test_plans_that_are_left_out() -> None:
    """The plan of chapter 06, whose sizes the message to a wrong plan repeats."""
    with pytest.raises(ValueError, match=r"such as MLP\(\(400,\)\) or Conv\(\(16, 32\)\)"):
        as_network("mlp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a plan with methods encoder and decoder"):
        as_network(MLP)  # type: ignore[arg-type]
    assert repr(as_network(None)) == repr(MLP((400,), "relu", 0.0))
    sizes = [
        layer.out_channels for layer in Conv().encoder((1, 8, 8), 3) if hasattr(layer, "stride")
    ]
    assert sizes == [16, 32]
    linear = [part for part in Conv().encoder((1, 8, 8), 3) if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in linear] == [(128, 256), (256, 3)]


def test_a_leaky_relu_leaks_a_fifth() -> None:
    layer = MLP(hidden=(2,), activation="leaky relu").encoder((1, 1, 2), 1)[2]
    torch.testing.assert_close(layer(torch.tensor([-1.0, 0.5])), torch.tensor([-0.2, 0.5]))


def test_the_only_linear_layer() -> None:
    decoder = MLP(()).decoder(3, (1, 2, 2))
    assert linear_layer(decoder) is decoder[0]
    for hidden in ((4,), (4, 4)):
        with pytest.raises(ValueError, match=f"has {len(hidden) + 1} linear layers"):
            linear_layer(MLP(hidden).decoder(3, (1, 2, 2)))
    with pytest.raises(ValueError, match="has 0 linear layers"):
        linear_layer(nn.Identity())


def test_the_decoder_cuts_off_the_frame_that_the_encoder_adds() -> None:
    """Seven rows and five columns in eight by eight: one row below; one column left, two right."""
    plan = Conv((2, 2), 4)
    decoder = plan.decoder(3, (1, 7, 5))
    codes = torch.randn(2, 3)
    whole = decoder[:-1](codes)
    assert whole.shape == (2, 1, 8, 8)
    torch.testing.assert_close(decoder(codes), whole[:, :, :7, 1:6])


def test_wrong_numbers_in_a_plan() -> None:
    for plan, message in (
        (MLP(background="0"), "background"),
        (Conv(background=float("nan")), "background"),
        (Conv(blank=float("inf")), "blank"),
        (Conv(hidden=0), "hidden is 0"),
        (Conv(channels=(0,)), "a width of channels is 0"),
        (MLP(hidden=(0,)), "a width of hidden is 0"),
    ):
        for build in (
            lambda p=plan: p.encoder((1, 8, 8), 3),
            lambda p=plan: p.decoder(3, (1, 8, 8)),
        ):
            with pytest.raises(ValueError, match=message):
                build()


def test_the_picture_lies_in_the_middle_of_its_frame() -> None:
    """Two rows and ten columns in eight by sixteen: three on either side."""
    encoder = Conv((2, 2, 2), 4, background=1.0).encoder((1, 2, 10), 3)
    framed = nn.Sequential(*list(encoder)[:2])(torch.zeros(1, 1, 2, 10))
    assert framed.shape == (1, 1, 8, 16)
    assert torch.equal(framed[0, 0].nonzero().amin(0), torch.tensor([3, 3]))
    assert torch.equal(framed[0, 0].nonzero().amax(0), torch.tensor([4, 12]))


def test_a_plan_is_a_value_that_models_share() -> None:
    assert {MLP((4,)), MLP((4,)), Conv(), Conv()} == {MLP((4,)), Conv()}
    for plan in (MLP(), Conv()):
        with pytest.raises(FrozenInstanceError):
            plan.hidden = 3  # type: ignore[misc]
