"""Running claims: plan, run what is missing, append each record as it comes, plan again."""

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from normlab.claims.claim import Claim, Protocol
from normlab.claims.plan import Job, plan
from normlab.claims.profiles import protocol_of
from normlab.claims.run.engines import Engine
from normlab.claims.staleness import current
from normlab.records.record import Record
from normlab.records.store import Store


@dataclass
class Tally:
    """What a run did, for its last line and its exit status."""

    done: int = 0
    diverged: int = 0
    failed: int = 0
    messages: list[str] = field(default_factory=list)

    def note(self, job: Job, record: Record) -> None:
        self.done += 1
        self.diverged += record.status == "diverged"
        if record.status in ("failed", "timeout"):
            self.failed += 1
            self.messages.append(
                f"{job.claim} {job.arm} seed {job.seed}: {record.status}: {record.message}"
            )


def run_claims(
    claims: Sequence[Claim],
    profile: str,
    store: Store,
    engine: Engine,
    seeds: int | None = None,
    deadline: float | None = None,
    renew: bool = False,
) -> Tally:
    """Run every trial that `claims` still need under `profile`; what is recorded already is skipped.

    Each record is on disk before the next is waited for, so that a kill at any moment loses the trials in flight only.
    Trials that failed before are tried again, once; with `renew` so are those made by other code. No trial is started
    after `deadline` (of time.perf_counter).
    """
    protocols = {claim.slug: protocol_of(claim, profile) for claim in claims}
    wanted = [claim for claim in claims if protocols[claim.slug] is not None]
    tally = Tally()
    with store, ExitStack() as stack:
        known = current(store.done(), store.folder) if renew else store.done()
        in_flight: set[str] = set()
        progress = stack.enter_context(_Progress(enabled=sys.stderr.isatty()))
        stack.callback(engine.close)
        while True:
            remaining = 0
            for claim in sorted(wanted, key=lambda claim: claim.timed):
                protocol = protocols[claim.slug]
                assert isinstance(protocol, Protocol)
                step = plan(claim, protocol, known, seeds)
                remaining += step.remaining
                # What measures time runs with nothing beside it.
                most = 1 if claim.timed else 2 * engine.workers
                for job in step.jobs:
                    if len(in_flight) >= most or (deadline and time.perf_counter() > deadline):
                        break
                    if job.key not in in_flight and job.key not in known:
                        in_flight.add(job.key)
                        engine.submit(job)
            progress.update(tally, remaining)
            if not in_flight:
                return tally
            arrived = False
            while not arrived:
                for job, record in engine.finished():
                    arrived = True
                    store.append(job.claim, record)
                    in_flight.discard(job.key)
                    known[job.key] = record
                    tally.note(job, record)
                    remaining -= 1
                    progress.update(tally, remaining)


class _Progress:
    """Jobs done, running, diverged, time left, on a terminal."""

    def __init__(self, enabled: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[diverged]} diverged, {task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not enabled,
        )
        self.row = self.bar.add_task("", total=None, diverged=0, failed=0)

    def __enter__(self) -> "_Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, tally: Tally, remaining: int) -> None:
        total = tally.done + max(0, remaining)
        self.bar.update(
            self.row,
            completed=tally.done,
            total=total,
            diverged=tally.diverged,
            failed=tally.failed,
        )
