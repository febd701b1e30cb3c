"""Trials run by the commit that made their records, on this machine.

Processors of different makes give different last digits. So where today's code does not give the
bits of a record, what the record's own commit gives here decides whether the code is the reason.
"""

import io
import json
import os
import queue
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from normlab.claims.design import Job
from normlab.claims.run import run_jobs
from normlab.claims.run.kept_trials import KeptTrials
from normlab.errors import NormLabError
from normlab.records.places import CHECKOUT
from normlab.records.record import Record

_PARTS = ("src", "conf", "experiments")  # of a commit: what a trial needs


def run_by_commits(
    jobs: Sequence[tuple[Job, str]], experiments: Path, workers: int
) -> Iterator[tuple[Job, Record | None]]:
    """For each (job, commit): the record that the commit gives here; None where it gives none.

    experiments: the folder that the jobs' claims lie in, here; it is taken from the commit. Why a
    commit gives nothing is said on the error output.
    """
    by_commit: dict[str, list[Job]] = defaultdict(list)
    for job, commit in jobs:
        by_commit[commit].append(job)
    results: queue.SimpleQueue[tuple[Job, Record | None]] = queue.SimpleQueue()
    with (
        tempfile.TemporaryDirectory(prefix="normlab-commits-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        for commit, group in by_commit.items():
            pool.submit(_run, commit, group, experiments, Path(folder, commit), results)
        for _ in jobs:
            yield results.get()


def _run(
    commit: str,
    jobs: Sequence[Job],
    experiments: Path,
    folder: Path,
    results: "queue.SimpleQueue[tuple[Job, Record | None]]",
) -> None:
    """Put what `commit` gives for each job into `results`, each as it comes."""
    kept = KeptTrials(commit)
    left = {job.key: job for job in jobs}
    try:
        for job in jobs:
            if (record := kept.get(job.key)) is not None:
                results.put((left.pop(job.key), record))
        if not left:
            return
        for record in _records(commit, list(left.values()), experiments, folder):
            kept.add(record)
            results.put((left.pop(record.key), record))
    except NormLabError as error:
        print(error, file=sys.stderr)
    finally:  # whoever waits must get one result for each job
        for job in left.values():
            results.put((job, None))


def _records(commit: str, jobs: Sequence[Job], experiments: Path, folder: Path) -> Iterator[Record]:
    there = folder / _inside(experiments)
    extract(commit, folder)
    process = subprocess.Popen(
        [sys.executable, "-P", run_jobs.__file__, str(there)],
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        with process.stdin as lines:
            lines.writelines(json.dumps(asdict(job)) + "\n" for job in jobs)
        for line in process.stdout:
            yield Record.from_json(line)


def _inside(folder: Path) -> Path:
    """`folder` relative to this checkout, as every commit has it."""
    if CHECKOUT is None:
        raise NormLabError("An installed package has no earlier commits: recheck in a checkout.")
    if not folder.resolve().is_relative_to(CHECKOUT):
        raise NormLabError(f"{folder} lies outside of {CHECKOUT}: no commit holds its claims.")
    return folder.resolve().relative_to(CHECKOUT)


def extract(commit: str, folder: Path) -> None:
    """Put the code of `commit` into a new `folder`, which is no repository.

    Raises:
        NormLabError: it is not in this repository.
    """
    command = ["git", "-C", str(CHECKOUT), "archive", "--format=tar", commit, "--", *_PARTS]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise NormLabError(f"Commit {commit} is not in this repository: fetch its whole history.")
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
