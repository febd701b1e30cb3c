"""After a change of code that should change no result: run one trial of each kind again.

A record made by older code is stale (see `normlab.claims.staleness`) unless a trial that takes the
same way through the code has been run again since and gave the same status, metrics and curve, bit
for bit. Where it gives other bits, the processor may be the reason: then the commit that made the
record runs the trial on this machine, too, and its bits are compared. What was compared is kept,
one row each, in results/rechecks.json: nothing is taken on trust, and a way that differs stays
stale until it is run anew. Trials that measure time never give the same bits: they are run anew.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.design import Design, Job
from normlab.claims.run.earlier_code import run_by_commits
from normlab.claims.run.engines import Engine, run_all
from normlab.claims.run.kept_trials import KeptTrials
from normlab.claims.staleness import changed_files
from normlab.norms import kernels
from normlab.records.compare import difference
from normlab.records.machine import processor
from normlab.records.provenance import (
    Recheck,
    add_recheck,
    load_rechecks,
    load_sources,
    way_of,
)
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.records.tree import here


def recheck(
    claims: Sequence[Claim], store: Store, engine: Engine, experiments: Path
) -> list[Recheck]:
    """Run one stale trial of each way through the code again; what each gave.

    experiments: the folder of the claims' files. Each row is in results/rechecks.json before the
    next is waited for, and each trial is kept: a run that is killed goes on where it was.
    """
    with store:  # which notes what today's source stands for
        known = store.done()
        jobs = list(_one_of_each_way(claims, store))
        rows = _Rows(store.folder, len(jobs))
        others: dict[str, Record] = {}  # by key: what today's code gives instead of the record
        again: list[tuple[Job, str]] = []
        for job, now in _run_today(engine, jobs):
            before = known[job.key]
            # Of a changed checkout nobody can say which code it was: no commit has made the record.
            commit = None if before.code.get("dirty") else before.code.get("git")
            if commit and now.status in DONE and difference(before, now):
                others[job.key] = now
                again.append((job, commit))
            else:
                rows.add(job, before, now, difference(before, now))
        engine.close()
        for job, earlier in run_by_commits(again, experiments, engine.workers):
            before, now = known[job.key], others[job.key]
            if earlier is not None and earlier.status in DONE:
                commit = str(before.code.get("git"))
                rows.add(job, before, now, difference(earlier, now), commit)
            else:  # the record is all that there is to compare with
                rows.add(job, before, now, difference(before, now))
    return rows.rows


def _run_today(engine: Engine, jobs: Sequence[Job]) -> Iterator[tuple[Job, Record]]:
    """What today's code gives for each job here; what an earlier recheck has run comes first."""
    kept = KeptTrials(here().source)
    left: list[Job] = []
    for job in jobs:
        record = kept.get(job.key)
        if record is None:
            left.append(job)
        else:
            yield job, record
    for job, record in run_all(engine, left):
        kept.add(record)
        yield job, record


class _Rows:
    """The rows of a run; each is kept, and said, as it comes."""

    def __init__(self, folder: Path, planned: int) -> None:
        self.rows: list[Recheck] = []
        self._folder = folder
        self._planned = planned
        self._sources = load_sources(folder)
        self._began = time.perf_counter()

    def add(self, job: Job, before: Record, now: Record, differs: str, commit: str = "") -> None:
        """`differs`: from the record, or from what `commit` gives on this machine."""
        row: Recheck = {
            "way": way_of(before.config),
            "key": job.key,
            "claim": job.claim,
            "arm": job.arm,
            "before": self._sources.state(before),
            "now": str(now.code.get("source")),
            "same": not differs,
            "differs": differs,
            "processor": processor(),
        }
        if commit:
            row["commit"] = commit
        self.rows.append(row)
        if now.status in DONE:  # one that could not run says nothing
            add_recheck(self._folder, row)
        self._say(row)

    def _say(self, row: Recheck) -> None:
        minutes = (time.perf_counter() - self._began) / 60
        done = f"{len(self.rows)} of {self._planned}, {minutes:.1f} min"
        commit = row.get("commit")
        beside = f", beside {commit[:7]} on this machine" if commit else ""
        outcome = row["differs"] or "the same bits"
        print(
            f"{done}: {row['claim']}, {row['arm']}: {outcome}{beside}", file=sys.stderr, flush=True
        )


def _one_of_each_way(claims: Sequence[Claim], store: Store) -> list[Job]:
    """The cheapest stale evaluation trial of each way, and of each code that made one."""
    known, tried = store.done(), store.tried()
    sources = load_sources(store.folder)
    # What this very code gave otherwise before, it would give again.
    settled = {
        (row["way"], row["before"])
        for row in load_rechecks(store.folder)
        if row["now"] == here().source
    }
    cheapest: dict[tuple[str, str], tuple[float, Job]] = {}
    for claim in claims:
        # Time gives no two same bits.
        for job in () if claim.timed else _planned_jobs(claim, tried):
            if job.key not in known:
                continue
            record = known[job.key]
            if changed_files(record, sources) == set() or not _same_kernel(record):
                continue
            kind = way_of(record.config), sources.state(record)
            is_new = kind not in cheapest or record.duration_s < cheapest[kind][0]
            if kind not in settled and is_new:
                cheapest[kind] = record.duration_s, job
    jobs = {job.key: job for _, job in cheapest.values()}
    return list(jobs.values())


def _same_kernel(record: Record) -> bool:
    """Whether norms on the CPU run here by what the record was made with: other kernels, other
    last digits. Before there were any in C, it was torch.
    """
    return kernels.family(record.versions.get("kernel", "torch")) == kernels.family()


def _planned_jobs(claim: Claim, tried: Mapping[str, Record]) -> Iterator[Job]:
    """The evaluation trials of a claim, under any of its protocols."""
    for protocol in claim.protocols.values():
        for by_seed in Design(claim, protocol).progress(tried).evaluation.values():
            yield from by_seed.values()
