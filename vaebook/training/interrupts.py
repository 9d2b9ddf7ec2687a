"""Ctrl-C at a moment where it does no harm."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch


@contextmanager
def interrupts_wait(*, at_most: int | None = None) -> Iterator[None]:
    """Within the block Ctrl-C waits for its end.

    torch's writer of files calls Python from its destructor: an interrupt there ends the process,
    or becomes an error of another kind.

    Args:
        at_most: how many may wait; the next one interrupts the block. By default any number.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield  # signals come to the main thread only
        return
    waiting: list[tuple[int, FrameType | None]] = []

    def wait(number: int, frame: FrameType | None) -> None:
        if at_most is not None and len(waiting) == at_most:
            waiting.clear()
            if callable(before):
                before(number, frame)
        else:
            waiting.append((number, frame))

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting and callable(before):
            before(*waiting[0])


@contextmanager
def torch_modes_kept(device: torch.device) -> Iterator[None]:
    """However the block ends, gradients and autocast of ``device`` are as on or off as before it.

    A Ctrl-C within the exit of ``torch.no_grad`` or within an optimiser's step, which works without
    gradients, leaves them off for the rest of the process.
    """
    gradients, autocast = torch.is_grad_enabled(), torch.is_autocast_enabled(device.type)
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        torch.set_autocast_enabled(device.type, autocast)
