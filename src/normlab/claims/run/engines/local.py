"""Warm one-thread worker processes of this machine, through joblib's loky.

A plain `loky` or `ProcessPoolExecutor` loses what matters here: a worker that dies (killed, out of
memory) breaks the whole pool, and each trial in it fails, whoever did it. So this engine has the
face of an executor, `submit` gives a `Future`, and behind it a thread watches pools come and go.
"""

import os
import queue
import signal
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normlab.claims.design import Job
from normlab.claims.run.execute import execute, in_one_line, unfinished
from normlab.claims.run.time_limit import waited_s
from normlab.records.provenance import code_state
from normlab.records.record import Record
from normlab.training.processes import prepare_worker

GRACE_S = 15.0  # beyond a trial's own time limit, for one that hangs where no signal reaches it
DEATHS = 2  # of a worker that runs nothing but one trial, after which the trial is `failed`
_LOOK_S = 0.5  # between looks for trials that hang
_IDLE_S = 600  # after which loky ends a worker that has nothing to do


@dataclass(eq=False)
class _Trial:
    """A job on its way to a record."""

    job: Job
    record: Future[Record] = field(default_factory=Future)
    deaths: int = 0  # of its worker, while nothing ran beside it
    alone: bool = False  # nothing has run beside it since it was started
    suspect: bool = False  # its worker died: it runs again, and nothing beside it
    hanging: bool = False  # we have killed its worker
    bystander: bool = False  # it was in the pool when we killed another's worker


class LocalEngine:
    """As many warm worker processes as asked for; they end with their parent, however it ends.

    Where a worker dies, nobody knows whose trial did it. So the pool is made anew, and each trial
    that was in flight runs again by itself: one that kills its worker twice while it runs alone is
    `failed`. A trial that goes on beyond its time limit, and lets no signal through, is killed.
    """

    def __init__(self, workers: int, experiments: Path) -> None:
        self.workers = workers
        self.experiments = experiments
        self._scratch = tempfile.TemporaryDirectory(prefix="normlab-workers-")
        # A file per running trial: which process, and since when.
        self._pids = Path(self._scratch.name)
        # All below are changed under the lock: by who submits, and by the thread that watches.
        self._lock = threading.Lock()
        self._waiting: deque[_Trial] = deque()
        self._suspects: deque[_Trial] = deque()
        self._running: dict[Future[Record], _Trial] = {}  # by loky's future
        self._closed = False
        self._finished: queue.SimpleQueue[Future[Record] | None] = queue.SimpleQueue()
        self._watcher: threading.Thread | None = None

    def submit(self, job: Job) -> Future[Record]:
        """The record of `job`, once it is there."""
        trial = _Trial(job)
        with self._lock:
            self._waiting.append(trial)
            self._fill()
            # With the first trial: an engine without trials has no thread to end.
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        return trial.record

    def close(self) -> None:
        """Kill all workers; trials without a record are cancelled."""
        with self._lock:
            self._closed = True
            # With `_closed` set and under the lock: nothing is started after this list.
            left = [*self._waiting, *self._suspects, *self._running.values()]
        if self._watcher is not None:
            # This breaks the trials in flight; as `_closed` is set, none is settled as a death.
            self._pool().shutdown(wait=True, kill_workers=True)
            # Wakes the watcher, which would look up only after _LOOK_S.
            self._finished.put(None)
            self._watcher.join()
            self._watcher = None
        for trial in left:
            trial.record.cancel()
        self._scratch.cleanup()

    def _pool(self) -> Any:
        """Loky's pool; a new one where a worker of the last has died."""
        from joblib.externals.loky import get_reusable_executor

        return get_reusable_executor(
            max_workers=self.workers, timeout=_IDLE_S, env={"OMP_NUM_THREADS": "1"}
        )

    def _fill(self) -> None:
        """Start what can be started. Under the lock."""
        if any(trial.suspect or trial.hanging for trial in self._running.values()):
            return  # a suspect runs alone, and the pool of a killed worker is about to break
        if self._suspects:
            if not self._running:
                self._start(self._suspects.popleft())
            return
        # No more than the pool can work on: what waits in there is lost when a worker dies.
        while self._waiting and len(self._running) < self.workers:
            self._start(self._waiting.popleft())

    def _start(self, trial: _Trial) -> None:
        trial.hanging = trial.bystander = False
        # Side by side: if a worker dies, nobody knows whose trial did it.
        trial.alone = not self._running
        for other in self._running.values():
            other.alone = False
        work = (_work, trial.job, self.experiments, self._pids)
        try:
            handle: Future[Record] = self._pool().submit(*work)
        except BrokenExecutor:  # a worker died this moment; the next pool is whole
            handle = self._pool().submit(*work)
        self._running[handle] = trial
        handle.add_done_callback(self._finished.put)

    def _watch(self) -> None:
        """The watcher's loop: settle what is finished, kill what hangs, start what waits."""
        try:
            while not self._closed:
                try:
                    handle = self._finished.get(timeout=_LOOK_S)
                except queue.Empty:
                    handle = None
                with self._lock:
                    if handle is not None and not self._closed:
                        self._settle(handle)
                    self._kill_hanging()
                    if not self._closed:
                        self._fill()
        except BaseException as error:  # a bug of ours: whoever waits for a record must learn of it
            for trial in [*self._waiting, *self._suspects, *self._running.values()]:
                if not trial.record.done():
                    trial.record.set_exception(error)
            raise

    def _settle(self, handle: Future[Record]) -> None:
        """Give a trial its record, or put it back where its worker has died. Under the lock."""
        trial = self._running.pop(handle)
        error = handle.exception()
        if error is None:
            trial.record.set_result(handle.result())
        elif not isinstance(error, BrokenExecutor):  # the worker lives, and says what is wrong
            trial.record.set_result(unfinished(trial.job, "failed", in_one_line(error)))
        elif trial.hanging:
            message = f"no result within {trial.job.timeout_s:g} s, and no reaction"
            trial.record.set_result(unfinished(trial.job, "timeout", message))
        elif trial.bystander:  # we took the pool down ourselves
            # To the front: it had its turn before those that wait.
            self._waiting.appendleft(trial)
        else:  # the worker is gone, or its answer did not arrive
            # A death in company may be the other's fault and is not counted.
            trial.deaths += trial.alone
            if trial.deaths < DEATHS:
                trial.suspect = True
                self._suspects.append(trial)
                return
            message = f"its worker died, twice: {type(error).__name__}"
            trial.record.set_result(unfinished(trial.job, "failed", message))

    def _kill_hanging(self) -> None:
        """Kill the workers of trials far beyond their time limit; loky then breaks the pool."""
        hanging = [trial for trial in self._running.values() if self._kill_if_hanging(trial)]
        for trial in self._running.values() if hanging else ():
            trial.bystander = not trial.hanging

    def _kill_if_hanging(self, trial: _Trial) -> bool:
        # The file is gone where the trial has just ended, or has been killed already.
        with suppress(OSError, ValueError):
            note = self._pids / trial.job.key
            process, waited = note.read_text().split()
            # The note is written when the trial starts: its age is the trial's, but for the time
            # in which it waited for a processor.
            idle = waited_s(int(process)) - float(waited)
            if time.time() - note.stat().st_mtime - idle > trial.job.timeout_s + GRACE_S:
                os.kill(int(process), signal.SIGKILL)
                note.unlink()
                trial.hanging = True
                return True
        return False


def _work(job: Job, experiments: Path, pids: Path) -> Record:
    """What runs in a worker."""
    prepare_worker()
    # What every trial needs, and the first of a process would pay for out of its time limit.
    import torch  # noqa: F401

    code_state()

    note = pids / job.key
    note.write_text(f"{os.getpid()} {waited_s()}")
    try:
        return execute(job, experiments)
    finally:
        note.unlink(missing_ok=True)
