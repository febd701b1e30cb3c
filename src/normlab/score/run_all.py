"""One call of `normlab score --all`: what the battery of every norm still needs, and the table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab.claims.claim import Arm, Claim
from normlab.claims.cost import seconds_left
from normlab.claims.run.engines import build_engine
from normlab.claims.run.request import results_folder
from normlab.claims.run.runner import Tally, designs, run_claims
from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds
from normlab.records.norm_choices import NormChoice
from normlab.records.places import PACKAGE
from normlab.records.store import Store
from normlab.score.battery import TRIALS, trained_claim
from normlab.score.choices import norm_choices
from normlab.score.decide_norms import norm_table
from normlab.score.norm_table import NormTable
from normlab.score.recorded import IMAGES, LAYER, TEXT, Recorded, cost_claim, family_claims
from normlab.score.request import REFERENCES, ScoreProfile, TableRequest
from normlab.score.rows import ROWS
from normlab.score.run import FOLDER, check_fits
from normlab.score.store import ScoreStore
from normlab.score.subject import Subject, subject_of


@dataclass(frozen=True)
class TableReport:
    """What a run gave. folder: the results folder. void: timings that a busy machine spoiled.

    left, left_s: trials that are still missing, as far as is known, and their seconds of one core.
    """

    table: NormTable
    choices: list[NormChoice]
    tally: Tally
    seconds: float
    folder: Path
    records: Path
    void: int
    left: int
    left_s: float


def run_all(request: TableRequest) -> TableReport:
    """Run what is missing for every kind and guest, if asked to, and decide every question.

    Raises:
        NormLabError: a guest that is not known, or does not fit the networks; a smoke run into the
            results folder.
    """
    guests = [subject_of(guest) for guest in dict.fromkeys(request.guests)]
    kinds, left_out = every_kind()
    norms = [*guests, *(kind for kind in kinds if kind not in guests)]
    folder = results_folder(request.results, smoke=request.profile is ScoreProfile.smoke)
    # A guest that was edited runs again; a kind of ours is only said to be stale, without --renew.
    store = ScoreStore(folder / FOLDER, *(one for one in guests if one.kind == "custom"))
    claims = claims_of_all(norms, timed=request.timed)
    began, tally = time.perf_counter(), Tally()
    if request.run:
        _check_guests(guests, request.profile)
        deadline = None if request.minutes is None else began + 60 * request.minutes
        engine = build_engine("local", request.workers, TRIALS)
        tally = run_claims(
            claims, request.profile, store, engine, deadline=deadline, renew=request.renew
        )
    seconds = time.perf_counter() - began
    void = store.void(arm.name for arm in claims[-1].arms) if request.timed else 0
    left, left_s = missing(claims, request.profile, store)
    recorded = Recorded(norms, request.profile, store)
    table = norm_table(recorded, left_out)
    choices = norm_choices(table, recorded)
    return TableReport(table, choices, tally, seconds, folder, store.folder, void, left, left_s)


def every_kind(*, shipped: bool = False) -> tuple[list[Subject], list[str]]:
    """The kinds of norm that a battery can run, and why the others cannot, a sentence each.

    The usual references last: a score of one norm times it beside them, in this order.
    shipped: only those of the package, which are the same everywhere.
    """
    names = [
        name
        for name, declared in declared_kinds().items()
        if not shipped or declared.path.is_relative_to(PACKAGE)
    ]
    norms, left_out = [], []
    for name in sorted(names, key=lambda name: name in REFERENCES):
        try:
            norms.append(subject_of(name))
        except NormLabError as error:
            left_out.append(str(error))
    return norms, left_out


def shipped_recorded(folder: Path) -> tuple[Recorded, list[str]]:
    """What a results folder holds of the package's own kinds, and the sentences on those left out.

    The same records give the same on every machine.
    """
    norms, left_out = every_kind(shipped=True)
    return Recorded(norms, ScoreProfile.quick, Store(folder / FOLDER)), left_out


def claims_of_all(norms: Sequence[Subject], *, timed: bool) -> list[Claim]:
    """The battery of every norm, a claim for each question: `run_claims` begins with the cheapest.

    So whatever the time allows, questions are whole, and not norms. Together they have the trials
    of the battery of each norm, under the same keys and in the same files.
    """
    claims = family_claims(LAYER, norms)
    for family in (IMAGES, TEXT):
        for norm in norms:
            claims += [trained_claim(norm, family, arms) for arms in cells(norm, family)]
    return [*claims, cost_claim(norms)] if timed else claims


def cells(norm: Subject, family: str) -> list[tuple[Arm, ...]]:
    """The arms of a family by question, those of few arms first; an arm stands where it is first
    read. None where the norm cannot enter."""
    rows = [row for row in ROWS if row.family == family and not row.barred(norm)]
    taken: dict[str, Arm] = {}
    groups = []
    for row in sorted(rows, key=lambda row: len(row.arms(norm))):
        new = {arm.name: arm for arm in row.arms(norm) if arm.name not in taken}
        taken |= new
        if new:
            groups.append(tuple(new.values()))
    return groups


def missing(claims: Sequence[Claim], profile: str, store: Store) -> tuple[int, float]:
    """Trials that are not recorded, as far as the plan is known, and their seconds of one core."""
    trials, seconds = 0, 0.0
    records = store.done()
    for design in designs(claims, profile, None):
        progress = design.progress(records)
        trials += progress.remaining
        seconds += seconds_left(design.protocol, progress, records)
    return trials, seconds


def _check_guests(guests: Sequence[Subject], profile: ScoreProfile) -> None:
    for guest in guests:
        if guest.kind == "custom":
            claims = [*family_claims(IMAGES, [guest]), *family_claims(TEXT, [guest])]
            check_fits(claims, profile)
