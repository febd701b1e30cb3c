"""Several processes that work as one: started together, given a group, ended together.

Torch-free at import. Not torch's launchers (torch.multiprocessing, torch.distributed.elastic): they
end a process without what it has started, hand an error on as text, so that a NormLabError is no
longer one, and report the first process that they see fail, which is often one that only lost its
connection to the one that died.
"""

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
from typing import Any, NamedTuple

from normlab.config.schema import Accelerator, TrainerConfig
from normlab.errors import NormLabError

# DistributedDataParallel imports the second when it is built, which takes seconds in each process.
OF_GROUPS = ("torch.distributed", "torch._dynamo.utils")
WAIT_S = 300.0  # that a process waits for the others at most
_GRACE_S = 1.0  # in which the cause of a failure is told from what it does to the other processes


class GroupError(RuntimeError):
    """A process of a group died, failed or did not end in time; the others have been ended."""


def under_torchrun() -> bool:
    """Whether torchrun has started this process, as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def backend_of(trainer: TrainerConfig) -> str:
    """The backend of torch.distributed."""
    return "nccl" if trainer.accelerator is Accelerator.gpu else "gloo"


def wait_of(trainer: TrainerConfig) -> float:
    """Seconds that a process waits for the others at most."""
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
    """What `function(*arguments)` returns in each of `world_size` processes that share a group.

    One that raises, dies or is late ends all of them, and whatever they have started, at once.

    Args:
        function: importable by its name; it returns plain values, which outlive their process.
        wait_s: how long a process waits for the others at most.
        timeout_s: how long all of it may take.
        preload: modules that a server imports once, from which later groups of this process start
            in milliseconds; without, each process is new.

    Raises:
        NormLabError: the function's own, from any rank.
        GroupError: for everything else that goes wrong, with the rank and the reason.
    """
    # Never fork: neither torch's threads nor CUDA survive one.
    method = "forkserver" if preload else "spawn"
    context: Any = multiprocessing.get_context(method)
    if preload:
        context.set_forkserver_preload([*OF_GROUPS, *preload])
    processes: list[BaseProcess] = []
    channels: list[Connection] = []
    with tempfile.TemporaryDirectory(prefix="normlab-group-") as folder, _start_method(method):
        try:
            for rank in range(world_size):
                receiving, sending = context.Pipe(duplex=False)
                member = _Member(rank, world_size, f"file://{folder}/store", backend, wait_s)
                process = context.Process(
                    target=_run_member, args=(function, arguments, member, sending)
                )
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
    """New processes are told the default method of their parent.

    In a worker of loky's that is a method which they do not know.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


class _Member(NamedTuple):
    """One process of a group, and where it meets the others."""

    rank: int
    world_size: int
    store: str
    backend: str
    wait_s: float

    def join(self) -> None:
        import datetime

        import torch.distributed

        torch.set_num_threads(1)
        torch.distributed.init_process_group(
            self.backend,
            self.store,
            rank=self.rank,
            world_size=self.world_size,
            timeout=datetime.timedelta(seconds=self.wait_s),
        )


def _run_member(
    function: Callable[..., Any], arguments: tuple[Any, ...], member: _Member, out: Connection
) -> None:
    """The whole life of one process of a group."""
    os.setpgid(0, 0)  # to be killed together with what it starts
    prepare_worker()
    rank = str(member.rank)
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": str(member.world_size)}
    # The descriptor and not sys.stdout: libraries write to it directly.
    if member.rank:  # one of them speaks for all
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        member.join()
        value = function(*arguments)
        # The parent kills this process once it has the value: what is buffered would be lost.
        sys.stdout.flush()
        out.send((True, value))
    except NormLabError as error:
        out.send((False, error))
    except BaseException as error:
        first_line = next(iter(str(error).splitlines()), "")
        failure = GroupError(f"rank {rank}: {type(error).__name__}: {first_line}")
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
    waiting = list(channels)
    while waiting:
        ready = wait(waiting, None if until is None else max(0.0, until - time.monotonic()))
        if not ready:
            if not failures:
                late = ", ".join(str(channels.index(channel)) for channel in waiting)
                failures.append(GroupError(f"rank {late}: no result within {timeout_s:g} s"))
            break
        for channel in ready:
            assert isinstance(channel, Connection)
            rank = channels.index(channel)
            waiting.remove(channel)
            try:
                done, value = channel.recv()
            except (EOFError, OSError):
                # A process that died sent nothing; what it does to others is their connection's
                # error, and comes after it.
                processes[rank].join(_GRACE_S)
                died = GroupError(f"rank {rank} died: exit status {processes[rank].exitcode}")
                # Ahead of those that only lost their connection to it.
                failures.insert(0, died)
                continue
            if done:
                results[rank] = value
            else:
                failures.append(value)
        if failures:
            # Not at once: the process that failed first may be the last to report.
            until = min(until or float("inf"), time.monotonic() + _GRACE_S)
    if failures:
        # A NormLabError is the cause in plain words, whichever process reported first.
        refusals = (failure for failure in failures if isinstance(failure, NormLabError))
        raise next(refusals, failures[0])
    return [results[rank] for rank in range(len(channels))]


def _kill(process: BaseProcess) -> None:
    """End the process, which has done its work or never will, and what it has started."""
    assert process.pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # It may not have its own process group yet, which it makes as its first act.
    if process.exitcode is None:
        process.kill()
    process.join()
