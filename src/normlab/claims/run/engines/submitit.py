"""SLURM jobs through submitit; without SLURM, submitit's local executor on this machine."""

import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import submitit

from normlab.claims.design import Job
from normlab.claims.run.execute import execute, in_one_line, unfinished
from normlab.records.record import Record

_LOOK_S = 0.1  # between looks for jobs that are done
_LIMIT_MIN = 60  # of a job, to SLURM


class SubmititEngine:
    """submitit's jobs are no futures: a thread asks them whether they are done.

    Submitit's files lie in runs/submitit, which all nodes must see.
    """

    def __init__(self, workers: int, experiments: Path) -> None:
        self.workers = workers
        self.experiments = experiments
        self._executor = submitit.AutoExecutor(folder="runs/submitit")
        self._executor.update_parameters(
            timeout_min=_LIMIT_MIN, cpus_per_task=1, slurm_array_parallelism=workers
        )
        self._waiting: deque[tuple[Job, Future[Record]]] = deque()
        self._running: list[tuple[submitit.Job[Record], Job, Future[Record]]] = []
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def submit(self, job: Job) -> Future[Record]:
        """The record of `job`, once it is there."""
        record: Future[Record] = Future()
        self._waiting.append((job, record))
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return record

    def close(self) -> None:
        """Cancel all jobs."""
        self._closed.set()
        # Ended first: it would go on submitting what is cancelled below.
        if self._watcher is not None:
            self._watcher.join()
        for handle, _, record in self._running:
            handle.cancel()
            record.cancel()
        for _, record in self._waiting:
            record.cancel()

    def _watch(self) -> None:
        """The watcher's loop, until the engine is closed."""
        try:
            while not self._closed.wait(_LOOK_S):
                self._collect()
                self._fill()
        except BaseException as error:  # SLURM gives no answer, say: whoever waits must learn of it
            waiting = [record for _, record in self._waiting]
            for record in [*waiting, *(record for *_, record in self._running)]:
                if not record.done():
                    record.set_exception(error)
            raise

    def _collect(self) -> None:
        """Give each job that is done its record."""
        # A copy: what is done is taken out on the way.
        for entry in list(self._running):
            handle, job, record = entry
            if handle.done():
                record.set_result(_record(handle, job))
                self._running.remove(entry)

    def _fill(self) -> None:
        """Start what waits, but no more at once than asked for: SLURM would take them all."""
        while self._waiting and len(self._running) < self.workers:
            job, record = self._waiting.popleft()
            try:
                handle = self._executor.submit(_work, job, self.experiments)
            except Exception as error:  # no queue takes it: whoever waits must learn of it
                record.set_exception(error)
            else:
                self._running.append((handle, job, record))


def _work(job: Job, experiments: Path) -> Record:
    """What runs as a job: of what is raised there submitit keeps a long text alone."""
    try:
        return execute(job, experiments)
    except Exception as error:
        return unfinished(job, "failed", in_one_line(error))


def _record(handle: "submitit.Job[Record]", job: Job) -> Record:
    """What a job gave; a job that died, or whose answer cannot be read, is failed."""
    try:
        return handle.result()
    except Exception as error:  # a job raises nothing itself: see `_work`
        return unfinished(job, "failed", f"its job died: {in_one_line(error)}")
