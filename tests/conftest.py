"""What several test files share."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from playwright.sync_api import Browser, Page, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tools.pdf.typeset import find_chromium

ROOT = Path(__file__).resolve().parent.parent
PHONE = {"width": 390, "height": 844}

# Whoever starts the tests in the background lets them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Large blocks stay with the process: glibc would give each back to the system, and ask for it anew.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1000000000")
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "2000000000")

# One worker, one core: beside another, a second thread costs more than it brings. Torch has read
# the variable already; what a test starts, reads it anew, and adds up in the same order.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning is an error in the tests of this folder; a notebook's are compared with stderr."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture(autouse=True)
def torch_is_left_as_it_was() -> Iterator[None]:
    """A test that leaves gradients off fails itself, and not the sixty that come after it."""
    yield
    left = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    assert left, "the test left gradients switched off"


# Seconds that the longest groups of tests took when all were last timed; the rest take less. Only
# their order matters. The first one builds the book, which others would wait for.
LONGEST = {
    "tests/book/test_pdf.py": 999,
    "book/06-vae.ipynb": 110,
    "tests/mistakes/test_mistakes.py": 100,
    "book/09-why-normal.ipynb": 75,
    "book/10-why-blurry.ipynb": 65,
    "book/14-verdicts.ipynb": 55,
    "book/08-what-the-kl-does.ipynb": 50,
    "book/01-autoencoder.ipynb": 45,
    "book/02-holes.ipynb": 45,
    "book/13-using-a-vae.ipynb": 40,
    "tests/vaebook/experiments/test_real_worlds.py": 40,
    "book/12-vae-versus-gan.ipynb": 35,
    "tests/vaebook/experiments/test_records.py": 35,
    "tests/vaebook/training/test_resume.py": 30,
    "book/03-elbo.ipynb": 30,
    "tests/vaebook/experiments/test_dog_experiments.py": 30,
    "tests/book/test_notebooks.py": 30,
    "tests/book/test_own_data.py": 30,
    "book/11-gan.ipynb": 25,
    "book/07-scaling.ipynb": 25,
    "book/05-reparameterisation.ipynb": 25,
    "tests/book/test_explorer.py": 20,
    "tests/test_benchmarks.py": 20,
    "tests/vaebook/test_package.py": 20,
    "tests/book/test_explorer_flow.py": 20,
    "tests/book/test_book.py": 20,
    "tests/book/test_search.py": 20,
    "tests/vaebook/training/test_lightning.py": 15,
    "tests/vaebook/experiments/test_sampling.py": 15,
    "tests/vaebook/experiments/test_prior_equivalence.py": 15,
    "tests/vaebook/experiments/test_propositions.py": 10,
    "tests/book/test_buttons.py": 10,
    "tests/book/test_reading.py": 10,
}


class ByFileOrPage(LoadScopeScheduling):  # type: ignore[misc]
    """Tests that share a fixture go to one worker, those of a file, or of one page of the book.

    The longest first, so that no worker is left with a long one when the others have ended.
    """

    PER_PAGE = ("test_buttons", "test_reading", "test_propositions")
    SCREEN = re.compile(r"-?\b(desktop|phone|390|768|900|1280)\b-?")

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if Path(file).stem not in self.PER_PAGE:
            return file
        return f"{file} {self.SCREEN.sub('', test.partition('[')[2])}"

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = max(self.workqueue, key=lambda scope: LONGEST.get(scope.partition(" ")[0], 0))
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How the tests are shared between the workers of ``pytest --numprocesses``."""
    return ByFileOrPage(config, log)


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command and capture what it prints; the caller looks at the exit code."""
    settings = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 600}
    return subprocess.run([str(part) for part in command], **(settings | options))  # type: ignore[call-overload]


def children_seconds() -> float:
    """Processor time of the commands run so far (zero on Windows, which does not count it)."""
    times = os.times()
    return times.children_user + times.children_system


def yardstick() -> float:
    """Processor seconds of a piece of Python that always does the same: about one."""
    start = time.process_time()
    words: dict[str, int] = {}
    for number in range(1_500_000):
        word = str(number % 50_021)
        words[word] = words.get(word, 0) + len(word)
    assert len(words) == 50_021
    return time.process_time() - start


@dataclass(frozen=True)
class Book:
    """A finished build."""

    html: Path
    log: str
    seconds: float  # of one core
    yardsticks: float  # the same, in units of a piece of work of a fixed size


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Book:
    """The book, built from scratch into a folder of its own, every warning an error.

    Workers side by side share one build: the first to ask builds, the others wait for it.
    """
    if worker_id == "master":
        return build(tmp_path_factory.mktemp("book"))
    folder = tmp_path_factory.getbasetemp().parent
    done = folder / "book.json"
    with FileLock(folder / "book.lock"):
        if not done.exists():
            built = build(folder / "book")
            done.write_text(json.dumps([str(built.html), *astuple(built)[1:]]), "utf-8")
    html, *rest = json.loads(done.read_text("utf-8"))
    return Book(Path(html), *rest)


def build(output: Path) -> Book:
    """Build the book, every warning an error."""
    before = yardstick()
    start = children_seconds()
    done = run(
        sys.executable,
        *("-c", "from jupyter_book.cli.main import main; main()"),
        *("build", ROOT, "--path-output", output, "-W", "--keep-going"),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"},
    )
    seconds = children_seconds() - start
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    return Book(output / "_build" / "html", log, seconds, 2 * seconds / (before + yardstick()))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; none is a failure in CI, a skip elsewhere."""
    try:
        return find_chromium()
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def watched(page: Page) -> Iterator[Page]:
    """Fail on leaving if the page met an error or asked for anything from the network."""
    trouble: list[str] = []
    listeners: dict[str, Callable[[Any], object]] = {
        "pageerror": lambda error: trouble.append(f"script error: {error}"),
        "requestfailed": lambda request: (
            request.failure == "net::ERR_ABORTED"  # the page was left before it had come
            or trouble.append(f"not loaded: {request.url}")
        ),
        "console": lambda message: (
            message.type == "error" and trouble.append(f"console: {message.text}")
        ),
        "request": lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or trouble.append(f"request to the network: {request.url}")
        ),
    }
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    try:
        yield page
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
    assert trouble == []


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on a phone's screen that fails the test on any error or foreign request."""
    context = browser.new_context(viewport=PHONE)
    with watched(context.new_page()) as opened:
        yield opened
    context.close()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, away from the repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
