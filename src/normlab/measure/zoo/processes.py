"""A network in a process of its own, with limits: what it breaks breaks nothing else."""

import multiprocessing
import resource
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from normlab.measure.zoo.rows import Row
from normlab.training.processes import prepare_worker

_MORE = 30  # seconds of CPU time after which a process that does not answer is killed


class Limits(NamedTuple):
    """Of one network: seconds of CPU time, and bytes of memory."""

    seconds: int = 300
    memory: int = 6 << 30


DEFAULT = Limits()


def examine_apart(row: Row, limits: Limits) -> Row:
    """`row` filled in by a process of its own; where that dies, as far as it came, with why.

    The first call starts a server that imports the libraries once; later ones fork from it.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["normlab.measure.zoo.preload"])
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_examine, args=(row, limits, sending))
    process.start()
    sending.close()  # so that a dead process is the end of its channel
    try:
        for stage, last in _received(receiving):
            row, now = last, stage
        process.join()
        if now:
            row.reasons[now] = _cause_of_death(process.exitcode, limits)
        return row
    finally:
        process.kill()
        process.join()


def _received(channel: Connection) -> Iterator[tuple[str, Row]]:
    with suppress(EOFError, OSError):
        while True:
            yield channel.recv()


def _cause_of_death(status: int | None, limits: Limits) -> str:
    if status is not None and -status in (signal.SIGXCPU, signal.SIGKILL):
        return f"it was killed: out of memory, or past {limits.seconds + _MORE} s of CPU time"
    return f"its process died with status {status}"


class OutOfTime(BaseException):
    """A network has used the CPU time that it had; nothing but its process is to catch it."""


def _examine(row: Row, limits: Limits, out: Connection) -> None:
    """The whole life of a network's process: (the stage that begins, the row so far) each time."""
    import torch

    from normlab.measure.zoo.examination import examine

    prepare_worker()
    torch.set_num_threads(1)

    def late(*_: object) -> None:
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # it comes again each second
        raise OutOfTime(f"it ran past {limits.seconds} s of CPU time")

    signal.signal(signal.SIGXCPU, late)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + _MORE))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    stage = "build"
    try:
        for stage in examine(row):
            out.send((stage, row))
    except OutOfTime as error:
        row.reasons[stage] = str(error)
    out.send(("", row))
    out.close()
