"""Several processes that work as one: started together, given a process group, ended together. Torch-free to import."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from normlab.errors import NormLabError

WAIT_S = 300.0  # that a process waits for the others at most
_GRACE_S = 1.0  # in which the cause of a failure is told from what it does to the other processes


class GroupError(RuntimeError):
    """A process of a group died, failed or did not end in time; the others have been ended."""


def under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def backend_of(trainer: Any) -> str:
    """Of torch.distributed, for the configuration's group `trainer`."""
    return "nccl" if trainer.accelerator.value == "gpu" else "gloo"


def wait_of(trainer: Any) -> float:
    return WAIT_S if trainer.timeout_s is None else trainer.timeout_s


def prepare_worker() -> None:
    """One thread, and no life after the parent's: a killed sweep leaves no process behind."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run_group(
    function: Callable[..., Any],
    world_size: int,
    *arguments: Any,
    backend: str = "gloo",
    wait_s: float = WAIT_S,
    timeout_s: float | None = None,
    preload: tuple[str, ...] = (),
) -> list[Any]:
    """What `function(*arguments)` returns in each of `world_size` processes that share a torch.distributed group.

    function: importable by its name; it returns plain values, which outlive their process. wait_s: how long a process
    waits for the others; timeout_s: for all of it. One that raises, dies or is late ends all of them, and whatever they
    have started, at once. preload: modules that a server imports once, from which later groups of this process start in
    milliseconds; without, each process is new.

    Raises:
        NormLabError: the function's own, from any rank.
        GroupError: for everything else that goes wrong, with the rank and the reason.
    """
    method = "forkserver" if preload else "spawn"
    context: Any = multiprocessing.get_context(method)
    if preload:
        context.set_forkserver_preload(["torch.distributed", *preload])
    processes: list[BaseProcess] = []
    channels: list[Connection] = []
    with tempfile.TemporaryDirectory(prefix="normlab-group-") as folder, _start_method(method):
        try:
            for rank in range(world_size):
                receiving, sending = context.Pipe(duplex=False)
                place = (rank, world_size, f"file://{folder}/store", backend, wait_s)
                process = context.Process(target=_rank, args=(function, arguments, place, sending))
                process.start()
                sending.close()  # so that a dead process is the end of its channel
                processes.append(process)
                channels.append(receiving)
            return _collect(channels, processes, timeout_s)
        finally:
            for process in processes:
                _kill(process)


@contextmanager
def _start_method(method: str) -> Iterator[None]:
    """New processes are told the default method of their parent, and in a worker of loky's they do not know it."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def _rank(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    place: tuple[Any, ...],
    out: Connection,
) -> None:
    """The whole life of one process of a group."""
    rank, world_size, store, backend, wait_s = place
    os.setpgid(0, 0)  # to be killed together with what it starts
    prepare_worker()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
    if rank:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        import datetime

        import torch

        torch.set_num_threads(1)
        limit = datetime.timedelta(seconds=wait_s)
        torch.distributed.init_process_group(
            backend, store, rank=rank, world_size=world_size, timeout=limit
        )
        value = function(*arguments)
        sys.stdout.flush()
        out.send((True, value))
    except NormLabError as error:
        out.send((False, error))
    except BaseException as error:
        words = str(error).splitlines() or [""]
        failure = GroupError(f"rank {rank}: {type(error).__name__}: {words[0]}")
        failure.add_note(traceback.format_exc())
        out.send((False, failure))
    finally:
        out.close()


def _collect(
    channels: list[Connection], processes: list[BaseProcess], timeout_s: float | None
) -> list[Any]:
    """The results by rank. Raises the failure that the others come from, once one is seen."""
    results: dict[int, Any] = {}
    failures: list[Exception] = []
    until = None if timeout_s is None else time.monotonic() + timeout_s
    open_ = list(channels)
    while open_:
        ready = wait(open_, None if until is None else max(0.0, until - time.monotonic()))
        if not ready:
            if not failures:
                late = ", ".join(str(channels.index(channel)) for channel in open_)
                failures.append(GroupError(f"rank {late}: no result within {timeout_s:g} s"))
            break
        for channel in ready:
            assert isinstance(channel, Connection)
            rank = channels.index(channel)
            open_.remove(channel)
            try:
                good, value = channel.recv()
            except (EOFError, OSError):
                processes[rank].join(_GRACE_S)
                failures.insert(
                    0, GroupError(f"rank {rank} died: exit status {processes[rank].exitcode}")
                )
                continue
            if good:
                results[rank] = value
            else:
                failures.append(value)
        if failures:
            until = min(until or float("inf"), time.monotonic() + _GRACE_S)
    if failures:
        # A process that died sent nothing; what it does to others is their connection's error.
        raise next((one for one in failures if isinstance(one, NormLabError)), failures[0])
    return [results[rank] for rank in range(len(channels))]


def _kill(process: BaseProcess) -> None:
    """End the process, which has done all that is asked of it or will never, and what it has started."""
    assert process.pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.exitcode is None:
        process.kill()
    process.join()
