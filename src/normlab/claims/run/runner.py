"""Running claims: plan, run what is missing, append each record as it comes, plan again."""

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

from normlab.claims.claim import Claim
from normlab.claims.cost import first_look, seconds_left
from normlab.claims.design import Design, Job, Progress
from normlab.claims.profiles import protocol_of
from normlab.claims.run.engines import Engine
from normlab.claims.run.progress import ProgressBar
from normlab.claims.sequence import wanted_seeds
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

    def add(self, other: "Tally") -> None:
        """Count what another run did, too."""
        self.done += other.done
        self.diverged += other.diverged
        self.failed += other.failed
        self.messages += other.messages

    def note(self, job: Job, record: Record) -> None:
        """Count `record`."""
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
    *,
    seeds: int | None = None,
    deadline: float | None = None,
    renew: bool = False,
) -> Tally:
    """Run every trial that `claims` still need under `profile`; what is recorded is skipped.

    Each record is on disk before the next is waited for, so that a kill at any moment loses the
    trials in flight only. Trials that failed before are tried again, once; with `renew` so are
    those made by other code. No trial is started after `deadline` (of time.perf_counter).

    Raises:
        NormLabError: another run writes to the store's folder.
    """
    plan = designs(claims, profile, seeds)
    with store, ExitStack() as stack:
        known = current(store.done(), store.folder) if renew else store.done()
        progress = stack.enter_context(ProgressBar(enabled=sys.stderr.isatty()))
        # Registered last and so called first: no worker outlives the lock on the records.
        stack.callback(engine.close)
        run = _Run(engine, known, deadline)
        tally = Tally()
        # A record may bring new trials, at a tuned rate or beyond a grid's edge: planned anew.
        while True:
            remaining = 0
            for design in plan:
                remaining += run.start(design)
            progress.update(tally, remaining)
            if not run.in_flight:
                return tally
            for job, record in run.wait():
                store.append(job.claim, record)
                tally.note(job, record)
                remaining -= 1
                progress.update(tally, remaining)


def designs(claims: Sequence[Claim], profile: str, seeds: int | None) -> list[Design]:
    """Of the claims that have a protocol for the profile, what costs least to its first look first;
    what measures time comes last."""
    plan = []
    for claim in claims:
        protocol = protocol_of(claim, profile)
        if protocol is not None:
            plan.append(Design(claim, protocol, seeds))
    if len(plan) == 1:
        return plan
    cost = {id(one): seconds_left(one.protocol, first_look(one, {}), {}) for one in plan}
    return sorted(plan, key=lambda one: (one.claim.timed, cost[id(one)]))


def next_step(design: Design, known: Mapping[str, Record]) -> Progress:
    """What a claim needs for its next look: nothing once every clause is decided.

    Looks follow each other as soon as one is complete, and `known` may hold any number of seeds.
    """
    if design.seeds is not None:
        return design.progress(known, design.seeds)
    looks = design.protocol.looks
    recorded = design.progress(known).recorded(known)
    return design.progress(known, wanted_seeds(design.claim, looks, recorded))


class _Run:
    """The trials in flight, and by key the records that need not run (again)."""

    def __init__(
        self,
        engine: Engine,
        known: Mapping[str, Record],
        deadline: float | None,
    ) -> None:
        self.engine = engine
        # A copy: what fails in this run joins it, so that it is not tried again in the same run.
        self.known = dict(known)
        self.deadline = deadline
        self.in_flight: dict[Future[Record], Job] = {}
        self._steps: dict[int, Progress] = {}  # by the design's id

    def _step(self, design: Design) -> Progress:
        """What a claim needs next: planned anew only where one of its own trials has been run."""
        step = self._steps.get(id(design))
        if step is None or any(job.key in self.known for job in step.jobs):
            step = self._steps[id(design)] = next_step(design, self.known)
        return step

    def start(self, design: Design) -> int:
        """Start the next trials of a claim, as many as there is room for; how many remain."""
        step = self._step(design)
        # Claims share trials: one that is in flight for another is not started again.
        started = {job.key for job in self.in_flight.values()}
        # Twice the workers, so that none waits for the plan; what measures time runs with nothing
        # beside it.
        most = 1 if design.claim.timed else 2 * self.engine.workers
        for job in step.jobs:
            if len(self.in_flight) >= most or self._is_late():
                break
            if job.key not in started:
                started.add(job.key)
                self.in_flight[self.engine.submit(job)] = job
        return step.remaining

    def wait(self) -> list[tuple[Job, Record]]:
        """What is done, as soon as one trial is; also what failed need not run again."""
        done, _ = wait(self.in_flight, return_when=FIRST_COMPLETED)
        trials = [(self.in_flight.pop(future), future.result()) for future in done]
        self.known.update({job.key: record for job, record in trials})
        return trials

    def _is_late(self) -> bool:
        return self.deadline is not None and time.perf_counter() > self.deadline
