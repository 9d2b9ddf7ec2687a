"""Encoder and decoder outside of the package: torch.export and ONNX give the same numbers."""

import re
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.properties import uniform
from vaebook.models import GAN, MLP, VAE, VQVAE, Autoencoder, Conv, io
from vaebook.training import seeded

SHAPE = (1, 8, 8)
IMAGES = uniform(0, 5, *SHAPE).float()
MODELS: dict[str, Callable[[], nn.Module]] = {
    "VAE of MLPs": lambda: VAE(SHAPE, 3, network=MLP((8,), "silu", background=0.5)),
    "VAE of convolutions": lambda: VAE(SHAPE, 3, network=Conv((4, 8), 16, "leaky relu")),
    "full posterior": lambda: VAE(SHAPE, 3, posterior="full", network=MLP((8,), "tanh")),
    "autoencoder": lambda: Autoencoder(SHAPE, 3, network=Conv((4,), 8)),
    "VQVAE": lambda: VQVAE(SHAPE, 3, 8, code_dim=2, network=MLP((8,))),
}


def parts(model: nn.Module) -> dict[str, tuple[nn.Module, Tensor]]:
    """The networks of a model with inputs for five examples."""
    model.eval()
    encoder, decoder = model.get_submodule("encoder"), model.get_submodule("decoder")
    first = next(layer for layer in decoder.modules() if isinstance(layer, nn.Linear))
    return {"encoder": (encoder, IMAGES), "decoder": (decoder, torch.randn(5, first.in_features))}


class Both(nn.Module):
    """Encoder and decoder side by side: most of the time of a translation does not depend on what
    is translated."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(images), self.decoder(codes)


def exported(part: nn.Module, *examples: Tensor) -> torch.export.ExportedProgram:
    number = {0: torch.export.Dim("number")}
    shapes = (number,) * len(examples)
    two = tuple(example[:2] for example in examples)
    return torch.export.export(part, two, dynamic_shapes=shapes)


def run_onnx(program: torch.export.ExportedProgram, path: Path, *inputs: Tensor) -> list[Tensor]:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        torch.onnx.export(program, f=path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
    return [torch.from_numpy(output) for output in session.run(None, given)]


@pytest.mark.parametrize("name", MODELS)
def test_torch_export_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    with seeded(0):
        model = MODELS[name]()
    for part, inputs in parts(model).values():
        torch.export.save(exported(part, inputs), tmp_path / "part.pt2")
        again = torch.export.load(tmp_path / "part.pt2").module()
        for count in (1, 2, 5):
            assert torch.equal(again(inputs[:count]), part(inputs[:count]))


@pytest.mark.parametrize("name", MODELS)
def test_onnx_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    with seeded(0):
        model = MODELS[name]()
    networks, inputs = zip(*parts(model).values(), strict=True)
    outputs = run_onnx(exported(Both(*networks), *inputs), tmp_path / "both.onnx", *inputs)
    for part, given, output in zip(networks, inputs, outputs, strict=True):
        # single precision, sums of a few hundred terms of order 0.1 in another order
        torch.testing.assert_close(output, part(given), rtol=1e-4, atol=1e-6)


def test_the_generator_of_a_gan_is_exported(tmp_path: Path) -> None:
    with seeded(0):
        model = GAN(SHAPE, 3, network=MLP((8,)))
    noise = torch.randn(4, 3)
    (output,) = run_onnx(exported(model.generator, noise), tmp_path / "part.onnx", noise)
    torch.testing.assert_close(output, model.generator(noise), rtol=1e-4, atol=1e-6)


def test_the_lines_of_the_docstring_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    (lines,) = re.findall(r"::\n\n((?:    .*\n)+)", io.__doc__ or "")
    with seeded(0):
        model = VAE(SHAPE, 3, network=MLP((8,)))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(textwrap.dedent(lines), {"model": model, "torch": torch})
    values = {}
    for name, inputs in (("encoder", IMAGES), ("decoder", model.encode(IMAGES).detach())):
        program = torch.export.load(f"{name}.pt2").module()
        session = runtime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
        values[name] = program(inputs).detach()
        torch.testing.assert_close(torch.from_numpy(output), values[name], rtol=1e-4, atol=1e-6)
    assert torch.equal(values["encoder"][:, :3], model.encode(IMAGES))
    assert torch.equal(values["decoder"], model.decode(model.encode(IMAGES)))
