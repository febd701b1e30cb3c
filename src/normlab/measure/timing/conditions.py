"""What timings need from the machine: one thread, memory that stays, and a clock for the device."""

import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

# Of glibc's mallopt, with the value that it has by itself.
_TRIM_THRESHOLD, _MMAP_MAX = (-1, 128 * 1024), (-4, 65536)


@contextmanager
def timing_conditions() -> Iterator[None]:
    """One thread, since two on a busy machine measure its scheduler; and blocks of memory are kept
    for the next call.

    Otherwise glibc hands blocks over 32 MiB back to the system at each free, and every call on a
    large tensor takes page faults that no layer has to do with. It takes a few calls. Other C
    libraries are left as they are.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    glibc = hasattr(library, "mallopt")
    if glibc:
        # All blocks from the heap, and a heap that never shrinks.
        library.mallopt(_MMAP_MAX[0], 0)
        library.mallopt(_TRIM_THRESHOLD[0], 2**31 - 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if glibc:
            library.mallopt(*_MMAP_MAX)
            library.mallopt(*_TRIM_THRESHOLD)
            # Give back now what was kept.
            library.malloc_trim(0)


def cuda_clock(function: Callable[[], object], repeats: int) -> float:
    """Seconds a call between two events on the device's own stream."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(repeats):
        function()
    end.record()
    end.synchronize()
    # elapsed_time is in milliseconds.
    return start.elapsed_time(end) / 1e3 / repeats  # type: ignore[no-any-return]


def device_name(device: str) -> str:
    """As records and rows name it."""
    return (
        torch.cuda.get_device_name()
        if device == "cuda"
        else f"cpu ({platform.machine()}, 1 thread)"
    )
