"""Where trials run: warm processes of this machine (loky), Ray, or SLURM through submitit, behind one interface."""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from normlab.claims.plan import Job
from normlab.claims.run.execute import execute, unfinished
from normlab.errors import NormLabError, choices
from normlab.records.record import Record
from normlab.training.processes import prepare_worker

ENGINES = ("local", "ray", "submitit")
GRACE_S = 15.0  # beyond a trial's own time limit, for one that hangs where no signal reaches it


class Engine(Protocol):
    """Takes jobs, gives records back in the order in which they finish."""

    workers: int

    def submit(self, job: Job) -> None: ...

    def finished(self) -> Iterator[tuple[Job, Record]]:
        """What has finished since the last call; waits a moment if nothing has."""

    def close(self) -> None: ...


def build_engine(name: str, workers: int | None, experiments: Path) -> Engine:
    """The engine `name` with `workers` processes (None: one per core).

    Raises:
        NormLabError: unknown engine, its library is not installed, or no worker at all.
    """
    count = workers if workers is not None else os.cpu_count() or 1
    if count < 1:
        raise NormLabError(f"--workers {count}: give at least 1.")
    if name == "local":
        return LocalEngine(count, experiments)
    if name not in ENGINES:
        raise choices("engine", name, ENGINES)
    try:
        return (
            RayEngine(count, experiments) if name == "ray" else SubmititEngine(count, experiments)
        )
    except ImportError:
        raise NormLabError(
            f"--engine {name} needs its library: pip install {name}, or use --engine local."
        ) from None


def _work(job: Job, experiments: Path, pids: Path) -> Record:
    prepare_worker()
    import torch  # noqa: F401  (before the trial's time begins to count)

    note = pids / job.key
    note.write_text(str(os.getpid()))
    try:
        return execute(job, experiments)
    finally:
        note.unlink(missing_ok=True)


class LocalEngine:
    """Warm one-thread worker processes through joblib's loky, as many as asked for.

    A worker that dies (killed, out of memory) takes loky's whole pool down, and nobody knows whose trial did it. So the
    pool is made anew, and each trial that was in flight runs again by itself: one that kills its worker twice while it
    runs alone is `failed`.
    """

    def __init__(self, workers: int, experiments: Path) -> None:
        self.workers = workers
        self.experiments = experiments
        self.scratch = tempfile.TemporaryDirectory(prefix="normlab-workers-")
        self.pids = Path(
            self.scratch.name
        )  # a file per running trial: which process, and since when
        self.running: dict[Any, Job] = {}
        self.waiting: list[Job] = []
        self.suspects: list[Job] = []
        self.deaths: dict[str, int] = {}  # by key, while running alone

    def submit(self, job: Job) -> None:
        self.waiting.append(job)
        self._fill()

    def _pool(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        return get_reusable_executor(
            max_workers=self.workers, timeout=600, env={"OMP_NUM_THREADS": "1"}
        )

    def _fill(self) -> None:
        # No more in the pool than it can work on: what is submitted there is lost when a worker dies.
        if self.suspects:
            if not self.running:
                self._start(self.suspects.pop(0))
            return
        while self.waiting and len(self.running) < self.workers:
            self._start(self.waiting.pop(0))

    def _start(self, job: Job) -> None:
        self.running[self._pool().submit(_work, job, self.experiments, self.pids)] = job

    def finished(self) -> Iterator[tuple[Job, Record]]:
        from concurrent.futures import FIRST_COMPLETED, wait

        hanging = self._kill_hanging()
        alone = len(self.running) == 1
        done, _ = wait(self.running, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            job = self.running.pop(future)
            try:
                record = future.result()
            except Exception as error:  # the worker is gone, or its answer did not arrive
                if job.key in hanging:
                    record = unfinished(
                        job, "timeout", f"no result within {job.timeout_s:g} s, and no reaction"
                    )
                elif hanging:  # we took the pool down ourselves
                    self.waiting.insert(0, job)
                    continue
                else:
                    self.deaths[job.key] = self.deaths.get(job.key, 0) + alone
                    if self.deaths[job.key] < 2:
                        self.suspects.append(job)
                        continue
                    record = unfinished(
                        job, "failed", f"its worker died, twice: {type(error).__name__}"
                    )
            yield job, record
        self._fill()

    def _kill_hanging(self) -> set[str]:
        """Kill the workers of trials far beyond their time limit, wait for the pool to notice, and name the trials."""
        keys = set()
        for job in self.running.values():
            with suppress(OSError, ValueError):
                note = self.pids / job.key
                if time.time() - note.stat().st_mtime > job.timeout_s + GRACE_S:
                    os.kill(int(note.read_text()), signal.SIGKILL)
                    note.unlink()
                    keys.add(job.key)
        if keys:
            from concurrent.futures import wait

            wait(self.running, timeout=30)
        return keys

    def close(self) -> None:
        self._pool().shutdown(wait=True, kill_workers=True)
        self.scratch.cleanup()


class RayEngine:
    """Ray tasks of one core each, on this machine or on the cluster that RAY_ADDRESS names."""

    def __init__(self, workers: int, experiments: Path) -> None:
        import ray

        self.ray = ray
        self.workers = workers
        self.experiments = experiments
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS")
            options: dict[str, Any] = (
                {} if address else {"num_cpus": workers, "include_dashboard": False}
            )
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        self.remote = ray.remote(num_cpus=1, max_retries=1)(execute)
        self.running: dict[Any, Job] = {}

    def submit(self, job: Job) -> None:
        self.running[self.remote.remote(job, self.experiments)] = job

    def finished(self) -> Iterator[tuple[Job, Record]]:
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=0.5)
        for reference in ready:
            job = self.running.pop(reference)
            try:
                yield job, self.ray.get(reference)
            except self.ray.exceptions.RayError as error:
                yield job, unfinished(job, "failed", f"its worker died: {type(error).__name__}")

    def close(self) -> None:
        self.ray.shutdown()


class SubmititEngine:
    """SLURM jobs through submitit; without SLURM, submitit's local executor on this machine."""

    def __init__(self, workers: int, experiments: Path) -> None:
        import submitit

        self.submitit = submitit
        self.workers = workers
        self.experiments = experiments
        self.executor = submitit.AutoExecutor(folder="runs/submitit")
        self.executor.update_parameters(
            timeout_min=60, cpus_per_task=1, slurm_array_parallelism=workers
        )
        self.running: list[tuple[Any, Job]] = []
        self.waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def finished(self) -> Iterator[tuple[Job, Record]]:
        while self.waiting and len(self.running) < self.workers:
            job = self.waiting.pop(0)
            self.running.append((self.executor.submit(execute, job, self.experiments), job))
        time.sleep(0.1)
        for handle, job in list(self.running):
            if not handle.done():
                continue
            self.running.remove((handle, job))
            try:
                yield job, handle.result()
            except (
                self.submitit.core.utils.UncompletedJobError,
                self.submitit.core.utils.FailedJobError,
            ) as error:
                yield job, unfinished(job, "failed", f"its job died: {str(error).splitlines()[0]}")

    def close(self) -> None:
        for handle, _ in self.running:
            handle.cancel()
