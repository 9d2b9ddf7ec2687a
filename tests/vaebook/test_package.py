"""The package as a whole: importing it, its layers, its pins, its wheel."""

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import vaebook
from tests.conftest import ROOT, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(vaebook.__path__, "vaebook.")
    if not module.name.endswith("__main__")
)
PACKAGES = [
    "data", "distributions", "models", "training", "metrics", "experiments", "plots", "explorer",
]  # fmt: skip

# Import everything that vaebook imports, note the state of the world, import vaebook, compare.
# Then train a VAE by the README's lines, and once more on fewer pictures.
IN_A_NEW_PROCESS = """
import logging, os, random, socket, sys, warnings
import jaxtyping, lightning, matplotlib.pyplot, numpy, pandas, pooch, safetensors.torch
import scipy.integrate
import scipy.optimize, scipy.special, scipy.stats, seaborn, sklearn.datasets, sklearn.decomposition
import sklearn.metrics, sklearn.mixture, sklearn.neighbors, torch, tqdm.auto

def refuse(*arguments, **named):
    raise AssertionError("importing vaebook opened a connection")

socket.socket.connect = refuse

def state():
    return {
        "torch random": torch.get_rng_state().tolist(),
        "torch type": torch.get_default_dtype(),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch checks": torch.distributions.Distribution._validate_args,
        "numpy random": str(numpy.random.get_state()),
        "numpy errors": numpy.geterr(),
        "python random": random.getstate(),
        "matplotlib": dict(matplotlib.rcParams),
        "figures": matplotlib.pyplot.get_fignums(),
        "pandas": pandas.describe_option(_print_desc=False),
        "warning filters": list(warnings.filters),
        "log handlers": list(logging.getLogger().handlers),
        "environment": dict(os.environ),
        "folder": os.listdir(),
        "path": list(sys.path),
    }

before = state()
for name in {modules!r}:
    __import__(name)
after = state()
assert before.keys() == after.keys()
for key in before:
    assert before[key] == after[key], key + " changed"
assert before["torch checks"] is True

print("nothing changed")

import vaebook
print(vaebook.__path__[0])
{example}
print(samples.flatten()[:200].tolist())
{few}
print(samples.flatten()[:200].tolist())

# Import it anew where zuko was imported before, which has switched torch's checks off.
assert "zuko" in sys.modules
torch.distributions.Distribution.set_default_validate_args(False)
for name in [name for name in sys.modules if name.partition(".")[0] == "vaebook"]:
    del sys.modules[name]
import vaebook.distributions
assert torch.distributions.Distribution._validate_args is False, "torch checks changed"
"""


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_what_it_says(name: str) -> None:
    package = importlib.import_module(f"vaebook.{name}")
    assert len(package.__all__) == len(set(package.__all__))
    for exported in package.__all__:
        found = getattr(package, exported)
        if callable(found):
            assert found.__doc__, f"{name}.{exported} has no docstring"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(no_cache=True))"
    )
    return run(sys.executable, "-c", code, cwd=folder)


def test_a_module_imports_only_from_its_left() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_from_the_right_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "vaebook", tmp_path / "vaebook", ignore=shutil.ignore_patterns("*.npz"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "vaebook" / "data" / "wrong.py").write_text("import vaebook.plots\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "vaebook.data.wrong -> vaebook.plots" in done.stdout


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith(("#", "-c "))]
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{file}: {line} is not pinned by =="
    return {
        name.lower().replace("_", "-"): pin for name, pin in (line.split("==") for line in lines)
    }


def test_every_requirement_is_pinned_once() -> None:
    direct, indirect = pins("requirements.txt"), pins("tools/constraints.txt")
    assert not direct.keys() & indirect.keys()
    needed = {re.split(r"[<>=\[]", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert needed <= direct.keys()
    for name, pin in direct.items():
        assert version(name).partition("+")[0] == pin, f"{name}: run `make setup`"


def test_one_version() -> None:
    stated = PROJECT["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert vaebook.__version__ == stated
    assert f"version: {stated}\n" in citation


def readme_example() -> str:
    """The first Python block of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found, "the README has no Python example"
    return found[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment into which the wheel was installed; its other packages are borrowed."""
    folder = tmp_path_factory.mktemp("installed")
    backend = importlib.import_module(PROJECT["build-system"]["build-backend"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # as pip does
        wheel = folder / backend.build_wheel(str(folder))
    assert wheel.match("vaebook-*.whl")

    environment = folder / "new"
    assert run(sys.executable, "-m", "venv", "--without-pip", environment).returncode == 0
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    # a pip of its own takes seconds to install, and most modules are not needed compiled
    install = ("--python", python, "install", "--no-deps", "--no-compile", "--quiet", wheel)
    done = run(sys.executable, "-m", "pip", *install)
    assert done.returncode == 0, done.stderr
    # torch and the other dependencies, which are large, come from the environment of the tests;
    # the path file is not read for this repository, so vaebook can only come from the wheel
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    new_packages = Path(run(python, "-c", where).stdout.strip())
    borrowed = sysconfig.get_paths()["purelib"]
    new_packages.joinpath("borrowed.pth").write_text(borrowed + "\n", encoding="utf-8")
    assert (new_packages / "vaebook").is_dir()
    return python


@pytest.fixture(scope="module")
def there(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    """What came of another process, in another folder, where only the wheel is installed."""
    code = IN_A_NEW_PROCESS
    for name, text in (
        ("{modules!r}", repr(MODULES)),
        ("{example}", readme_example()),
        ("{few}", few_pictures()),
    ):
        assert name in code
        code = code.replace(name, text)
    return run(installed, "-W", "error", "-c", code, cwd=tmp_path_factory.mktemp("empty"))


def few_pictures() -> str:
    """The README's lines with a training of a moment."""
    return readme_example().replace("data.train.images", "data.train.images[:200]")


@pytest.mark.slow
def test_importing_has_no_side_effect(there: subprocess.CompletedProcess[str]) -> None:
    assert there.stdout.startswith("nothing changed\n"), there.stdout + there.stderr
    assert there.returncode == 0, there.stderr
    assert there.stderr == ""


@pytest.mark.slow
def test_the_lines_of_the_readme_give_one_result_here_and_where_the_wheel_is(
    installed: Path, there: subprocess.CompletedProcess[str]
) -> None:
    assert there.returncode == 0, there.stderr
    example = readme_example()
    assert len(example.strip().splitlines()) <= 9
    assert "data.train.images, num_epochs=5, seed=0" in example
    _, place, whole, few = there.stdout.splitlines()
    assert Path(place).is_relative_to(installed.parent.parent.resolve())
    names: dict[str, Any] = {}
    exec(few_pictures(), names)
    assert few == str(names["samples"].flatten()[:200].tolist())
    assert few != whole
