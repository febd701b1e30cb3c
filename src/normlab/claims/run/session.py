"""One call of `normlab run`: which claims, which of their jobs are missing, what became of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from normlab.claims.claim import Claim, Protocol
from normlab.claims.design import Job
from normlab.claims.power import check_powers
from normlab.claims.profiles import protocol_name, protocol_of
from normlab.claims.registered import register
from normlab.claims.registry import load_all, load_claim, slugs
from normlab.claims.run.committed import check_committed
from normlab.claims.run.engines import build_engine
from normlab.claims.run.execute import RUNS, with_loggers
from normlab.claims.run.guests import (
    GuestComparison,
    check_guest,
    check_guest_fits,
    compare,
    compares_norms,
    with_guest,
)
from normlab.claims.run.request import Profile, RunRequest, results_folder
from normlab.claims.run.runner import Tally, designs, next_step, run_claims
from normlab.claims.staleness import current
from normlab.errors import NormLabError
from normlab.records.places import EXPERIMENTS, newest
from normlab.records.store import Store
from normlab.records.verdict import FILE, read_verdicts


@dataclass(frozen=True)
class Selection:
    """The claims of a run, as they will be run.

    hosts: by slug and by arm of the guest, the claim's own arm whose place it takes.
    """

    claims: tuple[Claim, ...]
    hosts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunReport:
    """What a run did. guests: by slug, a guest norm beside the norms whose places it took."""

    claims: tuple[Claim, ...]
    tally: Tally
    seconds: float
    folder: Path  # of the records
    logs: Path | None = None
    guests: Mapping[str, Sequence[GuestComparison]] = field(default_factory=dict)


def select(request: RunRequest) -> Selection:
    """The claims that `request` names, with its guest and its loggers.

    Raises:
        NormLabError: no claims or unknown ones, no protocol for the profile, an unfit guest.
    """
    if request.slugs and request.all_claims:
        raise NormLabError(f"--all runs {', '.join(request.slugs)}, too: leave one of both out.")
    if not request.slugs and not request.all_claims:
        raise NormLabError(f"name claims, or pass --all: {', '.join(slugs())}.")
    if request.seeds is not None and request.seeds < 1:
        raise NormLabError(f"--seeds {request.seeds}: give at least 1.")
    if request.all_claims:
        claims = load_all()
    else:
        claims = [load_claim(slug) for slug in request.slugs]
        # Of all claims those without the profile are passed over; one that is named says so.
        for claim in claims:
            named_protocol(claim, request.profile)
    hosts: dict[str, Mapping[str, str]] = {}
    if request.norm is not None:
        check_guest(request.norm)
        # A claim that is named says why it takes no guest; with all claims such are passed over.
        if request.all_claims:
            claims = [claim for claim in claims if compares_norms(claim)]
        claims, hosts = _with_guests(claims, request)
    if request.loggers:
        claims = [with_loggers(claim, request.loggers) for claim in claims]
    return Selection(tuple(claims), hosts)


def _with_guests(
    claims: Sequence[Claim], request: RunRequest
) -> tuple[list[Claim], dict[str, Mapping[str, str]]]:
    """The claims with the guest in them, and the hosts of its arms, by claim.

    Of all claims those in whose networks it has no place are passed over.

    Raises:
        NormLabError: it has none in a claim that was named.
    """
    assert request.norm is not None, "there is no guest"
    entered: list[Claim] = []
    hosts: dict[str, Mapping[str, str]] = {}
    for claim in claims:
        extended, places = with_guest(claim, request.norm)
        protocol = protocol_of(claim, request.profile)
        try:
            if protocol is not None:
                check_guest_fits(extended, places, protocol)
        except NormLabError:
            if not request.all_claims:
                raise
            continue
        entered.append(extended)
        hosts[claim.slug] = places
    return entered, hosts


def missing_jobs(request: RunRequest) -> list[Job]:
    """The jobs that `run_session` would start with, in its order, each once. Runs nothing.

    Raises:
        NormLabError: see `select` and `results_folder`.
    """
    claims, store = select(request).claims, _store(request)
    known = current(store.done(), store.folder) if request.renew else store.done()
    jobs: dict[str, Job] = {}  # by key: claims share trials
    for design in designs(claims, request.profile, request.seeds):
        for job in next_step(design, known).jobs:
            jobs.setdefault(job.key, job)
    return list(jobs.values())


def run_session(request: RunRequest) -> RunReport:
    """Run what is missing of the claims of `request`, and compare its guest.

    Raises:
        NormLabError: see `select`, `results_folder` and `build_engine`; another run writes to the
            folder.
    """
    selection, store = select(request), _store(request)
    began = time.perf_counter()
    deadline = None if request.minutes is None else began + 60 * request.minutes
    _begin(request, selection.claims, store)
    engine = build_engine(request.engine, request.workers, EXPERIMENTS)
    tally = run_claims(
        selection.claims,
        request.profile,
        store,
        engine,
        seeds=request.seeds,
        deadline=deadline,
        renew=request.renew,
    )
    seconds = time.perf_counter() - began
    guests: dict[str, Sequence[GuestComparison]] = {}
    for claim in selection.claims:
        protocol, hosts = protocol_of(claim, request.profile), selection.hosts.get(claim.slug)
        if hosts is not None and protocol is not None:
            guests[claim.slug] = compare(claim, hosts, protocol, store)
    logs = RUNS if request.loggers else None
    return RunReport(selection.claims, tally, seconds, store.folder, logs, guests)


def _begin(request: RunRequest, claims: Sequence[Claim], store: Store) -> None:
    """Before evidence: its code is committed, its clauses can be decided, its version is noted.

    Raises:
        NormLabError: one of these is not so.
    """
    if request.profile is Profile.smoke:  # which decides nothing
        return
    commit = check_committed(store.folder)
    decided: list[tuple[Claim, str]] = []
    for selected in claims:
        # As it is written: without a guest, and without loggers.
        claim = load_claim(selected.slug)
        name = protocol_name(claim, request.profile)
        if name is not None:
            check_powers(claim, claim.protocols[name])
            decided.append((claim, name))
    with store:  # which no other run writes to meanwhile
        known = read_verdicts(store.folder) if newest(store.folder, FILE).exists() else {}
        register(decided, store.folder, commit, known)


def _store(request: RunRequest) -> Store:
    smoke = request.profile is Profile.smoke
    return Store(results_folder(request.results, smoke=smoke))


def named_protocol(claim: Claim, profile: str) -> tuple[str, Protocol]:
    """The protocol that runs under `profile` on this machine, and its name.

    Raises:
        NormLabError: the claim has none.
    """
    name = protocol_name(claim, profile)
    if name is None:
        known = ", ".join(claim.protocols)
        raise NormLabError(f"{claim.slug} has no protocol for --profile {profile}: it has {known}.")
    return name, claim.protocols[name]
