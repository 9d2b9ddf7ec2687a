"""Ctrl-C at a moment where it does no harm."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
