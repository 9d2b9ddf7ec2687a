"""Streams of random numbers that have names: none knows anything of another."""

import hashlib
import itertools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor

from vaebook import _random
from vaebook._random import stream_seed
from vaebook.data import sample_factors
from vaebook.training import seeded

NAMES = ("data", "weights", "order", "noise", "samples", "judge", "pilot")
MANY = 20_000
CHANCE = 5 / MANY**0.5  # no correlation of independent numbers is as large


def draws(seed: int, stream: str | None, uniform: bool = False) -> Tensor:
    with seeded(seed, stream):
        return torch.rand(MANY) if uniform else torch.randn(MANY)


def largest_correlation(rows: Tensor, others: Tensor) -> float:
    """Of any row of one with any row of the other."""
    both = torch.corrcoef(torch.cat([rows, others]).double())
    return float(both[: len(rows), len(rows) :].abs().max())


def test_a_name_begins_where_it_always_does() -> None:
    assert stream_seed(0, "judge") == int(hashlib.sha256(b"judge:0").hexdigest()[:16], 16)
    assert torch.equal(draws(3, "judge"), draws(3, "judge"))
    assert not torch.equal(draws(3, "judge"), draws(4, "judge"))
    assert torch.equal(draws(3, None), draws(3, None))


def test_no_two_streams_share_numbers() -> None:
    streams = list(itertools.product(range(10), (*NAMES, None)))
    starts = {seed if name is None else stream_seed(seed, name) for seed, name in streams}
    assert len(starts) == len(streams)
    for uniform in (False, True):
        found = torch.corrcoef(torch.stack([draws(*each, uniform) for each in streams]).double())
        assert found.fill_diagonal_(0).abs().max() < CHANCE


def test_the_old_fault_is_seen_where_it_is_planted() -> None:
    """Noise under the seed of the data's factors depends on them; a named stream does not."""
    factors = sample_factors(MANY, seed=0).T  # [16, n]
    with seeded(0):
        noise = torch.randn(MANY, 16).T
    assert largest_correlation(factors, noise) > 0.5
    for name in NAMES:
        with seeded(0, name):
            noise = torch.randn(MANY, 16).T
        assert largest_correlation(factors, noise) < CHANCE


@pytest.mark.parametrize("stream", ["", 3, b"judge"])
def test_a_name_is_a_text(stream: object) -> None:
    with pytest.raises(ValueError, match="expected a name, such as 'judge'"), seeded(0, stream):  # type: ignore[arg-type]
        pass


def test_a_named_stream_has_a_seed_as_any_other() -> None:
    with pytest.raises(ValueError, match="seed is -1; expected a whole number"), seeded(-1, "data"):
        pass


def interrupted_at(moment: int) -> bool:
    """Enter and leave a stream, with a Ctrl-C at one line of its code; whether there was such."""
    lines = iter(range(moment + 1))

    def watch(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != _random.__file__:
            return None
        if event == "line" and next(lines, None) == moment:
            raise KeyboardInterrupt
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        with seeded(3, "a stream"):
            torch.rand(())
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_line_leaves_the_streams_to_others() -> None:
    """Neither the next block of this thread nor that of another waits for ever."""
    moment = 0
    while interrupted_at(moment):
        drawn: list[float] = []

        def draw(drawn: list[float] = drawn) -> None:
            with seeded(0):
                drawn.append(float(torch.rand(())))

        other = threading.Thread(target=draw, daemon=True)
        other.start()
        other.join(10)
        assert drawn, f"another thread waits after a Ctrl-C at line {moment}"
        draw()
        assert drawn[0] == drawn[1]
        moment += 1
    assert moment > 20
