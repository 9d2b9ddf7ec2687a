"""Random numbers with a seed of their own, which leave torch's generators as they were."""

import hashlib
import operator
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

# torch's generators belong to the whole process, so that whoever seeds them works alone; blocks of
# one thread may lie within each other. Always ``with alone:``, which takes the lock and notes that
# it has to be given back in one step: a Ctrl-C can part a call of ``acquire`` from what follows.
alone = threading.RLock()


def check_seed(seed: Any) -> int:
    """``seed`` as an int; a ``ValueError`` unless it is a whole number from 0 to 2⁶⁴ − 1."""
    try:
        number = None if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = None
    if number is None or not 0 <= number < 2**64:
        raise ValueError(f"seed is {seed!r}; expected a whole number from 0 to 2**64 - 1.")
    return number


class Stream:
    """A stream of random numbers: inside ``with stream:`` torch draws from it and from no other.

    What was drawn before and elsewhere has no influence on it, and it has none on what is drawn
    after the block; when entered again it goes on where it stopped. Blocks may lie within each
    other. Enter the outermost by ``with alone, stream:``, so that other threads wait.

    Args:
        seed: where the stream begins.
        device: an accelerator whose generator belongs to the stream as well; by default those of
            all accelerators that are in use.
    """

    def __init__(self, seed: int, device: torch.device | None = None) -> None:
        self._seed: int | None = check_seed(seed)
        self._device = device
        self._own: dict[str, Tensor] = {}
        self._outer: dict[str, Tensor] | None = None

    def __enter__(self) -> "Stream":
        self._outer = _read(self._device)
        try:
            if self._seed is not None:
                torch.manual_seed(self._seed)
                self._seed = None
            else:
                _write(self._own)
        except BaseException:  # such as Ctrl-C
            _write(self._outer)
            self._outer = None
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._outer is not None
        try:
            self._own = _read(self._device)
        finally:
            _write(self._outer)
            self._outer = None

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: a tensor for each generator; before the first use, the seed."""
        if self._seed is not None:
            return {"seed": self._seed}
        return dict(self._own if self._outer is None else _read(self._device))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave. A generator that is not here is left out."""
        if "seed" in state:
            self._seed = int(state["seed"])
            if self._outer is not None:
                torch.manual_seed(self._seed)
                self._seed = None
            return
        self._seed = None
        here = _read(self._device)
        self._own = {name: state.get(name, value) for name, value in here.items()}
        if self._outer is not None:
            _write(self._own)


def stream_seed(seed: int, stream: str) -> int:
    """Where the stream of that name begins under ``seed``: 64 bits of a hash of both.

    Streams of different names, or of different seeds, share no numbers. Small seeds do not lie
    near each other, so that no sum of a seed and a constant meets another stream.

    Raises:
        ValueError: if the name is empty or no text, or ``seed`` is no whole number from 0 to
            2⁶⁴ − 1.
    """
    if not isinstance(stream, str) or not stream:
        raise ValueError(f"stream is {stream!r}; expected a name, such as 'judge'.")
    text = f"{stream}:{check_seed(seed)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@contextmanager
def seeded(seed: int, stream: str | None = None) -> Iterator[None]:
    """Seed torch inside the block and restore the global generators' states after it.

    Use it round whatever draws random numbers (building a model, sampling), so that a result does
    not depend on what ran before::

        with seeded(0):
            model = VAE(data.image_shape, latent_dim=20)

    Under one seed, draws that must not depend on each other have streams of their own::

        with seeded(seed, "weights"):
            model = VAE(data.image_shape, latent_dim=20)
        with seeded(seed, "samples"):
            images = model.sample(100)

    Two threads that enter such blocks take turns, and a thread that builds a model or draws
    samples without a seed waits for them. Whatever else another thread draws, by ``torch.randn`` or
    ``model.elbo``, comes from the same generators: give it a block of its own.

    Args:
        seed: where the stream begins.
        stream: its name; without one the seed is torch's own.

    Raises:
        ValueError: if ``seed`` is not a whole number from 0 to 2⁶⁴ − 1, or the name is empty.
    """
    with alone, Stream(seed if stream is None else stream_seed(seed, stream)):
        yield


@contextmanager
def unseeded() -> Iterator[None]:
    """Inside the block torch draws from its global generators, and from no other thread's stream.

    A thread waits here while another is inside a stream.
    """
    with alone:
        yield


def _read(device: torch.device | None) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    for name in _accelerators(device):
        states[name] = torch.get_device_module(name).get_rng_state(name)
    return states


def _write(states: dict[str, Tensor]) -> None:
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        else:
            torch.get_device_module(name).set_rng_state(state, name)


def _accelerators(device: torch.device | None) -> list[str]:
    if device is not None:
        return [] if device.type in ("cpu", "meta") else [str(device)]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return []
