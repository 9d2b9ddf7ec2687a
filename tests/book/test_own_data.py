"""The page about the reader's own data: every block of it runs as it is printed."""

import re
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT
from tests.warm import Ended, run_warm
from vaebook.models import VAE, Conv, load_model
from vaebook.training import fit, seeded

PAGE = ROOT / "book" / "use-your-own-data.md"
SECTION = re.compile(r"^\((own-data[a-z0-9-]*)\)=\n#+ (.+)$", re.M)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
NOT_RUN = "# not run here: needs "
NUM_PICTURES = 50
HEIGHT, WIDTH = 21, 30


@dataclass(frozen=True)
class Section:
    """A section of the page and its blocks in order."""

    title: str
    text: str
    blocks: tuple[str, ...]

    @property
    def run_here(self) -> list[str]:
        return [block for block in self.blocks if not block.startswith(NOT_RUN)]

    @property
    def not_run_here(self) -> list[str]:
        return [block for block in self.blocks if block.startswith(NOT_RUN)]


def sections(text: str) -> dict[str, Section]:
    """The sections of the page by their labels."""
    _, *parts = SECTION.split(text)
    return {
        label: Section(title, body, tuple(BLOCK.findall(body)))
        for label, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = sections(TEXT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a reader: colour pictures, labels, a table with gaps, shards of bytes."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    across = np.linspace(0, 1, WIDTH)[None, :, None]
    down = np.linspace(0, 1, HEIGHT)[:, None, None]
    pictures = (255 * across**down * rng.random((NUM_PICTURES, 1, 1, 3))).astype(np.uint8)
    (folder / "pictures").mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "pictures" / f"{index:03}.png")
    names = [path.name for path in sorted((folder / "pictures").glob("*.png"))]
    labels = pd.DataFrame(
        {"file": names, "label": [("cat", "dog", "owl")[i % 3] for i in range(50)]}
    )
    labels.sample(frac=1, random_state=0).to_csv(folder / "labels.csv", index=False)
    one = rng.standard_normal(80)
    table = pd.DataFrame({"height": 170 + 10 * one, "weight": 70 + 8 * one, "age": rng.random(80)})
    table.mask(rng.random(table.shape) < 0.2).to_csv(folder / "table.csv", index=False)
    turned = pictures.transpose(0, 3, 1, 2)
    (folder / "shards").mkdir()
    for index, shard in enumerate(np.split(turned, 5)):
        np.save(folder / "shards" / f"{index}.npy", shard)
    torch.save(torch.tensor(turned) / 255, folder / "images.pt")
    return folder


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def compiled(block: str, name: str) -> Any:
    return compile(block, f"<{name}>", "exec", dont_inherit=True)


# ---------------------------------------------------------------- what comes out of each section


def pixels(samples: torch.Tensor, *shape: int) -> None:
    assert samples.shape == (*shape, 3, HEIGHT, WIDTH)
    assert 0 <= samples.min() < samples.max() <= 1


def of_a_folder(made: dict[str, Any], before: torch.Tensor) -> None:
    assert torch.equal(torch.load("images.pt"), before), "in the order of the names"
    drawn = np.array(Image.open("samples.png").convert("RGB")).astype(int)
    assert np.ptp(drawn, axis=2).max() > 20, "in colour"
    pixels(made["model"].sample(3, seed=0), 3)


def of_a_loader(made: dict[str, Any], images: torch.Tensor) -> None:
    assert len(made["train"]) == 45
    assert len(made["held_out"]) == 5
    pixels(made["model"].reconstruct(images), NUM_PICTURES)


def of_labels(made: dict[str, Any], images: torch.Tensor) -> None:
    assert list(made["names"]) == ["cat", "dog", "owl"]
    assert made["labels"].tolist() == [i % 3 for i in range(NUM_PICTURES)]
    pixels(made["samples"], 8, 3)


def of_a_table(made: dict[str, Any], images: torch.Tensor) -> None:
    given, filled = pd.read_csv("table.csv"), pd.read_csv("filled.csv")
    missing = given.isna().to_numpy()
    assert 0.1 < missing.mean() < 0.3
    assert not filled.isna().to_numpy().any()
    assert (filled.to_numpy()[~missing] == given.to_numpy()[~missing]).all()
    weight = filled["weight"][given["weight"].isna() & given["height"].notna()]
    height = given["height"][weight.index]
    assert np.corrcoef(weight, height)[0, 1] > 0.9, "one column tells of the other"


def of_a_memory_map(made: dict[str, Any], images: torch.Tensor) -> None:
    data = made["data"]
    assert isinstance(data.bytes, np.memmap)
    assert data.bytes.nbytes == images.numel() > 2**16, "more than a block of the disk"
    assert torch.equal(torch.stack(data.__getitems__([4, 1])), images[[4, 1]])


def of_a_stream(made: dict[str, Any], images: torch.Tensor) -> None:
    assert len(made["history"]) == 3
    pixels(made["model"].sample(2, seed=0), 2)


def of_stopping(made: dict[str, Any], images: torch.Tensor) -> None:
    best, history = made["best"], made["history"]
    losses = history["validation_loss"]
    assert losses[best.best_epoch] == min(losses)
    assert len(history) in (60, best.best_epoch + 6)


def of_an_optimiser(made: dict[str, Any], images: torch.Tensor) -> None:
    pixels(made["model"].sample(2, seed=0), 2)


def of_bfloat16(made: dict[str, Any], images: torch.Tensor) -> None:
    assert {p.dtype for p in made["model"].parameters()} == {torch.float32}


def of_resuming(made: dict[str, Any], images: torch.Tensor) -> None:
    assert len(made["history"]) == 6
    with seeded(0):
        whole = VAE(images.shape[1:], latent_dim=16, network=Conv())
    fit(whole, images, num_epochs=6, seed=0)
    assert torch.equal(whole.sample(2, seed=0), made["model"].sample(2, seed=0))


def of_saving(made: dict[str, Any], images: torch.Tensor) -> None:
    assert torch.equal(made["again"].sample(2, seed=0), made["model"].sample(2, seed=0))


def of_an_export(made: dict[str, Any], images: torch.Tensor) -> None:
    model = made["model"]
    codes = made["mean"].detach()
    torch.testing.assert_close(codes, model.encode_all(images))
    decode = torch.export.load("decoder.pt2").module()
    torch.testing.assert_close(decode(codes).detach(), model.decode_all(codes))


def of_a_logger(made: dict[str, Any], images: torch.Tensor) -> None:
    (logged,) = Path("logs").rglob("metrics.csv")
    assert {"loss_step", "validation_loss"} <= set(pd.read_csv(logged).columns)
    pixels(made["model"].sample(2, seed=0), 2)


def of_a_gpu(made: dict[str, Any], images: torch.Tensor) -> None:
    engine = made["history"].engine
    assert engine == ("captured" if torch.cuda.is_available() else "eager: no CUDA graphs on cpu")


def of_a_model(made: dict[str, Any], images: torch.Tensor) -> None:
    assert made["model"].loss(images).shape == (NUM_PICTURES,)


def of_distributions(made: dict[str, Any], images: torch.Tensor) -> None:
    assert made["model"].prior.log_prob(torch.zeros(2, 16)).shape == (2,)
    pixels(made["model"].sample(2, seed=0), 2)


def of_nothing(made: dict[str, Any], images: torch.Tensor) -> None:
    assert made["samples"].shape == (16, 1, 28, 28)


OUTCOMES: dict[str, Callable[[dict[str, Any], torch.Tensor], None]] = {
    "own-data": of_nothing,
    "own-data-folder": of_a_folder,
    "own-data-loader": of_a_loader,
    "own-data-labels": of_labels,
    "own-data-table": of_a_table,
    "own-data-memmap": of_a_memory_map,
    "own-data-stream": of_a_stream,
    "own-data-stopping": of_stopping,
    "own-data-optimiser": of_an_optimiser,
    "own-data-bfloat16": of_bfloat16,
    "own-data-resume": of_resuming,
    "own-data-saving": of_saving,
    "own-data-export": of_an_export,
    "own-data-logger": of_a_logger,
    "own-data-gpu": of_a_gpu,
    "own-data-model": of_a_model,
    "own-data-distributions": of_distributions,
}


@pytest.mark.parametrize("label", OUTCOMES)
@pytest.mark.filterwarnings("ignore:::lightning")  # of few workers, and of what it may become
def test_a_section_runs_as_it_is_printed(
    label: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if label == "own-data-logger":
        pytest.importorskip("lightning", reason="Lightning is not installed")
    monkeypatch.chdir(folder)
    images = torch.load("images.pt")
    if label == "own-data-folder":
        (folder / "images.pt").unlink()  # which it writes
    made: dict[str, Any] = {"__name__": "__main__"}
    for block in SECTIONS[label].run_here:
        exec(compiled(block, label), made)
    OUTCOMES[label](made, images)


# ---------------------------------------------------------------- what this machine cannot run


def script(label: str, **replaced: int) -> str:
    """The script ``train.py`` with the Trainer of a section, some of its numbers replaced."""
    lines = re.compile(r"^trainer = Trainer\((.*)\)$", re.M)
    (arguments,) = lines.findall("".join(SECTIONS[label].blocks))
    for name, value in ({"max_epochs": 1} | replaced).items():
        assert f"{name}=" in arguments
        arguments = re.sub(rf"{name}=\d+", f"{name}={value}", arguments)
    quiet = "accelerator='cpu', logger=False, enable_checkpointing=False"
    whole = "".join(SECTIONS["own-data-gpus"].blocks)
    return lines.sub(f"trainer = Trainer({arguments}, {quiet})", whole)


def was_trained(folder: Path) -> bool:
    """Whether the script left a model that is no longer the one it began with."""
    images = torch.load(folder / "images.pt")
    with seeded(0):
        model = VAE(images.shape[1:], latent_dim=16, network=Conv())
    found = load_model(folder / "model.safetensors")
    return not torch.equal(found.sample(1, seed=0), model.sample(1, seed=0))


@pytest.fixture(scope="module")
def scripts(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scripts of both sections, each in a folder of its own, with the pictures."""
    pytest.importorskip("lightning", reason="Lightning is not installed")
    made = {}
    for label, devices in (("own-data-gpus", 2), ("own-data-machines", 1)):
        made[label] = tmp_path_factory.mktemp(label)
        shutil.copy(folder / "images.pt", made[label])
        (made[label] / "train.py").write_text(script(label, devices=devices), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def ended(scripts: dict[str, Path]) -> dict[str, list[Ended]]:
    """What came of them, started as the page says: once, and once on each of two machines."""
    commands = {"own-data-gpus": [["train.py"]], "own-data-machines": on_two_machines()}
    came_of_them = run_warm(*((scripts[label], commands[label]) for label in scripts))
    return dict(zip(scripts, came_of_them, strict=True))


def on_two_machines() -> list[list[str]]:
    """The page's ``torchrun``, which is a module, for two machines that are both this one."""
    (command,) = re.findall(r"^```bash\n(torchrun .*?)^```$", TEXT, re.M | re.S)
    for old, new in (("10.0.0.1", "127.0.0.1"), ("29500", free_port()), ("node=8", "node=1")):
        assert old in command
        command = command.replace(old, str(new))
    words = ["-m", "torch.distributed.run", *shlex.split(command.replace("\\\n", " "))[1:]]
    both = [
        [f"--node-rank={rank}" if word == "--node-rank=0" else word for word in words]
        for rank in range(2)
    ]
    assert both[0] != both[1]
    return both


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "codes"),
    [("own-data-gpus", [0]), ("own-data-machines", [0, 0])],
    ids=["two devices", "two machines"],
)
def test_a_script_for_many_gpus_runs_in_two_processes(
    label: str, codes: list[int], scripts: dict[str, Path], ended: dict[str, list[Ended]]
) -> None:
    assert [each.code for each in ended[label]] == codes, ended[label][0].log[-3000:]
    told = "".join(each.log for each in ended[label])
    assert sorted(re.findall(r"MEMBER: (\d/\d)", told)) == ["1/2", "2/2"]
    assert was_trained(scripts[label])


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_what_is_not_run_says_so_and_compiles() -> None:
    left_out = {
        (label, block.splitlines()[0].removeprefix("# "))
        for label, section in SECTIONS.items()
        for block in section.not_run_here
    }
    assert left_out == {
        ("own-data-export", "not run here: needs onnx and onnxscript"),
        ("own-data-gpus", "not run here: needs eight GPUs"),
        ("own-data-machines", "not run here: needs two machines with eight GPUs each"),
    }
    for label, section in SECTIONS.items():
        for block in section.blocks:
            compiled(block, label)
    said = re.search(
        r"A test runs every block .*; the (\w+) that begin with `# not run here`", TEXT
    )
    assert said, "the page does not say what is run"
    assert said[1] == {3: "three"}[len(left_out)]


# ---------------------------------------------------------------- the page itself


def test_every_section_is_run_or_says_why_not() -> None:
    assert len(BLOCK.findall(TEXT)) == TEXT.count("```python") > 30, "every block is found"
    assert len(SECTIONS) == TEXT.count("\n## ") + 1, "each has a label"
    without = {label for label, section in SECTIONS.items() if not section.run_here}
    assert without == {"own-data-machines"}
    assert set(OUTCOMES) == set(SECTIONS) - {"own-data-gpus", "own-data-machines"}


@pytest.mark.parametrize("label", SECTIONS)
def test_a_section_is_short(label: str) -> None:
    section = SECTIONS[label]
    for block in section.blocks:
        lines = block.splitlines()
        assert len(lines) <= 15, block
        assert max(map(len, lines)) <= 76, block
    if label != "own-data":
        assert re.search(r"^\*\*Watch:\*\* ", section.text, re.M)
        words = BLOCK.sub("", section.text).split()
        assert len(words) < 90, len(words)
