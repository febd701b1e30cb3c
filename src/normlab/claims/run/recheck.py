"""After a change of code that should change no result: run one trial of each kind again.

A record made by older code is stale (see `normlab.claims.staleness`) unless a trial that takes the
same way through the code has been run again since and gave the same status, metrics and curve, bit
for bit. What was compared is kept, one row each, in results/rechecks.json: nothing is taken on
trust, and a way that differs stays stale until it is run anew. Trials that measure time never give
the same bits: they are run anew.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.design import Design, Job
from normlab.claims.run.engines import Engine, run_all
from normlab.claims.staleness import changed_files
from normlab.records.compare import difference
from normlab.records.provenance import (
    Recheck,
    Sources,
    add_recheck,
    load_rechecks,
    load_sources,
    way_of,
)
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.records.tree import here


def recheck(claims: Sequence[Claim], store: Store, engine: Engine) -> list[Recheck]:
    """Run one stale trial of each way through the code again; what each gave.

    Each row is in results/rechecks.json before the next is waited for: a run that is killed goes on
    where it was.
    """
    with store:  # which notes what today's source stands for
        known = store.done()
        sources = load_sources(store.folder)
        jobs = list(_one_of_each_way(claims, known, store.folder))
        began = time.perf_counter()
        rows: list[Recheck] = []
        for job, record in run_all(engine, jobs):
            rows.append(_row(job, known[job.key], record, sources))
            if record.status in DONE:  # one that could not run says nothing
                add_recheck(store.folder, rows[-1])
            minutes = (time.perf_counter() - began) / 60
            outcome = rows[-1]["differs"] or "the same bits"
            done = f"{len(rows)} of {len(jobs)}, {minutes:.1f} min"
            print(f"{done}: {job.claim}, {job.arm}: {outcome}", file=sys.stderr, flush=True)
        engine.close()
    return rows


def _row(job: Job, before: Record, now: Record, sources: Sources) -> Recheck:
    differs = difference(before, now)
    return {
        "way": way_of(before.config),
        "key": job.key,
        "claim": job.claim,
        "arm": job.arm,
        "before": sources.state(before),
        "now": str(now.code.get("source")),
        "same": not differs,
        "differs": differs,
    }


def _one_of_each_way(
    claims: Sequence[Claim], known: Mapping[str, Record], folder: Path
) -> list[Job]:
    """The cheapest stale evaluation trial of each way, and of each code that made one."""
    sources = load_sources(folder)
    # What this very code gave otherwise before, it would give again.
    settled = {
        (row["way"], row["before"]) for row in load_rechecks(folder) if row["now"] == here().source
    }
    cheapest: dict[tuple[str, str], tuple[float, Job]] = {}
    for claim in claims:
        # Time gives no two same bits.
        for job in () if claim.timed else _recorded_jobs(claim, known):
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
    last digits. Those in C give the same bits on every processor; before they came, it was torch.
    """
    from normlab.norms import kernels

    made = record.versions.get("kernel", "torch")
    return made.partition("-")[0] == kernels.name().partition("-")[0]


def _recorded_jobs(claim: Claim, known: Mapping[str, Record]) -> Iterator[Job]:
    """The evaluation trials of a claim that are recorded, under any of its protocols."""
    for protocol in claim.protocols.values():
        for by_seed in Design(claim, protocol).progress(known).evaluation.values():
            yield from (job for job in by_seed.values() if job.key in known)
