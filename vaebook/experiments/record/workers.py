"""Processes that share the seeds of a record and never outlive it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


def _begin() -> None:
    """Leave Ctrl-C to the process that began this one, and end when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """As many processes as ``jobs``, for the length of the block.

    If it fails, what is under way or next in their queue is still finished, and the rest dropped.
    On Ctrl-C, also while that is waited for, they end at once.
    """
    others = multiprocessing.active_children()
    spawn = multiprocessing.get_context("spawn")  # a forked torch may hang
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin)
    try:
        yield pool
        pool.shutdown()
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        left = [child for child in multiprocessing.active_children() if child not in others]
        for worker in left:
            worker.terminate()
        for worker in left:
            worker.join()
