"""Ray tasks of one core each, on this machine or on the cluster that RAY_ADDRESS names."""

import logging
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import ray

from normlab.claims.design import Job
from normlab.claims.run.execute import execute, in_one_line, unfinished
from normlab.records.record import Record


class RayEngine:
    """Ray's own futures, with a record also where a worker has died."""

    def __init__(self, workers: int, experiments: Path) -> None:
        self.workers = workers
        self.experiments = experiments
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS")
            # A cluster says itself how many cores it has.
            options: dict[str, Any] = (
                {} if address else {"num_cpus": workers, "include_dashboard": False}
            )
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        # A task whose worker dies runs once more.
        self._execute = ray.remote(num_cpus=1, max_retries=1)(execute)
        self._records: list[Future[Record]] = []

    def submit(self, job: Job) -> Future[Record]:
        """The record of `job`, once it is there."""
        record: Future[Record] = Future()
        self._records.append(record)

        def settle(done: Future[Record]) -> None:
            error = done.exception()
            # By `close`: a cancelled future takes no result.
            if record.cancelled():
                return
            if error is None:
                record.set_result(done.result())
            else:
                record.set_result(unfinished(job, "failed", _words(error)))

        task: Future[Record] = self._execute.remote(job, self.experiments).future()
        task.add_done_callback(settle)
        return record

    def close(self) -> None:
        """Leave the cluster, or end the one of this machine."""
        for record in self._records:
            record.cancel()  # does nothing to those that are there
        ray.shutdown()


def _words(error: BaseException) -> str:
    """Why there is no record: what the task raised, or how its worker died."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return in_one_line(error.cause)
    return f"its worker died: {type(error).__name__}"
