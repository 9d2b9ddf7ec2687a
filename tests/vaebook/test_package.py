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
NO_SIDE_EFFECT = """
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
"""


def test_importing_has_no_side_effect(empty_folder: Path) -> None:
    done = run(
        sys.executable, "-W", "error", "-c", NO_SIDE_EFFECT.replace("{modules!r}", repr(MODULES))
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


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


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(empty_folder: Path) -> None:
    """Build, install elsewhere, train a VAE with the README's lines, from another folder."""
    build = ("wheel", ROOT, "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", ".")
    done = run(sys.executable, "-m", "pip", *build)
    assert done.returncode == 0, done.stderr
    (wheel,) = empty_folder.glob("vaebook-*.whl")

    assert run(sys.executable, "-m", "venv", "--without-pip", "new").returncode == 0
    scripts = empty_folder / "new" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    install = ("--python", python, "install", "--no-deps", "--quiet", wheel)
    done = run(sys.executable, "-m", "pip", *install)  # a pip of its own takes seconds to install
    assert done.returncode == 0, done.stderr
    # torch and the other dependencies, which are large, come from the environment of the tests;
    # the path file is not read for this repository, so vaebook can only come from the wheel
    where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    new_packages = Path(run(scripts / "python", "-c", where).stdout.strip())
    borrowed = sysconfig.get_paths()["purelib"]
    new_packages.joinpath("borrowed.pth").write_text(borrowed + "\n", encoding="utf-8")

    example = readme_example()
    assert len(example.strip().splitlines()) <= 9
    show = "import vaebook, pathlib; print(pathlib.Path(vaebook.__file__).parent)\n"
    done = run(scripts / "python", "-W", "error::UserWarning", "-c", show + example)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[0]) == (new_packages / "vaebook").resolve()
