"""Where trials run: warm processes of this machine, Ray, or SLURM.

Each has the face of an executor of concurrent.futures: `submit` gives a future.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from normlab.claims.run.request import EngineName
from normlab.errors import NormLabError, choices

if TYPE_CHECKING:
    from normlab.claims.design import Job
    from normlab.records.record import Record

ENGINES = tuple(name.value for name in EngineName)


class Engine(Protocol):
    """Runs trials elsewhere, like an executor of concurrent.futures."""

    workers: int

    def submit(self, job: "Job") -> "Future[Record]":
        """The record of `job`, once it is there.

        A worker that dies, or raises what `execute` does not catch, gives a record that says so.

        The future raises nothing, and is cancelled where `close` came first.
        """

    def close(self) -> None:
        """End all workers, and the trials that they are at."""


def build_engine(name: str, workers: int | None, experiments: Path) -> Engine:
    """The engine `name` with `workers` processes (None: one per core).

    Raises:
        NormLabError: unknown engine, its library is not installed, or no worker at all.
    """
    count = workers if workers is not None else os.cpu_count() or 1
    if count < 1:
        raise NormLabError(f"--workers {count}: give at least 1.")
    if name not in ENGINES:
        raise choices("engine", name, ENGINES)
    # Imported when asked for: the libraries of the other engines need not be installed.
    try:
        if name == EngineName.ray:
            from normlab.claims.run.engines.ray import RayEngine

            return RayEngine(count, experiments)
        if name == EngineName.submitit:
            from normlab.claims.run.engines.submitit import SubmititEngine

            return SubmititEngine(count, experiments)
    except ImportError:
        raise NormLabError(
            f"--engine {name} needs its library: pip install {name}, or use --engine local."
        ) from None
    from normlab.claims.run.engines.local import LocalEngine

    return LocalEngine(count, experiments)


def run_all(engine: Engine, jobs: Iterable["Job"]) -> "Iterator[tuple[Job, Record]]":
    """The records of `jobs`, in the order in which they come."""
    futures = {engine.submit(job): job for job in jobs}
    for future in as_completed(futures):
        yield futures[future], future.result()
