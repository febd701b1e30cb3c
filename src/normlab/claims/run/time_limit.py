"""How long a trial may take on a machine that others use, too.

A trial that waits for a processor does nothing: what it waited is not counted, so that a busy
machine makes no trial late. Linux says how long that was; elsewhere all the time counts.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TrialTimeout(BaseException):
    """Not an Exception, so that no handler inside a trial swallows it."""


def waited_s(process: int | None = None) -> float:
    """Seconds for which a process (None: this one), ready to run, has waited for a processor.

    Of its main thread, where a trial runs; 0 where the system does not say.
    """
    try:
        text = Path("/proc", str(process or "self"), "schedstat").read_text()
        return int(text.split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TrialTimeout inside, once they are over; for a process's main thread."""
    began, waited = time.perf_counter(), waited_s()

    def alarm(signum: int, frame: object) -> None:
        left = seconds + (waited_s() - waited) - (time.perf_counter() - began)
        # A millisecond at least: a timer of 0 would be none.
        if left > 1e-3:
            signal.setitimer(signal.ITIMER_REAL, left)
            return
        raise TrialTimeout

    previous = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        # The timer first: by default the signal ends the process, and it may come late.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
