"""How much memory a call needs, counted and not guessed from what the process was given."""

from collections.abc import Callable
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

MIB = 2**20


def peak_memory(measure: Callable[[], Any]) -> int:
    """The most bytes that torch held at one time for what the call allocated itself."""
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as watched:
        measure()
    assert watched.profiler is not None
    events = watched.profiler.kineto_results.events()
    steps = sorted(
        (event.start_ns(), event.nbytes())
        for event in events
        if event.name() == "[memory]" and event.device_type() == DeviceType.CPU
    )
    held = most = 0
    for _, size in steps:
        held += size
        most = max(most, held)
    return most
